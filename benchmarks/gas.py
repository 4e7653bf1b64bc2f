"""What each call of the Sonar contract costs.

    python benchmarks/gas.py            measure and compare with the committed snapshot
    python benchmarks/gas.py --write    measure and make it the snapshot

The 2018 contract took 108 k gas to submit a gradient and 131 k to score one.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/contracts"))

from sonar_gas import measure_gas, on_fresh_chain, read_snapshot, write_snapshot


def main() -> int:
    parser = argparse.ArgumentParser(description="Gas of each call of the Sonar contract.")
    parser.add_argument("--write", action="store_true", help="make this the committed snapshot")
    options = parser.parse_args()
    found = on_fresh_chain(measure_gas)
    if options.write:
        write_snapshot(found)
    known = read_snapshot()
    for name, gas in found.items():
        before = known.get(name, 0)
        change = "" if gas == before else f"  ({gas - before:+,} against the snapshot)"
        print(f"{name:<45} {gas:>9,}{change}")
    return 0 if found == known else 1


if __name__ == "__main__":
    sys.exit(main())
