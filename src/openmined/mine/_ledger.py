"""The ledger: what the mine saw, decided, sent and earned. One SQLite file, written ahead (WAL).

Its tables are documented in docs/mine-folder.md: another mine, in another language, goes on with
the same file. Amounts are decimal text, digests and addresses hexadecimal, times ISO 8601 in UTC.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openmined.mine._errors import DiskFull, LedgerDamaged
from openmined.mine._permissions import Answer, Decision
from openmined.mine._steps import FINAL_STEPS, Step

LEDGER_VERSION = 1

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE events (
    block INTEGER NOT NULL, log_index INTEGER NOT NULL, block_hash TEXT NOT NULL,
    tx TEXT NOT NULL, name TEXT NOT NULL, campaign INTEGER, arguments TEXT NOT NULL,
    PRIMARY KEY (block, log_index)) STRICT;
CREATE INDEX events_by_campaign ON events (campaign);
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, campaign INTEGER NOT NULL, dataset TEXT NOT NULL,
    verdict TEXT NOT NULL, causes TEXT NOT NULL) STRICT;
CREATE INDEX decisions_by_campaign ON decisions (campaign, dataset);
CREATE TABLE campaigns (campaign INTEGER PRIMARY KEY, spec TEXT NOT NULL, title TEXT) STRICT;
CREATE TABLE answers (
    campaign INTEGER NOT NULL, dataset TEXT NOT NULL, answer TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (campaign, dataset)) STRICT;
CREATE TABLE submissions (
    campaign INTEGER NOT NULL, version INTEGER NOT NULL, step TEXT NOT NULL, at TEXT NOT NULL,
    datasets TEXT NOT NULL, epoch INTEGER NOT NULL, left_mine INTEGER NOT NULL DEFAULT 0,
    samples INTEGER, envelope TEXT, nonce INTEGER, tx TEXT, gradient INTEGER, bond TEXT,
    share_ppm INTEGER, payout TEXT, bond_returned TEXT, reason INTEGER, problem TEXT,
    PRIMARY KEY (campaign, version)) STRICT;
CREATE TABLE privacy (
    dataset TEXT NOT NULL, campaign INTEGER NOT NULL, epsilon REAL NOT NULL, delta REAL NOT NULL,
    at TEXT NOT NULL, PRIMARY KEY (dataset, campaign)) STRICT;
CREATE TABLE withdrawals (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, token TEXT NOT NULL, state TEXT NOT NULL,
    amount TEXT, tx TEXT, problem TEXT) STRICT;
"""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event of the contract, as the ledger keeps it."""

    block: int
    log_index: int
    block_hash: str
    tx: str
    name: str
    campaign: int | None
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision as it was taken, and the owner's latest word on the same campaign and dataset."""

    id: int
    at: str
    campaign: int
    dataset: str
    verdict: str
    causes: tuple[Mapping[str, str], ...]
    answer: Answer

    @property
    def waits_for_owner(self) -> bool:
        """Whether the owner was asked and has said nothing yet."""
        return self.verdict == "ask" and self.answer == "none"

    @property
    def text(self) -> str:
        """The reasons as one line."""
        return "; ".join(cause["text"] for cause in self.causes)


