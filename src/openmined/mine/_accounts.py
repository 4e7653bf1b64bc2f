"""What the ledger adds up to: earnings, and a mine's state for people and programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from openmined.mine._campaigns import CampaignView
from openmined.mine._ledger import StoredEvent, Submission
from openmined.mine._permissions import ETHER
from openmined.mine._steps import Step
from openmined.protocol import Frozen


class TokenEarnings(Frozen):
    """Earnings in one token; amounts are decimal text of its smallest unit."""

    token: str
    earned_wei: str
    """Payouts of scored gradients."""
    bonds_at_stake_wei: str
    bonds_lost_wei: str


class CampaignEarnings(Frozen):
    """Earnings from one campaign."""

    campaign: int
    token: str
    gradients: int
    """Submitted."""
    scored: int
    rejected: int
    paid: int
    """Scored with a share above zero."""
    earned_wei: str


class Earnings(Frozen):
    """What was earned, by token and by campaign."""

    tokens: tuple[TokenEarnings, ...]
    campaigns: tuple[CampaignEarnings, ...]


def sum_earnings(submissions: Iterable[Submission], views: Mapping[int, CampaignView]) -> Earnings:
    """Add up the ledger."""
    rows = [s for s in submissions if s.step in (Step.SUBMITTED, Step.OUTCOME)]
    token_of = {s.campaign: views[s.campaign].token if s.campaign in views else ETHER for s in rows}
    tokens = sorted(set(token_of.values()))
    return Earnings(
        tokens=tuple(
            _token(token, [s for s in rows if token_of[s.campaign] == token]) for token in tokens
        ),
        campaigns=tuple(
            _campaign(number, token_of[number], [s for s in rows if s.campaign == number])
            for number in sorted(token_of)
        ),
    )


def _token(token: str, rows: list[Submission]) -> TokenEarnings:
    done = [s for s in rows if s.step == Step.OUTCOME]
    return TokenEarnings(
        token=token,
        earned_wei=str(sum(s.payout or 0 for s in done)),
        bonds_at_stake_wei=str(sum(s.bond or 0 for s in rows if s.step == Step.SUBMITTED)),
        bonds_lost_wei=str(sum((s.bond or 0) - (s.bond_returned or 0) for s in done)),
    )


def _campaign(number: int, token: str, rows: list[Submission]) -> CampaignEarnings:
    done = [s for s in rows if s.step == Step.OUTCOME]
    rejected = sum(bool(s.reason) for s in done)
    return CampaignEarnings(
        campaign=number,
        token=token,
        gradients=len(rows),
        scored=len(done) - rejected,
        rejected=rejected,
        paid=sum(bool(s.share_ppm) for s in done),
        earned_wei=str(sum(s.payout or 0 for s in done)),
    )


def withdrawable(
    events: Iterable[StoredEvent], views: Mapping[int, CampaignView], account: str
) -> dict[str, int]:
    """Return by token what Sonar owes: payouts and bonds that came back, less withdrawals."""
    owed: dict[str, int] = {}
    for view in views.values():
        credit = sum(gradient.payout + gradient.bond_returned for gradient in view.mine)
        if credit:
            owed[view.token.lower()] = owed.get(view.token.lower(), 0) + credit
    for event in events:
        if event.name == "Withdrawn" and str(event.arguments["account"]).lower() == account.lower():
            token = str(event.arguments["token"]).lower()
            owed[token] = owed.get(token, 0) - int(event.arguments["amount"])
    return {token: amount for token, amount in sorted(owed.items()) if amount > 0}


def submission_dict(submission: Submission) -> dict[str, Any]:
    """Write a submission for people and programs."""
    names = (
        "campaign", "version", "at", "samples", "gradient", "tx", "share_ppm", "reason", "problem",
    )  # fmt: skip
    value: dict[str, Any] = {name: getattr(submission, name) for name in names}
    value["step"] = submission.step.value
    value["datasets"] = list(submission.datasets)
    for name in ("bond", "payout", "bond_returned"):
        amount = getattr(submission, name)
        value[f"{name}_wei"] = None if amount is None else str(amount)
    return value
