"""Recomputes every payout of a campaign from the chain's events and the receipts on the store.

Nothing is trusted but arithmetic and sha2-256: the formula is evaluated outside of the contract,
each receipt is fetched by the digest on chain, and what it says is compared with the events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openmined.protocol import (
    PPM,
    CampaignManifest,
    OpenMinedError,
    Phase,
    Reason,
    ReceiptManifest,
    batch_payout_wei,
    share_payout_wei,
)
from openmined.sonar._contract import SonarContract
from openmined.sonar._events import GradientScored
from openmined.sonar._history import BatchRecord, History, fold_history
from openmined.sonar._types import NO_MODEL, CampaignState
from openmined.storage import Store, get_manifest


@dataclass(frozen=True, slots=True)
class PayoutCheck:
    """One gradient's payment, as on chain and as recomputed."""

    batch: int
    gradient: int
    miner: str
    share_ppm: int
    paid: int
    expected: int
    reason: int

    @property
    def follows(self) -> bool:
        """Whether the payment follows from what was published."""
        return self.paid == self.expected


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not follow. `batch` is None when it is about the campaign."""

    batch: int | None
    text: str

    def __str__(self) -> str:
        return f"batch {self.batch}: {self.text}" if self.batch else self.text


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found. It passes when nothing was found and every payout follows."""

    campaign: int
    phase: Phase
    batches: int
    payouts: tuple[PayoutCheck, ...]
    findings: tuple[Finding, ...]
    paid: int
    receipts: int
    """Receipts that were fetched and read."""

    @property
    def ok(self) -> bool:
        """Whether everything follows from what was published."""
        return not self.findings and all(payout.follows for payout in self.payouts)

    @property
    def bad_batches(self) -> tuple[int, ...]:
        """The batches in which something does not follow."""
        named = {finding.batch for finding in self.findings if finding.batch}
        return tuple(sorted(named | {p.batch for p in self.payouts if not p.follows}))

    def __str__(self) -> str:
        if self.ok:
            return (
                f"campaign {self.campaign}: all {len(self.payouts)} payouts of {self.batches} "
                "batches follow from chain and receipts"
            )
        return f"campaign {self.campaign}: " + "; ".join(map(str, self.findings))

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values; amounts as decimal text."""
        return {
            "campaign": self.campaign,
            "ok": self.ok,
            "phase": self.phase.name.lower(),
            "batches": self.batches,
            "receipts": self.receipts,
            "paid": str(self.paid),
            "bad_batches": list(self.bad_batches),
            "findings": [{"batch": one.batch, "text": one.text} for one in self.findings],
            "payouts": [
                {
                    "batch": payout.batch,
                    "gradient": payout.gradient,
                    "miner": payout.miner,
                    "share_ppm": payout.share_ppm,
                    "paid": str(payout.paid),
                    "expected": str(payout.expected),
                    "follows": payout.follows,
                    "reason": payout.reason,
                }
                for payout in self.payouts
            ],
        }


class _Audit:
    def __init__(self, contract: SonarContract, store: Store, history: History) -> None:
        self._contract = contract
        self._store = store
        self._history = history
        self._validation: str | None = None
        self.findings: list[Finding] = []
        self.payouts: list[PayoutCheck] = []
        self.receipts = 0

    def find(self, batch: int | None, text: str) -> None:
        self.findings.append(Finding(batch, text))

    def expect(self, batch: int | None, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.find(batch, f"{what} is {_shown(found)}, {_shown(wanted)} follows")

    def check_manifest(self) -> None:
        terms = self._history.terms
        try:
            manifest = get_manifest(self._store, terms.spec, CampaignManifest)
        except OpenMinedError as error:
            self.find(None, f"the campaign manifest cannot be read: {error}")
            return
        self.expect(None, "the manifest's target", manifest.target_ppm, terms.target_ppm)
        self.expect(None, "the manifest's start", manifest.start_ppm, terms.start_ppm)

    def check_batch(self, index: int, record: BatchRecord) -> None:
        number = record.event.batch
        self.expect(index + 1, "the batch's number", number, index + 1)
        self.check_money(record)
        self.check_receipt(record)

    def check_money(self, record: BatchRecord) -> None:
        """Recompute the batch's payment, shares, lost bonds and what stands afterwards."""
        event, terms, batch = record.event, self._history.terms, record.event.batch
        total = batch_payout_wei(
            bounty_wei=record.bounty_before,
            fee_wei=terms.fee,
            best_ppm=record.best_before_ppm,
            accuracy_ppm=event.accuracy_ppm,
            target_ppm=terms.target_ppm,
            min_improvement_ppm=terms.min_improvement_ppm,
        )
        counts = event.accuracy_ppm - record.best_before_ppm >= terms.min_improvement_ppm or (
            event.accuracy_ppm >= terms.target_ppm and event.accuracy_ppm > record.best_before_ppm
        )
        best = min(event.accuracy_ppm, terms.target_ppm) if counts else record.best_before_ppm
        self.expect(batch, "the best accuracy afterwards", event.best_ppm, best)
        shares = sum(score.share_ppm for score in record.scores)
        self.expect(batch, "the sum of its shares", shares, PPM if counts else 0)
        forfeited = 0
        for score in record.scores:
            expected = share_payout_wei(total, score.share_ppm)
            self.payouts.append(
                PayoutCheck(
                    batch,
                    score.gradient,
                    score.miner,
                    score.share_ppm,
                    score.payout,
                    expected,
                    score.reason,
                )
            )
            self.expect(batch, f"the payout of gradient {score.gradient}", score.payout, expected)
            forfeited += self.check_bond(score)
        paid = sum(score.payout for score in record.scores)
        self.expect(batch, "what it paid in all", event.paid, paid)
        self.expect(batch, "what it took of bonds", event.forfeited, forfeited)
        after = record.bounty_before + forfeited
        self.expect(batch, "the bounty afterwards", event.bounty, after)
        version = record.version_before + (event.model != NO_MODEL)
        self.expect(batch, "the model's version afterwards", event.version, version)

    def check_bond(self, score: GradientScored) -> int:
        """Compare the bond that came back; return what was lost of it."""
        bond = self._history.terms.bond
        loses = 0 < score.reason < Reason.STALE
        what = f"the bond given back for gradient {score.gradient}"
        self.expect(score.batch, what, score.bond_returned, 0 if loses else bond)
        if score.reason:
            what = f"the share of rejected gradient {score.gradient}"
            self.expect(score.batch, what, score.share_ppm, 0)
        return bond if loses else 0

    def check_receipt(self, record: BatchRecord) -> None:
        """Compare the receipt with the events."""
        event, batch = record.event, record.event.batch
        try:
            receipt = get_manifest(self._store, event.receipt, ReceiptManifest)
        except OpenMinedError as error:
            self.find(batch, f"its receipt cannot be read: {error}")
            return
        self.receipts += 1
        self.expect(batch, "the receipt's chain", receipt.chain.chain_id, self._contract.chain_id)
        sonar = self._contract.address.lower()
        self.expect(batch, "the receipt's contract", receipt.chain.sonar.lower(), sonar)
        self.expect(batch, "the receipt's campaign", receipt.campaign, event.campaign)
        self.expect(batch, "the receipt's batch", receipt.batch, batch)
        self.expect(batch, "the receipt's accuracy", receipt.accuracy_after_ppm, event.accuracy_ppm)
        before = receipt.accuracy_before_ppm
        self.expect(batch, "the receipt's accuracy before", before, record.best_before_ppm)
        parent = record.model_before.hex()
        self.expect(batch, "the receipt's parent model", receipt.parent_model, parent)
        model = None if event.model == NO_MODEL else event.model.hex()
        self.expect(batch, "the receipt's model", receipt.model, model)
        self._validation = self._validation or receipt.validation
        self.expect(batch, "the receipt's validation set", receipt.validation, self._validation)
        self.check_entries(record, receipt)

    def check_entries(self, record: BatchRecord, receipt: ReceiptManifest) -> None:
        """Compare the receipt's gradients with what was submitted and scored."""
        batch = record.event.batch
        entries = {entry.gradient: entry for entry in receipt.entries}
        scores = {score.gradient: score for score in record.scores}
        self.expect(batch, "the receipt's gradients", sorted(entries), sorted(scores))
        self.expect(batch, "how often gradients are named", len(receipt.entries), len(entries))
        for number in sorted(entries.keys() & scores.keys()):
            entry, score = entries[number], scores[number]
            what = f"in the receipt gradient {number}'s"
            self.expect(batch, f"{what} share", entry.share_ppm, score.share_ppm)
            self.expect(batch, f"{what} reason", entry.reason, score.reason)
            self.expect(batch, f"{what} miner", entry.miner.lower(), score.miner.lower())
            submitted = self._history.gradients.get(number)
            if submitted is not None:
                envelope = submitted.submitted.envelope.hex()
                self.expect(batch, f"{what} envelope", entry.envelope, envelope)
                version = submitted.submitted.version
                self.expect(batch, f"{what} version", entry.version, version)

    def check_end(self, state: CampaignState) -> None:
        """Compare the fold of all events with the contract's own state, and the end with both."""
        history = self._history
        self.expect(None, "the phase by the events", history.phase.name, state.phase.name)
        self.expect(None, "the bounty by the events", history.bounty, state.terms.bounty)
        self.expect(None, "what was paid by the events", history.paid, state.paid)
        self.expect(None, "the best accuracy by the events", history.best_ppm, state.best_ppm)
        self.expect(None, "the gradients by the events", len(history.gradients), state.gradients)
        self.expect(None, "the batches by the events", len(history.batches), state.batches)
        if not history.phase.final:
            return
        fee = history.terms.fee if history.phase == Phase.DELIVERED else 0
        self.expect(None, "Capsule's fee", history.fee, fee)
        refund = history.bounty - history.paid - fee
        self.expect(None, "the refund", history.refund, refund)


