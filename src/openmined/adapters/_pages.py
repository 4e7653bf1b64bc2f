"""How much a Parquet file really unpacks to: its page headers, read before any page is.

The footer may say anything. What a reader must hold is said by the header of each page, and a page
of a few bytes can claim gigabytes. Source: the Parquet format, parquet.thrift (PageHeader), and the
Thrift compact protocol it is written in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from openmined.adapters._errors import LimitExceeded, SourceError
from openmined.adapters._limits import Limits

_HEADER_BYTES = 1 << 20
_NESTED_VALUES = 1 << 26
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Page:
    """What a page header claims."""

    header_bytes: int
    unpacked: int
    packed: int
    values: int


def bytes_per_row(stream: BinaryIO, metadata: Any, name: str, limits: Limits) -> float:
    """Walk the page headers of a Parquet file; return the bytes of a row on its fullest pages.

    Args:
        stream: the file, seekable; where it stands afterwards is undefined.
        metadata: `pyarrow.parquet.FileMetaData`.
        name: of the file, for error texts.
        limits: a page may unpack to `memory_bytes`.

    Raises:
        LimitExceeded: if a page, or a nested column, would need too much memory.
        SourceError: if the headers make no sense.
    """
    width = 0.0
    for at in range(metadata.num_columns):
        is_nested = metadata.schema.column(at).max_repetition_level > 0
        a_value, a_row = 8.0, 1.0
        for number in range(metadata.num_row_groups):
            group, values = metadata.row_group(number), 0
            if not group.num_rows:
                continue
            for page in _pages(stream, group.column(at), name):
                _check(page, name, limits)
                values += page.values
                a_value = max(a_value, page.unpacked / max(1, page.values))
            if is_nested and values > _NESTED_VALUES:
                raise LimitExceeded(f"{name}: {values:,} values in one row group of a list column")
            if is_nested:
                a_row = max(a_row, values / max(1, group.num_rows))
        width += a_value * a_row
    return max(1.0, width)


def _check(page: Page, name: str, limits: Limits) -> None:
    if page.unpacked < 0 or page.packed < 0 or page.values < 0:
        raise SourceError(f"{name}: the Parquet file is damaged: a page of negative size")
    if max(page.unpacked, page.packed) > limits.memory_bytes:
        raise LimitExceeded(
            f"{name}: a page would unpack to {page.unpacked:,} bytes, more than "
            f"{limits.memory_bytes:,}; write the file again with smaller pages"
        )


def _pages(stream: BinaryIO, chunk: Any, name: str) -> Iterator[Page]:
    starts = [chunk.data_page_offset]
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        starts.append(chunk.dictionary_page_offset)
    at = min(starts)
    end = at + chunk.total_compressed_size
    while at < end:
        page = _read_page(stream, at, name)
        yield page
        at += page.header_bytes + page.packed


def _read_page(stream: BinaryIO, at: int, name: str) -> Page:
    for size in (512, _HEADER_BYTES):
        stream.seek(max(0, at))
        try:
            reader = _Compact(stream.read(size))
            fields = reader.struct()
            counts = [fields[key][1] for key in (5, 7, 8) if isinstance(fields.get(key), dict)]
            return Page(reader.at, fields[2], fields[3], sum(counts))
        except (IndexError, KeyError, TypeError, ValueError):
            continue
    raise SourceError(f"{name}: the Parquet file is damaged: no page where the footer says so")


class _Compact:
    """A reader of Thrift's compact protocol, as far as page headers need it."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Read a struct as field id -> value."""
        fields: dict[int, Any] = {}
        identifier = 0
        while header := self._byte():
            delta, kind = header >> 4, header & 0x0F
            identifier = identifier + delta if delta else self._zigzag()
            fields[identifier] = self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEPTH:
            raise ValueError("nested too deeply")
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind in _INTEGERS:
            return self._zigzag()
        if kind == _DOUBLE:
            return self._skip(8)
        if kind == _BINARY:
            return self._skip(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            return self._list(depth)
        raise ValueError(f"no page header has a field of type {kind}")

    def _list(self, depth: int) -> None:
        header = self._byte()
        count = self._varint() if header >> 4 == 15 else header >> 4
        for _ in range(min(count, len(self._data))):
            self._value(header & 0x0F, depth + 1)

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self._data):
            raise IndexError

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise ValueError("a number beyond 64 bits")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
