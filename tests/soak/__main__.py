"""`python -m tests.soak`: a randomized, replayable storm on a devnet. See docs/soak.md."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.plan import make_plan
from tests.soak.storm import Storm, draw, judge_processes, replay, write_json
from tests.soak.world import enter_namespace, storm_world


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="of faults; 20 by default")
    parser.add_argument("--seed", type=int, help="of a storm to replay; by default a new one")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two faults")
    parser.add_argument("--plan", action="store_true", help="print what would happen, and end")
    parser.add_argument("--json", type=Path, help="write the summary to this file")
    parser.add_argument("--folder", type=Path, help="keep everything here")
    arguments = parser.parse_args()
    seed = secrets.randbelow(10**9) if arguments.seed is None else arguments.seed
    if arguments.plan:
        for fault in make_plan(seed, arguments.minutes, every_s=arguments.every):
            print(f"{fault.at_s:7.1f} s  {fault}")
        return 0
    if arguments.seed is None:
        sys.argv += ["--seed", str(seed)]
    enter_namespace()
    return _rage(seed, arguments)


def _rage(seed: int, arguments: argparse.Namespace) -> int:
    place = arguments.folder or Path(tempfile.mkdtemp(prefix="openmined-soak-"))
    place.mkdir(parents=True, exist_ok=True)
    with (place / "storm.log").open("w", encoding="utf-8") as log:

        def say(text: str) -> None:
            log.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
            log.flush()
            print(text, flush=True)

        say(f"seed {seed}; replay: {replay(seed, arguments.minutes, arguments.every)}")
        say(f"log and folders: {place}")
        with storm_world(place, seed, say) as world:
            storm = Storm(world, arguments.minutes, say, arguments.every)
            try:
                report = storm.run()
            except BaseException:
                say(draw(storm.report))
                raise
        judge_processes(world, report)
        say(draw(report))
    if arguments.json is not None:
        arguments.json.write_text(write_json(report), encoding="utf-8")
    if not report.broken and arguments.folder is None:
        shutil.rmtree(place, ignore_errors=True)
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