def audit_campaign(
    contract: SonarContract, store: Store, campaign: int, first_block: int = 0
) -> AuditReport:
    """Audit one campaign. Needs no key."""
    before = contract.head()
    state = contract.campaign(campaign)
    history = fold_history(contract.events(first_block, before[0], campaign))
    if contract.head() != before:  # it went on meanwhile: let state and events be of one moment
        history = fold_history(contract.events(first_block, campaign=campaign))
        state = contract.campaign(campaign)
    return audit_history(contract, store, history, state)


def audit_history(
    contract: SonarContract, store: Store, history: History, state: CampaignState
) -> AuditReport:
    """Audit a campaign's history against a state of the contract."""
    audit = _Audit(contract, store, history)
    for fault in history.faults:
        audit.find(None, fault)
    if history.launched is None:
        audit.find(None, "the launch is not among the events: read from an earlier block")
    else:
        audit.check_manifest()
        for index, record in enumerate(history.batches):
            audit.check_batch(index, record)
        audit.check_end(state)
    return AuditReport(
        campaign=state.id,
        phase=history.phase,
        batches=len(history.batches),
        payouts=tuple(audit.payouts),
        findings=tuple(audit.findings),
        paid=history.paid,
        receipts=audit.receipts,
    )


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 72 else text[:69] + "..."
