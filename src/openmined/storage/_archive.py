"""Blocks out of an archive in the order a reader wants them, and singly when it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from openmined.storage._cid import CID
from openmined.storage._dagpb import Block
from openmined.storage._errors import BlockNotFound, StoreRefused, StoreUnreachable

_MAX_PARKED_BYTES = 32 << 20


class ArchiveFetcher:
    """Fetches verified blocks from a running archive, or one by one where that does not serve.

    `archive` yields verified blocks, ideally depth first with repetitions, so that each block
    is the next one wanted. Blocks in another order are set aside, up to 32 MiB. An archive that
    breaks off is no error: `fetch_single` gets the rest. A block that lies is one, at once.
    """

    def __init__(self, archive: Iterator[Block], fetch_single: Callable[[CID], bytes]) -> None:
        self._archive: Iterator[Block] | None = archive
        self._fetch_single = fetch_single
        self._parked: dict[CID, bytes] = {}
        self._parked_bytes = 0
        self._last: Block | None = None

    def fetch(self, cid: CID) -> bytes:
        """Return a block, verified."""
        if self._last is None or self._last.cid != cid:
            self._last = Block(cid, self._find(cid))
        return self._last.data

    def _find(self, cid: CID) -> bytes:
        if (parked := self._parked.pop(cid, None)) is not None:
            self._parked_bytes -= len(parked)
            return parked
        while (block := self._next()) is not None:
            if block.cid == cid:
                return block.data
            self._park(block)
        return self._fetch_single(cid)

    def _next(self) -> Block | None:
        if self._archive is None:
            return None
        try:
            block = next(self._archive, None)
        except (StoreUnreachable, StoreRefused, BlockNotFound):
            block = None
        if block is None:
            self._archive = None
        return block

    def _park(self, block: Block) -> None:
        if block.cid in self._parked or (self._last and block.cid == self._last.cid):
            return
        self._parked_bytes += len(block.data)
        if self._parked_bytes > _MAX_PARKED_BYTES:
            self._archive = None
            return
        self._parked[block.cid] = block.data
