"""Usage reports: what mines choose to say of themselves, signed, and published only in sums.

A report counts records by schema for one day, signed by the mine's key (EIP-712). Only mines that
have submitted a gradient are heard, so that inventing mines costs what mining costs. What is
published is the sum over at least `threshold` mines, over complete days, to two significant digits:
one mine's coming or going is not read off a difference of sums.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from sqlalchemy import Connection, and_, delete, func, insert, select, update

from openmined.stats import _schema as schema
from openmined.stats._database import Database
from openmined.stats._errors import ReportRefused
from openmined.stats._indexer import read_settings
from openmined.stats._models import Model

DAY_S = 86_400
MAX_SEQUENCE = 24
"""A mine may correct a day's report this often."""

MAX_RECORDS = 10**10
KEPT_DAYS = 400
WINDOW_DAYS = 7
"""A mine that has not reported for so long is not counted any more."""

_PAST_DAYS = 7

Schema = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9\-]*/[a-z0-9][a-z0-9\-]*(@[1-9]\d{0,8})?$", max_length=160)
]
LowerAddress = Annotated[
    str,
    BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
    Field(pattern=r"^0x[0-9a-f]{40}$"),
]


class Records(Model):
    """How many records of one schema a mine holds."""

    schema_id: Schema = Field(alias="schema")
    count: int = Field(ge=1, le=MAX_RECORDS)

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class UsageReport(Model):
    """One mine's day.

    `sequence` grows with every correction; the same report may be sent any number of times.
    """

    chain_id: int = Field(ge=1, le=2**53 - 1)
    sonar: LowerAddress
    miner: LowerAddress
    day: int = Field(ge=0, le=10**6, description="Days since 1970-01-01, UTC.")
    sequence: int = Field(ge=1, le=MAX_SEQUENCE)
    software: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+\-]{0,63}$")
    records: list[Records] = Field(max_length=64)

    @model_validator(mode="after")
    def _distinct(self) -> UsageReport:
        twice = [n for n, c in Counter(r.schema_id for r in self.records).items() if c > 1]
        if twice:
            raise ValueError(f"schemas named twice: {', '.join(sorted(twice))}")
        return self

    def typed_data(self) -> dict[str, Any]:
        """Return what is signed (EIP-712)."""
        return {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "Records": [
                    {"name": "schema", "type": "string"},
                    {"name": "count", "type": "uint64"},
                ],
                "UsageReport": [
                    {"name": "miner", "type": "address"},
                    {"name": "day", "type": "uint64"},
                    {"name": "sequence", "type": "uint64"},
                    {"name": "software", "type": "string"},
                    {"name": "records", "type": "Records[]"},
                ],
            },
            "primaryType": "UsageReport",
            "domain": {
                "name": "OpenMined usage report",
                "version": "1",
                "chainId": self.chain_id,
                "verifyingContract": self.sonar,
            },
            "message": {
                "miner": self.miner,
                "day": self.day,
                "sequence": self.sequence,
                "software": self.software,
                "records": [{"schema": r.schema_id, "count": r.count} for r in self.records],
            },
        }

    def digest(self) -> str:
        """Return what tells two reports apart."""
        plain = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)
        return "0x" + hashlib.sha256(plain.encode()).hexdigest()


class SignedReport(Model):
    """A report and its mine's signature."""

    report: UsageReport
    signature: str = Field(pattern=r"^0x[0-9a-fA-F]{130}$", description="65 bytes: r, s, v.")


class Accepted(Model):
    """What became of a report."""

    outcome: str = Field(description="`new`, `replaced`, or `known` (sent before).")


def signer(report: UsageReport, signature: str) -> str | None:
    """Return the address that signed a report, or None if the signature is none."""
    # Imported here: it takes a third of a second, and only reports need it.
    from eth_account import Account
    from eth_account.messages import encode_typed_data

    raw = bytes.fromhex(signature[2:])
    if int.from_bytes(raw[32:64], "big") > _HALF_ORDER:
        return None  # EIP-2: of the two forms of a signature only one is taken
    try:
        message = encode_typed_data(full_message=report.typed_data())
        found = Account.recover_message(message, signature=raw)
    except Exception:  # noqa: BLE001 - the library raises a dozen kinds on malformed signatures
        return None
    return str(found).lower()


_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class Limiter:
    """Lets each caller through so many times a second, with a burst to begin with."""

    def __init__(
        self,
        *,
        burst: int = 30,
        per_s: float = 0.5,
        callers: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst = burst
        self._per_s = per_s
        self._callers = callers
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, caller: str) -> bool:
        """Whether this caller may pass now."""
        now = self._clock()
        left, since = self._left.pop(caller, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._per_s)
        admitted = left >= 1
        self._left[caller] = (left - 1 if admitted else left, now)
        if len(self._left) > self._callers:
            self._left.popitem(last=False)
        return admitted


