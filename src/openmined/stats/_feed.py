"""Live updates: one look at the journal, told to everybody who listens."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from openmined.stats import _schema as schema
from openmined.stats._database import Database
from openmined.stats._models import TimelineEntry
from openmined.stats._queries import timeline_entry

_log = logging.getLogger("openmined.stats")

MAX_EVENTS = 500
"""More events than this in one change are counted, not listed: ask the API for them."""

_QUEUE = 256
_HEARTBEAT_S = 15.0


@dataclass(frozen=True, slots=True)
class IndexState:
    """What the API knows of the index without asking again."""

    generation: int = 0
    side_generation: int = 0
    block_number: int | None = None
    block_hash: str | None = None
    rollbacks: int = 0

    @property
    def revision(self) -> str:
        """Changes with everything that is served."""
        return f"{self.generation}.{self.side_generation}"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the index."""

    generation: int
    kind: str
    from_block: int
    block_number: int
    block_hash: str
    count: int
    events: tuple[TimelineEntry, ...]

    def message(self, campaign: int | None) -> bytes | None:
        """Write it as a server-sent event; None if it does not concern a campaign."""
        events = [e for e in self.events if campaign is None or e.campaign == campaign]
        told = self.kind == "rollback" or len(self.events) < self.count
        if campaign is not None and not events and not told:
            return None
        data = {
            "generation": self.generation,
            "from_block": self.from_block,
            "block_number": self.block_number,
            "block_hash": self.block_hash,
            "count": self.count if campaign is None else len(events),
            "events": [event.model_dump(mode="json") for event in events],
        }
        return _message(self.kind, data, self.generation)


def _message(kind: str, data: object, number: int) -> bytes:
    text = json.dumps(data, separators=(",", ":"))
    return f"id: {number}\nevent: {kind}\ndata: {text}\n\n".encode()


class Feed:
    """Watches the index for its listeners and for the response cache.

    Args:
        poll_s: how often to look.
        most: how many may listen at once.
    """

    def __init__(self, database: Database, *, poll_s: float = 0.25, most: int = 200) -> None:
        self._database = database
        self._poll_s = poll_s
        self._most = most
        self._listeners: set[asyncio.Queue[Change | None]] = set()
        self.state = IndexState()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def has_room(self) -> bool:
        """Whether one more may listen."""
        return len(self._listeners) < self._most

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed
                _log.warning("cannot look at the index: %s", error)
            await asyncio.sleep(self._poll_s)

    async def look(self) -> None:
        """Look once."""
        state, changes = await asyncio.to_thread(self._read, self.state)
        self.state = state
        for change in changes:
            for listener in list(self._listeners):
                self._tell(listener, change)

    def _tell(self, listener: asyncio.Queue[Change | None], change: Change) -> None:
        if listener.full():  # too slow: it may come back and say where it was
            self._listeners.discard(listener)
            listener.get_nowait()
            listener.put_nowait(None)
        else:
            listener.put_nowait(change)

    def _read(self, before: IndexState) -> tuple[IndexState, list[Change]]:
        with self._database.reading() as connection:
            state = read_state(connection)
            if not self._listeners or not before.generation:
                return state, []
            return state, read_changes(connection, before.generation, state.generation)

    async def listen(self, campaign: int | None, last_seen: int | None) -> AsyncIterator[bytes]:
        """Yield server-sent events from now on, or from where a listener was before."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue(_QUEUE)
        self._listeners.add(queue)
        try:
            for message in await asyncio.to_thread(self._missed, campaign, last_seen):
                yield message
            seen = self.state.generation
            while True:
                try:
                    change = await asyncio.wait_for(queue.get(), _HEARTBEAT_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if change is None:
                    return
                if change.generation <= seen:
                    continue
                message_or_none = change.message(campaign)
                if message_or_none is not None:
                    yield message_or_none
        finally:
            self._listeners.discard(queue)

    def _missed(self, campaign: int | None, last_seen: int | None) -> list[bytes]:
        with self._database.reading() as connection:
            state = read_state(connection)
            hello = {"generation": state.generation, "block_number": state.block_number}
            if last_seen is None:
                return [_message("hello", hello, state.generation)]
            oldest = connection.execute(select(func.min(schema.journal.c.generation))).scalar()
            if oldest is None or last_seen < oldest - 1 or last_seen > state.generation:
                return [_message("reset", hello, state.generation)]
            changes = read_changes(connection, last_seen, self.state.generation)
        messages = [change.message(campaign) for change in changes]
        return [message for message in messages if message is not None]


def read_state(connection: Connection) -> IndexState:
    """Return what the index is at."""
    c = schema.cursor.c
    row = connection.execute(
        select(c.generation, c.side_generation, c.block_number, c.block_hash, c.rollbacks)
    ).one_or_none()
    return IndexState() if row is None else IndexState(*row)


def read_changes(connection: Connection, after: int, up_to: int) -> list[Change]:
    """Return the changes between two generations, with their events where they are few."""
    j, e = schema.journal.c, schema.events.c
    found = connection.execute(
        select(schema.journal)
        .where(j.generation > after, j.generation <= up_to)
        .order_by(j.generation)
        .limit(_QUEUE)
    )
    changes = []
    for row in found.mappings().all():
        events: tuple[TimelineEntry, ...] = ()
        if row["kind"] == "advance" and 0 < row["events"] <= MAX_EVENTS:
            in_it = connection.execute(
                select(schema.events)
                .where(e.block_number >= row["from_block"], e.block_number <= row["to_block"])
                .order_by(e.position)
            )
            events = tuple(timeline_entry(event) for event in in_it.mappings())
        changes.append(
            Change(
                generation=row["generation"],
                kind=row["kind"],
                from_block=row["from_block"],
                block_number=row["to_block"],
                block_hash=row["block_hash"],
                count=row["events"],
                events=events,
            )
        )
    return changes
