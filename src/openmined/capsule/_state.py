"""The state file: SQLite in WAL mode, each change one transaction, synced to disk.

What is public stands in the clear (chain events, digests, phases); what is secret (weights, drafts
of batches) stands sealed with age. The chain is the truth: this file remembers what was seen of it
and what Capsule itself made and cannot make again.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openmined.capsule._errors import NotWritten, StateError

STATE_FILE = "capsule.db"
VERSION = 1

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE events (
    block INTEGER NOT NULL, log INTEGER NOT NULL, campaign INTEGER NOT NULL, kind TEXT NOT NULL,
    gradient INTEGER, facts TEXT NOT NULL, seen_at REAL NOT NULL,
    PRIMARY KEY (block, log)) STRICT;
CREATE INDEX events_of_campaign ON events (campaign, kind, gradient);
CREATE TABLE campaigns (
    id INTEGER PRIMARY KEY, launch TEXT NOT NULL, phase TEXT NOT NULL, facts TEXT NOT NULL) STRICT;
CREATE TABLE sealed (
    campaign INTEGER NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (campaign, kind, number)) STRICT;
CREATE TABLE intents (
    campaign INTEGER NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL,
    facts TEXT NOT NULL, written_at REAL NOT NULL,
    PRIMARY KEY (campaign, kind, number)) STRICT;
CREATE TABLE missing (
    campaign INTEGER NOT NULL, gradient INTEGER NOT NULL, since REAL NOT NULL,
    PRIMARY KEY (campaign, gradient)) STRICT;
CREATE TABLE ledger (
    campaign INTEGER NOT NULL, epoch INTEGER NOT NULL, kind TEXT NOT NULL, what TEXT NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (campaign, epoch, kind, what)) STRICT;
"""

_SUBMITTED = """
SELECT facts, seen_at, gradient, row_number() OVER (
    PARTITION BY json_extract(facts, '$.miner') ORDER BY block, log) - 1 AS rank
FROM events WHERE campaign = ? AND kind = 'GradientSubmitted' ORDER BY block, log
"""


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """A chain event as it is remembered: where, of which campaign, and its arguments as JSON."""

    block: int
    log: int
    campaign: int
    kind: str
    gradient: int | None
    facts: dict[str, Any]
    seen_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A gradient that is neither scored nor returned."""

    gradient: int
    miner: str
    version: int
    envelope: bytes
    seen_at: float
    """Unix seconds of this machine when it was first seen."""
    rank: int
    """How many gradients the same miner had submitted to the campaign before."""


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """What Capsule remembers of a campaign."""

    id: int
    launch: str
    """Digest of who launched what: tells a campaign from another of the same number."""
    phase: str
    facts: dict[str, Any]


def same_model(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two records of a campaign stand at one model: same version, epoch and digest."""
    version = one["version"]
    return bool(
        (version, one["epoch"]) == (other["version"], other["epoch"])
        and one["models"][str(version)] == other["models"][str(version)]
    )


