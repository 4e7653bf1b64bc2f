"""What an owner permits: deny by default, decided here, in pure code, with every reason named.

The table tests/vectors/permissions/cases.json holds these rules for every mine, whatever it is
written in: same input, same verdict, same codes, same texts.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator

from openmined.protocol import Address, Count, Frozen, PrivacyRequest, Wei

ANY_FIELD = "*"
ETHER = "0x" + "0" * 40

_HOURS = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$")

Mode = Literal["deny", "ask", "automatic"]
Verdict = Literal["refuse", "wait", "ask", "accept"]
Answer = Literal["none", "approved", "refused"]


class DatasetPermission(Frozen):
    """What campaigns may do with one dataset. Every criterion must hold."""

    mode: Mode = "deny"
    """`deny`; `ask` the owner about each campaign; or `automatic`, within the rest."""
    fields: tuple[Annotated[str, Field(max_length=128)], ...] = ()
    """Fields that campaigns may use; `*` is every field."""
    min_bounty_wei: Wei = 0
    """Least bounty for the mines, Capsule's fee taken off, in the token's smallest unit."""
    max_bond_wei: Wei = 10**17
    """Largest bond to put at stake for one gradient."""
    tokens: tuple[Address, ...] = ()
    """ERC-20 tokens accepted as bounty; ether always is."""
    data_scientists: tuple[Address, ...] = ()
    """The only data scientists allowed; empty: any."""
    denied_data_scientists: tuple[Address, ...] = ()
    capsules: tuple[Address, ...] = ()
    """The only capsules allowed; empty: any, but the owner is asked before a network is trained."""
    denied_capsules: tuple[Address, ...] = ()
    max_rounds: int = Field(default=16, ge=1, le=100_000)
    """Gradients answered to one campaign: what it could learn grows with them."""
    epsilon_budget: float | None = Field(default=None, gt=0, le=1000)
    """Differential privacy to spend over all campaigns; set, it refuses those that offer none."""
    hours: tuple[str, ...] = ()
    """When to train, such as `22:00-06:00`; empty: always."""
    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    cpu_share: float = Field(default=1.0, gt=0, le=1)
    """Part of one processor that training may take."""

    @field_validator("hours")
    @classmethod
    def _hours(cls, hours: tuple[str, ...]) -> tuple[str, ...]:
        for span in hours:
            if not _HOURS.match(span):
                raise ValueError(f"{span!r} is no span of hours; write it like 22:00-06:00")
        return hours

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no time zone; write it like Europe/Lisbon") from error
        return name


class CampaignRequest(Frozen):
    """What a campaign asks of a dataset, as far as permissions care."""

    campaign: Count
    data_scientist: Address
    capsule: Address
    token: Address
    bounty_wei: Wei
    """For the mines: Capsule's fee taken off."""
    bond_wei: Wei
    fields: tuple[str, ...]
    privacy: PrivacyRequest | None = None
    trains_network: bool = False
    """Whether a network is trained: a capsule that breaks the rules reads rows of its gradients."""


class DatasetUse(Frozen):
    """What the ledger knows of a dataset's use."""

    rounds: int = Field(default=0, ge=0)
    """Gradients answered to this campaign."""
    epsilon_spent: float = Field(default=0.0, ge=0)
    """Over all campaigns."""
    epsilon_paid_here: bool = False
    """Whether this campaign's noisy release exists already: answering again costs nothing."""
    answer: Answer = "none"
    """The owner's answer about this campaign."""


class Cause(Frozen):
    """One reason: a code for programs and a sentence for people."""

    code: str
    text: str


class Decision(Frozen):
    """A verdict on one campaign and one dataset, and why."""

    verdict: Verdict
    causes: tuple[Cause, ...]

    @property
    def text(self) -> str:
        """The reasons as one line."""
        return "; ".join(cause.text for cause in self.causes)


def decide(
    permission: DatasetPermission, request: CampaignRequest, use: DatasetUse, now: datetime
) -> Decision:
    """Decide whether a dataset may serve a campaign now.

    A dataset that is not permitted at all says only that; otherwise every criterion that fails is
    named, in a fixed order. `refuse` beats `wait` (it is not the
    hour), which beats `ask` (the owner has not answered), which beats `accept`.
    """
    if permission.mode == "deny":
        cause = Cause(code="denied", text="the dataset is permitted to no campaign")
        return Decision(verdict="refuse", causes=(cause,))
    refusals = [
        *_owner(use),
        *_fields(permission, request),
        *_money(permission, request),
        *_parties(permission, request),
        *_limits(permission, request, use),
    ]
    if refusals:
        return Decision(verdict="refuse", causes=tuple(refusals))
    if not _within_hours(permission, now):
        spans = ", ".join(permission.hours)
        text = f"it is outside the permitted hours {spans} ({permission.timezone})"
        return Decision(verdict="wait", causes=(Cause(code="hours", text=text),))
    question = _question(permission, request)
    if question and use.answer == "none":
        return Decision(verdict="ask", causes=(Cause(code="ask", text=question),))
    code = "approved" if question else "automatic"
    text = "the owner approved it" if question else "every criterion holds"
    return Decision(verdict="accept", causes=(Cause(code=code, text=text),))


