"""Blocks in a folder, one file each: `blocks/<two characters>/<cid>.data`.

A block is written to `tmp/`, synced, renamed into place, and its folder synced, so that a
reader or a crash never meets half a block, and what was acknowledged stays. Several
processes may write at once: they can only ever rename equal bytes onto one name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from openmined.storage._blocks import check_quota
from openmined.storage._cid import CID, check_block
from openmined.storage._dagpb import MAX_BLOCK_BYTES, Block
from openmined.storage._errors import (
    BadCID,
    BlockGone,
    BlockMismatch,
    BlockNotFound,
    FolderError,
    QuotaExceeded,
)

_LAYOUT = "openmined-store 1\n"
_CLAIM = ".version-"
_STALE_S = 24 * 3600


class FolderBlocks:
    """Blocks in a folder, which is made if need be.

    The quota counts the bytes of blocks found at opening and those added since by this
    process; another process that writes to the same folder keeps its own count.

    Raises:
        FolderError: if the folder holds something else, or cannot be written to.
    """

    def __init__(self, folder: Path, quota_bytes: int | None = None) -> None:
        self._folder = folder
        self._blocks = folder / "blocks"
        self._temporary = folder / "tmp"
        self._removed = folder / "removed"
        self._quota_bytes = quota_bytes
        self._lock = threading.Lock()
        self._prepare()
        self._used_bytes = sum(file.stat().st_size for file in self._files())

    @property
    def used_bytes(self) -> int:
        """The sum of the sizes of the blocks, as this process knows it."""
        return self._used_bytes

    def get(self, cid: CID) -> bytes:
        """Return a block, verified."""
        try:
            with self._path(cid).open("rb") as file:
                data = file.read(MAX_BLOCK_BYTES + 1)
        except FileNotFoundError:
            raise self._absent(cid) from None
        except OSError as error:
            raise FolderError(f"cannot read {cid} in {self._folder}: {error}") from error
        return check_block(cid, data, f"the store folder {self._folder}")

    def put(self, blocks: Iterable[Block]) -> None:
        """Keep blocks; they are on disk when this returns. A damaged one is replaced."""
        touched: set[Path] = set()
        for block in blocks:
            if (path := self._write(block)) is not None:
                touched.add(path.parent)
        for folder in touched:
            _sync_folder(folder)

    def size(self, cid: CID) -> int:
        """Return a block's size in bytes."""
        try:
            return self._path(cid).stat().st_size
        except FileNotFoundError:
            raise self._absent(cid) from None

    def cids(self) -> Iterator[CID]:
        """Yield the address of every block."""
        for file in self._files():
            with contextlib.suppress(BadCID):
                yield CID.parse(file.stem)

    def remove(self, cid: CID) -> None:
        """Delete a block, and answer for it with BlockGone from now on.

        Raises:
            BlockNotFound: if it is not here.
        """
        with self._lock:
            size = self.size(cid)
            self._removed.mkdir(exist_ok=True)
            (self._removed / str(cid)).touch()
            _sync_folder(self._removed)
            self._path(cid).unlink(missing_ok=True)
            self._used_bytes -= size

    def _write(self, block: Block) -> Path | None:
        path = self._path(block.cid)
        if self._has_sound(block):
            return None
        if self._is_removed(block.cid):
            raise self._absent(block.cid)
        with self._lock:
            check_quota(self._used_bytes + len(block.data), self._quota_bytes)
            self._used_bytes += len(block.data)
        kept = 0
        try:
            path.parent.mkdir(exist_ok=True)
            kept = self._replace(path, block.data)
        except OSError as error:
            raise _write_error(self._folder, block.cid, error) from error
        finally:
            with self._lock:
                self._used_bytes -= len(block.data) - kept
        return path

    def _replace(self, path: Path, data: bytes) -> int:
        """Put a file in place; return by how much that grew the store."""
        handle, name = tempfile.mkstemp(dir=self._temporary)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            with self._lock:
                before = path.stat().st_size if path.exists() else 0
                Path(name).replace(path)
            return len(data) - before
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _has_sound(self, block: Block) -> bool:
        try:
            if self.size(block.cid) != len(block.data):
                return False
            self.get(block.cid)
        except (BlockNotFound, BlockMismatch):
            return False
        return True

    def _path(self, cid: CID) -> Path:
        # The last two characters vary most but for the final one, which holds few bits.
        name = str(cid)
        return self._blocks / name[-3:-1] / f"{name}.data"

    def _files(self) -> Iterator[Path]:
        for folder in sorted(self._blocks.iterdir()):
            yield from folder.glob("*.data")

    def _is_removed(self, cid: CID) -> bool:
        return (self._removed / str(cid)).exists()

    def _absent(self, cid: CID) -> BlockNotFound:
        if self._is_removed(cid):
            return BlockGone(f"{cid} was removed from {self._folder} by its owner")
        return BlockNotFound(f"{cid} is not in the store folder {self._folder}")

    def _prepare(self) -> None:
        marker = self._folder / "VERSION"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not marker.exists():
                self._claim(marker)
            if (found := marker.read_text()) != _LAYOUT:
                raise FolderError(f"{self._folder} has layout {found[:40]!r}: update openmined")
            self._blocks.mkdir(exist_ok=True)
            self._temporary.mkdir(exist_ok=True)
            self._sweep()
        except (OSError, UnicodeDecodeError) as error:
            raise FolderError(f"{self._folder} cannot serve as a store: {error}") from error

    def _claim(self, marker: Path) -> None:
        # Another process may be claiming it too: its file, like ours, begins with the prefix.
        names = [path.name for path in self._folder.iterdir()]
        strangers = [name for name in names if not name.startswith(_CLAIM)]
        if strangers and not marker.exists():
            raise FolderError(
                f"{self._folder} holds other things ({strangers[0]!r}): name an empty folder"
            )
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=_CLAIM)
        with os.fdopen(handle, "w") as file:
            file.write(_LAYOUT)
        Path(name).replace(marker)

    def _sweep(self) -> None:
        for file in self._temporary.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _STALE_S:
                    file.unlink()


def _write_error(folder: Path, cid: CID, error: OSError) -> QuotaExceeded | FolderError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return QuotaExceeded(f"the disk of {folder} is full, {cid} was not kept: make room")
    return FolderError(f"cannot write {cid} in {folder}: {error}")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
