"""A campaign's history, folded from its events. Pure: knows neither chain nor store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from openmined.protocol import GradientStatus, Phase
from openmined.sonar._events import (
    BatchScored,
    BondReclaimed,
    BountyToppedUp,
    CampaignCancelled,
    CampaignDelivered,
    CampaignExpired,
    CampaignLaunched,
    CampaignOpened,
    CampaignRejected,
    GradientScored,
    GradientSubmitted,
    KeysRotated,
    SonarEvent,
)
from openmined.sonar._types import NO_MODEL, Terms


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """A key epoch: its number and the digest of the keys manifest."""

    epoch: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A model version: its number, its key epoch and the digest of the model manifest."""

    version: int
    epoch: int
    digest: bytes
    event: SonarEvent = field(repr=False, compare=False)


@dataclass(slots=True)
class GradientRecord:
    """One gradient from submission to payment."""

    submitted: GradientSubmitted
    scored: GradientScored | None = None
    reclaimed: BondReclaimed | None = None

    @property
    def status(self) -> GradientStatus:
        """What became of it."""
        if self.reclaimed:
            return GradientStatus.RECLAIMED
        if self.scored is None:
            return GradientStatus.PENDING
        return GradientStatus.REJECTED if self.scored.reason else GradientStatus.SCORED


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One scored batch, with what was true before it."""

    event: BatchScored
    scores: tuple[GradientScored, ...]
    best_before_ppm: int
    bounty_before: int
    model_before: bytes
    version_before: int


@dataclass(slots=True)
class History:
    """Everything the events of one campaign tell.

    `faults` names events that cannot follow from those before them: a node that lies or forgets.
    """

    events: list[SonarEvent] = field(default_factory=list)
    launched: CampaignLaunched | None = None
    phase: Phase = Phase.NONE
    bounty: int = 0
    start_ppm: int = 0
    best_ppm: int = 0
    accuracy_ppm: int = 0
    version: int = 0
    keys: list[PublishedKeys] = field(default_factory=list)
    models: list[PublishedModel] = field(default_factory=list)
    gradients: dict[int, GradientRecord] = field(default_factory=dict)
    batches: list[BatchRecord] = field(default_factory=list)
    delivered: CampaignDelivered | None = None
    ending: SonarEvent | None = None
    refund: int = 0
    faults: list[str] = field(default_factory=list)
    _scores: list[GradientScored] = field(default_factory=list)

    @property
    def terms(self) -> Terms:
        """The terms as launched."""
        assert self.launched is not None
        return self.launched.terms

    @property
    def paid(self) -> int:
        """What miners were credited, bonds not counted."""
        return sum(batch.event.paid for batch in self.batches)

    @property
    def pending(self) -> int:
        """Gradients neither scored nor reclaimed."""
        return sum(one.status == GradientStatus.PENDING for one in self.gradients.values())

    @property
    def fee(self) -> int:
        """What Capsule was credited on delivery."""
        return self.delivered.fee if self.delivered else 0


def fold_history(events: Iterable[SonarEvent]) -> History:
    """Fold a campaign's events, given in the order of the chain."""
    history = History()
    for event in events:
        history.events.append(event)
        _apply(history, event)
    if history._scores:  # noqa: SLF001 - of this module
        history.faults.append("gradients were scored in a batch that was never reported")
    return history


def _apply(history: History, event: SonarEvent) -> None:
    if isinstance(event, CampaignLaunched):
        history.launched = event
        history.phase, history.bounty = Phase.LAUNCHED, event.terms.bounty
    elif history.launched is None:
        history.faults.append(f"{event.name} came before the launch: read from an earlier block")
    elif isinstance(event, BountyToppedUp):
        if event.bounty != history.bounty + event.amount:
            history.faults.append(f"a top-up of {event.amount} does not lead to {event.bounty}")
        history.bounty = event.bounty
    elif isinstance(event, CampaignOpened | KeysRotated):
        _publish_keys(history, event)
    elif isinstance(event, GradientSubmitted):
        if event.gradient != len(history.gradients):
            history.faults.append(f"gradient {event.gradient} came out of turn")
        history.gradients[event.gradient] = GradientRecord(event)
    elif isinstance(event, GradientScored):
        _score(history, event)
    elif isinstance(event, BatchScored):
        _close_batch(history, event)
    elif isinstance(event, BondReclaimed):
        if event.gradient in history.gradients:
            history.gradients[event.gradient].reclaimed = event
    else:
        _end(history, event)


def _publish_keys(history: History, event: CampaignOpened | KeysRotated) -> None:
    if isinstance(event, CampaignOpened):
        history.phase = Phase.OPEN
        history.start_ppm = history.best_ppm = history.accuracy_ppm = event.accuracy_ppm
        history.version, epoch = 1, 1
    else:
        history.version, epoch = event.version, event.epoch
    history.keys.append(PublishedKeys(epoch, event.keys))
    history.models.append(PublishedModel(history.version, epoch, event.model, event))


def _score(history: History, event: GradientScored) -> None:
    record = history.gradients.get(event.gradient)
    if record is None or record.scored is not None or record.submitted.miner != event.miner:
        history.faults.append(
            f"batch {event.batch} scores gradient {event.gradient} of {event.miner}, "
            "which is not pending"
        )
    else:
        record.scored = event
    history._scores.append(event)  # noqa: SLF001 - of this module


def _close_batch(history: History, event: BatchScored) -> None:
    history.batches.append(
        BatchRecord(
            event,
            tuple(history._scores),  # noqa: SLF001 - of this module
            history.best_ppm,
            history.bounty,
            history.models[-1].digest if history.models else NO_MODEL,
            history.version,
        )
    )
    history._scores.clear()  # noqa: SLF001 - of this module
    history.best_ppm, history.bounty = event.best_ppm, event.bounty
    history.accuracy_ppm = event.accuracy_ppm
    history.version = event.version
    if event.model != NO_MODEL:
        epoch = history.keys[-1].epoch if history.keys else 0
        history.models.append(PublishedModel(event.version, epoch, event.model, event))


def _end(history: History, event: SonarEvent) -> None:
    history.ending = event
    if isinstance(event, CampaignDelivered):
        history.phase, history.delivered = Phase.DELIVERED, event
        history.refund = event.refund
    elif isinstance(event, CampaignRejected):
        history.phase, history.refund = Phase.REJECTED, event.refund
    elif isinstance(event, CampaignCancelled):
        history.phase, history.refund = Phase.CANCELLED, event.refund
    elif isinstance(event, CampaignExpired):
        history.phase, history.refund = Phase.EXPIRED, event.refund
