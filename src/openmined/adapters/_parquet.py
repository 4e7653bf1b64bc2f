"""Parquet files, with a mapping or with the types they bring.

A raw sample cannot be shown: the format is binary. Source: parquet.apache.org, read by pyarrow.
Pages are read one at a time; a file whose row groups or footer claim more than memory is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from openmined.adapters._errors import LimitExceeded, MappingError, SourceError
from openmined.adapters._limits import MIB
from openmined.adapters._mapping import TableMapping
from openmined.adapters._rows import Place, RowError
from openmined.adapters._source import Entry, Source
from openmined.adapters._tabular import Records, Table, TabularAdapter, bind_tables, field_names
from openmined.protocol import FieldConstraints, SchemaField, TableSchema

_PATTERNS = ("*.parquet", "*.pq")
_BATCH_BYTES = 4 * MIB
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
    return Table(entry.name, columns, lambda: _records(source, entry), own)


@contextmanager
def _opened(source: Source, entry: Entry) -> Iterator[Any]:
    import pyarrow.parquet as pq

    path = source.locate(entry)
    try:
        if path is None:
            stream: Any = pa.BufferReader(source.read_whole(entry))
        else:
            with source.open(entry) as plain:
                _check_footer(plain, entry)
            stream = pa.OSFile(str(path), "rb")
        with (
            stream,
            pq.ParquetFile(
                stream,
                pre_buffer=False,
                buffer_size=MIB,
                thrift_string_size_limit=_FOOTER_BYTES,
                thrift_container_size_limit=MIB,
            ) as file,
        ):
            yield file
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{entry.name}: no readable Parquet: {error}") from error


def _check_footer(stream: BinaryIO, entry: Entry) -> None:
    stream.seek(max(0, entry.size - 8))
    tail = stream.read(8)
    if len(tail) < 8 or tail[4:] != b"PAR1":
        raise SourceError(f"{entry.name}: a Parquet file cut short: download or export it again")
    size = int.from_bytes(tail[:4], "little")
    if size > _FOOTER_BYTES:
        raise LimitExceeded(f"{entry.name}: a footer of {size:,} bytes is too large")


def _records(source: Source, entry: Entry) -> Records:
    with _opened(source, entry) as file:
        width = _bytes_per_row(file.metadata)
        rows = max(1, min(8192, int(_BATCH_BYTES / width)))
        number = 0
        try:
            for batch in file.iter_batches(batch_size=rows, use_threads=False):
                for values in batch.to_pylist():
                    number += 1
                    yield Place(entry.name, record=number), values
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            place = Place(entry.name, record=number + 1)
            yield RowError(place, f"the file is damaged here: {error}", stops=True)


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
