"""Where a campaign stands, what it has spent, and who is being waited for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from openmined.protocol import Phase, ppm_to_percent
from openmined.sonar._currency import Currency
from openmined.sonar._events import SonarEvent
from openmined.sonar._history import History


class Waiting(StrEnum):
    """For whom a campaign waits."""

    CAPSULE_TO_OPEN = "capsule-to-open"
    MINES = "mines"
    CAPSULE_TO_SCORE = "capsule-to-score"
    CAPSULE_TO_DELIVER = "capsule-to-deliver"
    ANYBODY_TO_EXPIRE = "anybody-to-expire"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a campaign stood after one event.

    Attributes:
        event: the event that brought it there, None when only time passed.
        phase: of the campaign.
        accuracy_ppm: as last reported.
        best_ppm: paid for so far.
        target_ppm: wanted.
        version: of the model.
        gradients: submitted so far.
        pending: not scored yet.
        bounty: the whole, top-ups and lost bonds included.
        paid: credited to miners.
        currency: of the amounts.
        waiting: for whom.
        until: unix seconds until which they have time; 0 when that is over or nobody is waited for.
        rolled_back: whether the chain took back events that were shown before this one.
    """

    event: SonarEvent | None
    phase: Phase
    accuracy_ppm: int
    best_ppm: int
    target_ppm: int
    version: int
    gradients: int
    pending: int
    bounty: int
    paid: int
    currency: Currency
    waiting: Waiting
    until: int
    rolled_back: bool = False

    def __str__(self) -> str:
        what = _NAMES.get(self.event.name, self.event.name) if self.event else "no change"
        spent = self.currency.write(self.paid)
        return (
            f"{what}: {self.phase.name.lower()}, accuracy {ppm_to_percent(self.best_ppm)} of "
            f"{ppm_to_percent(self.target_ppm)}, spent {spent}, waiting for {describe(self)}"
        )


@dataclass(frozen=True, slots=True)
class ProgressPoint:
    """One step of a campaign's accuracy: its opening (batch 0) or a scored batch."""

    batch: int
    timestamp: int
    accuracy_ppm: int
    best_ppm: int
    paid: int
    """In all up to here."""
    version: int
    gradients: int


@dataclass(frozen=True, slots=True)
class Spend:
    """Where a campaign's money is. bounty + topped_up + forfeited = paid + fee + refund + unspent.

    Attributes:
        currency: of all amounts.
        bounty: as launched, the fee included.
        topped_up: added later.
        forfeited: bonds that miners lost to the bounty.
        paid: to miners.
        fee: to Capsule.
        refund: back to the data scientist at the end.
        unspent: still in trust.
        by_miner: what each was paid, bonds not counted.
    """

    currency: Currency
    bounty: int
    topped_up: int
    forfeited: int
    paid: int
    fee: int
    refund: int
    unspent: int
    by_miner: dict[str, int]

    def __str__(self) -> str:
        parts = ("bounty", "topped_up", "forfeited", "paid", "fee", "refund", "unspent")
        amounts = {name: getattr(self, name) for name in parts}
        return ", ".join(
            f"{name.replace('_', ' ')} {self.currency.write(amount)}"
            for name, amount in amounts.items()
            if amount
        )


def measure_progress(
    history: History,
    now: int,
    *,
    currency: Currency | None = None,
    event: SonarEvent | None = None,
    rolled_back: bool = False,
) -> Progress:
    """Say where a campaign stands at unix time `now`; without a currency, in smallest units."""
    terms = history.terms
    waiting, until = find_waiting(history, now)
    return Progress(
        event=event,
        phase=history.phase,
        accuracy_ppm=history.accuracy_ppm,
        best_ppm=history.best_ppm,
        target_ppm=terms.target_ppm,
        version=history.version,
        gradients=len(history.gradients),
        pending=history.pending,
        bounty=history.bounty,
        paid=history.paid,
        currency=currency or Currency.undescribed(terms.token),
        waiting=waiting,
        until=until,
        rolled_back=rolled_back,
    )


def find_waiting(history: History, now: int) -> tuple[Waiting, int]:
    """Say who is to act next, and until when."""
    terms = history.terms
    closes_at = terms.deadline + terms.grace
    if history.phase.final:
        return Waiting.NOBODY, 0
    if now > closes_at:
        return Waiting.ANYBODY_TO_EXPIRE, 0
    if history.phase == Phase.LAUNCHED:
        # After the deadline it can no longer be opened, but only expired, after the grace.
        return Waiting.CAPSULE_TO_OPEN, terms.deadline if now < terms.deadline else closes_at
    if history.best_ppm >= terms.target_ppm:
        return Waiting.CAPSULE_TO_DELIVER, closes_at
    if history.pending:
        return Waiting.CAPSULE_TO_SCORE, closes_at
    if now >= terms.deadline or len(history.gradients) >= terms.max_gradients:
        return Waiting.CAPSULE_TO_DELIVER, closes_at
    return Waiting.MINES, terms.deadline


def trace_progress(history: History) -> list[ProgressPoint]:
    """Return the steps of a campaign's accuracy, the opening first."""
    points: list[ProgressPoint] = []
    if history.models:
        opening = history.models[0].event
        points.append(
            ProgressPoint(0, opening.timestamp, history.start_ppm, history.start_ppm, 0, 1, 0)
        )
    paid = gradients = 0
    for batch in history.batches:
        event = batch.event
        paid += event.paid
        gradients += len(batch.scores)
        points.append(
            ProgressPoint(
                event.batch,
                event.timestamp,
                event.accuracy_ppm,
                event.best_ppm,
                paid,
                event.version,
                gradients,
            )
        )
    return points


def measure_spend(history: History, currency: Currency | None = None) -> Spend:
    """Say where the money is; without a currency, in smallest units."""
    by_miner: dict[str, int] = {}
    for record in history.gradients.values():
        if record.scored is not None and record.scored.payout:
            miner = record.scored.miner
            by_miner[miner] = by_miner.get(miner, 0) + record.scored.payout
    forfeited = sum(batch.event.forfeited for batch in history.batches)
    launched = history.terms.bounty
    unspent = 0 if history.phase.final else history.bounty - history.paid
    return Spend(
        currency=currency or Currency.undescribed(history.terms.token),
        bounty=launched,
        topped_up=history.bounty - launched - forfeited,
        forfeited=forfeited,
        paid=history.paid,
        fee=history.fee,
        refund=history.refund,
        unspent=unspent,
        by_miner=by_miner,
    )


def describe(progress: Progress) -> str:
    """Say for people who is waited for."""
    return {
        Waiting.CAPSULE_TO_OPEN: "Capsule to open the campaign",
        Waiting.MINES: "mines to submit gradients",
        Waiting.CAPSULE_TO_SCORE: f"Capsule to score {progress.pending} gradient(s)",
        Waiting.CAPSULE_TO_DELIVER: "Capsule to deliver the model",
        Waiting.ANYBODY_TO_EXPIRE: "anybody to expire it: Capsule has let its time pass",
        Waiting.NOBODY: "nobody",
    }[progress.waiting]


_NAMES = {
    "CampaignLaunched": "launched",
    "CampaignOpened": "opened",
    "GradientSubmitted": "gradient submitted",
    "GradientScored": "gradient scored",
    "BatchScored": "batch scored",
    "BountyToppedUp": "topped up",
    "KeysRotated": "keys rotated",
    "CampaignDelivered": "delivered",
    "CampaignExpired": "expired",
    "CampaignCancelled": "cancelled",
    "CampaignRejected": "rejected by Capsule",
    "BondReclaimed": "bond reclaimed",
}
