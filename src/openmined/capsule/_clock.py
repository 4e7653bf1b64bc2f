"""What time it is on the chain, between its blocks.

Deadlines are measured by block timestamps, and a quiet devnet makes no blocks. This machine's clock
knows how time passes, but may be wrong by a day. So its difference to the chain is measured
whenever a block is seen that was not there a moment ago, and taken off.
"""

from __future__ import annotations

import time
from collections.abc import Callable

FRESH_S = 30.0
"""A block first seen within this of the last look is new: its timestamp is the chain's present."""

IDLE_S = 120.0
"""A chain without a block for so long makes them on demand; its clock is then taken for ours."""


class ChainClock:
    """Estimates the timestamp that the next block would have."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._newest = 0
        self._first_seen = 0.0
        self._looked = 0.0
        self._ahead: float | None = None

    def look(self, timestamp: int) -> int:
        """Take note of the newest block's timestamp; return the chain's present in unix seconds."""
        now = self._clock()
        if timestamp != self._newest:
            fresh = self._looked > 0.0 and 0.0 <= now - self._looked <= FRESH_S
            self._ahead = now - timestamp if fresh else None
            self._newest, self._first_seen = timestamp, now
        self._looked = now
        if self._ahead is None and now - self._first_seen >= IDLE_S:
            return max(timestamp, int(now))
        if self._ahead is None:
            return timestamp
        return max(timestamp, int(now - self._ahead))
