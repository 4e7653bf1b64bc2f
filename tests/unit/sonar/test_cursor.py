from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.sonar.conftest import ENVELOPE, World

from openmined.sonar import (
    ChainError,
    CursorState,
    EventCursor,
    GradientSubmitted,
    Poll,
    SonarEvent,
)
from openmined.sonar._cursor import MAX_CHECKPOINTS


class Reader:
    """What a careful consumer does: forgets what was rolled back, then applies."""

    def __init__(self) -> None:
        self.events: list[SonarEvent] = []

    def apply(self, poll: Poll) -> None:
        if poll.rolled_back_to is not None:
            self.events = [e for e in self.events if e.block_number <= poll.rolled_back_to]
        self.events += poll.events


@pytest.fixture
def campaign(own_world: World) -> Iterator[int]:
    return own_world.launch_open(1)


def test_events_come_once_and_survive_a_restart_of_the_reader(
    own_world: World, campaign: int
) -> None:
    world = own_world
    cursor = EventCursor(world.stranger)
    first = cursor.poll()
    assert [event.name for event in first.events] == ["CampaignLaunched", "CampaignOpened"]
    assert first.rolled_back_to is None
    assert first.block_number == world.stranger.block_number()
    assert cursor.poll().events == ()

    stored = first.state.model_dump_json()
    world.miner.submit_gradient(campaign, 1, ENVELOPE)
    again = EventCursor(world.stranger, state=CursorState.model_validate_json(stored))
    assert [event.name for event in again.poll().events] == ["GradientSubmitted"]


def test_a_poll_that_was_not_applied_is_repeated(own_world: World, campaign: int) -> None:
    world = own_world
    state = EventCursor(world.stranger).poll().state
    world.miner.submit_gradient(campaign, 1, ENVELOPE)
    lost = EventCursor(world.stranger, state=state).poll()
    assert EventCursor(world.stranger, state=state).poll().events == lost.events != ()


def test_a_reorganisation_is_rolled_back(own_world: World, campaign: int) -> None:
    world = own_world
    cursor, reader = EventCursor(world.stranger), Reader()
    reader.apply(cursor.poll())
    world.miner.submit_gradient(campaign, 1, ENVELOPE)
    reader.apply(cursor.poll())
    world.miner.submit_gradient(campaign, 1, ENVELOPE)
    reader.apply(cursor.poll())
    assert len(reader.events) == 4

    # The last block, with the second gradient, is replaced by an empty one; the chain grows on.
    world.anvil.reorganise(1)
    poll = cursor.poll()
    reader.apply(poll)
    assert poll.rolled_back_to is not None
    assert reader.events == world.stranger.events(0)
    assert sum(isinstance(event, GradientSubmitted) for event in reader.events) == 1
    world.miner.submit_gradient(campaign, 1, ENVELOPE)
    reader.apply(cursor.poll())
    assert reader.events == world.stranger.events(0)
    assert len(reader.events) == 4


def test_a_reorganisation_deeper_than_the_newest_checkpoints(
    own_world: World, campaign: int
) -> None:
    world = own_world
    cursor, reader = EventCursor(world.stranger), Reader()
    for _ in range(6):
        world.miner.submit_gradient(campaign, 1, ENVELOPE)
        reader.apply(cursor.poll())
    world.anvil.reorganise(5)
    reader.apply(cursor.poll())
    assert reader.events == world.stranger.events(0)
    assert len(reader.events) == 3


def test_a_chain_that_got_shorter(own_world: World, campaign: int) -> None:
    world = own_world
    snapshot = world.anvil.call("evm_snapshot")
    cursor, reader = EventCursor(world.stranger), Reader()
    reader.apply(cursor.poll())
    world.miner.submit_gradient(campaign, 1, ENVELOPE)
    world.anvil.mine(5)
    reader.apply(cursor.poll())
    world.anvil.call("evm_revert", snapshot)
    poll = cursor.poll()
    reader.apply(poll)
    assert poll.rolled_back_to == world.stranger.block_number()
    assert reader.events == world.stranger.events(0)


def test_a_chain_that_was_restarted_is_forgotten_whole(own_world: World, campaign: int) -> None:
    world = own_world
    cursor, reader = EventCursor(world.stranger), Reader()
    reader.apply(cursor.poll())
    assert reader.events
    world.anvil.stop()
    world.anvil.start()
    poll = cursor.poll()
    reader.apply(poll)
    assert poll.rolled_back_to == -1
    assert reader.events == []


def test_confirmations_hold_back_the_newest_blocks(own_world: World, campaign: int) -> None:
    world = own_world
    world.anvil.mine(2)
    cursor = EventCursor(world.stranger, confirmations=2)
    assert len(cursor.poll().events) == 2
    world.miner.submit_gradient(campaign, 1, ENVELOPE)
    assert not any(isinstance(event, GradientSubmitted) for event in cursor.poll().events)
    world.anvil.mine(2)
    assert [event.name for event in cursor.poll().events] == ["GradientSubmitted"]


def test_long_histories_come_in_parts(own_world: World, campaign: int) -> None:
    world = own_world
    world.anvil.mine(50)
    world.miner.submit_gradient(campaign, 1, ENVELOPE)
    cursor, reader = EventCursor(world.stranger, max_blocks=10), Reader()
    polls = []
    while not polls or polls[-1].block_number < world.stranger.block_number():
        polls.append(cursor.poll())
        reader.apply(polls[-1])
    assert len(polls) > 5
    assert all(poll.rolled_back_to is None for poll in polls)
    assert reader.events == world.stranger.events(0)


def test_checkpoints_stay_few_and_reach_far_back(own_world: World, campaign: int) -> None:
    world = own_world
    cursor = EventCursor(world.stranger)
    for _ in range(150):
        world.anvil.mine()
        cursor.poll()
    kept = cursor.state.checkpoints
    assert len(kept) <= MAX_CHECKPOINTS
    assert [one.number for one in kept] == sorted({one.number for one in kept})
    assert kept[0].number < 10
    assert kept[-1].number == world.stranger.block_number()
    world.anvil.reorganise(20)
    back = cursor.poll().rolled_back_to
    assert back is not None
    assert 10 <= world.stranger.block_number() - back <= 40


def test_a_chain_that_never_holds_still_is_reported(own_world: World, campaign: int) -> None:
    world = own_world
    cursor = EventCursor(world.stranger)
    answer = world.stranger.events

    def events_during_reorganisation(*arguments: int) -> list[SonarEvent]:
        found = answer(*arguments)
        world.anvil.reorganise(1)
        return found

    world.stranger.events = events_during_reorganisation  # type: ignore[method-assign]
    with pytest.raises(ChainError, match="again and again"):
        cursor.poll()
