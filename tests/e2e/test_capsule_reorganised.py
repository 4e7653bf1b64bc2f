"""A reorganisation that takes the newest batch away just when the next one is reported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.capsule.capsule_world import CapsuleWorld, capsule_world, rows, settle
from tests.unit.sonar.chain import wait_for

from openmined.capsule import Capsule, Context, Step
from openmined.protocol import CampaignManifest, Phase
from openmined.sonar import audit_campaign


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CapsuleWorld]:
    with capsule_world(tmp_path) as made:
        made.anvil.mine(20)
        yield made


def score_all(world: CapsuleWorld, capsule: Capsule, campaign: int) -> None:
    """Turn, through failures that pass, until nothing is pending and Capsule knows it."""

    def is_done() -> bool:
        return not capsule.turn() and world.state(campaign).pending == 0

    wait_for(is_done, 60)
    settle(capsule)


def begin(world: CapsuleWorld, context: Context) -> tuple[Capsule, int, CampaignManifest]:
    """Open a campaign and have one batch scored in it; nothing shallower can be taken away."""
    manifest = world.manifest(target_ppm=999_000, scoring={"window_s": 0, "batch": 1})
    capsule = Capsule(context)
    campaign = world.launch(manifest)
    settle(capsule)
    world.contribute(campaign, manifest, 0, rows(2, seed=1))
    settle(capsule)
    # Both are submitted before the second batch, whose block a reorganisation takes away.
    world.contribute(campaign, manifest, 1, rows(3, seed=2))
    world.contribute(campaign, manifest, 2, rows(200, seed=3))
    return capsule, campaign, manifest


def end(world: CapsuleWorld, context: Context, capsule: Capsule, campaign: int) -> None:
    """What Capsule holds is what the chain says, and mines are paid on it to the end."""
    row = context.state.campaign(campaign)
    state = world.state(campaign)
    assert row is not None
    assert (row.facts["batches"], row.facts["version"]) == (state.batches, state.version)
    published = world.published(campaign)[1]
    assert published.version == state.version
    world.anvil.travel(3601)
    settle(capsule)
    assert world.state(campaign).phase == Phase.DELIVERED
    assert world.state(campaign).pending == 0
    world.delivered(campaign)


class Strike:
    """Takes the newest blocks away once, when it is called."""

    def __init__(self, world: CapsuleWorld) -> None:
        self.world, self.armed = world, False

    def __call__(self) -> None:
        if self.armed:
            self.armed = False
            self.world.anvil.reorganise(1)


def test_before_the_report_is_sent_it_is_seen(world: CapsuleWorld) -> None:
    strike = Strike(world)
    with world.context(lambda step: strike() if step == Step.REPORT else None) as context:
        capsule, campaign, manifest = begin(world, context)
        while world.state(campaign).batches < 2:
            capsule.turn()
        strike.armed = True
        score_all(world, capsule, campaign)
        assert not strike.armed
        assert any(line["event"] == "taken-back" for line in world.log)
        world.contribute(campaign, manifest, 0, rows(400, seed=4))
        score_all(world, capsule, campaign)
        end(world, context, capsule, campaign)
        contract = world.data_scientist
        report = audit_campaign(contract, world.store, campaign)
        assert report.ok, str(report)


def test_a_report_that_was_mined_in_anothers_place_is_followed(
    world: CapsuleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    strike = Strike(world)
    with world.context() as context:
        capsule, campaign, manifest = begin(world, context)
        while world.state(campaign).batches < 2:
            capsule.turn()
        real = context.contract.score_batch

        def score_batch(*arguments: Any) -> Any:
            strike()
            return real(*arguments)

        monkeypatch.setattr(context.contract, "score_batch", score_batch)
        strike.armed = True
        score_all(world, capsule, campaign)
        assert not strike.armed
        assert any(line["event"] == "renumbered" for line in world.log)
        world.contribute(campaign, manifest, 0, rows(400, seed=4))
        score_all(world, capsule, campaign)
        end(world, context, capsule, campaign)
