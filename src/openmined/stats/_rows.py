"""The derived rows in memory while events are folded into them, with what takes a block back.

Folding reads and changes plain dictionaries. The first time a block changes a row, the row as it
was is kept: writing these back, newest first, undoes the block exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from openmined.stats._schema import DERIVED

Row = dict[str, Any]
Key = tuple[int | str, ...]
Loader = Callable[[Table, list[Key]], dict[Key, Row]]

TABLES: Mapping[str, Table] = {table.name: table for table in DERIVED}
KEYS: Mapping[str, tuple[str, ...]] = {
    table.name: tuple(column.name for column in table.primary_key) for table in DERIVED
}
_BLANK: Mapping[str, Row] = {
    table.name: {column.name: (None if column.nullable else 0) for column in table.columns}
    for table in DERIVED
}


@dataclass(frozen=True, slots=True)
class Before:
    """A row as it was before a block; `row` is None where there was none."""

    block_number: int
    table: str
    key: Key
    row: Row | None


class Rows:
    """A write-behind cache of the derived tables.

    `load` reads rows by their keys; nothing is written here: `take_changes` hands the changes over.
    """

    def __init__(self, load: Loader) -> None:
        self._load = load
        self._rows: dict[str, dict[Key, Row | None]] = {name: {} for name in TABLES}
        self._stored: dict[str, set[Key]] = {name: set() for name in TABLES}
        self._changed: dict[str, set[Key]] = {name: set() for name in TABLES}
        self._before: list[Before] = []
        self._touched: set[tuple[str, Key]] = set()
        self._block: int | None = None

    def begin_block(self, number: int, *, undoable: bool) -> None:
        """Say which block the next changes belong to, and whether it may have to be undone."""
        self._block = number if undoable else None
        self._touched.clear()

    def prefetch(self, table: str, keys: Iterable[Key]) -> None:
        """Load many rows at once, so that folding need not ask for each."""
        rows, stored = self._rows[table], self._stored[table]
        missing = [key for key in set(keys) if key not in rows]
        if missing:
            found = self._load(TABLES[table], missing)
            for key in missing:
                rows[key] = found.get(key)
            stored.update(found)

    def get(self, table: str, key: Key) -> Row | None:
        """Read a row; do not change what is returned."""
        rows = self._rows[table]
        if key not in rows:
            self.prefetch(table, (key,))
        return rows[key]

    def edit(self, table: str, key: Key) -> Row | None:
        """Read a row in order to change it."""
        row = self.get(table, key)
        if row is not None:
            self._remember(table, key, row)
        return row

    def create(self, table: str, key: Key, *, known_new: bool = False, **values: Any) -> Row:
        """Make a row; every column not named is zero, or null where it may be."""
        if not known_new and self.get(table, key) is not None:
            raise KeyError(f"{table} {key} is there already")
        row = {**_BLANK[table], **dict(zip(KEYS[table], key, strict=True)), **values}
        self._remember(table, key, None)
        self._rows[table][key] = row
        return row

    def ensure(self, table: str, key: Key) -> tuple[Row, bool]:
        """Return a row to change, made if need be, and whether it was made."""
        row = self.edit(table, key)
        return (row, False) if row is not None else (self.create(table, key), True)

    def _remember(self, table: str, key: Key, row: Row | None) -> None:
        self._changed[table].add(key)
        if self._block is not None and (table, key) not in self._touched:
            self._touched.add((table, key))
            copy = None if row is None else dict(row)
            self._before.append(Before(self._block, table, key, copy))

    def take_changes(self) -> tuple[dict[str, tuple[list[Row], list[Row]]], list[Before]]:
        """Return (new rows, changed rows) of each table, and the rows before; forget both."""
        changes = {}
        for table, keys in self._changed.items():
            if keys:
                stored = self._stored[table]
                rows = self._rows[table]
                new = [row for key in keys if key not in stored and (row := rows[key])]
                old = [row for key in keys if key in stored and (row := rows[key])]
                stored.update(keys)
                changes[table] = (new, old)
                self._changed[table] = set()
        before, self._before = self._before, []
        return changes, before

    def shrink(self, most: int) -> None:
        """Forget a table's rows when there are more than `most`: they are in the database."""
        for table, rows in self._rows.items():
            if len(rows) > most:
                rows.clear()
                self._stored[table].clear()
