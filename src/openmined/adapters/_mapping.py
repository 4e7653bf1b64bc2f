"""Mapping files: which column of a table becomes which field of a schema.

A mapping is a TOML or JSON file:

    schema = "openmined/tweets@1"          # a published schema, or a table of your own:
    encoding = "cp1252"                    # CSV and JSON Lines; utf-8 when absent

    [columns]
    text = "Message"                       # field = column
    hashtags = { constant = "" }
    created_at = { column = "When", format = "%d.%m.%Y %H:%M", timezone = "Europe/Berlin" }
    label = { column = "Class", values = { "0" = "sad", "1" = "happy" } }

    # own schema: [[schema.fields]] name = "pixels", type = "array", ...
    # pixels = { columns = "pixel*" }      # an array from many columns, in the file's order
"""

from __future__ import annotations

import fnmatch
import json
import tomllib
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from openmined.adapters._errors import MappingError, UnknownSchema
from openmined.adapters._rows import shown
from openmined.adapters._schemas import published_schema
from openmined.adapters._text import check_encoding
from openmined.protocol import Frozen, TableSchema

Column = Annotated[str, Field(max_length=512)]
_MAX_BYTES = 1 << 20
_UNIX = {"unix": 1, "unix-ms": 1_000, "unix-us": 1_000_000}