class State:
    """The open state file. One writer at a time; readers may look meanwhile."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def create(cls, folder: Path) -> State:
        """Make an empty state file.

        Raises:
            StateError: if there is one already.
        """
        path = folder / STATE_FILE
        if path.exists():
            raise StateError(f"{path} exists already")
        path.touch(mode=0o600)
        state = cls(_connect(path))
        with state.change() as db:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES ('version', ?)", (str(VERSION),))
        return state

    @classmethod
    def open(cls, folder: Path) -> State:
        """Open the state file and check that it is whole and of this version.

        Raises:
            StateError: if it is missing, damaged, or of another version.
        """
        path = folder / STATE_FILE
        if not path.is_file():
            raise StateError(f"{path} is missing: restore it with `openmined capsule restore`")
        try:
            state = cls(_connect(path))
            found = state.meta("version")
            damage = state._db.execute("PRAGMA quick_check").fetchone()[0]
        except (sqlite3.DatabaseError, StateError) as error:
            raise _damaged(str(path), str(error.__cause__ or error)) from error
        if damage != "ok":
            raise _damaged(str(path), str(damage))
        if found != str(VERSION):
            raise StateError(f"{path} is of version {found}, this software reads {VERSION}")
        return state

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Make several changes at once: all of them, or none."""
        if self._db.in_transaction:
            yield self._db
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._undo()
            raise _trouble(error) from error
        except BaseException:
            self._undo()
            raise

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise _trouble(error) from error

    def _read_one(self, statement: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        return next(iter(self._read(statement, values)), None)

    def _undo(self) -> None:
        if self._db.in_transaction:
            with contextlib.suppress(sqlite3.OperationalError):
                self._db.execute("ROLLBACK")

    # ------------------------------------------------------------------ meta

    def meta(self, key: str) -> str | None:
        """Return a remembered value."""
        row = self._read_one("SELECT value FROM meta WHERE key = ?", (key,))
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Remember a value."""
        with self.change() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # ---------------------------------------------------------------- events

    def add_events(
        self, events: Iterable[SeenEvent], cursor: str, rolled_back_to: int | None = None
    ) -> None:
        """Remember events and where the cursor stands, at once.

        Args:
            events: what was newly read.
            cursor: the cursor's state.
            rolled_back_to: blocks above it were replaced; their events are forgotten first.
        """
        now = time.time()
        with self.change() as db:
            if rolled_back_to is not None:
                db.execute("DELETE FROM events WHERE block > ?", (rolled_back_to,))
            db.executemany(
                "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (e.block, e.log, e.campaign, e.kind, e.gradient, json.dumps(e.facts), now)
                    for e in events
                ],
            )
            self.set_meta("cursor", cursor)

    def events(self, campaign: int, kind: str) -> list[SeenEvent]:
        """Return a campaign's events of one kind, in chain order."""
        rows = self._read(
            "SELECT * FROM events WHERE campaign = ? AND kind = ? ORDER BY block, log",
            (campaign, kind),
        )
        return [
            SeenEvent(r[0], r[1], r[2], r[3], r[4], json.loads(r[5]), float(r[6])) for r in rows
        ]

    def launched(self) -> list[SeenEvent]:
        """Return the launches remembered, in chain order."""
        rows = self._read(
            "SELECT * FROM events WHERE kind = 'CampaignLaunched' ORDER BY block, log"
        )
        return [
            SeenEvent(r[0], r[1], r[2], r[3], r[4], json.loads(r[5]), float(r[6])) for r in rows
        ]

    def submitted(self, campaign: int) -> list[Pending]:
        """Return every gradient ever submitted to the campaign, oldest first."""
        return [_pending(row) for row in self._read(_SUBMITTED, (campaign,))]

    def pending(self, campaign: int) -> list[Pending]:
        """Return the campaign's gradients that are neither scored nor returned, oldest first."""
        rows = self._read(
            f"SELECT * FROM ({_SUBMITTED}) WHERE gradient NOT IN (SELECT gradient FROM events "  # noqa: S608 -- our own text
            "WHERE campaign = ? AND kind IN ('GradientScored', 'BondReclaimed'))",
            (campaign, campaign),
        )
        return [_pending(row) for row in rows]

    # ------------------------------------------------------------- campaigns

    def campaign(self, campaign: int) -> CampaignRow | None:
        """Return what is remembered of a campaign."""
        row = self._read_one("SELECT * FROM campaigns WHERE id = ?", (campaign,))
        return None if row is None else CampaignRow(row[0], row[1], row[2], json.loads(row[3]))

    def campaigns(self) -> list[CampaignRow]:
        """Return everything remembered, by number."""
        rows = self._read("SELECT * FROM campaigns ORDER BY id")
        return [CampaignRow(row[0], row[1], row[2], json.loads(row[3])) for row in rows]

    def put_campaign(self, row: CampaignRow) -> None:
        """Remember a campaign's public facts."""
        with self.change() as db:
            db.execute(
                "INSERT OR REPLACE INTO campaigns VALUES (?, ?, ?, ?)",
                (row.id, row.launch, row.phase, json.dumps(row.facts)),
            )

    def drop_campaign(self, campaign: int) -> None:
        """Forget a campaign that the chain no longer knows, with all that was made for it."""
        with self.change() as db:
            for table in ("sealed", "intents", "missing"):
                db.execute(f"DELETE FROM {table} WHERE campaign = ?", (campaign,))  # noqa: S608
            db.execute("DELETE FROM campaigns WHERE id = ?", (campaign,))

    # ---------------------------------------------------------------- sealed

    def put_sealed(self, campaign: int, kind: str, number: int, data: bytes) -> None:
        """Keep bytes that are already encrypted."""
        if not data.startswith(b"age-encryption.org/"):
            raise StateError(f"refusing to write {kind} in the clear")
        with self.change() as db:
            db.execute(
                "INSERT OR REPLACE INTO sealed VALUES (?, ?, ?, ?)", (campaign, kind, number, data)
            )

    def sealed(self, campaign: int, kind: str, number: int) -> bytes | None:
        """Return bytes kept by `put_sealed`, still encrypted."""
        row = self._read_one(
            "SELECT data FROM sealed WHERE campaign = ? AND kind = ? AND number = ?",
            (campaign, kind, number),
        )
        return None if row is None else bytes(row[0])

    def sealed_numbers(self, campaign: int, kind: str) -> list[int]:
        """Return the numbers kept of one kind, ascending."""
        rows = self._read(
            "SELECT number FROM sealed WHERE campaign = ? AND kind = ? ORDER BY number",
            (campaign, kind),
        )
        return [int(row[0]) for row in rows]

    def drop_sealed(
        self, campaign: int, kind: str | None = None, *, below: int = 2**62, above: int = -1
    ) -> None:
        """Delete sealed bytes of a campaign, of one kind and between two numbers if given."""
        with self.change() as db:
            db.execute(
                "DELETE FROM sealed WHERE campaign = ? AND kind = coalesce(?, kind) "
                "AND number < ? AND number > ?",
                (campaign, kind, below, above),
            )

    # --------------------------------------------------------------- intents

    def put_intent(self, campaign: int, kind: str, number: int, facts: dict[str, Any]) -> None:
        """Write what is about to be done, before it is done."""
        with self.change() as db:
            db.execute(
                "INSERT OR REPLACE INTO intents VALUES (?, ?, ?, ?, ?)",
                (campaign, kind, number, json.dumps(facts), time.time()),
            )

    def intent(self, campaign: int, kind: str, number: int) -> dict[str, Any] | None:
        """Return an intent written earlier."""
        row = self._read_one(
            "SELECT facts FROM intents WHERE campaign = ? AND kind = ? AND number = ?",
            (campaign, kind, number),
        )
        return None if row is None else dict(json.loads(row[0]))

    def drop_intent(self, campaign: int, kind: str, number: int) -> None:
        """Delete an intent that came to nothing, or is long done."""
        with self.change() as db:
            db.execute(
                "DELETE FROM intents WHERE campaign = ? AND kind = ? AND number = ?",
                (campaign, kind, number),
            )

    def drop_intents(self, campaign: int) -> None:
        """Delete all intents of a campaign."""
        with self.change() as db:
            db.execute("DELETE FROM intents WHERE campaign = ?", (campaign,))

    # --------------------------------------------------------------- missing

    def missing_since(self, campaign: int, gradient: int) -> float:
        """Return since when (unix seconds) an envelope has been missing, from now if it is new."""
        now = time.time()
        with self.change() as db:
            db.execute("INSERT OR IGNORE INTO missing VALUES (?, ?, ?)", (campaign, gradient, now))
            # Noted while the clock was ahead: from now, or it would be waited for that much longer.
            db.execute("UPDATE missing SET since = ? WHERE since > ?", (now, now))
        ((since,),) = self._read(
            "SELECT since FROM missing WHERE campaign = ? AND gradient = ?", (campaign, gradient)
        )
        return float(since)

    # ---------------------------------------------------------------- ledger

    def releases(self, campaign: int, epoch: int, kind: str) -> list[str]:
        """Return what the ledger says was released."""
        rows = self._read(
            "SELECT what FROM ledger WHERE campaign = ? AND epoch = ? AND kind = ? ORDER BY at",
            (campaign, epoch, kind),
        )
        return [str(row[0]) for row in rows]

    def add_release(self, campaign: int, epoch: int, kind: str, what: str) -> None:
        """Write a release into the ledger, before it leaves; the same one counts once."""
        with self.change() as db:
            db.execute(
                "INSERT OR IGNORE INTO ledger VALUES (?, ?, ?, ?, ?)",
                (campaign, epoch, kind, what, time.time()),
            )


def _pending(row: tuple[str, float, int, int]) -> Pending:
    facts = json.loads(row[0])
    return Pending(
        gradient=facts["gradient"],
        miner=facts["miner"],
        version=facts["version"],
        envelope=bytes.fromhex(facts["envelope"]),
        seen_at=float(row[1]),
        rank=int(row[3]),
    )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def open_read_only(folder: Path) -> State:
    """Open the state file for looking only: what the HTTP interface's process does."""
    path = (folder / STATE_FILE).resolve()
    try:
        return State(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10.0))
    except sqlite3.OperationalError as error:
        raise StateError(f"{path} cannot be read ({error})") from error


def _trouble(error: sqlite3.DatabaseError) -> StateError:
    """Tell a file that cannot be used now from one that is damaged."""
    if isinstance(error, sqlite3.OperationalError):
        return NotWritten(f"the state file cannot be written ({error}): is the disk full?")
    return _damaged("the state file", str(error))


def _damaged(which: str, why: str) -> StateError:
    return StateError(
        f"{which} is damaged ({why[:120]}): restore a backup with `openmined capsule restore`; "
        "what happened on chain since is read from the chain"
    )
