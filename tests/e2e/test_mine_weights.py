"""Issue 2: the weights never exist in the clear in a mine's process, folder or uploads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.unit.mine.mine_world import MineProcess, MineWorld, mine_world

from openmined.mine import Step


@pytest.fixture
def world() -> Iterator[MineWorld]:
    with mine_world() as made:
        yield made


def patterns(weights: np.ndarray) -> list[bytes]:
    """Six weights as float64, which any copy holds; rows and columns as float32 (one would occur
    by chance)."""
    singles = [value.tobytes() for value in weights.ravel()[::5]]
    lines = [*weights[::4], *weights.T]
    return [*singles, *(np.ascontiguousarray(line, np.float32).tobytes() for line in lines)]


def memory_of(pid: int) -> Iterator[bytes]:
    """Yield what a process may have written: all but mappings of files that are read-only."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for line in maps:
                span, mode = line.split()[:2]
                if not mode.startswith("rw"):
                    continue
                start, end = (int(part, 16) for part in span.split("-"))
                memory.seek(start)
                try:
                    yield memory.read(end - start)
                except OSError:
                    continue
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return


def found_in(pieces: Iterable[bytes], wanted: list[bytes]) -> bool:
    return any(pattern in piece for piece in pieces for pattern in wanted)


def files_of(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.read_bytes()


def test_the_scan_finds_weights_where_they_are(tmp_path: Path) -> None:
    weights = np.random.default_rng(5).normal(0, 0.2, (9, 3))
    assert found_in(memory_of(os.getpid()), patterns(weights))
    (tmp_path / "model").write_bytes(b"x" * 1001 + weights.astype(np.float32).tobytes())
    assert found_in(files_of(tmp_path), patterns(weights))
    assert not found_in(files_of(tmp_path), patterns(weights + 1e-3))


def test_weights_are_nowhere_in_the_clear(world: MineWorld) -> None:
    weights = np.random.default_rng(2018).normal(0, 0.2, (9, 3))
    wanted = patterns(weights)
    # A small share of the processor: training rests after each piece, and can be looked at.
    folder, _ = world.make_mine(
        permission={"mode": "automatic", "fields": ["*"], "cpu_share": 0.01}
    )
    before = {path for path in (world.folder / "store").rglob("*") if path.is_file()}
    looks = {"mine": 0, "training": 0}
    with MineProcess(folder.path) as mine:
        opened = world.launch_open(weights=weights)
        down = {path for path in (world.folder / "store").rglob("*") if path.is_file()} - before
        process = psutil.Process(mine.process.pid)
        while not (sent := world.submitted(opened.campaign)):
            children = process.children()
            for child in children:
                assert not found_in(memory_of(child.pid), wanted)
                looks["training"] += 1
            if not children:
                assert not found_in(memory_of(process.pid), wanted)
                looks["mine"] += 1
        assert not found_in(memory_of(process.pid), wanted)
        uploaded = {path for path in (world.folder / "store").rglob("*") if path.is_file()} - down
        assert not found_in((path.read_bytes() for path in uploaded), wanted)
        assert not found_in(files_of(folder.path), wanted)
        output = mine.stop()
    assert not found_in([output.encode()], wanted)
    assert looks["mine"] > 0
    assert looks["training"] > 0, "the training process was seen at work"
    assert Step.SUBMITTED.value in output
    # What it computed did depend on the weights that it never saw.
    assert np.abs(world.decrypt(opened, sent[0])).max() > 0.01
