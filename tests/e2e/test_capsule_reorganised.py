"""A reorganisation that takes the newest batch or two away just when the next one is reported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
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


def receipts(world: CapsuleWorld, campaign: int) -> dict[int, str]:
    return {e.batch: e.receipt.hex() for e in world.events(campaign, "BatchScored")}


class Strike:
    """Takes the newest blocks away once, when it is called."""

    def __init__(self, world: CapsuleWorld, blocks: int = 1) -> None:
        self.world, self.blocks, self.armed = world, blocks, False

    def __call__(self) -> None:
        if self.armed:
            self.armed = False
            self.world.anvil.reorganise(self.blocks)


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


@pytest.mark.parametrize(
    ("lost", "moment"), [(1, "_submit"), (2, "send")], ids=["when-signed", "two-before-it-is-sent"]
)
def test_a_displaced_report_lands_in_its_own_place(
    world: CapsuleWorld, monkeypatch: pytest.MonkeyPatch, lost: int, moment: str
) -> None:
    strike = Strike(world, lost)
    with world.context() as context:
        capsule, campaign, manifest = begin(world, context)
        for extra in range(lost - 1):
            world.contribute(campaign, manifest, 0, rows(300, seed=5 + extra))
        last = 2 + lost
        while world.state(campaign).batches < last - 1:
            capsule.turn()
        sender = context.contract._sender
        real = getattr(sender, moment)

        def send(*arguments: Any) -> Any:
            strike()
            return real(*arguments)

        monkeypatch.setattr(sender, moment, send)
        before = receipts(world, campaign)
        strike.armed = True
        score_all(world, capsule, campaign)
        assert not strike.armed
        (refused,) = [line for line in world.log if line["event"] == "refused"]
        assert "Sonar: another batch is due" in refused["cause"]
        # The chain has the same reports again, and the refused one after them: none anew.
        intent = context.state.intent(campaign, "batch", last)
        assert intent is not None
        assert receipts(world, campaign) == {**before, last: intent["receipt"]}
        assert sum(line["event"] == "scored" for line in world.log) == last
        end(world, context, capsule, campaign)
        report = audit_campaign(world.data_scientist, world.store, campaign)
        assert report.ok, str(report)


def test_work_that_the_chain_took_back_is_not_delivered(world: CapsuleWorld) -> None:
    with world.context() as context:
        manifest = world.manifest(target_ppm=999_000, scoring={"window_s": 0, "batch": 1})
        capsule = Capsule(context)
        campaign = world.launch(manifest)
        settle(capsule)
        for miner, count in ((0, 2), (1, 200)):
            world.contribute(campaign, manifest, miner, rows(count, seed=miner + 1))
            settle(capsule)
        paid, lost = (context.recall(campaign, "weights", version) for version in (2, 3))
        assert paid is not None
        assert lost is not None
        world.anvil.reorganise(2)  # gradient and report: nobody is paid for it any more
        settle(capsule)
        assert (world.state(campaign).gradients, world.state(campaign).batches) == (1, 1)
        world.anvil.travel(3601)
        settle(capsule)
        delivered, _ = world.delivered(campaign)
        far = float(np.abs(delivered - lost[0]["weights"]).max())
        assert float(np.abs(delivered - paid[0]["weights"]).max()) < far / 100


def test_nothing_is_delivered_before_it_is_paid(world: CapsuleWorld) -> None:
    strike = Strike(world)
    with world.context(lambda step: strike() if step == Step.DELIVER else None) as context:
        capsule, campaign, _ = begin(world, context)
        world.anvil.travel(3601)
        strike.armed = True
        score_all(world, capsule, campaign)
        wait_for(lambda: not capsule.turn() and world.state(campaign).phase != Phase.OPEN, 60)
        assert not strike.armed
    assert any("Sonar: not the last batch" in line.get("cause", "") for line in world.log)
    state = world.state(campaign)
    assert (state.phase, state.batches, state.pending) == (Phase.DELIVERED, 3, 0)
    scored = [event.gradient for event in world.events(campaign, "GradientScored")]
    assert sorted(scored) == [0, 1, 2]
    assert audit_campaign(world.data_scientist, world.store, campaign).ok
    world.delivered(campaign)
