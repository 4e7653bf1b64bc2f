"""The chain's present, whatever this machine's clock says."""

from __future__ import annotations

import pytest

from openmined.capsule._clock import FRESH_S, IDLE_S, ChainClock

DAY = 86_400


class Time:
    def __init__(self, ahead: float = 0.0) -> None:
        self.true = 1_800_000_000.0
        self.ahead = ahead

    def __call__(self) -> float:
        return self.true + self.ahead


@pytest.mark.parametrize("ahead", [0, DAY, -DAY])
def test_a_wrong_clock_does_not_matter_once_a_block_was_seen_to_come(ahead: float) -> None:
    time = Time(ahead)
    clock = ChainClock(time)
    assert clock.look(int(time.true) - 5) == int(time.true) - 5
    time.true += 12
    assert clock.look(int(time.true)) == int(time.true)
    time.true += 3000  # a quiet chain
    assert clock.look(int(time.true) - 3000) == int(time.true)


def test_before_that_the_newest_block_is_all_there_is() -> None:
    time = Time(DAY)
    clock = ChainClock(time)
    for _ in range(3):
        assert clock.look(1_700_000_000) == 1_700_000_000
        time.true += 10


def test_a_chain_without_blocks_is_taken_to_share_our_clock() -> None:
    time = Time()
    clock = ChainClock(time)
    clock.look(1_700_000_000)
    time.true += IDLE_S
    assert clock.look(1_700_000_000) == int(time.true)


def test_a_block_seen_late_tells_nothing_of_the_present() -> None:
    time = Time()
    clock = ChainClock(time)
    clock.look(int(time.true))
    time.true += FRESH_S + 1
    old = int(time.true) - 20
    assert clock.look(old) == old


def test_a_chain_that_jumps_ahead_is_followed() -> None:
    time = Time()
    clock = ChainClock(time)
    clock.look(int(time.true))
    time.true += 1
    jumped = int(time.true) + 5000
    assert clock.look(jumped) == jumped
    time.true += 10
    assert clock.look(jumped) == jumped + 10
