"""Where blocks are kept: the interface, and the one in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Protocol

from openmined.storage._cid import CID, check_block
from openmined.storage._dagpb import Block
from openmined.storage._errors import BlockNotFound, QuotaExceeded


class BlockStore(Protocol):
    """Keeps blocks by address. Safe to use from several threads."""

    def get(self, cid: CID) -> bytes:
        """Return a block, verified. Raises BlockNotFound, BlockGone or BlockMismatch."""
        ...

    def put(self, blocks: Iterable[Block]) -> None:
        """Keep blocks, durably when this returns. Raises QuotaExceeded."""
        ...

    def size(self, cid: CID) -> int:
        """Return a block's size in bytes without reading it. Raises BlockNotFound or BlockGone."""
        ...

    def cids(self) -> Iterator[CID]:
        """Yield the address of every block, in no order."""
        ...


class MemoryBlocks:
    """Blocks in a dictionary."""

    def __init__(self, quota_bytes: int | None = None) -> None:
        self._blocks: dict[CID, bytes] = {}
        self._quota_bytes = quota_bytes
        self._used_bytes = 0
        self._lock = threading.Lock()

    def get(self, cid: CID) -> bytes:
        """Return a block, verified."""
        return check_block(cid, self._find(cid), "this memory")

    def put(self, blocks: Iterable[Block]) -> None:
        """Keep blocks."""
        for block in blocks:
            with self._lock:
                self._keep(block)

    def size(self, cid: CID) -> int:
        """Return a block's size in bytes."""
        return len(self._find(cid))

    def cids(self) -> Iterator[CID]:
        """Yield the address of every block."""
        with self._lock:
            return iter(list(self._blocks))

    def _keep(self, block: Block) -> None:
        added = len(block.data) - len(self._blocks.get(block.cid, b""))
        check_quota(self._used_bytes + added, self._quota_bytes)
        self._blocks[block.cid] = bytes(block.data)
        self._used_bytes += added

    def _find(self, cid: CID) -> bytes:
        try:
            return self._blocks[cid]
        except KeyError:
            raise BlockNotFound(f"{cid} is not in this memory") from None


def check_quota(used_bytes: int, quota_bytes: int | None) -> None:
    """Raise QuotaExceeded if that many bytes would be above the quota."""
    if quota_bytes is not None and used_bytes > quota_bytes:
        raise QuotaExceeded(
            f"the store is full: {used_bytes} bytes would be above its quota of {quota_bytes}; "
            "raise the quota, or add to another store"
        )