@dataclass(frozen=True, slots=True)
class Submission:
    """The work on one gradient: (campaign, version) is claimed once."""

    campaign: int
    version: int
    step: Step
    at: str
    datasets: tuple[str, ...]
    epoch: int
    left_mine: bool
    samples: int | None
    envelope: str | None
    nonce: int | None
    tx: str | None
    gradient: int | None
    bond: int | None
    share_ppm: int | None
    payout: int | None
    bond_returned: int | None
    reason: int | None
    problem: str | None

    @property
    def final(self) -> bool:
        """Whether nothing more will come of it."""
        return self.step in FINAL_STEPS


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A request to be paid out, and what became of it: `asked`, `sending`, `done`, `failed`."""

    id: int
    at: str
    token: str
    state: str
    amount: int | None
    tx: str | None
    problem: str | None


class Ledger:
    """A connection to the ledger. Each process and thread opens its own."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the ledger, or make it.

        Raises:
            LedgerDamaged: if it is missing, unreadable, or of another version.
        """
        self.path = path
        if not create and not path.is_file():
            raise LedgerDamaged(f"{path} is missing: restore it with `openmined mine restore`")
        with self._guarded():
            self._db = sqlite3.connect(path, timeout=20, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and create:
                self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = 1; COMMIT;")
                version = LEDGER_VERSION
        if version != LEDGER_VERSION:
            raise LedgerDamaged(
                f"{path} is of version {version}, this software reads {LEDGER_VERSION}: "
                "update openmined, or restore the ledger from a backup"
            )

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def check(self) -> None:
        """Look the whole file over.

        Raises:
            LedgerDamaged: if SQLite finds it damaged.
        """
        with self._guarded():
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise LedgerDamaged(f"{self.path} is damaged ({found}): restore it from a backup")

    def changes(self) -> int:
        """Return a number that changes when another connection wrote to the ledger."""
        row = self._one("PRAGMA data_version", ())
        return 0 if row is None else int(row[0])

    # --- facts about the folder -----------------------------------------------------------------

    def meta(self, key: str) -> str | None:
        """Return a fact noted by name."""
        row = self._one("SELECT value FROM meta WHERE key = ?", (key,))
        return None if row is None else str(row["value"])

    def set_meta(self, key: str, value: str) -> None:
        """Note a fact by name."""
        self._write("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # --- the chain ------------------------------------------------------------------------------

    def cursor(self) -> str | None:
        """Return where the event cursor stood (its own JSON)."""
        return self.meta("cursor")

    def apply_poll(
        self, events: Iterable[StoredEvent], rolled_back_to: int | None, cursor: str
    ) -> None:
        """Store what one look at the chain brought, with the cursor, in one transaction.

        `rolled_back_to`: blocks above it were replaced, and their events are forgotten first.
        """
        rows = [
            (e.block, e.log_index, e.block_hash, e.tx, e.name, e.campaign, json.dumps(e.arguments))
            for e in events
        ]
        with self._transaction() as db:
            if rolled_back_to is not None:
                db.execute("DELETE FROM events WHERE block > ?", (rolled_back_to,))
            db.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            db.execute("INSERT OR REPLACE INTO meta VALUES ('cursor', ?)", (cursor,))

    def events(self, campaign: int | None = None) -> list[StoredEvent]:
        """Return stored events in the order of the chain."""
        where, values = ("", ()) if campaign is None else (" WHERE campaign = ?", (campaign,))
        rows = self._all(f"SELECT * FROM events{where} ORDER BY block, log_index", values)  # noqa: S608
        return [StoredEvent(**{**dict(r), "arguments": json.loads(r["arguments"])}) for r in rows]

    # --- decisions ------------------------------------------------------------------------------

    def record_decision(self, campaign: int, dataset: str, decision: Decision) -> bool:
        """Write a decision down, unless the last one on the pair says the same."""
        causes = json.dumps([cause.model_dump() for cause in decision.causes], ensure_ascii=False)
        last = self._one(
            "SELECT verdict, causes FROM decisions WHERE campaign = ? AND dataset = ? "
            "ORDER BY id DESC LIMIT 1",
            (campaign, dataset),
        )
        if last is not None and (last["verdict"], last["causes"]) == (decision.verdict, causes):
            return False
        self._write(
            "INSERT INTO decisions (at, campaign, dataset, verdict, causes) VALUES (?, ?, ?, ?, ?)",
            (now_text(), campaign, dataset, decision.verdict, causes),
        )
        return True

    def decisions(self, *, limit: int = 1000, latest: bool = False) -> list[DecisionRecord]:
        """Return decisions, the newest first; `latest` keeps one per campaign and dataset."""
        inner = "SELECT max(id) FROM decisions GROUP BY campaign, dataset"
        where = f"WHERE id IN ({inner})" if latest else ""
        rows = self._all(
            "SELECT decisions.*, coalesce(answer, 'none') AS answer "  # noqa: S608
            "FROM decisions LEFT JOIN answers USING (campaign, dataset) "
            f"{where} ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [
            DecisionRecord(**{**dict(row), "causes": tuple(json.loads(row["causes"]))})
            for row in rows
        ]

    def remember_campaign(self, campaign: int, spec: str) -> bool:
        """Remember which campaign has a number; tell whether it was another one before.

        A reorganisation can give a number to another campaign. What was decided, answered, sent
        and charged for the former one is then kept under a negative number: an approval must not
        pass from one campaign to another.
        """
        with self._transaction() as db:
            row = db.execute(
                "SELECT spec FROM campaigns WHERE campaign = ?", (campaign,)
            ).fetchone()
            replaced = row is not None and row["spec"] != spec
            if replaced:
                lowest = db.execute("SELECT min(campaign) AS low FROM campaigns").fetchone()["low"]
                retired = min(lowest, 0) - 1
                for table in ("campaigns", "decisions", "answers", "submissions", "privacy"):
                    db.execute(
                        f"UPDATE {table} SET campaign = ? WHERE campaign = ?",  # noqa: S608
                        (retired, campaign),
                    )
                db.execute(
                    "UPDATE submissions SET step = ?, problem = ? "
                    "WHERE campaign = ? AND step NOT IN (?, ?)",
                    (Step.FAILED, "a reorganisation took the campaign", retired, *FINAL_STEPS),
                )
            db.execute(
                "INSERT OR IGNORE INTO campaigns (campaign, spec) VALUES (?, ?)", (campaign, spec)
            )
        return replaced

    def note_title(self, campaign: int, title: str) -> None:
        """Remember what a campaign calls itself."""
        self._write("UPDATE campaigns SET title = ? WHERE campaign = ?", (title, campaign))

    def titles(self) -> dict[int, str]:
        """Return the campaigns' titles, as far as their manifests were read."""
        rows = self._all("SELECT * FROM campaigns WHERE title IS NOT NULL", ())
        return {row["campaign"]: row["title"] for row in rows}

    def give_answer(self, campaign: int, dataset: str, answer: Answer) -> None:
        """Write down what the owner answers about a campaign and a dataset."""
        self._write(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
            (campaign, dataset, answer, now_text()),
        )

    def answer(self, campaign: int, dataset: str) -> Answer:
        """Return the owner's answer."""
        row = self._one(
            "SELECT answer FROM answers WHERE campaign = ? AND dataset = ?", (campaign, dataset)
        )
        found: Answer = "none" if row is None else row["answer"]
        return found

    # --- submissions ----------------------------------------------------------------------------

    def claim(self, campaign: int, version: int, epoch: int, datasets: Sequence[str]) -> Submission:
        """Claim a campaign's version for one gradient: the intent before anything else."""
        self._write(
            "INSERT INTO submissions (campaign, version, step, at, datasets, epoch) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (campaign, version, Step.INTENDED, now_text(), json.dumps(list(datasets)), epoch),
        )
        found = self.submission(campaign, version)
        assert found is not None
        return found

    def advance(self, campaign: int, version: int, step: Step, **facts: Any) -> Submission:
        """Write down the next step of a submission, with what is known by then."""
        unknown = set(facts) - _FACTS
        assert not unknown, unknown
        values = {**facts, "step": step.value, "at": now_text()}
        for name in ("bond", "payout", "bond_returned"):
            if values.get(name) is not None:
                values[name] = str(values[name])
        if "datasets" in values:
            values["datasets"] = json.dumps(list(values["datasets"]))
        columns = ", ".join(f"{name} = ?" for name in values)
        self._write(
            f"UPDATE submissions SET {columns} WHERE campaign = ? AND version = ?",  # noqa: S608
            (*values.values(), campaign, version),
        )
        found = self.submission(campaign, version)
        assert found is not None
        return found

    def submission(self, campaign: int, version: int) -> Submission | None:
        """Return the work on one gradient."""
        row = self._one(
            "SELECT * FROM submissions WHERE campaign = ? AND version = ?", (campaign, version)
        )
        return None if row is None else _submission(row)

    def submissions(self, campaign: int | None = None) -> list[Submission]:
        """Return all submissions in the order of their campaigns and versions."""
        where, values = ("", ()) if campaign is None else (" WHERE campaign = ?", (campaign,))
        rows = self._all(
            f"SELECT * FROM submissions{where} ORDER BY campaign, version",  # noqa: S608
            values,
        )
        return [_submission(row) for row in rows]

    def rounds(self, campaign: int, dataset: str) -> int:
        """Count the gradients of a dataset that have left, or were about to leave, the mine."""
        return sum(
            dataset in submission.datasets and submission.left_mine
            for submission in self.submissions(campaign)
        )

    # --- privacy --------------------------------------------------------------------------------

    def charge_privacy(self, dataset: str, campaign: int, epsilon: float, delta: float) -> None:
        """Charge a campaign's release to a dataset; a second time it changes nothing."""
        self._write(
            "INSERT OR IGNORE INTO privacy VALUES (?, ?, ?, ?, ?)",
            (dataset, campaign, epsilon, delta, now_text()),
        )

    def epsilon_spent(self, dataset: str) -> float:
        """Return the epsilon charged to a dataset over all campaigns (basic composition)."""
        row = self._one("SELECT total(epsilon) AS spent FROM privacy WHERE dataset = ?", (dataset,))
        return float(row["spent"]) if row is not None else 0.0

    def privacy_paid(self, dataset: str, campaign: int) -> bool:
        """Tell whether a campaign was charged to a dataset already."""
        query = "SELECT 1 FROM privacy WHERE dataset = ? AND campaign = ?"
        return self._one(query, (dataset, campaign)) is not None

    # --- withdrawals ----------------------------------------------------------------------------

    def ask_withdrawal(self, token: str) -> Withdrawal:
        """Ask the running mine to be paid out in a token; an open request is returned as it is."""
        with self._transaction() as db:
            row = db.execute(
                "SELECT * FROM withdrawals WHERE token = ? AND state IN ('asked', 'sending')",
                (token,),
            ).fetchone()
            if row is None:
                done = db.execute(
                    "INSERT INTO withdrawals (at, token, state) VALUES (?, ?, 'asked')",
                    (now_text(), token),
                )
                row = db.execute(
                    "SELECT * FROM withdrawals WHERE id = ?", (done.lastrowid,)
                ).fetchone()
        return _withdrawal(row)

    def update_withdrawal(self, number: int, state: str, **facts: Any) -> Withdrawal:
        """Write down what became of a request."""
        unknown = set(facts) - {"amount", "tx", "problem"}
        assert not unknown, unknown
        if facts.get("amount") is not None:
            facts["amount"] = str(facts["amount"])
        values = {**facts, "state": state}
        columns = ", ".join(f"{name} = ?" for name in values)
        self._write(
            f"UPDATE withdrawals SET {columns} WHERE id = ?",  # noqa: S608
            (*values.values(), number),
        )
        row = self._one("SELECT * FROM withdrawals WHERE id = ?", (number,))
        assert row is not None
        return _withdrawal(row)

    def withdrawals(self) -> list[Withdrawal]:
        """Return all requests, the newest first."""
        return [
            _withdrawal(row) for row in self._all("SELECT * FROM withdrawals ORDER BY id DESC", ())
        ]

    # --- SQLite ---------------------------------------------------------------------------------

    def _one(self, query: str, values: Sequence[Any]) -> sqlite3.Row | None:
        with self._guarded():
            row: sqlite3.Row | None = self._db.execute(query, values).fetchone()
            return row

    def _all(self, query: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        with self._guarded():
            return self._db.execute(query, values).fetchall()

    def _write(self, query: str, values: Sequence[Any]) -> None:
        with self._guarded():
            self._db.execute(query, values)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guarded():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise DiskFull(
                    f"the disk of {self.path.parent} is full: free some space; the mine goes on "
                    "where it stood"
                ) from error
            raise LedgerDamaged(f"{self.path} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise LedgerDamaged(
                f"{self.path} is damaged ({error}): restore it with `openmined mine restore`"
            ) from error


_FACTS = {
    "datasets", "left_mine", "samples", "envelope", "nonce", "tx", "gradient", "bond", "share_ppm",
    "payout", "bond_returned", "reason", "problem",
}  # fmt: skip


def _submission(row: sqlite3.Row) -> Submission:
    value = dict(row)
    for name in ("bond", "payout", "bond_returned"):
        value[name] = None if value[name] is None else int(value[name])
    value["datasets"] = tuple(json.loads(value["datasets"]))
    value["left_mine"] = bool(value["left_mine"])
    value["step"] = Step(value["step"])
    return Submission(**value)


def _withdrawal(row: sqlite3.Row) -> Withdrawal:
    value = dict(row)
    value["amount"] = None if value["amount"] is None else int(value["amount"])
    return Withdrawal(**value)


def now_text() -> str:
    """Return the time as the ledger writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