def _question(permission: DatasetPermission, request: CampaignRequest) -> str:
    """Say why the owner has to be asked; nothing if permissions decide alone."""
    if permission.mode == "ask":
        return "the owner has to be asked"
    if request.trains_network and not permission.capsules:
        return "it trains a network for a capsule that is not named: the owner has to be asked"
    return ""


def _owner(use: DatasetUse) -> list[Cause]:
    if use.answer != "refused":
        return []
    return [Cause(code="refused", text="the owner refused it")]


def _fields(permission: DatasetPermission, request: CampaignRequest) -> list[Cause]:
    if ANY_FIELD in permission.fields:
        return []
    denied = sorted(set(request.fields) - set(permission.fields))
    if not denied:
        return []
    return [Cause(code="fields", text=f"fields not permitted: {', '.join(denied)}")]


def _money(permission: DatasetPermission, request: CampaignRequest) -> list[Cause]:
    causes = []
    tokens = {address.lower() for address in permission.tokens} | {ETHER}
    if request.token.lower() not in tokens:
        text = f"it pays in the token {request.token.lower()}, which is not accepted"
        causes.append(Cause(code="token", text=text))
    if request.bounty_wei < permission.min_bounty_wei:
        text = (
            f"its bounty for mines is {request.bounty_wei} wei, "
            f"below the least of {permission.min_bounty_wei} wei"
        )
        causes.append(Cause(code="bounty", text=text))
    if request.bond_wei > permission.max_bond_wei:
        text = (
            f"its bond is {request.bond_wei} wei, above the most of {permission.max_bond_wei} wei"
        )
        causes.append(Cause(code="bond", text=text))
    return causes


def _parties(permission: DatasetPermission, request: CampaignRequest) -> list[Cause]:
    return [
        *_party(
            "data-scientist",
            request.data_scientist.lower(),
            permission.data_scientists,
            permission.denied_data_scientists,
        ),
        *_party(
            "capsule", request.capsule.lower(), permission.capsules, permission.denied_capsules
        ),
    ]


def _party(
    role: str, address: str, allowed: tuple[str, ...], denied: tuple[str, ...]
) -> list[Cause]:
    name = role.replace("-", " ")
    if address in {item.lower() for item in denied}:
        return [Cause(code=role, text=f"the {name} {address} is denied")]
    if allowed and address not in {item.lower() for item in allowed}:
        return [Cause(code=role, text=f"the {name} {address} is not among the allowed")]
    return []


def _limits(
    permission: DatasetPermission, request: CampaignRequest, use: DatasetUse
) -> list[Cause]:
    causes = []
    if use.rounds >= permission.max_rounds:
        text = f"it had its {permission.max_rounds} gradients"
        causes.append(Cause(code="rounds", text=text))
    budget = permission.epsilon_budget
    if budget is None:
        return causes
    if request.privacy is None or request.privacy.level != "record":
        text = "it offers no differential privacy for rows, and a privacy budget is set"
        causes.append(Cause(code="privacy", text=text))
    elif not use.epsilon_paid_here and use.epsilon_spent + request.privacy.epsilon > budget + 1e-9:
        text = (
            f"it costs epsilon {_short(request.privacy.epsilon)}; "
            f"{_short(use.epsilon_spent)} of {_short(budget)} are spent"
        )
        causes.append(Cause(code="epsilon", text=text))
    return causes


def _short(value: float) -> str:
    # Fixed digits, zeros cut: the same text in every language.
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _within_hours(permission: DatasetPermission, now: datetime) -> bool:
    if not permission.hours:
        return True
    if permission.timezone == "UTC":
        local = now.astimezone(UTC)
    else:
        from zoneinfo import ZoneInfo

        local = now.astimezone(ZoneInfo(permission.timezone))
    minute = local.hour * 60 + local.minute
    return any(_inside(span, minute) for span in permission.hours)


def _inside(span: str, minute: int) -> bool:
    match = _HOURS.match(span)
    assert match is not None
    start = int(match[1]) * 60 + int(match[2])
    end = int(match[3]) * 60 + int(match[4])
    if start == end:
        return True
    return start <= minute < end if start < end else minute >= start or minute < end