class ColumnMapping(Frozen):
    """Where the value of one field comes from, and how it is written there."""

    column: Column | None = None
    columns: tuple[Column, ...] | Column | None = None
    """Several columns that make up an array: a list, or one pattern with `*`."""
    constant: str | float | bool | None = None
    format: Annotated[str, Field(max_length=64)] | None = None
    """Of dates: strptime's, or unix, unix-ms, unix-us."""
    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    """Of times without an offset: an IANA name."""
    values: Mapping[str, str] | None = None
    """What is written -> what is meant; anything else is an error."""
    missing: tuple[str, ...] = ()
    """What stands for "no value", besides nothing at all."""
    decimal: Literal[".", ","] = "."

    @model_validator(mode="after")
    def _check(self) -> Self:
        sources = (self.column, self.columns, self.constant)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("exactly one of column, columns and constant")
        try:
            zoneinfo.ZoneInfo(self.timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no time zone is named {shown(self.timezone)}") from None
        return self


class ImageSize(Frozen):
    """To which size images are brought, in pixels."""

    width: Annotated[int, Field(ge=1, le=512)]
    height: Annotated[int, Field(ge=1, le=512)]


class TableMapping(Frozen):
    """A checked mapping file."""

    table: TableSchema | str | None = Field(default=None, alias="schema")
    columns: Mapping[str, ColumnMapping | Column] = {}
    encoding: Annotated[str, Field(max_length=40)] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    sql: Annotated[str, Field(max_length=256)] | None = None
    """The table to read, when the source is a database."""
    url: Annotated[str, Field(max_length=1024)] | None = None
    """Of a database server, without its password; see `_database`."""
    image: ImageSize | None = None
    identity: Annotated[tuple[Column, ...], Field(max_length=64)] = ()
    """The fields a row is known by in a later import; all of them when empty."""

    @property
    def schema_(self) -> TableSchema | None:
        """The schema the rows will have; None if the mapping leaves that open.

        Raises:
            UnknownSchema: if it names a published schema that does not exist.
        """
        return published_schema(self.table) if isinstance(self.table, str) else self.table

    def of(self, field: str) -> ColumnMapping:
        """Return where a field comes from; a field not mentioned comes from its namesake."""
        found = self.columns.get(field, field)
        return ColumnMapping(column=found) if isinstance(found, str) else found


def read_mapping(path: str | Path) -> TableMapping:
    """Read a mapping file, TOML or JSON by its name.

    Raises:
        MappingError: if it cannot be read or is no mapping.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror or error}") from error
    if len(data) > _MAX_BYTES:
        raise MappingError(f"{path}: more than {_MAX_BYTES:,} bytes are no mapping")
    try:
        text = data.decode()
        value = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise MappingError(f"{path}: neither TOML nor JSON: {error}") from error
    return parse_mapping(value, str(path))


def parse_mapping(value: object, name: str = "mapping") -> TableMapping:
    """Check a mapping given as plain values.

    Raises:
        MappingError: naming the first thing that is wrong.
    """
    try:
        mapping = TableMapping.model_validate(value)
        schema = mapping.schema_
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise MappingError(f"{name}: {place}: {first['msg']}") from error
    except UnknownSchema as error:
        raise MappingError(f"{name}: {error}") from error
    check_encoding(mapping.encoding)
    foreign = set(mapping.columns) - set(schema.names) if schema else set()
    if foreign:
        raise MappingError(
            f"{name}: the schema has no field {shown(sorted(foreign)[0])}; "
            f"it has {', '.join(schema.names) if schema else ''}"
        )
    return mapping


Reader = Callable[[Mapping[str, Any]], Any]


def bind_columns(
    mapping: TableMapping, schema: TableSchema, columns: Sequence[str], name: str
) -> dict[str, Reader]:
    """Return, for each field, the function that reads its raw value from a record.

    Fields that are not required and whose namesake is absent stay empty.

    Raises:
        MappingError: if the source lacks a column that the mapping or the schema needs.
    """
    readers: dict[str, Reader] = {}
    for field in schema.fields:
        source = mapping.of(field.name)
        is_free = field.name not in mapping.columns and source.column not in columns
        if is_free and not (field.constraints and field.constraints.required):
            continue
        readers[field.name] = _reader(source, columns, f"{name}: field {field.name!r}")
    if not any(mapping.of(field).constant is None for field in readers):
        raise MappingError(
            f"{name}: no column is a field of {schema.id or 'the schema'} "
            f"({', '.join(schema.names)}); the columns are {_listed(columns)}"
        )
    return readers


def plain_columns(mapping: TableMapping, schema: TableSchema) -> dict[str, str] | None:
    """Return field -> column if every field is a column taken as it is, else None."""
    sources = {name: mapping.of(name) for name in schema.names}
    if any(source != ColumnMapping(column=source.column) for source in sources.values()):
        return None
    return {name: source.column or name for name, source in sources.items()}


def _reader(source: ColumnMapping, columns: Sequence[str], what: str) -> Reader:
    if source.constant is not None:
        return lambda _: source.constant
    if source.columns is not None:
        names = _expand(source.columns, columns, what)
        return lambda record: [_value(record.get(name), source) for name in names]
    column = source.column or ""
    if column not in columns:
        raise MappingError(f"{what}: no column {shown(column)}; there are {_listed(columns)}")
    if source == ColumnMapping(column=column):
        return lambda record: record.get(column)
    return lambda record: _value(record.get(column), source)


def _expand(wanted: tuple[str, ...] | str, columns: Sequence[str], what: str) -> Sequence[str]:
    if isinstance(wanted, str):
        found = [column for column in columns if fnmatch.fnmatchcase(column, wanted)]
        if not found:
            raise MappingError(f"{what}: no column fits {shown(wanted)}: {_listed(columns)}")
        return found
    for column in wanted:
        if column not in columns:
            raise MappingError(f"{what}: no column {shown(column)}; there are {_listed(columns)}")
    return wanted


def _value(raw: Any, source: ColumnMapping) -> Any:
    if raw is None or raw in source.missing:
        return None
    if source.values is not None:
        if str(raw) not in source.values:
            raise ValueError(f"{shown(raw)} is none of the values the mapping knows")
        return source.values[str(raw)]
    if source.format is not None:
        return _time(raw, source.format, zoneinfo.ZoneInfo(source.timezone))
    if source.decimal == "," and isinstance(raw, str):
        return raw.replace(".", "").replace(",", ".")
    if source.timezone != "UTC" and isinstance(raw, str | datetime):
        moment = datetime.fromisoformat(raw) if isinstance(raw, str) else raw
        return (
            moment if moment.tzinfo else moment.replace(tzinfo=zoneinfo.ZoneInfo(source.timezone))
        )
    return raw


def _time(raw: Any, form: str, zone: tzinfo) -> Any:
    if form in _UNIX:
        return datetime.fromtimestamp(float(raw) / _UNIX[form], UTC)
    moment = datetime.strptime(str(raw), form)
    return _placed(moment, zone)


def _placed(moment: datetime, zone: tzinfo) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _listed(columns: Sequence[str]) -> str:
    names = ", ".join(shown(column, 30) for column in columns[:12])
    return names + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
