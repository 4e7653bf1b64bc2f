"""The indexer: follows the chain, takes back what a reorganisation replaced, and nothing else.

Each step is one database transaction, made of whole blocks, so that a kill at any instant leaves
the index at some block of the chain. A step first checks that the last indexed block is still the
node's block of that number; if not, the newest indexed block that still is decides how far to go
back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Connection, insert, select

from openmined.stats import _schema as schema
from openmined.stats import _store as store
from openmined.stats._chain import Chain, Segment
from openmined.stats._database import Database, database_away_as_error
from openmined.stats._errors import (
    ChainMoved,
    DatabaseAway,
    HistoryGap,
    RpcError,
    StatsError,
    WrongChain,
    WrongContract,
)
from openmined.stats._events import Event, first_position_after
from openmined.stats._fold import fold, prefetch
from openmined.stats._rows import Rows
from openmined.stats._store import BlockRef, Cursor

_log = logging.getLogger("openmined.stats")

_CACHED_ROWS = 10_000
_PATIENCE = 10
_CONTRADICTIONS = 20
_BLIND_RETRIES = 2
_FIRST_DISTRUST = 64

Outcome = Literal["advanced", "rolled back", "idle", "waiting"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the indexer is after a step.

    Attributes:
        head: the newest block that may be indexed (confirmations taken off).
        events: how many this step added, or took back.
    """

    outcome: Outcome
    block_number: int
    head: int
    events: int = 0


