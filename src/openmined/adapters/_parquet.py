"""Parquet files, with a mapping or with the types they bring.

A raw sample cannot be shown: the format is binary. Source: parquet.apache.org, read by pyarrow.
Pages are read one at a time; a file whose row groups or footer claim more than memory is refused.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from openmined.adapters._columnar import batch_records
from openmined.adapters._errors import LimitExceeded, MappingError, SourceError
from openmined.adapters._limits import MIB
from openmined.adapters._mapping import TableMapping
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
    with _opened(source, entry) as file:
        schema = file.schema_arrow
        columns = tuple(schema.names)
        if len(set(columns)) != len(columns):
            raise MappingError(f"{entry.name}: two columns have the same name")
        own = _own_schema(entry.name, schema)
    return Table(
        entry.name,
        columns,
        records=lambda: _records(source, entry),
        schema=own,
        batches=lambda: _batches(source, entry),
    )


@contextmanager
def _opened(source: Source, entry: Entry) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with source.open(entry) as plain:
        # Parquet is read from its end: inside an archive that means holding it in memory.
        is_seekable = source.locate(entry) is not None
        stream = plain if is_seekable else io.BytesIO(source.read_whole(entry))
        _check_footer(stream, entry)
        try:
            file = pq.ParquetFile(
                stream,
                pre_buffer=False,
                buffer_size=MIB,
                thrift_string_size_limit=_FOOTER_BYTES,
                thrift_container_size_limit=MIB,
            )
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{entry.name}: no readable Parquet: {error}") from error
        with file:
            yield file


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
        else:
            yield from batch_records(batch, entry.name, done)
            done += batch.num_rows


def _batches(source: Source, entry: Entry) -> Iterator[Any]:
    """Yield record batches, and a last `RowError` where the file is damaged."""
    with _opened(source, entry) as file:
        width = _bytes_per_row(file.metadata)
        rows = max(1, min(_BATCH_ROWS, int(_BATCH_BYTES / width)))
        done = 0
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
            yield batch
            done += batch.num_rows


def _bytes_per_row(metadata: Any) -> float:
    groups = range(metadata.num_row_groups)
    total = sum(int(metadata.row_group(group).total_byte_size) for group in groups)
    return max(1.0, total / max(1, int(metadata.num_rows)))


def _own_schema(name: str, schema: Any) -> TableSchema:
    fields = [
        _field(field, schema.field(column).type)
        for field, column in field_names(schema.names).items()
    ]
    return TableSchema(title=name[:4096], fields=tuple(fields))


def _field(name: str, kind: Any) -> SchemaField:
    types = pa.types
    if types.is_fixed_size_list(kind):
        limits = FieldConstraints(minLength=kind.list_size, maxLength=kind.list_size)
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
