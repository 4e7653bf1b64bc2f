"""Our CIDs against ipfs-car's and Helia's, live; and files of each read by the other."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import httpx
import pytest

from openmined.storage import CID, KuboStore, cid_of_bytes, cid_of_file, connect_store
from openmined.storage._source import Source
from openmined.storage._unixfs import FileBuilder

MIB = 1 << 20
ISSUE_SIZES = [0, 1, MIB - 1, MIB, MIB + 1, 300 * MIB]
HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]


def shake(seed: str, size: int) -> bytes:
    return hashlib.shake_256(seed.encode()).digest(size)


@pytest.mark.parametrize("size", ISSUE_SIZES)
def test_ipfs_car_gives_the_same_cid(node_binary: str, tmp_path: Path, size: int) -> None:
    """Runs the command of ipfs-car itself, with its own defaults."""
    file = tmp_path / "file"
    file.write_bytes(shake(f"live {size}", size))
    program = REPOSITORY / "node_modules" / "ipfs-car" / "bin.js"
    command = [node_binary, program, "pack", file, "--no-wrap", "--output", tmp_path / "out.car"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == cid_of_file(file)


def root_of(data: Source, chunk_bytes: int, width: int) -> CID:
    builder = FileBuilder(chunk_bytes, width)
    builder.feed(bytes(data))
    return builder.finish()[1].cid


def test_trees_of_every_shape_have_the_same_cid(node_binary: str, tmp_path: Path) -> None:
    """Three and more layers need over a TiB at full size: small chunks and widths show them."""
    shapes = [
        (chunk, width, size)
        for chunk, width in [(1, 2), (7, 3), (64, 4)]
        for leaves in (*range(12), 16, 27, 28, 64, 65, 82)
        for size in {chunk * leaves, chunk * leaves + 1}
    ]
    lines = []
    for index, (chunk, width, size) in enumerate(shapes):
        file = tmp_path / str(index)
        file.write_bytes(shake("tree", size))
        lines.append(json.dumps({"file": str(file), "chunk_bytes": chunk, "width": width}))
    done = subprocess.run(
        [node_binary, HERE / "cid_of.mjs"],
        input="\n".join(lines),
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    ours = [str(root_of(shake("tree", size), chunk, width)) for chunk, width, size in shapes]
    assert done.stdout.split() == ours


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * MIB + 5])
def test_helia_gives_the_same_cid_and_reads_our_files(helia_url: str, size: int) -> None:
    data = shake(f"helia {size}", size)
    added = httpx.post(f"{helia_url}/api/v0/add", files={"file": data}, timeout=30)
    assert added.json()["Hash"] == cid_of_bytes(data)
    with connect_store(helia_url) as client:
        cid, _ = client.put_blob(data + b"more")
    read = httpx.post(f"{helia_url}/api/v0/cat", params={"arg": cid}, timeout=30)
    assert read.content == data + b"more"


def test_blobs_move_from_one_node_to_another_unchanged(helia_url: str, embedded_url: str) -> None:
    data = shake("moved", 4 * MIB + 1)
    with connect_store(helia_url) as helia, connect_store(embedded_url) as embedded:
        cid, size = helia.put_blob(data)
        assert embedded.put_blob(helia.get_blob(cid, size)) == (cid, size)
        assert embedded.get_blob(cid, size) == data


def test_both_nodes_say_what_they_are(remote: KuboStore) -> None:
    assert remote.version().startswith(("openmined-store/", "helia-parts"))
