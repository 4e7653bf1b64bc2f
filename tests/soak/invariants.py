"""What must hold whatever happened, computed from the contract's events alone."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from openmined.protocol import PPM, Phase, Reason
from openmined.sonar import ETH, SonarContract, SonarEvent, Terms


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What became of one gradient of the batch that is being read, as its event says."""

    place: tuple[int, int]
    """Campaign and batch."""
    share_ppm: int
    payout: int
    forfeited: int


@dataclass
class Books:
    """The accounts of one contract, kept by folding its events; `faults` says what does not fit."""

    terms: dict[int, Terms] = field(default_factory=dict)
    bounty: Counter[int] = field(default_factory=Counter)
    paid: Counter[int] = field(default_factory=Counter)
    best: dict[int, int] = field(default_factory=dict)
    ended: dict[int, Phase] = field(default_factory=dict)
    bonds: dict[tuple[int, int], int] = field(default_factory=dict)
    """Of the gradients that are neither scored nor given back."""
    outcomes: Counter[tuple[int, int]] = field(default_factory=Counter)
    credit: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    shares: Counter[tuple[int, int]] = field(default_factory=Counter)
    earned: Counter[str] = field(default_factory=Counter)
    """Payouts by miner, over all tokens."""
    scored: int = 0
    paid_gradients: int = 0
    faults: list[str] = field(default_factory=list)
    _owner: dict[int, str] = field(default_factory=dict)
    _batches: Counter[int] = field(default_factory=Counter)
    _miners: dict[tuple[int, int], str] = field(default_factory=dict)
    """Who submitted each gradient: nobody else is credited for it."""
    _verdicts: list[_Verdict] = field(default_factory=list)

    def fold(self, events: Iterable[SonarEvent]) -> Books:
        """Take up events in order."""
        for event in events:
            words = re.findall("[A-Z][a-z]+", event.name)
            fold = getattr(self, "_on_" + "_".join(words).lower(), None)
            if fold is not None:
                fold(**event.arguments())
            else:
                self.faults.append(f"an unknown event {event.name}")
        return self

    def owed(self, token: str) -> int:
        """Return what the contract must hold of a token: bounties, bonds and credits."""
        bounties = sum(
            self.bounty[number] - self.paid[number]
            for number, terms in self.terms.items()
            if number not in self.ended and terms.token == token
        )
        bonds = sum(bond for (n, _), bond in self.bonds.items() if self.terms[n].token == token)
        return bounties + bonds + sum(self.credit[token].values())

    # ---------------------------------------------------------------------------------- one event

    def _on_campaign_launched(
        self, campaign: int, data_scientist: str, terms: Terms, **_: object
    ) -> None:
        self.terms[campaign] = terms
        self.bounty[campaign] = terms.bounty
        self._owner[campaign] = data_scientist

    def _on_bounty_topped_up(self, campaign: int, amount: int, **_: object) -> None:
        self.bounty[campaign] += amount

    def _on_campaign_opened(self, campaign: int, accuracy_ppm: int, **_: object) -> None:
        self.best[campaign] = accuracy_ppm

    def _on_keys_rotated(self, **_: object) -> None:
        """Moves no money."""

    def _on_gradient_submitted(self, campaign: int, miner: str, gradient: int, **_: object) -> None:
        self.bonds[campaign, gradient] = self.terms[campaign].bond
        self._miners[campaign, gradient] = miner

    def _on_gradient_scored(
        self,
        campaign: int,
        miner: str,
        gradient: int,
        batch: int,
        share_ppm: int,
        payout: int,
        reason: int,
        bond_returned: int,
    ) -> None:
        place = f"campaign {campaign}, gradient {gradient}"
        self._settle(campaign, gradient, miner)
        self.scored += 1
        self.paid_gradients += payout > 0
        self.shares[campaign, batch] += share_ppm
        self.earned[miner] += payout
        bond = self.bonds.pop((campaign, gradient), 0)
        kept = bond if 0 < reason < Reason.STALE else 0
        if bond_returned != bond - kept:
            self.faults.append(
                f"{place}: {bond_returned} of a bond of {bond} came back for reason {reason}"
            )
        if reason and (share_ppm or payout):
            self.faults.append(f"{place}: rejected for reason {reason}, and paid {payout}")
        self._verdicts.append(_Verdict((campaign, batch), share_ppm, payout, bond - bond_returned))
        self._credit(campaign, miner, payout + bond_returned)

    def _on_batch_scored(
        self,
        campaign: int,
        batch: int,
        accuracy_ppm: int,
        best_ppm: int,
        paid: int,
        forfeited: int,
        bounty: int,
        **_: object,
    ) -> None:
        terms, place = self.terms[campaign], f"campaign {campaign}, batch {batch}"
        best, verdicts, self._verdicts = self.best[campaign], self._verdicts, []
        due = best_after(accuracy_ppm, best, terms)
        if best_ppm != due:
            self.faults.append(f"{place}: the best is {best_ppm} ppm, {due} ppm after {best} ppm")
        self._batches[campaign] += 1
        if batch != self._batches[campaign]:
            self.faults.append(f"{place}: it is number {self._batches[campaign]}")
        if any(one.place != (campaign, batch) for one in verdicts):
            self.faults.append(f"{place}: it scored gradients of another batch")
        self._check_shares(place, self.shares[campaign, batch], counts=due > best)
        total = (due - best) * (self.bounty[campaign] - terms.fee) // terms.target_ppm
        for one in verdicts:
            worth = total * one.share_ppm // PPM
            if one.payout != worth:
                text = f"{one.share_ppm} ppm were paid {one.payout}, {worth} are due"
                self.faults.append(f"{place}: {text}")
        if paid != sum(one.payout for one in verdicts):
            self.faults.append(f"{place}: the payouts are not what was paid")
        if forfeited != sum(one.forfeited for one in verdicts):
            self.faults.append(f"{place}: the lost bonds are not what was forfeited")
        self.paid[campaign] += paid
        self.bounty[campaign] += forfeited
        if bounty != self.bounty[campaign]:
            text = f"the bounty is {bounty}, {self.bounty[campaign]} with its lost bonds"
            self.faults.append(f"{place}: {text}")
        self.best[campaign] = best_ppm

    def _on_campaign_cancelled(self, campaign: int, refund: int, **_: object) -> None:
        self._end(campaign, Phase.CANCELLED, 0, refund)

    def _on_campaign_rejected(self, campaign: int, refund: int, **_: object) -> None:
        self._end(campaign, Phase.REJECTED, 0, refund)

    def _on_campaign_delivered(self, campaign: int, fee: int, refund: int, **_: object) -> None:
        self._end(campaign, Phase.DELIVERED, fee, refund)

    def _on_campaign_expired(self, campaign: int, refund: int, **_: object) -> None:
        self._end(campaign, Phase.EXPIRED, 0, refund)

    def _on_bond_reclaimed(self, campaign: int, miner: str, gradient: int, amount: int) -> None:
        self._settle(campaign, gradient, miner)
        if amount != self.bonds.pop((campaign, gradient), 0):
            self.faults.append(f"campaign {campaign}, gradient {gradient}: another bond came back")
        self._credit(campaign, miner, amount)

    def _on_withdrawn(self, token: str, account: str, amount: int) -> None:
        if self.credit[token][account] != amount:
            self.faults.append(f"{account} withdrew {amount}, not {self.credit[token][account]}")
        self.credit[token][account] = 0

    # ---------------------------------------------------------------------------------- small

    def _check_shares(self, place: str, shares: int, *, counts: bool) -> None:
        if shares != (PPM if counts else 0):
            what = "counts" if counts else "does not count"
            self.faults.append(f"{place}: it {what}, and the shares sum to {shares} ppm")

    def _settle(self, campaign: int, gradient: int, miner: str) -> None:
        self.outcomes[campaign, gradient] += 1
        if self.outcomes[campaign, gradient] > 1:
            self.faults.append(f"campaign {campaign}: gradient {gradient} has two outcomes")
        if (campaign, gradient) not in self.bonds:
            self.faults.append(f"campaign {campaign}: gradient {gradient} was never submitted")
        elif self._miners[campaign, gradient] != miner:
            self.faults.append(f"campaign {campaign}: gradient {gradient} is another miner's")

    def _credit(self, campaign: int, account: str, amount: int) -> None:
        self.credit[self.terms[campaign].token][account] += amount

    def _end(self, campaign: int, phase: Phase, fee: int, refund: int) -> None:
        if campaign in self.ended:
            self.faults.append(f"campaign {campaign} ended twice")
        left = self.bounty[campaign] - self.paid[campaign]
        if fee + refund != left:
            self.faults.append(f"campaign {campaign}: {left} were left, {fee} + {refund} given out")
        self.ended[campaign] = phase
        self._credit(campaign, self.terms[campaign].capsule, fee)
        self._credit(campaign, self._owner[campaign], refund)


