"""A disk that was full for a moment: what could not be written down is read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.capsule.capsule_world import capsule_world
from tests.unit.mine.mine_world import mine_loop, mine_world

from openmined.capsule import StateError
from openmined.mine import DiskFull
from openmined.protocol import Phase


def failing_once(real: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    errors = [error]

    def call(*arguments: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop()
        return real(*arguments, **options)

    return call


def test_a_capsule_reads_again_what_it_could_not_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capsule_world(tmp_path) as world, world.context() as context:
        from openmined.capsule import Capsule

        capsule = Capsule(context)
        campaign = world.launch()
        full = StateError("the state file cannot be written (database or disk is full)")
        failing = failing_once(context.state.add_events, full)
        monkeypatch.setattr(context.state, "add_events", failing)
        with pytest.raises(StateError, match="full"):
            capsule.turn()
        while capsule.turn():
            pass
        assert world.state(campaign).phase == Phase.OPEN


@pytest.mark.parametrize("what", ["apply_poll", "remember_campaign"])
def test_a_mine_reads_again_what_it_could_not_keep(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    with mine_world() as world:
        folder, secrets = world.make_mine()
        opened = world.launch_open()
        with mine_loop(folder, secrets) as loop:
            real = getattr(loop.ledger, what)
            failing = failing_once(real, DiskFull("the disk is full: free some space"))
            monkeypatch.setattr(loop.ledger, what, failing)
            with pytest.raises(DiskFull, match="full"):
                loop.run_once()
            loop.run_once()
        assert len(world.submitted(opened.campaign)) == 1
