"""What CSV, JSON Lines, Parquet and databases share: columns, a mapping, an inferred schema."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from openmined.adapters._batches import to_record_batches
from openmined.adapters._cast import cast
from openmined.adapters._columnar import batch_records, convert_batch
from openmined.adapters._errors import MappingError, SourceError
from openmined.adapters._mapping import TableMapping, bind_columns, plain_columns
from openmined.adapters._rows import Place, Row, RowError, Rows, shown
from openmined.adapters._source import Source
from openmined.protocol import FieldConstraints, SchemaField, TableSchema

Record: TypeAlias = tuple[Place, Mapping[str, Any]]
Records: TypeAlias = Iterator[Record | RowError]

_SAMPLE = 1000
_GUESSES = ("integer", "number", "boolean", "date", "datetime")


@dataclass(frozen=True, slots=True)
class Table:
    """A table as found: its columns and a way to stream its records, as often as wanted."""

    name: str
    columns: tuple[str, ...]
    records: Callable[[], Records]
    schema: TableSchema | None = None
    """The format's own types, where it has them."""
    batches: Callable[[], Iterator[Any]] | None = None
    """The table as Arrow record batches, where the format is columnar."""


@dataclass(frozen=True, slots=True)
class TabularAdapter:
    """A table bound to a schema; satisfies `Adapter`."""

    name: str
    title: str
    schema: TableSchema
    tables: tuple[Table, ...]
    mapping: TableMapping
    identity: tuple[str, ...] = ()

    def detect(self, source: Source) -> float:
        """It was bound to this source already."""
        return float(bool(source.entries))

    def read(self, source: Source) -> Rows:  # noqa: ARG002 (the tables know their source)
        """Yield the mapped records of every table."""
        for table in self.tables:
            readers = bind_columns(self.mapping, self.schema, table.columns, table.name)
            yield from map_records(table.records(), readers)

    def read_batches(self, on_error: Callable[[RowError], None]) -> Iterator[Any] | None:
        """Yield the rows as Arrow batches, column by column; None where only rows will do."""
        columns = plain_columns(self.mapping, self.schema)
        if columns is None or any(table.batches is None for table in self.tables):
            return None
        return self._convert(columns, on_error)

    def _convert(
        self, columns: Mapping[str, str], on_error: Callable[[RowError], None]
    ) -> Iterator[Any]:
        for table in self.tables:
            readers = bind_columns(self.mapping, self.schema, table.columns, table.name)
            done = 0
            for batch in table.batches() if table.batches else ():
                if isinstance(batch, RowError):
                    on_error(batch)
                    done += 1
                    continue
                converted = convert_batch(batch, self.schema, columns)
                if converted is not None:
                    yield converted
                else:
                    rows = map_records(batch_records(batch, table.name, done), readers)
                    yield from to_record_batches(rows, self.schema, on_error=on_error)
                done += batch.num_rows


def bind_tables(
    name: str, title: str, tables: Sequence[Table], mapping: TableMapping | None
) -> TabularAdapter:
    """Bind tables to the mapping's schema, or to the one inferred from the first table.

    Raises:
        MappingError: if there is no table, or the mapping does not fit one of them.
    """
    if not tables:
        raise MappingError(f"no {title} table in this source")
    mapping = mapping or TableMapping()
    schema = mapping.schema_
    if schema is None:
        schema, columns = infer_schema(tables[0])
        mapping = mapping.model_copy(update={"columns": {**columns, **mapping.columns}})
    mapping = _with_columns_as_found(mapping, schema, tables[0].columns)
    for table in tables:
        bind_columns(mapping, schema, table.columns, table.name)
    unknown = sorted(set(mapping.identity) - set(schema.names))
    if unknown:
        raise MappingError(f"identity names no field {shown(unknown[0])} of the schema")
    return TabularAdapter(name, title, schema, tuple(tables), mapping, mapping.identity)


def _with_columns_as_found(
    mapping: TableMapping, schema: TableSchema, columns: Sequence[str]
) -> TableMapping:
    """Let a mapping name a column by the field name made of it: `post_code` for `post code`."""
    made = field_names(columns)
    found = {
        field: source.model_copy(update={"column": made[source.column]})
        for field in schema.names
        if (source := mapping.of(field)).column not in columns and source.column in made
    }
    return mapping.model_copy(update={"columns": {**mapping.columns, **found}})


def map_records(records: Records, readers: Mapping[str, Callable[[Any], Any]]) -> Rows:
    """Turn records into rows of raw values, one for one."""
    for record in records:
        if isinstance(record, RowError):
            yield record
            continue
        place, values = record
        try:
            row = {field: read(values) for field, read in readers.items()}
        except (ValueError, TypeError, OverflowError, OSError) as error:
            yield RowError(place, str(error) or "a value that cannot be converted")
        else:
            yield Row(row, place)


def infer_schema(table: Table) -> tuple[TableSchema, dict[str, str]]:
    """Guess a schema from the first records; also return field -> column."""
    if table.schema is not None:
        names = dict(zip(table.schema.names, table.columns, strict=True))
        return table.schema, names
    sample = sample_of(table.records())
    names = field_names(table.columns)
    fields = tuple(
        _guess(field, [record.get(column) for record in sample]) for field, column in names.items()
    )
    return TableSchema(title=table.name[:4096], fields=fields), names


def sample_of(records: Records) -> list[Mapping[str, Any]]:
    """Return the first good records, up to where the source cannot be read any more.

    That place is reported when the rows are read, not while a schema is guessed.
    """
    sample: list[Mapping[str, Any]] = []
    with suppress(SourceError):
        good = (r[1] for r in islice(records, _SAMPLE) if not isinstance(r, RowError))
        sample.extend(good)
    return sample


def field_names(columns: Iterable[str]) -> dict[str, str]:
    """Return a distinct field name for each column: letters, digits, `_`, `.` and `-`."""
    names: dict[str, str] = {}
    for column in columns:
        name = re.sub(r"[^\w.\-]", "_", column.strip(), flags=re.ASCII)[:120] or "column"
        name = name if re.match(r"[A-Za-z_]", name) else f"_{name}"
        unique, number = name, 2
        while unique in names:
            unique, number = f"{name}_{number}", number + 1
        names[unique] = column
    return names


def _guess(name: str, values: Sequence[Any]) -> SchemaField:
    present = [value for value in values if value is not None and value != ""]
    lengths = [_list_length(value) for value in present]
    if present and None not in lengths:
        (length, _), *_ = Counter(length or 0 for length in lengths).most_common(1)
        limits = FieldConstraints(minLength=max(length, 1), maxLength=max(length, 1))
        return SchemaField(name=name, type="array", constraints=limits)
    for kind in _GUESSES:
        field = SchemaField.model_validate({"name": name, "type": kind})
        if present and all(_fits(value, field) for value in present):
            return field
    return SchemaField(name=name, type="string")


def _list_length(value: Any) -> int | None:
    """Count the items of a list, also of one written as JSON; None for anything else."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    return len(value) if isinstance(value, list) else None


def _fits(value: Any, field: SchemaField) -> bool:
    if isinstance(value, bool) != (field.type == "boolean" and not isinstance(value, str)):
        return False
    if isinstance(value, str) and len(value) > 1 and value[0] == "0" and value.isdigit():
        return False  # a code such as a postcode: its leading zero says it is no number
    try:
        cast(value, field)
    except ValueError:
        return False
    return True
