"""Blocks in a folder: durable, verified, bounded, and shared by several writers."""

from __future__ import annotations

import errno
import multiprocessing
import os
import stat
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from openmined.storage import (
    CID,
    BlockGone,
    BlockMismatch,
    BlockNotFound,
    FolderBlocks,
    FolderError,
    FolderStore,
    QuotaExceeded,
    cid_of_bytes,
)
from openmined.storage._dagpb import Block


def block(data: bytes) -> Block:
    return Block(CID.of(data), data)


def file_of(folder: Path, cid: CID) -> Path:
    return folder / "blocks" / str(cid)[-3:-1] / f"{cid}.data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store"


def test_blocks_outlive_the_process(folder: Path) -> None:
    FolderBlocks(folder).put([block(b"kept")])
    assert FolderBlocks(folder).get(CID.of(b"kept")) == b"kept"
    assert file_of(folder, CID.of(b"kept")).read_bytes() == b"kept"
    assert list(FolderBlocks(folder).cids()) == [CID.of(b"kept")]


def test_a_block_is_on_disk_before_it_has_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of calls that makes a crash harmless: write, sync, rename, sync the folder."""
    blocks = FolderBlocks(folder)
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def seen_fsync(handle: int) -> None:
        calls.append("sync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync file")
        fsync(handle)

    def seen_replace(self: Path, target: Path) -> Path:
        calls.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(Path, "replace", seen_replace)
    blocks.put([block(b"kept")])
    assert calls == ["sync file", "rename", "sync folder"]


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
def test_a_failed_write_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    blocks = FolderBlocks(folder)

    def fail(handle: int) -> None:
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(os, "fsync", fail)
    expected = QuotaExceeded if fault == errno.ENOSPC else FolderError
    with pytest.raises(expected, match=str(CID.of(b"lost"))):
        blocks.put([block(b"lost")])
    assert list(folder.rglob("*.data")) == []
    assert list((folder / "tmp").iterdir()) == []
    assert blocks.used_bytes == 0


@pytest.mark.parametrize("damage", [b"", b"kepp", b"kept and more", bytes(3 << 20)])
def test_damage_is_noticed_and_mended_by_adding_again(folder: Path, damage: bytes) -> None:
    blocks = FolderBlocks(folder)
    blocks.put([block(b"kept")])
    file_of(folder, CID.of(b"kept")).write_bytes(damage)
    with pytest.raises(BlockMismatch, match=str(folder)):
        blocks.get(CID.of(b"kept"))
    blocks.put([block(b"kept")])
    assert blocks.get(CID.of(b"kept")) == b"kept"


def test_same_bytes_are_not_written_twice(folder: Path) -> None:
    blocks = FolderBlocks(folder)
    blocks.put([block(b"kept")])
    before = file_of(folder, CID.of(b"kept")).stat()
    blocks.put([block(b"kept")])
    after = file_of(folder, CID.of(b"kept")).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert blocks.used_bytes == 4


def test_quota_holds_to_the_byte_and_across_openings(folder: Path) -> None:
    blocks = FolderBlocks(folder, quota_bytes=10)
    blocks.put([block(b"12345"), block(b"67890")])
    with pytest.raises(QuotaExceeded, match="11 bytes would be above its quota of 10"):
        blocks.put([block(b"!")])
    with pytest.raises(QuotaExceeded):
        FolderBlocks(folder, quota_bytes=10).put([block(b"!")])
    blocks.put([block(b"12345")])  # what is here already costs nothing
    FolderBlocks(folder, quota_bytes=11).put([block(b"!")])


def test_removed_block_is_gone_for_good(folder: Path) -> None:
    blocks = FolderBlocks(folder)
    blocks.put([block(b"regretted")])
    blocks.remove(CID.of(b"regretted"))
    assert blocks.used_bytes == 0
    for again in (blocks, FolderBlocks(folder)):
        with pytest.raises(BlockGone, match="removed"):
            again.get(CID.of(b"regretted"))
        with pytest.raises(BlockGone):
            again.put([block(b"regretted")])
    with pytest.raises(BlockNotFound, match="is not in the store folder"):
        blocks.remove(CID.of(b"never here"))


def test_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FolderError, match=r"thesis\.tex.*name an empty folder"):
        FolderBlocks(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_layout_of_another_version_is_left_alone(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "VERSION").write_text("openmined-store 2\n")
    with pytest.raises(FolderError, match=r"openmined-store 2.*update openmined"):
        FolderBlocks(folder)


def test_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(FolderError, match="cannot serve as a store"):
        FolderBlocks(tmp_path / "store")


def test_strange_files_among_the_blocks_are_passed_over(folder: Path) -> None:
    blocks = FolderBlocks(folder)
    blocks.put([block(b"kept")])
    (folder / "blocks" / "zz").mkdir()
    (folder / "blocks" / "zz" / "notes.data").write_text("?")
    assert list(blocks.cids()) == [CID.of(b"kept")]


def test_leftovers_of_a_crash_are_swept_after_a_day(folder: Path) -> None:
    FolderBlocks(folder)
    old, young = folder / "tmp" / "old", folder / "tmp" / "young"
    for file in (old, young):
        file.write_text("half a block")
    os.utime(old, (0, 0))
    FolderBlocks(folder)
    assert not old.exists()
    assert young.exists()


def _add(folder: Path) -> list[str]:
    store = FolderStore(folder)
    return [store.put_blob(bytes([n]) * (1 << 20) + b"tail")[0] for n in range(4)]


def test_processes_write_the_same_blocks_at_once(folder: Path) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        found = list(processes.map(_add, [folder] * 4))
    assert found == [found[0]] * 4
    blocks = FolderBlocks(folder)
    assert all(blocks.get(cid) for cid in blocks.cids())
    assert list((folder / "tmp").iterdir()) == []


def test_threads_keep_the_count_of_bytes(folder: Path) -> None:
    blocks = FolderBlocks(folder)
    data = [bytes([n]) * 1000 for n in range(20)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda one: blocks.put([block(one)]), data * 3))
    assert blocks.used_bytes == 20_000 == FolderBlocks(folder).used_bytes


def test_store_in_a_folder_and_cid_of_its_files_agree(folder: Path) -> None:
    data = bytes(range(256)) * 8192
    assert FolderStore(folder).put_blob(data) == (cid_of_bytes(data), len(data))
