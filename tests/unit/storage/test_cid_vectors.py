"""Our CIDs against those recorded from ipfs-car; see tests/vectors/cids."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from openmined.storage import cid_of_bytes, cid_of_file

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "cids" / "files.json").read_text("utf-8")
)
FILES: list[dict[str, Any]] = VECTORS["files"]


class Zeros(io.RawIOBase):
    """A file of zeros of any size that takes no room."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        given = min(size, self._left)
        self._left -= given
        return bytes(given)


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(f, id=str(f["size"])) for f in FILES if f["content"] == kind]


def test_every_size_that_was_asked_for_is_recorded() -> None:
    sizes = {file["size"] for file in FILES if file["content"] == "shake-256"}
    assert sizes == {0, 1, 2**20 - 1, 2**20, 2**20 + 1, 300 * 2**20}


@pytest.mark.parametrize("file", of_kind("shake-256"))
def test_bytes_have_the_recorded_cid(file: dict[str, Any], tmp_path: Path) -> None:
    data = hashlib.shake_256(file["seed"].encode()).digest(file["size"])
    assert cid_of_bytes(data) == file["cid"]
    path = tmp_path / "file"
    path.write_bytes(data)
    assert cid_of_file(path) == file["cid"]


@pytest.mark.parametrize("file", of_kind("zeros"))
def test_gigabyte_has_the_recorded_cid_in_constant_memory(file: dict[str, Any]) -> None:
    tracemalloc.start()
    try:
        assert cid_of_file(Zeros(file["size"])) == file["cid"]  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
