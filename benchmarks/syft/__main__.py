"""Speed, size and learning of encrypted training, beside its rivals on the same machine.

    python -m benchmarks.syft                    everything: one table, benchmarks/results.json, and
                                                 the tables of docs/syft.md
    python -m benchmarks.syft --quick            everything at small sizes: does it run?
    python -m benchmarks.syft --only product     one part; results.json stays as it is
    python -m benchmarks.syft --show             the table of the last whole run

Rows are {name, seconds, rival, rival_seconds, ratio, peak_mb, bytes_down, bytes_up, bits,
operations}, and what else there is to say. Every part runs in a process of its own, its rivals in
the same one just before it. Times are wall time, so the machine should have nothing else to do.
A figure that is asked for and not reached is printed as such, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.syft._clock import Clock, peak_mb
from benchmarks.syft._page import rewrite_page
from benchmarks.syft._rows import Row, missing_row, not_reached, table_head, table_line
from benchmarks.syft.learning import learn_digits, learn_mnist, learn_sorted
from benchmarks.syft.linear import bench_large, bench_product, bench_small, bench_streaming
from benchmarks.syft.networks import bench_networks
from benchmarks.syft.privacy import bench_privacy

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "syft.md"

PARTS: dict[str, Callable[[bool], Iterator[Row]]] = {
    "small": bench_small,
    "product": bench_product,
    "large": bench_large,
    "networks": bench_networks,
    "streaming": bench_streaming,
    "privacy": bench_privacy,
    "digits": learn_digits,
    "mnist": learn_mnist,
    "sorted": learn_sorted,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure the chosen parts; return 1 if a figure was not reached."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.syft",
        description="Speed, size and learning of encrypted training, beside its rivals.",
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="measure one part (or more)")
    parser.add_argument("--quick", action="store_true", help="small sizes: nothing to publish")
    parser.add_argument("--results", type=Path, help="where rows go; of a whole run, results.json")
    parser.add_argument("--show", action="store_true", help="print results.json; measure nothing")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        return run_part(options.part, options.quick)
    clock, rows = Clock(), []
    print(table_head(), flush=True)
    if options.show:
        rows = json.loads((options.results or RESULTS).read_text())
        print("\n".join(map(table_line, rows)))
        return 1 if not_reached(rows) else 0
    for found in measure(options.only or list(PARTS), options.quick):
        print(table_line(found), flush=True)
        rows.append(found)
    if options.results is None and not options.only and not options.quick:
        options.results = RESULTS
        PAGE.write_text(rewrite_page(PAGE.read_text(), rows))
    if options.results is not None:
        options.results.write_text(json.dumps(rows, indent=1) + "\n")
    missed = not_reached(rows)
    print(f"\n{len(rows)} rows in {clock.seconds:,.0f} s", end="")
    print(f"; written to {options.results}" if options.results else "; nothing written")
    if not missed:
        print("Every figure that is asked for was reached.")
    for text in missed:
        print(f"NOT REACHED  {text}")
    return 1 if missed else 0


def measure(parts: list[str], quick: bool) -> Iterator[Row]:
    """Yield the rows of each part as they come; of one that dies, a row that says so."""
    for number, part in enumerate(parts, 1):
        print(f"[{number}/{len(parts)}] {part}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks.syft", "--part", part]
        if quick:
            command.append("--quick")
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                yield json.loads(line)
        if child.returncode:
            yield missing_row(part, f"this part ended with status {child.returncode}")


def run_part(part: str, quick: bool) -> int:
    """Print the rows of a part as JSON lines."""
    peak_mb()
    for found in PARTS[part](quick):
        print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
