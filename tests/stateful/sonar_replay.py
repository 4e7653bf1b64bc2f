"""The whole state of Sonar, rebuilt from its events alone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sonar_model import (
    CANCELLED,
    DELIVERED,
    DISMISSED,
    EXPIRED,
    OPEN,
    RECLAIMED,
    REJECTED,
    SCORED,
    Campaign,
    Gradient,
    Terms,
)

if TYPE_CHECKING:
    from sonar_port import Event


class Replay:
    """Holds no rule: it only believes what the events say."""

    def __init__(self) -> None:
        self.campaigns: dict[int, Campaign] = {}
        self.nonces: dict[tuple[str, bytes], int] = {}
        self.credits: dict[tuple[str, str], int] = defaultdict(int)
        self.escrows: dict[str, int] = defaultdict(int)

    def apply(self, event: Event) -> None:
        getattr(self, event.name)(**event.fields)

    def _end(self, number: int, phase: int, refund: int) -> None:
        campaign = self.campaigns[number]
        campaign.phase = phase
        self.credits[campaign.terms.token, campaign.data_scientist] += refund

    def CampaignLaunched(  # noqa: N802 - named as the event
        self, campaign: int, data_scientist: str, capsule: str, nonce: bytes, terms: Any
    ) -> None:
        launched = Campaign(data_scientist, Terms(*terms))
        assert launched.terms.capsule == capsule
        self.campaigns[campaign] = launched
        self.nonces[data_scientist, nonce] = campaign
        self.escrows[launched.terms.token] += launched.terms.bounty

    def BountyToppedUp(self, campaign: int, sender: str, amount: int, bounty: int) -> None:  # noqa: N802
        self.escrows[self.campaigns[campaign].terms.token] += amount
        self._set_bounty(campaign, bounty)

    def _set_bounty(self, campaign: int, bounty: int) -> None:
        terms = self.campaigns[campaign].terms
        self.campaigns[campaign].terms = terms._replace(bounty=bounty)

    def CampaignCancelled(self, campaign: int, refund: int) -> None:  # noqa: N802
        self._end(campaign, CANCELLED, refund)

    def CampaignRejected(self, campaign: int, reason: str, refund: int) -> None:  # noqa: N802
        self._end(campaign, REJECTED, refund)

    def CampaignOpened(self, campaign: int, keys: bytes, model: bytes, accuracy_ppm: int) -> None:  # noqa: N802
        opened = self.campaigns[campaign]
        opened.phase = OPEN
        opened.version = opened.epoch = 1
        opened.start_ppm = opened.best_ppm = accuracy_ppm

    def GradientSubmitted(  # noqa: N802
        self, campaign: int, miner: str, gradient: int, version: int, envelope: bytes
    ) -> None:
        submitted = self.campaigns[campaign]
        assert gradient == len(submitted.gradients)
        submitted.gradients.append(Gradient(miner, version))
        self.escrows[submitted.terms.token] += submitted.terms.bond

    def GradientScored(  # noqa: N802
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
        scored = self.campaigns[campaign]
        assert scored.gradients[gradient].miner == miner
        assert batch == scored.batches + 1
        scored.gradients[gradient].status = DISMISSED if reason else SCORED
        self.credits[scored.terms.token, miner] += payout + bond_returned

    def BatchScored(  # noqa: N802
        self,
        campaign: int,
        batch: int,
        accuracy_ppm: int,
        best_ppm: int,
        version: int,
        model: bytes,
        receipt: bytes,
        paid: int,
        forfeited: int,
        bounty: int,
    ) -> None:
        scored = self.campaigns[campaign]
        assert bounty == scored.terms.bounty + forfeited
        scored.batches, scored.best_ppm, scored.version = batch, best_ppm, version
        scored.paid += paid
        self._set_bounty(campaign, bounty)

    def KeysRotated(  # noqa: N802
        self, campaign: int, epoch: int, version: int, keys: bytes, model: bytes
    ) -> None:
        self.campaigns[campaign].epoch = epoch
        self.campaigns[campaign].version = version

    def CampaignDelivered(self, campaign: int, delivery: bytes, fee: int, refund: int) -> None:  # noqa: N802
        self._end(campaign, DELIVERED, refund)
        terms = self.campaigns[campaign].terms
        self.credits[terms.token, terms.capsule] += fee

    def CampaignExpired(self, campaign: int, sender: str, refund: int) -> None:  # noqa: N802
        self._end(campaign, EXPIRED, refund)

    def BondReclaimed(self, campaign: int, miner: str, gradient: int, amount: int) -> None:  # noqa: N802
        reclaimed = self.campaigns[campaign]
        reclaimed.gradients[gradient].status = RECLAIMED
        self.credits[reclaimed.terms.token, miner] += amount

    def Withdrawn(self, token: str, account: str, amount: int) -> None:  # noqa: N802
        self.credits[token, account] -= amount
        self.escrows[token] -= amount