class Indexer:
    """Makes an index of one contract's events.

    Args:
        database: opened with `migrate=True`.
        chain: the node to read from.
        confirmations: how many blocks to stay behind the newest.
        undo_blocks: reorganisations up to this deep are undone row by row; deeper ones by folding
            all events anew.
        from_block: where to begin; found from the contract's code if not given.
        clock: unix time.
    """

    def __init__(
        self,
        database: Database,
        chain: Chain,
        *,
        confirmations: int = 0,
        undo_blocks: int = 128,
        from_block: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._chain = chain
        self._confirmations = confirmations
        self._undo_blocks = undo_blocks
        self._from_block = from_block
        self._clock = clock
        self._rows: Rows | None = None
        self._rows_at = -1
        self._connection: Connection | None = None
        self._behind = 0
        self._moved = 0
        self._gaps = 0
        self._gap_at = -1

    # -------------------------------------------------------------------------------------- begin

    def prepare(self) -> Cursor:
        """Check that node, contract and index belong together; begin the index if it is new.

        Raises:
            WrongChain: if the index was made from another chain.
            WrongContract: if there is no Sonar at the address, or the index is another one's.
            RpcError: if the node does not answer.
        """
        chain_id = self._chain.chain_id()
        genesis = self._chain.header(0)
        if genesis is None:
            raise RpcError("the node does not know block 0: it is no full node")
        self._chain.check_contract()
        identity = {
            "chain_id": str(chain_id),
            "contract": self._chain.contract,
            "genesis": genesis.hash,
        }
        with self._database.reading() as connection:
            known = read_settings(connection)
            cursor = store.read_cursor(connection)
        if cursor is not None:
            _check_identity(known, identity, self._database.url)
            return cursor
        return self._begin(identity)

    def _begin(self, identity: dict[str, str]) -> Cursor:
        first = self._from_block if self._from_block is not None else self._chain.first_block()
        numbers = sorted({0, max(0, first - 1)})
        anchors = []
        for number, header in zip(numbers, self._chain.headers(numbers), strict=True):
            if header is None:
                raise ChainMoved(f"block {number} is gone; the node's newest is older")
            anchors.append(BlockRef(number, header.hash, header.parent_hash, header.timestamp))
        with self._database.writing() as connection:
            known = store.read_cursor(connection)
            if known is not None:
                return known
            connection.execute(
                insert(schema.settings),
                [{"name": name, "value": value} for name, value in identity.items()],
            )
            store.write_blocks(connection, anchors)
            store.create_cursor(connection, anchors[-1].number, anchors[-1].hash)
            cursor = store.read_cursor(connection)
        assert cursor is not None
        return cursor

    # --------------------------------------------------------------------------------------- step

    def step(self) -> Progress:
        """Do one thing: go forward by a segment, go back to a fork, or find nothing to do.

        Raises:
            RpcError: if the node does not answer, or keeps contradicting itself.
            HistoryGap: if it hides events however often and however far back it is asked.
            AnotherIndexer: if somebody else writes into the index.
        """
        cursor = self._cursor()
        head = max(0, self._chain.head() - self._confirmations)
        try:
            progress = self._step(cursor, head)
        except ChainMoved:
            self._moved += 1
            if self._moved > _CONTRADICTIONS:
                raise
            return Progress("waiting", cursor.block_number, head)
        except HistoryGap as gap:
            return self._distrust(gap, cursor, head)
        self._moved = 0
        return progress

    def _step(self, cursor: Cursor, head: int) -> Progress:
        if head < cursor.block_number:
            return self._fallen_behind(cursor, head)
        self._behind = 0
        tip = self._chain.header(cursor.block_number)
        if tip is None or tip.hash != cursor.block_hash:
            return self._roll_back(cursor, self._ancestor(cursor.block_number), head)
        if head == cursor.block_number:
            return Progress("idle", cursor.block_number, head)
        after = BlockRef(tip.number, tip.hash, tip.parent_hash, tip.timestamp)
        segment = self._chain.segment(after, head)
        self._advance(cursor, segment, head)
        if segment.last.number > self._gap_at:
            self._gaps, self._gap_at = 0, -1
        return Progress("advanced", segment.last.number, head, len(segment.events))

    def _cursor(self) -> Cursor:
        with self._database.reading() as connection:
            cursor = store.read_cursor(connection)
        return cursor if cursor is not None else self.prepare()

    def _fallen_behind(self, cursor: Cursor, head: int) -> Progress:
        # Behind a load balancer the next node may simply know less; it catches up. One that stays
        # shorter has really lost the blocks.
        self._behind += 1
        if self._behind < _PATIENCE:
            return Progress("waiting", cursor.block_number, head)
        self._behind = 0
        return self._roll_back(cursor, self._ancestor(head), head)

    # -------------------------------------------------------------------------------------- going

    def _advance(self, cursor: Cursor, segment: Segment, head: int) -> None:
        final = head - self._undo_blocks
        after = replace(
            cursor,
            generation=cursor.generation + 1,
            block_number=segment.last.number,
            block_hash=segment.last.hash,
            undo_floor=max(cursor.undo_floor, min(segment.last.number, final)),
        )
        try:
            with self._database.writing() as connection:
                store.move_cursor(connection, cursor, after)
                store.write_blocks(connection, segment.blocks)
                store.write_events(connection, segment.events)
                rows = self._rows_on(connection, cursor)
                fold_all(segment.events, rows, undo_above=final)
                store.save(connection, rows)
                store.prune(connection, final)
                at = int(self._clock())
                events = len(segment.events)
                store.write_journal(connection, after, "advance", segment.from_block, events, at)
        except BaseException:
            self._rows = None
            raise
        finally:
            self._connection = None
        rows.shrink(_CACHED_ROWS)
        self._rows_at = after.generation

    def _rows_on(self, connection: Connection, cursor: Cursor) -> Rows:
        self._connection = connection
        # Rows kept from the last step are good only if nobody has written since.
        if self._rows is None or self._rows_at != cursor.generation:
            self._rows = Rows(lambda table, keys: store.loader(self._open())(table, keys))
        return self._rows

    def _open(self) -> Connection:
        assert self._connection is not None, "rows are only loaded while a segment is written"
        return self._connection

    def _roll_back(self, cursor: Cursor, ancestor: BlockRef, head: int) -> Progress:
        self._rows = None
        after = replace(
            cursor,
            generation=cursor.generation + 1,
            block_number=ancestor.number,
            block_hash=ancestor.hash,
            undo_floor=min(cursor.undo_floor, ancestor.number),
            rollbacks=cursor.rollbacks + 1,
        )
        with self._database.writing() as connection:
            store.move_cursor(connection, cursor, after)
            if ancestor.number >= cursor.undo_floor:
                store.restore(connection, store.read_undo(connection, ancestor.number))
                lost = store.forget_after(connection, ancestor.number)
            else:
                lost = store.forget_after(connection, ancestor.number)
                refold(connection)
            at = int(self._clock())
            first = ancestor.number + 1
            store.write_journal(connection, after, "rollback", first, lost, at)
        _log.warning(
            "rolled back from block %d to %d: %d events taken back",
            cursor.block_number,
            ancestor.number,
            lost,
        )
        return Progress("rolled back", ancestor.number, head, lost)

    def _ancestor(self, at_most: int) -> BlockRef:
        while True:
            with self._database.reading() as connection:
                known = store.stored_blocks(connection, at_most=at_most)
            if not known:
                raise WrongChain(
                    "the node's first block is not the one this index began with: it is another "
                    "chain; use another database, or the node it was made from"
                )
            headers = self._chain.headers([block.number for block in known])
            for block, header in zip(known, headers, strict=True):
                if header is not None and header.hash == block.hash:
                    return block
            at_most = known[-1].number - 1

    def _distrust(self, gap: HistoryGap, cursor: Cursor, head: int) -> Progress:
        # Something is missing: in what was just read, or in what was read before. Ask again for
        # less at a time, then from further and further back.
        self._gaps += 1
        self._gap_at = max(self._gap_at, cursor.block_number + self._chain.range)
        self._chain.range = max(1, self._chain.range // 4)
        if self._gaps <= _BLIND_RETRIES:
            return Progress("waiting", cursor.block_number, head)
        depth = _FIRST_DISTRUST * 16 ** (self._gaps - _BLIND_RETRIES - 1)
        if depth > 16 * max(_FIRST_DISTRUST, cursor.block_number):
            self._gaps = 0
            raise gap
        _log.warning("%s; reading again from %d blocks before", gap, depth)
        return self._roll_back(cursor, self._ancestor(max(0, cursor.block_number - depth)), head)

    # ---------------------------------------------------------------------------------------- run

    def catch_up(self, stop: threading.Event | None = None) -> Progress:
        """Step until there is nothing to do, or `stop` is set."""
        while True:
            progress = self.step()
            if progress.outcome == "idle" or (stop is not None and stop.is_set()):
                return progress

    def run(
        self,
        stop: threading.Event,
        *,
        poll_s: float = 1.0,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_trouble: Callable[[StatsError], None] = lambda _: None,
    ) -> None:
        """Follow the chain until `stop` is set; a node or database that is away is waited for.

        Raises:
            StatsError: what waiting cannot cure: another chain, another indexer, hidden events.
        """
        trouble = 0
        while not stop.is_set():
            try:
                with database_away_as_error():
                    progress = self.step()
            except (RpcError, DatabaseAway) as error:
                trouble += 1
                on_trouble(error)
                stop.wait(min(60.0, poll_s * 2 ** min(trouble, 6)))
                continue
            trouble = 0
            on_progress(progress)
            if progress.outcome in ("idle", "waiting"):
                stop.wait(poll_s)


def fold_all(events: Sequence[Event], rows: Rows, *, undo_above: int) -> None:
    """Fold events, noting what undoes the blocks above a height."""
    prefetch(events, rows)
    number = -1
    for event in events:
        if event.block_number != number:
            number = event.block_number
            rows.begin_block(number, undoable=number > undo_above)
        fold(event, rows)


def refold(connection: Connection, *, up_to: int | None = None) -> int:
    """Empty the derived tables and make them anew from the stored events; return their number."""
    store.clear_derived(connection)
    rows = Rows(store.loader(connection))
    before = None if up_to is None else first_position_after(up_to)
    count = 0
    for page in store.read_events(connection, before=before):
        fold_all(page, rows, undo_above=1 << 62)
        store.save(connection, rows)
        rows.shrink(_CACHED_ROWS)
        count += len(page)
    return count


def rebuild(database: Database) -> int:
    """Make the derived tables anew from the stored events; return how many events there are."""
    with database.writing() as connection:
        cursor = store.read_cursor(connection)
        if cursor is None:
            return 0
        # What undid blocks is gone with the old rows: the next reorganisation folds anew.
        after = replace(cursor, generation=cursor.generation + 1, undo_floor=cursor.block_number)
        store.move_cursor(connection, cursor, after)
        return refold(connection)


def read_settings(connection: Connection) -> dict[str, str]:
    """Return what the index was made from."""
    found = connection.execute(select(schema.settings.c.name, schema.settings.c.value))
    return {str(name): str(value) for name, value in found}


def _check_identity(known: dict[str, str], found: dict[str, str], url: str) -> None:
    if known["contract"] != found["contract"]:
        raise WrongContract(
            f"the index in {url} is of the contract {known['contract']}, not of "
            f"{found['contract']}: use another database"
        )
    for name in ("chain_id", "genesis"):
        if known[name] != found[name]:
            raise WrongChain(
                f"the index in {url} was made from a chain with {name} {known[name]}; the node's "
                f"is {found[name]}: use another database, or the right node"
            )
