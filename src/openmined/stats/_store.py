"""Writing the index: event log, derived rows, undo, cursor. Each function runs in a transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)

from openmined.stats import _schema as schema
from openmined.stats._errors import AnotherIndexer
from openmined.stats._events import (
    Event,
    decode_arguments,
    encode_arguments,
    first_position_after,
)
from openmined.stats._rows import KEYS, TABLES, Before, Key, Row, Rows

_KEYS_PER_QUERY = 400
_JOURNAL_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block as the index knows it."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    events: int = 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the index is: it equals the chain up to `block_number`.

    Attributes:
        generation: grows by one with every change of the index.
        undo_floor: blocks above it can be taken back one by one; below, by folding anew.
    """

    generation: int
    block_number: int
    block_hash: str
    undo_floor: int
    rollbacks: int


def read_cursor(connection: Connection) -> Cursor | None:
    """Return how far the index is, or None before its first block."""
    table = schema.cursor
    found = connection.execute(
        select(
            table.c.generation,
            table.c.block_number,
            table.c.block_hash,
            table.c.undo_floor,
            table.c.rollbacks,
        )
    ).one_or_none()
    return None if found is None else Cursor(*found)


def create_cursor(connection: Connection, block_number: int, block_hash: str) -> None:
    """Start an empty index after a block."""
    connection.execute(
        insert(schema.cursor).values(
            id=1,
            generation=1,
            block_number=block_number,
            block_hash=block_hash,
            undo_floor=block_number,
            rollbacks=0,
            side_generation=0,
        )
    )


def move_cursor(connection: Connection, before: Cursor, after: Cursor) -> None:
    """Move the cursor, unless somebody else did meanwhile.

    Raises:
        AnotherIndexer: if the cursor is not where `before` says.
    """
    moved = connection.execute(
        update(schema.cursor)
        .where(schema.cursor.c.generation == before.generation)
        .values(
            generation=after.generation,
            block_number=after.block_number,
            block_hash=after.block_hash,
            undo_floor=after.undo_floor,
            rollbacks=after.rollbacks,
        )
    )
    if moved.rowcount != 1:
        raise AnotherIndexer(
            f"the index moved on from generation {before.generation} while this process was "
            "working on it: only one indexer may write; stop the other"
        )


def write_journal(
    connection: Connection, cursor: Cursor, kind: str, from_block: int, events: int, at: int
) -> None:
    """Note a change for live listeners, and forget the oldest notes."""
    connection.execute(
        insert(schema.journal).values(
            generation=cursor.generation,
            kind=kind,
            from_block=from_block,
            to_block=cursor.block_number,
            block_hash=cursor.block_hash,
            events=events,
            at=at,
        )
    )
    connection.execute(
        delete(schema.journal).where(
            schema.journal.c.generation <= cursor.generation - _JOURNAL_LENGTH
        )
    )


# --------------------------------------------------------------------------------------- event log


def write_blocks(connection: Connection, blocks: Sequence[BlockRef]) -> None:
    """Add blocks."""
    _insert(
        connection,
        schema.blocks,
        [
            {
                "number": block.number,
                "hash": block.hash,
                "parent_hash": block.parent_hash,
                "timestamp": block.timestamp,
                "events": block.events,
            }
            for block in blocks
        ],
    )


def write_events(connection: Connection, events: Sequence[Event]) -> None:
    """Add events."""
    _insert(
        connection,
        schema.events,
        [
            {
                "position": event.position,
                "block_number": event.block_number,
                "log_index": event.log_index,
                "transaction_hash": event.transaction_hash,
                "timestamp": event.timestamp,
                "name": event.name,
                "campaign": event.campaign,
                "account": event.account,
                "arguments": encode_arguments(event.arguments),
            }
            for event in events
        ],
    )


def read_events(
    connection: Connection, *, after: int = -1, before: int | None = None, size: int = 5000
) -> Iterator[list[Event]]:
    """Read events in order, in lists that end at a block's end."""
    table = schema.events
    while True:
        query = select(
            table.c.position,
            table.c.transaction_hash,
            table.c.timestamp,
            table.c.name,
            table.c.arguments,
        ).where(table.c.position > after)
        if before is not None:
            query = query.where(table.c.position < before)
        found = connection.execute(query.order_by(table.c.position).limit(size)).all()
        page = [Event(*row[:4], decode_arguments(row[4])) for row in found]
        if len(page) == size:
            page = _whole_blocks(connection, page)
        if not page:
            return
        yield page
        after = page[-1].position


def _whole_blocks(connection: Connection, page: list[Event]) -> list[Event]:
    last = page[-1].block_number
    whole = [event for event in page if event.block_number < last]
    if whole:
        return whole
    # One block holds more events than a page: take all of it.
    table = schema.events
    found = connection.execute(
        select(
            table.c.position,
            table.c.transaction_hash,
            table.c.timestamp,
            table.c.name,
            table.c.arguments,
        )
        .where(table.c.block_number == last)
        .order_by(table.c.position)
    ).all()
    return [Event(*row[:4], decode_arguments(row[4])) for row in found]


def stored_blocks(connection: Connection, *, at_most: int, size: int = 64) -> list[BlockRef]:
    """Return the newest known blocks not above a height, newest first."""
    table = schema.blocks
    found = connection.execute(
        select(table.c.number, table.c.hash, table.c.parent_hash, table.c.timestamp, table.c.events)
        .where(table.c.number <= at_most)
        .order_by(table.c.number.desc())
        .limit(size)
    )
    return [BlockRef(*row) for row in found]


