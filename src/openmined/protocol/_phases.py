"""The life of a campaign and of a gradient, as the contract numbers them."""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """Where a campaign is. The last four are final."""

    NONE = 0
    LAUNCHED = 1
    OPEN = 2
    DELIVERED = 3
    REJECTED = 4
    CANCELLED = 5
    EXPIRED = 6

    @property
    def final(self) -> bool:
        """Whether nothing more can happen but withdrawals and returns of bonds."""
        return self >= Phase.DELIVERED


class GradientStatus(IntEnum):
    """What became of a gradient."""

    NONE = 0
    PENDING = 1
    SCORED = 2
    REJECTED = 3
    RECLAIMED = 4


class Reason(IntEnum):
    """Why Capsule rejected a gradient: below 128 the bond is lost, from 128 it comes back."""

    ACCEPTED = 0
    MALFORMED = 1
    MISBOUND = 2
    DUPLICATE = 3
    OVER_QUOTA = 4
    HARMFUL = 5
    ABSURD = 6
    STALE = 128
    UNAVAILABLE = 129
    CLOSED = 130

    @property
    def loses_bond(self) -> bool:
        """Whether the miner's bond goes into the bounty."""
        return 0 < self < Reason.STALE
