"""What Sonar must do, in plain Python: the same rules written a second time, without packing.

A call either changes the model and returns what it pays, or raises `Refused` with the reason that
the contract must give.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

PPM = 1_000_000
MAX_BATCH = 64
MAX_GRACE = 30 * 86_400
ETH = "0x" + "00" * 20

NONE, LAUNCHED, OPEN, DELIVERED, REJECTED, CANCELLED, EXPIRED = range(7)
PENDING, SCORED, DISMISSED, RECLAIMED = range(1, 5)

# How a token can behave; the numbers are Token.vy's.
BURNS_MORE = 11
TAKING_FAILS = {
    3: "Sonar: token took another amount",  # fee on transfer
    4: "Sonar: token said no",  # returns False
    5: "Sonar: token call failed",  # reverts
    6: "Sonar: token took another amount",  # says True, moves nothing
    7: "Sonar: token answered nonsense",
    8: "Sonar: token said no",
    10: "Sonar: token took another amount",  # the receiver gets more
    12: "Sonar: token has no balance",
    13: "Sonar: token balance is nonsense",
    14: "Sonar: token has no balance",  # balanceOf writes
}
GIVING_FAILS = {
    4: "Sonar: token said no",
    5: "Sonar: token call failed",
    6: "Sonar: token gave another amount",
    7: "Sonar: token answered nonsense",
    8: "Sonar: token said no",
    BURNS_MORE: "Sonar: token gave another amount",  # the sender loses more
    12: "Sonar: token has no balance",
    13: "Sonar: token balance is nonsense",
    14: "Sonar: token has no balance",  # balanceOf writes
}
MOODS = range(15)


class Refused(Exception):
    """The contract must revert, for this reason (None: without one)."""

    def __init__(self, reason: str | None):
        super().__init__(reason)
        self.reason = reason


def require(condition: bool, reason: str) -> None:
    if not condition:
        raise Refused(reason)


class Terms(NamedTuple):
    spec: bytes
    capsule: str
    token: str
    bounty: int
    fee: int
    bond: int
    start_ppm: int
    start_tolerance_ppm: int
    target_ppm: int
    min_improvement_ppm: int
    deadline: int
    grace: int
    max_gradients: int
    max_batch: int


@dataclass
class Gradient:
    miner: str
    version: int
    status: int = PENDING


@dataclass
class Campaign:
    data_scientist: str
    terms: Terms
    phase: int = LAUNCHED
    version: int = 0
    epoch: int = 0
    start_ppm: int = 0
    best_ppm: int = 0
    gradients: list[Gradient] = field(default_factory=list)
    batches: int = 0
    paid: int = 0

    @property
    def pending(self) -> int:
        return sum(gradient.status == PENDING for gradient in self.gradients)

    @property
    def unspent(self) -> int:
        return self.terms.bounty - self.paid if self.phase in (LAUNCHED, OPEN) else 0

    @property
    def end_of_grace(self) -> int:
        return self.terms.deadline + self.terms.grace

    def counts(self, accuracy_ppm: int) -> bool:
        """Whether a batch that reaches this accuracy is paid."""
        reached = min(accuracy_ppm, self.terms.target_ppm)
        gain = reached - self.best_ppm
        return gain >= self.terms.min_improvement_ppm or (
            gain > 0 and reached == self.terms.target_ppm
        )

    def seen(self) -> tuple[object, ...]:
        """As the view `campaign` shows it."""
        return (
            self.data_scientist,
            tuple(self.terms),
            self.phase,
            self.version,
            self.epoch,
            self.start_ppm,
            self.best_ppm,
            len(self.gradients),
            self.pending,
            self.batches,
            self.unspent,
            self.paid,
        )


class Score(NamedTuple):
    gradient: int
    share_ppm: int
    reason: int


class SonarModel:
    def __init__(self, sonar: str, now: int):
        self.sonar = sonar
        self.now = now
        self.campaigns: dict[int, Campaign] = {}
        self.nonces: dict[tuple[str, bytes], int] = {}
        self.credits: dict[tuple[str, str], int] = defaultdict(int)
        self.moods: dict[str, int] = {}
        self.eth_refusers: set[str] = set()

    # ------------------------------------------------------------------- books

    def escrow(self, token: str) -> int:
        """What the contract owes: unspent bounties, bonds of pending gradients, credits."""
        in_campaigns = sum(
            campaign.unspent + campaign.pending * campaign.terms.bond
            for campaign in self.campaigns.values()
            if campaign.terms.token == token
        )
        return in_campaigns + sum(c for (t, _), c in self.credits.items() if t == token)

    def _credit(self, token: str, account: str, amount: int) -> None:
        self.credits[token, account] += amount

    def _check_take(self, token: str, amount: int, value: int) -> None:
        if token == ETH:
            require(value == amount, "Sonar: wrong amount of ETH")
            return
        require(value == 0, "Sonar: ETH with a token")
        if amount and (reason := TAKING_FAILS.get(self.moods[token])):
            raise Refused(reason)

    def _known(self, number: int) -> Campaign:
        if number not in self.campaigns:
            raise Refused("Sonar: unknown campaign")
        return self.campaigns[number]

    def _require_capsule_may_act(self, campaign: Campaign, sender: str) -> None:
        require(sender == campaign.terms.capsule, "Sonar: not the capsule")
        require(campaign.phase == OPEN, "Sonar: not open")
        require(self.now <= campaign.end_of_grace, "Sonar: grace is over")

    def _end(self, campaign: Campaign, phase: int, fee: int = 0) -> int:
        refund = campaign.unspent - fee
        campaign.phase = phase
        self._credit(campaign.terms.token, campaign.data_scientist, refund)
        return refund

    # ------------------------------------------------------------------- calls

    def launch_campaign(self, nonce: bytes, terms: Terms, *, sender: str, value: int) -> int:
        t = terms
        require((sender, nonce) not in self.nonces, "Sonar: nonce used")
        require(t.capsule != ETH, "Sonar: no capsule")
        require(t.capsule != sender, "Sonar: capsule is the payer")
        require(t.bounty > 0, "Sonar: no bounty")
        require(t.bounty < 2**128, "Sonar: bounty too large")
        require(t.fee < t.bounty, "Sonar: fee not below bounty")
        require(t.bond < 2**96, "Sonar: bond too large")
        require(t.target_ppm <= PPM, "Sonar: target above 100 %")
        require(t.start_ppm < t.target_ppm, "Sonar: target not above start")
        require(t.start_tolerance_ppm <= PPM, "Sonar: tolerance above 100 %")
        require(t.min_improvement_ppm > 0, "Sonar: no improvement step")
        require(t.min_improvement_ppm <= PPM, "Sonar: step above 100 %")
        require(t.deadline > self.now, "Sonar: deadline in the past")
        require(t.deadline < 2**40, "Sonar: deadline too far")
        require(t.grace > 0, "Sonar: no grace")
        require(t.grace <= MAX_GRACE, "Sonar: grace too long")
        require(t.max_gradients > 0, "Sonar: no gradients allowed")
        require(t.max_gradients < 2**32, "Sonar: too many gradients")
        require(t.max_batch > 0, "Sonar: no batch allowed")
        require(t.max_batch <= MAX_BATCH, "Sonar: batches too large")
        require(t.bounty + t.bond * t.max_gradients < 2**128, "Sonar: bonds too large")
        self._check_take(t.token, t.bounty, value)
        number = len(self.campaigns) + 1
        self.campaigns[number] = Campaign(sender, terms)
        self.nonces[sender, nonce] = number
        return number

    def top_up(self, number: int, amount: int, *, sender: str, value: int) -> None:
        campaign = self._known(number)
        terms = campaign.terms
        require(campaign.phase in (LAUNCHED, OPEN), "Sonar: campaign has ended")
        require(self.now < terms.deadline, "Sonar: past the deadline")
        require(campaign.best_ppm < terms.target_ppm, "Sonar: target reached")
        require(amount > 0, "Sonar: no amount")
        lost_or_returned = len(campaign.gradients) - campaign.pending
        bonds = terms.bond * (terms.max_gradients - lost_or_returned)
        require(terms.bounty + bonds + amount < 2**128, "Sonar: amount too large")
        self._check_take(terms.token, amount, value)
        campaign.terms = terms._replace(bounty=terms.bounty + amount)

    def cancel_campaign(self, number: int, *, sender: str) -> None:
        campaign = self._known(number)
        require(sender == campaign.data_scientist, "Sonar: not the data scientist")
        require(campaign.phase == LAUNCHED, "Sonar: not awaiting the capsule")
        self._end(campaign, CANCELLED)

    def reject_campaign(self, number: int, reason: str, *, sender: str) -> None:
        campaign = self._known(number)
        require(sender == campaign.terms.capsule, "Sonar: not the capsule")
        require(campaign.phase == LAUNCHED, "Sonar: not awaiting the capsule")
        self._end(campaign, REJECTED)

    def open_campaign(
        self, number: int, keys: bytes, model: bytes, accuracy_ppm: int, *, sender: str
    ) -> None:
        campaign = self._known(number)
        terms = campaign.terms
        require(sender == terms.capsule, "Sonar: not the capsule")
        require(campaign.phase == LAUNCHED, "Sonar: not awaiting the capsule")
        require(self.now < terms.deadline, "Sonar: past the deadline")
        require(accuracy_ppm < terms.target_ppm, "Sonar: start not below target")
        off = accuracy_ppm - terms.start_ppm
        require(off <= terms.start_tolerance_ppm, "Sonar: start above the claim")
        require(-off <= terms.start_tolerance_ppm, "Sonar: start below the claim")
        campaign.phase = OPEN
        campaign.version = campaign.epoch = 1
        campaign.start_ppm = campaign.best_ppm = accuracy_ppm

    def submit_gradient(
        self, number: int, version: int, envelope: bytes, *, sender: str, value: int
    ) -> int:
        campaign = self._known(number)
        terms = campaign.terms
        require(campaign.phase == OPEN, "Sonar: not open")
        require(self.now < terms.deadline, "Sonar: past the deadline")
        require(campaign.best_ppm < terms.target_ppm, "Sonar: target reached")
        require(version >= 1, "Sonar: versions start at 1")
        require(version <= campaign.version, "Sonar: version not published")
        require(len(campaign.gradients) < terms.max_gradients, "Sonar: no gradients left")
        self._check_take(terms.token, terms.bond, value)
        campaign.gradients.append(Gradient(sender, version))
        return len(campaign.gradients) - 1

    def score_batch(
        self,
        number: int,
        batch: int,
        version: int,
        accuracy_ppm: int,
        model: bytes,
        receipt: bytes,
        scores: list[Score],
        *,
        sender: str,
    ) -> None:
        campaign = self._known(number)
        self._require_capsule_may_act(campaign, sender)
        require(accuracy_ppm <= PPM, "Sonar: accuracy above 100 %")
        require(len(scores) > 0, "Sonar: empty batch")
        require(len(scores) <= campaign.terms.max_batch, "Sonar: batch too large")
        require(batch == campaign.batches + 1, "Sonar: another batch is due")
        require(version == campaign.version, "Sonar: another version is current")
        seen: set[int] = set()
        for score in scores:
            known = score.gradient < len(campaign.gradients) and score.gradient not in seen
            pending = known and campaign.gradients[score.gradient].status == PENDING
            require(pending, "Sonar: gradient not pending")
            require(score.reason <= 255, "Sonar: unknown reason")
            require(score.share_ppm <= PPM, "Sonar: share above 100 %")
            rejected_share = score.reason != 0 and score.share_ppm != 0
            require(not rejected_share, "Sonar: share for a rejected gradient")
            seen.add(score.gradient)
        counts = campaign.counts(accuracy_ppm)
        due = PPM if counts else 0
        require(sum(score.share_ppm for score in scores) == due, "Sonar: wrong sum of shares")
        self._pay_batch(campaign, accuracy_ppm if counts else campaign.best_ppm, scores)
        campaign.version += model != bytes(32)
        campaign.batches += 1

    def _pay_batch(self, campaign: Campaign, accuracy_ppm: int, scores: list[Score]) -> None:
        terms = campaign.terms
        reached = min(accuracy_ppm, terms.target_ppm)
        total = (reached - campaign.best_ppm) * (terms.bounty - terms.fee) // terms.target_ppm
        for score in scores:
            gradient = campaign.gradients[score.gradient]
            payout = total * score.share_ppm // PPM
            loses_bond = 1 <= score.reason <= 127
            gradient.status = DISMISSED if score.reason else SCORED
            campaign.paid += payout
            if loses_bond:
                terms = terms._replace(bounty=terms.bounty + terms.bond)
            self._credit(terms.token, gradient.miner, payout + terms.bond * (not loses_bond))
        campaign.terms = terms
        campaign.best_ppm = reached

    def rotate_keys(
        self, number: int, version: int, keys: bytes, model: bytes, *, sender: str
    ) -> None:
        campaign = self._known(number)
        self._require_capsule_may_act(campaign, sender)
        require(version == campaign.version, "Sonar: another version is current")
        campaign.epoch += 1
        campaign.version += 1

    def deliver(self, number: int, batch: int, delivery: bytes, *, sender: str) -> None:
        campaign = self._known(number)
        terms = campaign.terms
        self._require_capsule_may_act(campaign, sender)
        full = len(campaign.gradients) == terms.max_gradients and campaign.pending == 0
        done = campaign.best_ppm >= terms.target_ppm or self.now >= terms.deadline or full
        require(done, "Sonar: not finished")
        require(batch == campaign.batches, "Sonar: not the last batch")
        self._end(campaign, DELIVERED, terms.fee)
        self._credit(terms.token, terms.capsule, terms.fee)

    def expire_campaign(self, number: int, *, sender: str) -> None:
        campaign = self._known(number)
        require(campaign.phase in (LAUNCHED, OPEN), "Sonar: campaign has ended")
        require(self.now > campaign.end_of_grace, "Sonar: grace not over")
        self._end(campaign, EXPIRED)

    def reclaim_bonds(self, number: int, gradients: list[int], *, sender: str) -> None:
        campaign = self._known(number)
        require(campaign.phase in (DELIVERED, EXPIRED), "Sonar: campaign has not ended")
        reclaimed = [
            campaign.gradients[index]
            for index in dict.fromkeys(gradients)
            if index < len(campaign.gradients) and campaign.gradients[index].status == PENDING
        ]
        require(len(reclaimed) > 0, "Sonar: no bond to reclaim")
        for gradient in reclaimed:
            gradient.status = RECLAIMED
            self._credit(campaign.terms.token, gradient.miner, campaign.terms.bond)

    def giving_fails(self, token: str, amount: int) -> str | None:
        mood = self.moods[token]
        if mood == BURNS_MORE and amount == self.escrow(token):
            return "Sonar: token call failed"  # nothing is left for it to burn, and it reverts
        return GIVING_FAILS.get(mood)

    def withdraw(self, token: str, *, sender: str) -> int:
        amount = self.credits[token, sender]
        require(amount > 0, "Sonar: no credit")
        if token == ETH:
            require(sender not in self.eth_refusers, "Sonar: account refused ETH")
        elif reason := self.giving_fails(token, amount):
            raise Refused(reason)
        self.credits[token, sender] = 0
        return amount
