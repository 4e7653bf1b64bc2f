"""What a storm does, and when: all of it drawn from the seed before anything runs.

The plan is a list of faults; the answers of a bad line are drawn per request from the seed, the
line's name and the request's number. Two runs of a seed do the same things at the same seconds;
what they meet depends on the machine's speed, as with any set of processes.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

MINES = 3
PARTIES = ("capsule", *(f"mine-{number}" for number in range(1, MINES + 1)), "statistics", "store")
LINES = (
    *(f"{party}>{end}" for party in PARTIES[:-1] for end in ("chain", "store")),
    "data-scientist>chain",
    "data-scientist>store",
)
DISKS = ("capsule", *PARTIES[1 : MINES + 1], "statistics", "store")
"""Parties whose folder can fill up; the store's is filled under a quota as well."""

FAULTY_ANSWERS = ("drop", "lose", "slow", "busy", "garbage", "half", "repeat", "error")
HOSTILE = (
    "unknown-digest",
    "wrong-manifest",
    "garbage-envelope",
    "copied-envelope",
    "future-version",
    "oversized",
    "flood",
)
WEIGHTS = {
    "kill": 18,
    "end": 4,
    "pause": 9,
    "line": 27,
    "outage": 6,
    "reorg": 9,
    "jump": 4,
    "drift": 6,
    "disk": 6,
    "hostile": 21,
}
"""How often each kind of fault is drawn, relative to the others."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        at_s: seconds from the storm's begin.
        kind: a key of `WEIGHTS`.
        target: a party, a line, or what a hostile mine sends.
        span_s: how long it lasts; 0 for what happens at once.
        amount: blocks, seconds, percent or gradients, by kind.
    """

    at_s: float
    kind: str
    target: str = ""
    span_s: float = 0.0
    amount: int = 0
    answer: str = ""

    def __str__(self) -> str:
        parts = [self.kind, self.target, self.answer]
        if self.amount:
            parts.append(str(self.amount))
        if self.span_s:
            parts.append(f"for {self.span_s:.1f} s")
        return " ".join(part for part in parts if part)


def make_plan(
    seed: int, minutes: float, *, every_s: float = 2.0, skip: Sequence[str] = ()
) -> list[Fault]:
    """Draw a storm: one fault about every `every_s` seconds. `skip` names kinds to leave out.

    Leaving kinds out, or a shorter storm, changes nothing about the other faults.
    """
    luck = random.Random(f"openmined storm {seed}")
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    plan: list[Fault] = []
    at_s = 5.0
    while True:
        at_s += luck.uniform(0.4, 1.6) * every_s
        (kind,) = luck.choices(kinds, weights)
        fault = _draw(kind, round(at_s, 2), random.Random(luck.getrandbits(64)))
        if at_s > 60.0 * minutes:
            return plan
        if kind not in skip:
            plan.append(fault)


def _draw(kind: str, at_s: float, luck: random.Random) -> Fault:
    if kind in ("kill", "end"):
        return Fault(at_s, kind, luck.choice(PARTIES))
    if kind == "pause":
        return Fault(at_s, kind, luck.choice(PARTIES), luck.uniform(0.5, 6.0))
    if kind == "line":
        share = luck.choice((10, 25, 50))
        answer = luck.choice(FAULTY_ANSWERS)
        return Fault(at_s, kind, luck.choice(LINES), luck.uniform(4.0, 15.0), share, answer)
    if kind == "outage":
        return Fault(at_s, kind, luck.choice(LINES), luck.uniform(2.0, 8.0))
    if kind == "reorg":
        return Fault(at_s, kind, amount=luck.choice((1, 1, 2, 3, 5, 8)))
    if kind == "jump":
        return Fault(at_s, kind, amount=luck.randint(2, 20))
    if kind == "drift":
        amount = luck.choice((-3600, -60, -5, 5, 60, 3600))
        return Fault(at_s, kind, luck.choice(PARTIES), luck.uniform(5.0, 20.0), amount)
    if kind == "disk":
        return Fault(at_s, kind, luck.choice(DISKS), luck.uniform(3.0, 10.0))
    what = luck.choice(HOSTILE)
    return Fault(at_s, kind, what, amount=luck.randint(4, 9) if what == "flood" else 1)


def is_struck(seed: int, line: str, request: int, share: int) -> bool:
    """Whether the `request`-th request over a line with `share` percent of faults meets one."""
    text = f"{seed} {line} {request}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8]) % 100 < share


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """What the data scientist asks for in her n-th campaign."""

    bounty: int
    bond: int
    target: float
    duration_s: int
    window_s: float
    batch: int
    in_token: bool
    cancel: bool
    top_up: bool


def plan_campaign(seed: int, number: int) -> CampaignPlan:
    """Draw the terms of the n-th campaign of a storm."""
    luck = random.Random(f"openmined storm {seed} campaign {number}")
    return CampaignPlan(
        bounty=luck.randint(10**6, 10**18),
        bond=luck.choice((0, 1, 10**3, 10**12)),
        target=luck.choice((0.2, 0.35, 0.45, 0.9)),
        duration_s=luck.choice((45, 90, 150)),
        window_s=luck.choice((0.5, 2.0, 5.0)),
        batch=luck.choice((1, 2, 3, 8)),
        in_token=luck.random() < 0.35,
        cancel=luck.random() < 0.08,
        top_up=luck.random() < 0.2,
    )
