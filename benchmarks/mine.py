"""Both mines side by side: start-up, idle memory, time from a campaign's opening to a gradient.

    python benchmarks/mine.py [--repeat 5] [--results FILE]

Real mines, as `openmined mine start` and `openmined-mine start` run them, with a chain (anvil) and
a store beside them; a Capsule is played. Mines look at the chain twenty times a second here, so
that their own time shows: by default it is once in five seconds. Rows go to mine.json, with
Mine.py as the rival of Mine.js; needs Mine.js built (`make mine-js`).

    start-up        from the command to the first campaign that it sees on the chain
    first gradient  of a mine that runs, in the first campaign: from its opening to the block that
                    holds the gradient; training modules are loaded on the way
    next gradients  the same in later campaigns, each with new keys: the median
    memory          of the mine's processes (PSS, what they share counted once): idle, with the API,
                    and idle again after gradients
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.conformance.mines import PYTHON, Kind, Running, make_mine, node_kind, run
from tests.unit.mine.mine_world import MineWorld, mine_world

PATIENCE_S = 120
SETTLED_S = 5
"""After the last work, before memory is looked at."""
ROWS = "120 rows, 8 x 3 weights"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("mine.json"))
    options = parser.parse_args()
    kinds = (node_kind(), PYTHON)
    found = []
    for kind in kinds:
        with mine_world() as world:
            found.append(measure(world, kind, options.repeat))
    rows = [compare(name, *(one[name] for one in found)) for name in found[0]]
    for row in rows:
        unit = "s" if "seconds" in row else "MiB"
        key = "seconds" if "seconds" in row else "mib"
        against = f"Mine.py {row[f'rival_{key}']:g} {unit}"
        print(f"{row['name']:<56} {row[key]:>9g} {unit:<4} {against}")
    options.results.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def compare(name: str, own: float, rival: float) -> dict[str, Any]:
    kind = "mib" if "memory" in name else "seconds"
    row = {"name": f"Mine.js: {name}", kind: own, "rival": "Mine.py", f"rival_{kind}": rival}
    return row | {"ratio": round(rival / own, 2), "cores": os.cpu_count()}


def measure(world: MineWorld, kind: Kind, repeat: int) -> dict[str, float]:
    return {
        "status command": median(timed_status(world, kind, number) for number in range(repeat)),
        "start-up": median(start_up(world, kind, number) for number in range(repeat)),
        "memory, idle": idle_memory(world, kind),
        "memory, idle, with the local API": idle_memory(world, kind, api=True),
        **gradients(world, kind, repeat),
    }


def timed_status(world: MineWorld, kind: Kind, number: int) -> float:
    folder, _ = make_mine(world, f"status-{number}")
    began = time.monotonic()
    assert run(kind, "status", folder.path, "--json").returncode == 0
    return round(time.monotonic() - began, 3)


def start_up(world: MineWorld, kind: Kind, number: int) -> float:
    with idle(world, kind, f"start-{number}") as (_, seconds):
        return seconds


@contextmanager
def idle(
    world: MineWorld, kind: Kind, name: str, **options: Any
) -> Iterator[tuple[Running, float]]:
    """A mine that sees one open campaign and may not serve it; and the seconds until it saw it."""
    folder, _ = make_mine(world, name, permission={"mode": "deny"}, **options)
    world.launch_open()
    began = time.monotonic()
    with Running(kind, folder.path) as mine:
        wait_until(lambda: "seen" in steps(folder.log_path), "the campaign seen")
        yield mine, round(time.monotonic() - began, 3)


def idle_memory(world: MineWorld, kind: Kind, *, api: bool = False) -> float:
    options = {"api": {"enabled": True, "port": 0}} if api else {}
    with idle(world, kind, f"idle-{api}", **options) as (mine, _):
        return memory(mine)


def gradients(world: MineWorld, kind: Kind, repeat: int) -> dict[str, float]:
    folder, _ = make_mine(world, "gradients")
    seconds = []
    with Running(kind, folder.path) as mine:
        wait_until(lambda: "started" in steps(folder.log_path), "started")
        for _ in range(repeat + 1):
            manifest = world.manifest()
            opened = world.open(world.launch(manifest), manifest)
            began = time.monotonic()
            wait_until(lambda at=opened.campaign: world.submitted(at), "a gradient submitted")
            seconds.append(round(time.monotonic() - began, 3))
        # Mine.js lets go of its training process when nothing was asked of it for a while.
        wait_until(lambda: not psutil.Process(mine.process.pid).children(), "alone again")
        after = memory(mine)
    return {
        f"first gradient ({ROWS})": seconds[0],
        f"next gradients ({ROWS})": median(seconds[1:]),
        "memory, idle after gradients": after,
    }


def memory(mine: Running) -> float:
    time.sleep(SETTLED_S)
    own = psutil.Process(mine.process.pid)
    used = sum(process.memory_full_info().pss for process in (own, *own.children(recursive=True)))
    return round(used / 2**20, 1)


def steps(log: Path) -> set[str]:
    lines = log.read_text().splitlines() if log.exists() else []
    return {str(json.loads(line)["step"]) for line in lines if line.endswith("}")}


def wait_until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"still not {what}"
        time.sleep(0.005)


if __name__ == "__main__":
    sys.exit(main())
