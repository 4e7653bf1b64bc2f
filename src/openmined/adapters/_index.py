"""Which rows are already there: importing an overlapping export adds only what is new.

Rows with an identity (a tweet's id) are known by it. Others are known by their content, counted:
the third equal row of an export is new exactly when no export before held three. So nothing is
added twice, and what an export holds twice is kept twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from openmined.adapters._errors import AdapterError
from openmined.adapters._hashes import HASH, Hashes, row_hashes

_MAGIC = b"openmined/row-index@1\n"
_STORED = np.dtype([("hash", HASH), ("count", "<u4")])
_BUCKETS = 64
_PIECE_ROWS = 65_536
_Counts = npt.NDArray[np.uint32]


class RowIndex:
    """The rows of a dataset as hashes and counts. One index serves all imports into a dataset.

    Call `start_import` before each export, then `select_new` on its batches; `write` it beside
    the dataset once the import is complete. 24 bytes a row in memory, 20 at rest.
    """

    def __init__(self, key: bytes, identity: Sequence[str] = ()) -> None:
        """Start empty; `key` is 16 to 64 secret bytes, `identity` names fields or is empty."""
        self._key, self._identity = key, tuple(identity)
        self._buckets = [_Bucket() for _ in range(_BUCKETS)]

    def start_import(self) -> None:
        """Begin a new export: what earlier ones held is known, equal rows are counted afresh."""
        for bucket in self._buckets:
            bucket.settle()

    def select_new(self, batch: Any) -> Any:
        """Return the rows of a `pyarrow.RecordBatch` that are new, and remember them all."""
        if not batch.num_rows:
            return batch
        hashes = row_hashes(batch, self._key, self._identity)
        distinct, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        known, seen = self._look_up_and_add(distinct, counts.astype(np.uint32))
        number = _numbered(inverse, counts)
        if self._identity:
            is_new = (number == 0) & (known + seen == 0)[inverse]
        else:
            is_new = number + seen[inverse] >= known[inverse]
        return batch.filter(pa.array(is_new))

    def _look_up_and_add(self, hashes: Hashes, counts: _Counts) -> tuple[_Counts, _Counts]:
        """Return how often sorted hashes were known and seen, then count them as seen."""
        known, seen = np.zeros(len(hashes), np.uint32), np.zeros(len(hashes), np.uint32)
        first_bytes = hashes.view(np.uint8).reshape(-1, HASH.itemsize)[:, 0]
        edges = np.searchsorted(first_bytes, np.arange(_BUCKETS + 1) * (256 // _BUCKETS))
        for bucket, start, end in zip(self._buckets, edges[:-1], edges[1:], strict=True):
            if start < end:
                part = hashes[start:end]
                known[start:end], seen[start:end] = bucket.counts_of(part)
                bucket.add(part, np.zeros(len(part), np.uint32), counts[start:end])
        return known, seen

    def __len__(self) -> int:
        """Count the distinct rows."""
        return sum(len(bucket.merged()[0]) for bucket in self._buckets)

    def write(self, stream: BinaryIO) -> None:
        """Write the index without its key, with all that was imported so far."""
        stream.write(_MAGIC)
        for bucket in self._buckets:
            hashes, known, seen = bucket.merged()
            stored = np.empty(len(hashes), _STORED)
            stored["hash"], stored["count"] = hashes, np.maximum(known, seen)
            stream.write(stored.tobytes())

    @classmethod
    def read(cls, stream: BinaryIO, key: bytes, identity: Sequence[str] = ()) -> RowIndex:
        """Read what `write` wrote, a piece at a time.

        Raises:
            AdapterError: if it is none of ours, or damaged.
        """
        if _read_piece(stream, len(_MAGIC)) != _MAGIC:
            raise AdapterError("these bytes are no row index: import from scratch")
        index = cls(key, identity)
        while piece := _read_piece(stream, _PIECE_ROWS * _STORED.itemsize):
            if len(piece) % _STORED.itemsize:
                raise AdapterError("the row index ends in the middle of a row: import from scratch")
            stored = np.sort(np.frombuffer(piece, _STORED), order="hash")
            index._look_up_and_add(stored["hash"].copy(), stored["count"].copy())
        index.start_import()
        return index


def _read_piece(stream: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, fewer at the end only: pipes give what they have."""
    parts = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _numbered(inverse: npt.NDArray[np.intp], counts: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Number equal rows of a batch from 0 in their order."""
    order = np.argsort(inverse, kind="stable")
    number = np.empty(len(inverse), np.intp)
    number[order] = np.arange(len(inverse)) - np.repeat(np.cumsum(counts) - counts, counts)
    return number


class _Bucket:
    """Hashes that begin alike, in sorted runs that merge as they grow."""

    def __init__(self) -> None:
        self._runs: list[tuple[Hashes, _Counts, _Counts]] = []

    def counts_of(self, hashes: Hashes) -> tuple[_Counts, _Counts]:
        known, seen = np.zeros(len(hashes), np.uint32), np.zeros(len(hashes), np.uint32)
        for there, old, new in self._runs:
            at = np.minimum(np.searchsorted(there, hashes), len(there) - 1)
            is_there = there[at] == hashes
            known += np.where(is_there, old[at], np.uint32(0))
            seen += np.where(is_there, new[at], np.uint32(0))
        return known, seen

    def add(self, hashes: Hashes, known: _Counts, seen: _Counts) -> None:
        """Add sorted, distinct hashes to what is there."""
        self._runs.append((hashes, known, seen))
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            self._merge_last()

    def merged(self) -> tuple[Hashes, _Counts, _Counts]:
        while len(self._runs) > 1:
            self._merge_last()
        if not self._runs:
            return np.empty(0, HASH), np.empty(0, np.uint32), np.empty(0, np.uint32)
        return self._runs[0]

    def settle(self) -> None:
        """What was seen is known from now on."""
        hashes, known, seen = self.merged()
        self._runs = [(hashes, np.maximum(known, seen), np.zeros_like(seen))] if len(hashes) else []

    def _merge_last(self) -> None:
        runs = (self._runs.pop(), self._runs.pop())
        hashes, known, seen = (np.concatenate(parts) for parts in zip(*runs, strict=True))
        order = np.argsort(hashes, kind="stable")
        hashes, known, seen = hashes[order], known[order], seen[order]
        first = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
        known, seen = np.add.reduceat(known, first), np.add.reduceat(seen, first)
        self._runs.append((hashes[first], known, seen))
