"""Campaigns as their events tell them.

Pure: a fold over stored events, so that a reorganised chain is handled by forgetting events and
folding again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from openmined.mine._ledger import StoredEvent
from openmined.protocol import Phase

NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class MyGradient:
    """One of this mine's gradients, as the chain tells it."""

    gradient: int
    version: int
    envelope: str
    tx: str
    status: str = "pending"
    """`pending`, `scored`, `rejected` or `reclaimed`."""
    share_ppm: int = 0
    payout: int = 0
    bond_returned: int = 0
    reason: int = 0


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign, as far as its events were read. Digests are hexadecimal."""

    campaign: int
    data_scientist: str
    capsule: str
    spec: str
    token: str
    bounty: int
    fee: int
    bond: int
    start_ppm: int
    target_ppm: int
    min_improvement_ppm: int
    deadline: int
    max_gradients: int
    phase: Phase = Phase.LAUNCHED
    version: int = 0
    epoch: int = 0
    keys: str = ""
    model: str = ""
    best_ppm: int = 0
    mine: tuple[MyGradient, ...] = field(default=())

    @property
    def mines_part(self) -> int:
        """What mines can earn: the bounty without Capsule's fee."""
        return self.bounty - self.fee

    def with_envelope(self, envelope: str) -> MyGradient | None:
        """Return this mine's gradient of that envelope."""
        return next((g for g in self.mine if g.envelope == envelope), None)


def fold_events(events: Iterable[StoredEvent], miner: str) -> dict[int, CampaignView]:
    """Return the campaigns by number, with the gradients of `miner`."""
    found: dict[int, CampaignView] = {}
    for event in events:
        if event.name == "CampaignLaunched":
            view = _launched(event)
            found[view.campaign] = view
        elif event.campaign in found:
            found[event.campaign] = _apply(found[event.campaign], event, miner.lower())
    return found


def concerns(event: StoredEvent, miner: str) -> bool:
    """Tell whether the ledger keeps an event: the campaigns' own, and this mine's gradients."""
    if event.name == "Withdrawn":
        return str(event.arguments["account"]).lower() == miner.lower()
    if event.name in ("GradientSubmitted", "GradientScored", "BondReclaimed"):
        return str(event.arguments["miner"]).lower() == miner.lower()
    return True


def _launched(event: StoredEvent) -> CampaignView:
    a, terms = event.arguments, event.arguments["terms"]
    assert event.campaign is not None
    return CampaignView(
        campaign=event.campaign,
        data_scientist=a["data_scientist"],
        capsule=a["capsule"],
        spec=terms["spec"],
        token=terms["token"],
        bounty=int(terms["bounty"]),
        fee=int(terms["fee"]),
        bond=int(terms["bond"]),
        start_ppm=int(terms["start_ppm"]),
        target_ppm=int(terms["target_ppm"]),
        min_improvement_ppm=int(terms["min_improvement_ppm"]),
        deadline=int(terms["deadline"]),
        max_gradients=int(terms["max_gradients"]),
    )


_ENDS = {
    "CampaignCancelled": Phase.CANCELLED,
    "CampaignRejected": Phase.REJECTED,
    "CampaignDelivered": Phase.DELIVERED,
    "CampaignExpired": Phase.EXPIRED,
}


def _apply(view: CampaignView, event: StoredEvent, miner: str) -> CampaignView:
    a = event.arguments
    if event.name in _ENDS:
        return replace(view, phase=_ENDS[event.name])
    if event.name == "BountyToppedUp":
        return replace(view, bounty=int(a["bounty"]))
    if event.name == "CampaignOpened":
        opened = replace(view, phase=Phase.OPEN, version=1, epoch=1)
        return replace(opened, keys=a["keys"], model=a["model"], best_ppm=int(a["accuracy_ppm"]))
    if event.name == "KeysRotated":
        rotated = replace(view, epoch=int(a["epoch"]), version=int(a["version"]))
        return replace(rotated, keys=a["keys"], model=a["model"])
    if event.name == "BatchScored":
        model = view.model if a["model"] == NO_DIGEST else a["model"]
        scored = replace(view, best_ppm=int(a["best_ppm"]), bounty=int(a["bounty"]))
        return replace(scored, version=int(a["version"]), model=model)
    if "miner" in a and str(a["miner"]).lower() == miner:
        return replace(view, mine=_my_gradients(view.mine, event.name, event.tx, a))
    return view


def _my_gradients(
    known: tuple[MyGradient, ...], name: str, tx: str, a: Mapping[str, Any]
) -> tuple[MyGradient, ...]:
    number = int(a["gradient"])
    if name == "GradientSubmitted":
        new = MyGradient(number, int(a["version"]), a["envelope"], tx)
        return (*(g for g in known if g.gradient != number), new)
    return tuple(_outcome(g, name, a) if g.gradient == number else g for g in known)


def _outcome(gradient: MyGradient, name: str, a: Mapping[str, Any]) -> MyGradient:
    if name == "BondReclaimed":
        return replace(gradient, status="reclaimed", bond_returned=int(a["amount"]))
    reason = int(a["reason"])
    return replace(
        gradient,
        status="rejected" if reason else "scored",
        share_ppm=int(a["share_ppm"]),
        payout=int(a["payout"]),
        bond_returned=int(a["bond_returned"]),
        reason=reason,
    )
