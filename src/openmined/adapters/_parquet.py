"""Parquet files, with a mapping or with the types they bring.

A raw sample cannot be shown: the format is binary. Source: parquet.apache.org, read by pyarrow.
Pages are read one at a time; a file whose footer or pages claim too much memory is refused.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openmined.adapters._columnar import batch_records
from openmined.adapters._errors import LimitExceeded, MappingError, SourceError
from openmined.adapters._limits import GIB, MIB, Limits
from openmined.adapters._mapping import TableMapping
from openmined.adapters._pages import bytes_per_row
from openmined.adapters._rows import Place, RowError, shown
from openmined.adapters._source import Entry, Source
from openmined.adapters._tabular import Records, Table, TabularAdapter, bind_tables, field_names
from openmined.protocol import FieldConstraints, SchemaField, TableSchema

_PATTERNS = ("*.parquet", "*.pq")
_BATCH_ROWS, _BATCH_BYTES = 32_768, 4 * MIB
_FOOTER_BYTES = 16 * MIB


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """Every Parquet file of the source."""

    name: str = "parquet"
    title: str = "Parquet"

    def detect(self, source: Source) -> float:
        """Sure when the file begins with Parquet's four letters."""
        found = source.find(*_PATTERNS)
        return 0.4 if found and source.head(found[0], 4) == b"PAR1" else 0.0

    def bind(self, source: Source, mapping: TableMapping | None) -> TabularAdapter:
        """Bind to a mapping, or to the file's own types."""
        entries = source.find(*_PATTERNS) or source.entries[:1]
        tables = [_table(source, entry) for entry in entries]
        return bind_tables(self.name, self.title, tables, mapping)


def _table(source: Source, entry: Entry) -> Table:
    with _opened(source, entry) as (file, _):
        schema = file.schema_arrow
        columns = tuple(schema.names)
        if len(set(columns)) != len(columns):
            raise MappingError(f"{entry.name}: two columns have the same name")
    own = _own_schema(entry.name, schema, _list_lengths(source, entry, schema))
    return Table(
        entry.name,
        columns,
        records=lambda: _records(source, entry),
        schema=own,
        batches=lambda: _batches(source, entry),
    )


@contextmanager
def _opened(source: Source, entry: Entry) -> Iterator[tuple[Any, BinaryIO]]:
    """Yield the open file, texts as dictionaries, and the stream under it."""
    import pyarrow.parquet as pq

    with source.open(entry) as plain:
        # Parquet is read from its end: inside an archive that means holding it in memory.
        is_seekable = source.locate(entry) is not None
        stream = plain if is_seekable else io.BytesIO(source.read_whole(entry))
        _check_footer(stream, entry)
        options = {
            "pre_buffer": False,
            "buffer_size": MIB,
            "thrift_string_size_limit": _FOOTER_BYTES,
            "thrift_container_size_limit": MIB,
        }
        try:
            names = [f.name for f in pq.read_schema(stream) if _is_text(f.type)]
            stream.seek(0)
            file = pq.ParquetFile(stream, read_dictionary=names, **options)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{entry.name}: no readable Parquet: {error}") from error
        with file:
            yield file, stream


def _check_footer(stream: BinaryIO, entry: Entry) -> None:
    stream.seek(max(0, entry.size - 8))
    tail = stream.read(8)
    if len(tail) < 8 or tail[4:] != b"PAR1":
        raise SourceError(f"{entry.name}: a Parquet file cut short: download or export it again")
    size = int.from_bytes(tail[:4], "little")
    if size > _FOOTER_BYTES:
        raise LimitExceeded(f"{entry.name}: a footer of {size:,} bytes is too large")


def _records(source: Source, entry: Entry) -> Records:
    done = 0
    for batch in _batches(source, entry):
        if isinstance(batch, RowError):
            yield batch
            done += 1
        else:
            yield from batch_records(batch, entry.name, done)
            done += batch.num_rows


def _batches(source: Source, entry: Entry) -> Iterator[Any]:
    """Yield record batches, and a last `RowError` where the file is damaged."""
    with _opened(source, entry) as (file, stream):
        width = bytes_per_row(stream, file.metadata, entry.name, source.limits)
        rows = max(1, min(_BATCH_ROWS, int(_BATCH_BYTES / width)))
        done = 0
        unpacker = _Unpacker(entry, source.limits)
        found = file.iter_batches(batch_size=rows, use_threads=False)
        while True:
            try:
                batch = next(found, None)
            except (pa.ArrowException, OSError) as error:
                place = Place(entry.name, record=done + 1)
                yield RowError(place, f"the file is damaged here: {shown(str(error), 120)}", True)
                return
            if batch is None:
                return
            yield from unpacker.slices(batch)
            done += batch.num_rows