def best_after(accuracy_ppm: int, best_ppm: int, terms: Terms) -> int:
    """Return the best accuracy after a batch: higher than before if and only if it counts.

    It counts with the Ladder step above the best so far, or at the target.
    """
    reached = min(accuracy_ppm, terms.target_ppm)
    counts = reached >= best_ppm + terms.min_improvement_ppm or reached == terms.target_ppm
    return reached if counts else best_ppm


def check_money(contract: SonarContract, tokens: Sequence[str] = (ETH,)) -> tuple[Books, list[str]]:
    """Fold all events and compare with what the contract holds and says it owes, to the wei.

    Nothing may be sent meanwhile.
    """
    books = Books().fold(contract.events(0))
    broken = list(books.faults)
    for token in tokens:
        holds, owes = contract.balance(contract.address, token), contract.escrow(token)
        due = books.owed(token)
        if not holds == owes == due:
            broken.append(f"token {token}: holds {holds}, says it owes {owes}, events say {due}")
        for account, amount in books.credit[token].items():
            if (said := contract.credit(token, account)) != amount:
                broken.append(f"{account} has credit {said} of {token}, events say {amount}")
    for number in books.terms:
        state = contract.campaign(number)
        if state.phase.final != (number in books.ended):
            broken.append(f"campaign {number} is {state.phase.name}, events say otherwise")
        if state.pending != sum(1 for campaign, _ in books.bonds if campaign == number):
            broken.append(f"campaign {number}: {state.pending} pending, events say otherwise")
    return books, broken
