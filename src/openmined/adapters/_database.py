"""A table of any database that SQLAlchemy reaches: the source is a mapping file with a URL.

A raw sample, notes.toml:

    url = "postgresql+psycopg://ada@db.example/notes"
    sql = "public.notes"

    [columns]
    text = "words"

The URL carries no password: drivers find it in their own places (~/.pgpass, ~/.my.cnf), where it
stands in no mapping, no command line and no log.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openmined.adapters._errors import MappingError, SourceError
from openmined.adapters._mapping import TableMapping, parse_mapping
from openmined.adapters._rows import Place, shown
from openmined.adapters._source import Entry, Source
from openmined.adapters._sqlite import checked_record
from openmined.adapters._tabular import Records, Table, TabularAdapter, bind_tables

_SECRETS = ("password", "passwd", "pwd", "sslpassword")


@dataclass(frozen=True, slots=True)
class Databases:
    """One table of a database server."""

    name: str = "sql"
    title: str = "SQL database"

    def detect(self, source: Source) -> float:
        """Sure when the source is one TOML file that names a URL."""
        entry = _file(source)
        return 0.7 if entry and b"url" in source.head(entry) and _toml(source, entry) else 0.0

    def bind(self, source: Source, mapping: TableMapping | None) -> TabularAdapter:
        """Bind the table that the file names; a mapping given besides goes first."""
        entry = _file(source)
        value = _toml(source, entry) if entry else None
        if value is None:
            raise MappingError(f"{source.name}: the source is a TOML file with url and sql")
        own = parse_mapping(value, source.name)
        if not own.url or not own.sql:
            raise MappingError(f"{source.name}: url and sql (the table) are needed")
        _refuse_passwords(own.url, source.name)
        return bind_tables(self.name, self.title, [_table(own.url, own.sql)], mapping or own)


def _file(source: Source) -> Entry | None:
    found = [entry for entry in source.entries if entry.base.lower().endswith(".toml")]
    return found[0] if len(found) == len(source.entries) == 1 else None


def _toml(source: Source, entry: Entry) -> dict[str, Any] | None:
    try:
        value = tomllib.loads(source.read_whole(entry).decode())
    except ValueError:
        return None
    return value if "url" in value else None


def _refuse_passwords(url: str, name: str) -> None:
    parts = urlsplit(url)
    if parts.password is not None or any(key.lower() in _SECRETS for key in parse_qs(parts.query)):
        raise MappingError(
            f"{name}: the URL holds a password: leave it out and put it where the driver looks "
            "(~/.pgpass, ~/.my.cnf)"
        )


@contextmanager
def _connected(url: str, table: str) -> Iterator[tuple[Any, Any]]:
    """Yield a streaming connection and the reflected table."""
    import sqlalchemy as sa

    space, _, name = table.rpartition(".")
    try:
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            streaming = connection.execution_options(stream_results=True, yield_per=500)
            found = sa.Table(name, sa.MetaData(), schema=space or None, autoload_with=connection)
            yield streaming, sa.select(found)
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        reason = shown(str(getattr(error, "orig", None) or error), 200)
        raise SourceError(f"table {shown(table)}: {type(error).__name__}: {reason}") from error


def _table(url: str, table: str) -> Table:
    with _connected(url, table) as (_, query):
        columns = tuple(str(column.name) for column in query.selected_columns)
    return Table(table, columns, lambda: _records(url, table, columns))


def _records(url: str, table: str, columns: tuple[str, ...]) -> Records:
    with _connected(url, table) as (connection, query):
        for number, row in enumerate(connection.execute(query), start=1):
            values = {c: _plain(v) for c, v in zip(columns, row, strict=True)}
            yield checked_record(Place(table, record=number), values)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return dict(value) if isinstance(value, Mapping) else value