class _Unpacker:
    """Writes dictionaries out in slices: a short page can repeat a text a million times."""

    def __init__(self, entry: Entry, limits: Limits) -> None:
        self._entry, self._limits = entry, limits
        self._done, self._unpacked = 0, 0

    def slices(self, batch: Any) -> Iterator[Any]:
        """Yield the batch in parts of a few megabytes, and a `RowError` for each row too large.

        Raises:
            LimitExceeded: if the file unpacks to far more than an honest one would.
        """
        sizes = sum(map(_sizes, batch.columns), np.zeros(batch.num_rows, np.int64))
        self._unpacked += int(sizes.sum())
        if self._unpacked > max(GIB, self._limits.ratio * self._entry.size):
            raise LimitExceeded(
                f"{self._entry.name}: {self._entry.size:,} bytes would unpack to more than "
                f"{self._unpacked:,}: this looks like a bomb"
            )
        ends = np.cumsum(sizes)
        start = 0
        while start < batch.num_rows:
            if sizes[start] > self._limits.record_chars:
                place = Place(self._entry.name, record=self._done + 1)
                yield RowError(place, f"a record of {sizes[start]:,} bytes is too large")
                stop = start + 1
            else:
                stop = self._stop(start, sizes, ends)
                yield _plain(batch.slice(start, stop - start))
            self._done += stop - start
            start = stop

    def _stop(self, start: int, sizes: Any, ends: Any) -> int:
        room = ends[start] - sizes[start] + _BATCH_BYTES
        stop = int(np.searchsorted(ends, room, "right"))
        too_large = np.flatnonzero(sizes[start:stop] > self._limits.record_chars)
        return max(start + 1, start + int(too_large[0]) if len(too_large) else stop)


def _sizes(column: Any) -> Any:
    """Return the bytes each value takes when written out, for the types where that varies."""
    types, kind = pa.types, column.type
    if types.is_dictionary(kind) and _is_text(kind.value_type):
        lengths = pc.take(pc.binary_length(column.dictionary), column.indices)
    elif _is_list(kind):
        lengths = pc.multiply(pc.list_value_length(column), 8)
    else:
        return np.zeros(len(column), np.int64)
    return pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False).astype(np.int64)


def _plain(batch: Any) -> Any:
    kinds = [
        column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        for column in batch.columns
    ]
    columns = [column.cast(kind) for column, kind in zip(batch.columns, kinds, strict=True)]
    schema = pa.schema(list(zip(batch.schema.names, kinds, strict=True)))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _is_text(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind))


def _list_lengths(source: Source, entry: Entry, schema: Any) -> dict[str, int]:
    """Return how long the lists of each list column usually are, by the first batch."""
    lists = [field.name for field in schema if _is_list(field.type)]
    with suppress(SourceError):
        batch = next(_batches(source, entry), None) if lists else None
        if batch is not None and not isinstance(batch, RowError):
            modes = {name: pc.mode(pc.list_value_length(batch.column(name))) for name in lists}
            return {name: mode[0]["mode"].as_py() for name, mode in modes.items() if len(mode)}
    return {}


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _own_schema(name: str, schema: Any, lengths: Mapping[str, int]) -> TableSchema:
    fields = [
        _field(field, schema.field(column).type, lengths.get(column, 0))
        for field, column in field_names(schema.names).items()
    ]
    return TableSchema(title=name[:4096], fields=tuple(fields))


def _field(name: str, kind: Any, length: int) -> SchemaField:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    length = kind.list_size if types.is_fixed_size_list(kind) else length
    if length:
        limits = FieldConstraints(minLength=length, maxLength=length)
        return SchemaField(name=name, type="array", constraints=limits)
    for is_kind, ours in (
        (types.is_boolean, "boolean"),
        (types.is_integer, "integer"),
        (types.is_floating, "number"),
        (types.is_date, "date"),
        (types.is_timestamp, "datetime"),
    ):
        if is_kind(kind):
            return SchemaField.model_validate({"name": name, "type": ours})
    return SchemaField(name=name, type="string")
