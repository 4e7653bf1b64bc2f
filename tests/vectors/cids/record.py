"""Records what CIDs ipfs-car gives to files that anyone can make again.

    python tests/vectors/cids/record.py NODE_BINARY

The recipe is in the vectors themselves. Python, Node and whoever else writes to the store
read them; run this again only when the recipe changes.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
PROGRAM = HERE.parents[2] / "node_modules" / "ipfs-car" / "bin.js"
MIB = 1 << 20
SHAKEN = [0, 1, MIB - 1, MIB, MIB + 1, 300 * MIB]
ZEROS = [1024 * MIB, 1024 * MIB + 1]  # the last tree of two layers, the first of three
RECIPE = {
    "profile": "unixfs-v1-2025: sha2-256, chunks of 1 MiB, raw leaves, balanced, width 1024",
    "content": {
        "shake-256": "the first `size` bytes of SHAKE-256(seed in UTF-8)",
        "zeros": "`size` zero bytes",
    },
    "recorded_with": "ipfs-car 3.1.0: ipfs-car pack FILE --no-wrap --output OUT",
}


def pieces(kind: str, seed: str, size: int) -> Iterator[bytes]:
    if kind == "shake-256":
        yield hashlib.shake_256(seed.encode()).digest(size)
        return
    for start in range(0, size, MIB):
        yield bytes(min(MIB, size - start))


def record(node: str, kind: str, seed: str, size: int) -> dict[str, str | int]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        with file.open("wb") as out:
            for piece in pieces(kind, seed, size):
                out.write(piece)
        command = [node, PROGRAM, "pack", file, "--no-wrap", "--output", Path(folder) / "car"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {"content": kind, "seed": seed, "size": size, "cid": done.stdout.strip()}


def main(node: str) -> None:
    files = [record(node, "shake-256", f"openmined/cids/{size}", size) for size in SHAKEN]
    files += [record(node, "zeros", "", size) for size in ZEROS]
    text = json.dumps({"recipe": RECIPE, "files": files}, indent=2)
    (HERE / "files.json").write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
