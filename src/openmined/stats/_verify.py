"""Proof that an index equals its rebuild."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, select

from openmined.stats import _schema as schema
from openmined.stats import _store as store
from openmined.stats._chain import Chain
from openmined.stats._database import Database, open_database
from openmined.stats._errors import ChainMoved, IndexDiffers
from openmined.stats._indexer import Indexer, Progress

COMPARED: tuple[Table, ...] = (*schema.EVENT_LOG, *schema.DERIVED)
_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """An index that equals its rebuild, up to a block.

    Attributes:
        digests: sha2-256 over the rows of each table, the same in SQLite and PostgreSQL.
    """

    block_number: int
    block_hash: str
    rows: int
    digests: dict[str, str]


def table_rows(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    """Read a table in the order of its key; of blocks only those with events."""
    query = select(table).order_by(*table.primary_key.columns)
    if table is schema.blocks:
        query = query.where(schema.blocks.c.events > 0)
    result = connection.execute(query.execution_options(yield_per=_PAGE))
    for row in result.mappings():
        yield dict(row)


def digest_tables(connection: Connection) -> dict[str, str]:
    """Return a digest of every compared table."""
    digests = {}
    for table in COMPARED:
        hasher = hashlib.sha256()
        for row in table_rows(connection, table):
            hasher.update(json.dumps(row, sort_keys=True).encode() + b"\n")
        digests[table.name] = hasher.hexdigest()
    return digests


def compare(left: Connection, right: Connection) -> int:
    """Compare two indexes row by row; return how many rows they have.

    Raises:
        IndexDiffers: naming the first row that differs.
    """
    count = 0
    for table in COMPARED:
        pairs = zip_longest(table_rows(left, table), table_rows(right, table))
        for mine, rebuilt in pairs:
            count += 1
            if mine != rebuilt:
                raise IndexDiffers(_difference(table, mine, rebuilt))
    return count


def verify(
    database: Database,
    chain: Chain,
    *,
    from_block: int | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Verdict:
    """Rebuild the index from the chain beside it, up to the same block, and compare.

    Args:
        database: the index.
        chain: the node to rebuild from; another one than the index was made from tells more.
        from_block: the contract's deployment; found from its code if not given.
        on_progress: called after every step.

    Raises:
        IndexDiffers: if they are not equal.
        ChainMoved: if the indexed block is not on the node's chain (any more).
    """
    with tempfile.TemporaryDirectory(prefix="openmined-stats-") as folder:
        fresh = open_database(f"sqlite:///{Path(folder) / 'rebuild.sqlite3'}", migrate=True)
        try:
            with database.reading() as connection:
                cursor = store.read_cursor(connection)
                if cursor is None:
                    raise IndexDiffers(f"there is no index in {database.url} to verify")
                _rebuild(fresh, chain, cursor, from_block, on_progress)
                with fresh.reading() as rebuilt:
                    rows = compare(connection, rebuilt)
                digests = digest_tables(connection)
        finally:
            fresh.close()
    return Verdict(cursor.block_number, cursor.block_hash, rows, digests)


def _rebuild(
    fresh: Database,
    chain: Chain,
    cursor: store.Cursor,
    from_block: int | None,
    on_progress: Callable[[Progress], None],
) -> None:
    pinned = _PinnedChain(chain, cursor.block_number)
    indexer = Indexer(fresh, pinned, from_block=from_block)
    indexer.prepare()
    while True:
        progress = indexer.step()
        on_progress(progress)
        if progress.outcome == "idle":
            break
    tip = chain.header(cursor.block_number)
    if tip is None or tip.hash != cursor.block_hash:
        raise ChainMoved(
            f"the indexed block {cursor.block_number} is not on the node's chain (any more): "
            "let the indexer catch up, then verify again"
        )


class _PinnedChain(Chain):
    """A chain that seems to end at a given block."""

    def __init__(self, chain: Chain, end: int) -> None:
        super().__init__(chain.rpc, chain.contract)
        self._end = end

    def head(self) -> int:
        return min(self._end, super().head())


def _difference(table: Table, mine: dict[str, Any] | None, rebuilt: dict[str, Any] | None) -> str:
    row = mine or rebuilt or {}
    key = ", ".join(f"{column.name} {row[column.name]}" for column in table.primary_key)
    if mine is None or rebuilt is None:
        where = "the rebuild" if mine is None else "the index"
        return f"{table.name}: the row of {key} is only in {where}"
    columns = [name for name in mine if mine[name] != rebuilt[name]]
    name = columns[0]
    return (
        f"{table.name}: {name} of {key} is {mine[name]!r} in the index, {rebuilt[name]!r} in its "
        "rebuild: run `openmined stats rebuild`"
    )
