"""Which rows are already there: importing an overlapping export adds only what is new.

A row is known by a keyed hash of its content, so that what is remembered says nothing about it
without the key. Where a schema's rows carry an identity (a tweet's id), the hash is of that.
Elsewhere equal rows are told apart by counting: the third equal row of an export is new exactly
when the exports before held two: nothing is added twice, nothing that was there twice is lost.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from openmined.adapters._errors import AdapterError

Hashes = npt.NDArray[np.bytes_]
_HASH = np.dtype("S16")
_MAGIC = b"openmined/row-index@1\n"


def row_hashes(batch: Any, key: bytes, fields: Sequence[str] = ()) -> Hashes:
    """Return a 16-byte keyed hash (BLAKE2b) of each row of a record batch, shape (rows,).

    Args:
        batch: a `pyarrow.RecordBatch`.
        key: 16 to 64 secret bytes; without it the hashes cannot be checked against guesses.
        fields: the columns that make up a row's identity; all of them when empty.
    """
    if not 16 <= len(key) <= 64:
        raise ValueError(f"a key of {len(key)} bytes; 16 to 64 are needed")
    names = list(fields) or batch.schema.names
    seed = hashlib.blake2b("\0".join(names).encode(), key=key, digest_size=32).digest()
    columns = [_encoded(batch.column(name)) for name in names]
    hashes = [
        hashlib.blake2b(b"".join(parts), key=seed, digest_size=15).digest() + b"\1"
        for parts in zip(*columns, strict=True)
    ]
    return np.array(hashes, dtype=_HASH)


def _encoded(column: Any) -> list[bytes]:
    """Return each value as bytes that no other value of the column shares."""
    if pa.types.is_string(column.type):
        raw = column.cast(pa.binary()).to_pylist()
        return [b"\0" if v is None else struct.pack("<BI", 1, len(v)) + v for v in raw]
    if pa.types.is_fixed_size_list(column.type):
        table = np.asarray(column.flatten(), "<f8").reshape(-1, column.type.list_size)
        valid = column.is_valid().to_pylist()
        rows = iter(table)  # flatten leaves the missing arrays out
        return [b"\1" + next(rows).tobytes() if ok else b"\0" for ok in valid]
    width = 1 if pa.types.is_boolean(column.type) else column.type.bit_width // 8
    valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), np.uint8)
    filled = _as_numbers(column).to_numpy(zero_copy_only=False)
    table = np.zeros((len(column), 1 + width), np.uint8)
    table[:, 0] = valid
    table[:, 1:] = np.ascontiguousarray(filled).view(np.uint8).reshape(len(column), width)
    table[valid == 0, 1:] = 0
    flat = table.tobytes()
    return [flat[at : at + 1 + width] for at in range(0, len(flat), 1 + width)]


def _as_numbers(column: Any) -> Any:
    kind = column.type
    if pa.types.is_boolean(kind):
        return pc.fill_null(column.cast(pa.uint8()), 0)
    if pa.types.is_date(kind):
        return pc.fill_null(column.cast(pa.int32()), 0)
    if pa.types.is_timestamp(kind):
        return pc.fill_null(column.cast(pa.int64()), 0)
    return pc.fill_null(column, pa.scalar(0, kind))


class _Counts:
    """How often each hash was seen: sorted runs that merge as they grow, 24 bytes a hash."""

    def __init__(self) -> None:
        self._runs: list[tuple[Hashes, npt.NDArray[np.int64]]] = []

    def of(self, hashes: Hashes) -> npt.NDArray[np.int64]:
        total = np.zeros(len(hashes), np.int64)
        for known, counts in self._runs:
            at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            total += np.where(known[at] == hashes, counts[at], 0)
        return total

    def add(self, hashes: Hashes, counts: npt.NDArray[np.int64]) -> None:
        """Add sorted, distinct hashes."""
        self._runs.append((hashes, counts))
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            self._runs.append(_merge(self._runs.pop(), self._runs.pop()))

    def all(self) -> Hashes:
        return np.unique(np.concatenate([np.empty(0, _HASH), *(run for run, _ in self._runs)]))


def _merge(
    left: tuple[Hashes, npt.NDArray[np.int64]], right: tuple[Hashes, npt.NDArray[np.int64]]
) -> tuple[Hashes, npt.NDArray[np.int64]]:
    hashes = np.concatenate([left[0], right[0]])
    counts = np.concatenate([left[1], right[1]])
    order = np.argsort(hashes, kind="stable")
    hashes, counts = hashes[order], counts[order]
    first = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
    return hashes[first], np.add.reduceat(counts, first)


class RowIndex:
    """The rows a dataset holds, as hashes. One index serves all imports into one dataset.

    Call `start_import` before each export, then `select_new` on its batches in order; keep
    `to_bytes` with the dataset. 16 bytes a row at rest, at most 48 while importing.
    """

    def __init__(self, key: bytes, identity: Sequence[str] = ()) -> None:
        """Start empty; `key` is 16 to 64 secret bytes, `identity` as in `row_hashes`."""
        self._key, self._identity = key, tuple(identity)
        self._known, self._imported = _Counts(), _Counts()

    def start_import(self) -> None:
        """Begin a new export: equal rows are counted afresh."""
        self._imported = _Counts()

    def select_new(self, batch: Any) -> Any:
        """Return the rows of the batch that no earlier import brought, and remember them."""
        if not batch.num_rows:
            return batch
        hashes = row_hashes(batch, self._key, self._identity)
        if not self._identity:
            hashes = self._numbered(hashes)
        _, first = np.unique(hashes, return_index=True)
        is_new = np.zeros(len(hashes), bool)
        is_new[first] = True
        is_new &= self._known.of(hashes) == 0
        fresh = np.sort(hashes[is_new])
        if len(fresh):
            self._known.add(fresh, np.ones(len(fresh), np.int64))
        return batch.filter(pa.array(is_new))

    def _numbered(self, hashes: Hashes) -> Hashes:
        """Tell equal rows of one import apart by their number among their equals."""
        distinct, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        order = np.argsort(inverse, kind="stable")
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        number = np.empty(len(hashes), np.int64)
        number[order] = np.arange(len(hashes)) - starts
        number += self._imported.of(distinct)[inverse]
        self._imported.add(distinct, counts.astype(np.int64))
        for at in np.flatnonzero(number):
            more = struct.pack("<q", int(number[at]))
            hashes[at] = hashlib.blake2b(bytes(hashes[at]) + more, digest_size=15).digest() + b"\1"
        return hashes

    def __len__(self) -> int:
        return len(self._known.all())

    def to_bytes(self) -> bytes:
        """Return the index without its key."""
        return _MAGIC + self._known.all().tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, key: bytes, identity: Sequence[str] = ()) -> RowIndex:
        """Read what `to_bytes` wrote.

        Raises:
            AdapterError: if it is none of ours or damaged.
        """
        body = data[len(_MAGIC) :]
        if not data.startswith(_MAGIC) or len(body) % _HASH.itemsize:
            raise AdapterError(f"{len(data)} bytes that are no row index: import from scratch")
        index = cls(key, identity)
        if body:
            hashes = np.unique(np.frombuffer(body, _HASH))
            index._known.add(hashes, np.ones(len(hashes), np.int64))
        return index