def prune(connection: Connection, below: int) -> None:
    """Forget old blocks without events, and what undoes old blocks.

    Block 0 stays: it is what the deepest reorganisation goes back to.
    """
    block = schema.blocks.c
    connection.execute(
        delete(schema.blocks).where(block.number > 0, block.number < below, block.events == 0)
    )
    connection.execute(delete(schema.undo).where(schema.undo.c.block_number < below))


# ------------------------------------------------------------------------------------ derived rows


def loader(connection: Connection) -> Any:
    """Return a function that loads derived rows by their keys."""

    def load(table: Table, keys: list[Key]) -> dict[Key, Row]:
        names = KEYS[table.name]
        columns = [table.c[name] for name in names]
        found: dict[Key, Row] = {}
        for chunk in _chunks(keys, _KEYS_PER_QUERY):
            if len(names) == 1:
                matches = columns[0].in_([key[0] for key in chunk])
            else:
                matches = tuple_(*columns).in_(chunk)
            for row in connection.execute(select(table).where(matches)).mappings():
                found[tuple(row[name] for name in names)] = dict(row)
        return found

    return load


def save(connection: Connection, rows: Rows) -> None:
    """Write what folding changed, and what undoes it."""
    changes, before = rows.take_changes()
    for name, (new, changed) in changes.items():
        _insert(connection, TABLES[name], new)
        _update(connection, TABLES[name], changed)
    _insert(
        connection,
        schema.undo,
        [
            {
                "block_number": entry.block_number,
                "step": step,
                "name": entry.table,
                "key": json.dumps(entry.key),
                "before": None if entry.row is None else json.dumps(entry.row),
            }
            for step, entry in enumerate(before)
        ],
    )


def read_undo(connection: Connection, above: int) -> list[Before]:
    """Return what undoes the blocks above a height, newest first."""
    table = schema.undo
    found = connection.execute(
        select(table.c.block_number, table.c.name, table.c.key, table.c.before)
        .where(table.c.block_number > above)
        .order_by(table.c.block_number.desc(), table.c.step.desc())
    )
    return [
        Before(number, name, tuple(json.loads(key)), None if row is None else json.loads(row))
        for number, name, key, row in found
    ]


def restore(connection: Connection, entries: Iterable[Before]) -> None:
    """Write rows back as they were; entries newest first, so the oldest of each row decides."""
    oldest: dict[tuple[str, Key], Row | None] = {}
    for entry in entries:
        oldest[entry.table, entry.key] = entry.row
    gone: dict[str, list[Key]] = {}
    back: dict[str, list[Row]] = {}
    for (name, key), row in oldest.items():
        if row is None:
            gone.setdefault(name, []).append(key)
        else:
            back.setdefault(name, []).append(row)
    for name, keys in gone.items():
        _delete(connection, TABLES[name], keys)
    for name, rows in back.items():
        _update(connection, TABLES[name], rows)


def forget_after(connection: Connection, block_number: int) -> int:
    """Delete the event log above a height; return how many events that were."""
    place = first_position_after(block_number)
    count = connection.execute(
        select(func.count()).select_from(schema.events).where(schema.events.c.position >= place)
    ).scalar_one()
    connection.execute(delete(schema.events).where(schema.events.c.position >= place))
    connection.execute(delete(schema.blocks).where(schema.blocks.c.number > block_number))
    connection.execute(delete(schema.undo).where(schema.undo.c.block_number > block_number))
    return int(count)


def clear_derived(connection: Connection) -> None:
    """Empty every derived table."""
    for table in schema.DERIVED:
        connection.execute(delete(table))
    connection.execute(delete(schema.undo))


# ------------------------------------------------------------------------------------------- bulk


def _insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _insert_json(connection, table, rows)
    else:
        connection.execute(insert(table), rows)


def _insert_json(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    # One statement and one parameter for any number of rows: the driver sends executemany row by
    # row. Amounts travel as JSON numbers, which PostgreSQL reads exactly.
    connection.execute(
        text(
            f"INSERT INTO {table.name} "  # noqa: S608 - a table of ours
            f"SELECT * FROM json_populate_recordset(NULL::{table.name}, CAST(:rows AS json))"
        ),
        {"rows": json.dumps(rows)},
    )


def _update(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _delete(connection, table, [tuple(row[name] for name in KEYS[table.name]) for row in rows])
        _insert_json(connection, table, rows)
        return
    names = KEYS[table.name]
    statement = update(table).values(
        {column.name: bindparam(column.name) for column in table.c if column.name not in names}
    )
    for name in names:
        statement = statement.where(table.c[name] == bindparam(f"key_{name}"))
    connection.execute(
        statement, [{**row, **{f"key_{name}": row[name] for name in names}} for row in rows]
    )


def _delete(connection: Connection, table: Table, keys: Sequence[Key]) -> None:
    columns = [table.c[name] for name in KEYS[table.name]]
    for chunk in _chunks(keys, _KEYS_PER_QUERY):
        if len(columns) == 1:
            matches = columns[0].in_([key[0] for key in chunk])
        else:
            matches = tuple_(*columns).in_(chunk)
        connection.execute(delete(table).where(matches))


def _chunks(keys: Sequence[Key], size: int) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