@dataclass(frozen=True, slots=True)
class Inbox:
    """Takes reports in.

    Attributes:
        threshold: fewer mines than this are never summed.
        clock: unix time.
    """

    database: Database
    threshold: int = 5
    clock: Callable[[], float] = time.time

    @property
    def today(self) -> int:
        """Days since 1970."""
        return int(self.clock()) // DAY_S

    def accept(self, signed: SignedReport) -> Accepted:
        """Check a report and keep it.

        Raises:
            ReportRefused: saying why it is not taken.
        """
        report = signed.report
        today = self.today
        if not today - _PAST_DAYS <= report.day <= today + 1:
            raise ReportRefused(
                f"day {report.day} is not among the last {_PAST_DAYS} (today is {today})"
            )
        with self.database.reading() as connection:
            self._check_place(connection, report)
        if signer(report, signed.signature) != report.miner:
            raise ReportRefused(f"the signature is not {report.miner}'s", 403)
        with self.database.writing() as connection:
            return Accepted(outcome=self._keep(connection, report))

    def _check_place(self, connection: Connection, report: UsageReport) -> None:
        settings = read_settings(connection)
        here = (settings.get("chain_id"), settings.get("contract"))
        if (str(report.chain_id), report.sonar) != here:
            raise ReportRefused(
                f"the report is for chain {report.chain_id}, contract {report.sonar}; this service "
                f"is for chain {here[0]}, contract {here[1]}"
            )
        mine = schema.mines.c.address
        if connection.execute(select(mine).where(mine == report.miner)).scalar() is None:
            raise ReportRefused(
                f"{report.miner} has not submitted a gradient (that is indexed): only mines are "
                "heard",
                403,
            )

    def _keep(self, connection: Connection, report: UsageReport) -> str:
        r = schema.reports.c
        mine = and_(r.miner == report.miner, r.day == report.day)
        known = connection.execute(select(r.sequence, r.digest).where(mine)).one_or_none()
        if known is not None:
            if known == (report.sequence, report.digest()):
                return "known"
            if report.sequence <= known.sequence:
                raise ReportRefused(
                    f"a report of day {report.day} with sequence {known.sequence} is here already: "
                    "a correction needs a higher one",
                    409,
                )
        self._replace(connection, report)
        return "new" if known is None else "replaced"

    def _replace(self, connection: Connection, report: UsageReport) -> None:
        for table in (schema.reports, schema.report_records):
            connection.execute(
                delete(table).where(
                    (table.c.day < self.today - KEPT_DAYS)
                    | and_(table.c.miner == report.miner, table.c.day == report.day)
                )
            )
        key = {"miner": report.miner, "day": report.day}
        connection.execute(
            insert(schema.reports).values(
                **key,
                sequence=report.sequence,
                software=report.software,
                digest=report.digest(),
                received_at=int(self.clock()),
            )
        )
        if report.records:
            connection.execute(
                insert(schema.report_records),
                [{**key, "schema": r.schema_id, "records": r.count} for r in report.records],
            )
        connection.execute(
            update(schema.cursor).values(side_generation=schema.cursor.c.side_generation + 1)
        )


# ----------------------------------------------------------------------------------------- sums


class SchemaUsage(Model):
    """What mines say they hold of one schema."""

    schema_id: str
    mines: int
    records: int = Field(description="Two significant digits.")


class SoftwareUsage(Model):
    """How many mines run one version."""

    software: str
    mines: int


class Usage(Model):
    """What mines report, where enough of them do."""

    day: int = Field(description="The last day counted, in days since 1970.")
    window_days: int
    threshold: int = Field(description="Sums over fewer mines are not published.")
    mines: int | None = Field(description="That report; null below the threshold.")
    schemas: list[SchemaUsage]
    software: list[SoftwareUsage]


def two_digits(number: int) -> int:
    """Round to two significant digits.

    >>> two_digits(12_345), two_digits(96), two_digits(9_951)
    (12000, 96, 10000)
    """
    size: int = 10 ** max(0, len(str(number)) - 2)
    return (number + size // 2) // size * size


def read_usage(connection: Connection, day: int, threshold: int) -> Usage:
    """Sum the latest report of each mine in the window that ends with `day`."""
    r, c = schema.reports.c, schema.report_records.c
    latest = (
        select(r.miner, func.max(r.day).label("day"))
        .where(r.day <= day, r.day > day - WINDOW_DAYS)
        .group_by(r.miner)
        .subquery()
    )
    mines = connection.execute(select(func.count()).select_from(latest)).scalar_one()
    count = func.count()
    by_schema = connection.execute(
        select(c.schema, count, func.sum(c.records))
        .join(latest, and_(latest.c.miner == c.miner, latest.c.day == c.day))
        .group_by(c.schema)
        .having(count >= threshold)
        .order_by(count.desc(), c.schema)
    )
    by_software = connection.execute(
        select(r.software, count)
        .join(latest, and_(latest.c.miner == r.miner, latest.c.day == r.day))
        .group_by(r.software)
        .having(count >= threshold)
        .order_by(count.desc(), r.software)
    )
    return Usage(
        day=day,
        window_days=WINDOW_DAYS,
        threshold=threshold,
        mines=mines if mines >= threshold else None,
        schemas=[
            SchemaUsage(schema_id=name, mines=number, records=two_digits(int(records)))
            for name, number, records in by_schema
        ],
        software=[SoftwareUsage(software=name, mines=number) for name, number in by_software],
    )


def offered(usage: Usage) -> Mapping[str, tuple[int, int]]:
    """Return (mines, records) by schema."""
    return {entry.schema_id: (entry.mines, entry.records) for entry in usage.schemas}
