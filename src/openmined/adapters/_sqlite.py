"""SQLite files.

A raw sample, `sqlite3 diary.db .dump`:

    CREATE TABLE diary (day TEXT, mood INTEGER, words TEXT);
    INSERT INTO diary VALUES('2026-01-01', 4, 'first of many');

A database file from a stranger can hold views and triggers that compute for ever: only ordinary
tables are read, in their stored order, with SQLite's own limits drawn tight.
Source: sqlite.org, "Defense Against The Dark Arts".
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openmined.adapters._errors import MappingError, SourceError
from openmined.adapters._mapping import TableMapping
from openmined.adapters._rows import Place, RowError, shown
from openmined.adapters._source import Entry, Source
from openmined.adapters._tabular import Records, Table, TabularAdapter, bind_tables
from openmined.adapters._text import why_broken

_PATTERNS = ("*.sqlite", "*.sqlite3", "*.db", "*.db3")
_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class SQLiteFiles:
    """One table of a SQLite file; the mapping's `sql` names it when there are several."""

    name: str = "sqlite"
    title: str = "SQLite"

    def detect(self, source: Source) -> float:
        """Sure when a file begins as SQLite's do."""
        return 0.4 if _databases(source) else 0.0

    def bind(self, source: Source, mapping: TableMapping | None) -> TabularAdapter:
        """Bind the named table, or the only one there is."""
        found = _databases(source)
        if len(found) != 1:
            raise MappingError(f"{source.name}: {len(found)} SQLite files, name one of them")
        entry = found[0]
        table = _choose(_table_names(source, entry), mapping.sql if mapping else None, entry.name)
        return bind_tables(self.name, self.title, [_table(source, entry, table)], mapping)


def _databases(source: Source) -> list[Entry]:
    found = source.find(*_PATTERNS) or source.entries[:1]
    return [entry for entry in found if source.head(entry, 16) == _MAGIC]


def _choose(tables: list[str], wanted: str | None, name: str) -> str:
    listed = ", ".join(shown(table, 40) for table in tables[:20]) or "none"
    if wanted is None and len(tables) == 1:
        return tables[0]
    if wanted is None:
        raise MappingError(f'{name}: name a table in the mapping (sql = "..."): {listed}')
    if wanted not in tables:
        raise MappingError(f"{name}: no table {shown(wanted)}; there are {listed}")
    return wanted


@contextmanager
def _connected(source: Source, entry: Entry) -> Iterator[sqlite3.Connection]:
    path = source.locate(entry)
    if path is None:
        raise SourceError(f"{entry.name}: a database cannot be read inside an archive: unpack it")
    if (log := Path(f"{path}-wal")).exists() and log.stat().st_size:
        raise SourceError(
            f"{entry.name}: a program has unwritten changes ({log.name}): close it and try again"
        )
    uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4 * source.limits.record_chars)
            connection.setlimit(sqlite3.SQLITE_LIMIT_VDBE_OP, 25_000)
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            for pragma in ("trusted_schema=OFF", "query_only=ON", "cell_size_check=ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("PRAGMA mmap_size=0")
            connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            yield connection
    except sqlite3.Error as error:
        raise SourceError(f"{entry.name}: no readable SQLite file: {error}") from error


def _table_names(source: Source, entry: Entry) -> list[str]:
    with _connected(source, entry) as connection:
        rows = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 "
            "AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name"
        )
        return [name for (name,) in rows]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _table(source: Source, entry: Entry, table: str) -> Table:
    with _connected(source, entry) as connection:
        cursor = connection.execute(f"SELECT * FROM {_quoted(table)} LIMIT 0")  # noqa: S608
        columns = tuple(column[0] for column in cursor.description)
    name = f"{entry.name}/{table}"
    return Table(name, columns, lambda: _records(source, entry, table, columns))


def _records(source: Source, entry: Entry, table: str, columns: tuple[str, ...]) -> Records:
    name, number = f"{entry.name}/{table}", 0
    listed = ", ".join(_quoted(column) for column in columns)
    with _connected(source, entry) as connection:
        try:
            for row in connection.execute(f"SELECT {listed} FROM {_quoted(table)}"):  # noqa: S608
                number += 1
                yield checked_record(
                    Place(name, record=number), dict(zip(columns, row, strict=True))
                )
        except sqlite3.Error as error:
            place = Place(name, record=number + 1)
            yield RowError(place, f"the file is damaged here: {error}", stops=True)


def checked_record(place: Place, values: Mapping[str, Any]) -> Any:
    """Pass a record on, unless a text in it is no UTF-8."""
    for column, value in values.items():
        if isinstance(value, str) and (reason := why_broken(value)):
            return RowError(place, f"{shown(column)}: {reason}")
    return place, values
