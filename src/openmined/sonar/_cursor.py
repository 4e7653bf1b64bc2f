"""Follows a contract's events through reorganisations and restarts of the chain.

A cursor remembers the hashes of blocks it has read up to. When one of them is no longer on the
chain, it goes back to the newest that still is, says so, and reads on from there.
"""

from __future__ import annotations

from dataclasses import dataclass

from openmined.protocol import Frozen
from openmined.sonar._contract import SonarContract
from openmined.sonar._errors import ChainError
from openmined.sonar._events import SonarEvent

MAX_CHECKPOINTS = 64
_ATTEMPTS = 5


class Checkpoint(Frozen):
    """A block that was on the chain when everything up to it had been read."""

    number: int
    hash: str


class CursorState(Frozen):
    """Where a cursor stands; JSON by `model_dump_json`, back by `model_validate_json`.

    Store it in the same transaction as what the events changed.
    """

    first_block: int = 0
    checkpoints: tuple[Checkpoint, ...] = ()
    """Oldest first."""


@dataclass(frozen=True, slots=True)
class Poll:
    """What one look at the chain brought.

    Attributes:
        events: new events in order.
        rolled_back_to: when not None, blocks above this number were replaced: forget everything
            learned from events with a higher `block_number` before applying `events`.
        block_number: everything up to this block has now been read.
        state: store it once `events` are applied.
    """

    events: tuple[SonarEvent, ...]
    rolled_back_to: int | None
    block_number: int
    state: CursorState


class EventCursor:
    """Reads events once each, and says which to forget.

    Args:
        contract: whose events.
        from_block: where to begin when there is no state.
        state: where an earlier cursor stood.
        campaign: only this campaign's events.
        confirmations: stay this many blocks behind the newest.
        max_blocks: most blocks to read in one `poll`.
    """

    def __init__(
        self,
        contract: SonarContract,
        from_block: int = 0,
        *,
        state: CursorState | None = None,
        campaign: int | None = None,
        confirmations: int = 0,
        max_blocks: int = 50_000,
    ) -> None:
        self._contract = contract
        self._campaign = campaign
        self._confirmations = confirmations
        self._max_blocks = max_blocks
        self.state = state or CursorState(first_block=from_block)

    def poll(self) -> Poll:
        """Look at the chain once; never waits for a block.

        The cursor moves on. A caller that fails to apply what it got makes a new cursor from the
        last state it stored.

        Raises:
            ChainError: if the chain changes faster than it can be read.
        """
        for _ in range(_ATTEMPTS):
            found = self._look()
            if found is not None:
                self.state = found.state
                return found
        raise ChainError("the chain was reorganised again and again while it was read: try later")

    def _look(self) -> Poll | None:
        kept = self._surviving()
        rolled_back = len(kept) < len(self.state.checkpoints)
        seen = kept[-1].number if kept else self.state.first_block - 1
        newest = self._contract.block_number() - self._confirmations
        last = min(newest, seen + self._max_blocks)
        rolled_back_to = seen if rolled_back else None
        if last <= seen:
            state = self.state.model_copy(update={"checkpoints": kept})
            return Poll((), rolled_back_to, seen, state)
        before = self._contract.block_hash(last)
        events = self._contract.events(seen + 1, last, self._campaign)
        # The same hash before and after: what lies between cannot have been replaced meanwhile,
        # unless there and back. Logs that name a block by another hash would show that.
        if before is None or self._contract.block_hash(last) != before:
            return None
        if any(event.block_number == last and event.block_hash != before for event in events):
            return None
        state = self.state.model_copy(update={"checkpoints": _thin(kept, events, last, before)})
        return Poll(tuple(events), rolled_back_to, last, state)

    def _surviving(self) -> tuple[Checkpoint, ...]:
        """Return the checkpoints that are still on the chain: a prefix, the chain being one."""
        kept = self.state.checkpoints
        while kept and self._contract.block_hash(kept[-1].number) != kept[-1].hash:
            kept = kept[:-1]
        return kept


def _thin(
    kept: tuple[Checkpoint, ...], events: list[SonarEvent], last: int, last_hash: str
) -> tuple[Checkpoint, ...]:
    # Blocks with events are good places to go back to; the newest block is where we stand.
    blocks = {event.block_number: event.block_hash for event in events} | {last: last_hash}
    added = tuple(Checkpoint(number=number, hash=hash_) for number, hash_ in sorted(blocks.items()))
    every = kept + added
    if len(every) <= MAX_CHECKPOINTS:
        return every
    # Keep the newest half as it is and every second of the older ones: distances grow backwards.
    half = MAX_CHECKPOINTS // 2
    older, newer = every[:-half], every[-half:]
    while len(older) > half:
        older = older[:1] + older[1:][1::2]
    return older + newer
