"""A Capsule on a real chain and store: whole campaigns, and the ways they may go wrong."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.capsule.capsule_world import CapsuleWorld, capsule_world, rows
from tests.unit.capsule.capsule_world import settle as settle_within

from openmined.protocol import Phase, Reason, ReceiptManifest, batch_payout_wei, share_payout_wei
from openmined.storage import get_manifest
from openmined.syft import encode_targets, evaluate, spec_from_manifest


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CapsuleWorld]:
    tmp_path.chmod(0o700)
    with capsule_world(tmp_path) as made:
        yield made


_opening = sys.modules["openmined.capsule._opening"]
FROM_2099 = Path(__file__).parents[1] / "vectors" / "certificates" / "from-2099.asc"

settle = partial(settle_within, turns=30)


def test_a_whole_campaign(world: CapsuleWorld) -> None:
    manifest = world.manifest()
    campaign = world.launch(manifest)
    with world.capsule() as capsule:
        settle(capsule)
        assert world.state(campaign).phase == Phase.OPEN
        for _ in range(6):
            if world.state(campaign).phase != Phase.OPEN:
                break
            world.contribute(campaign, manifest, 0)
            world.contribute(campaign, manifest, 1)
            settle(capsule)
    state = world.state(campaign)
    assert state.phase == Phase.DELIVERED
    assert state.best_ppm >= manifest.target_ppm

    weights, card = world.delivered(campaign)
    spec = spec_from_manifest(manifest)
    pixels, labels = rows(150, seed=99)
    assert spec.features is not None
    measured = evaluate(
        spec, weights, spec.features.transform({"pixels": pixels}), encode_targets(spec, labels)
    )
    assert measured * 1e6 >= manifest.target_ppm
    assert abs(int(card["accuracy_ppm"]) - measured * 1e6) <= 100

    # Money: paid + fee + refund = bounty, and each payout is the formula's.
    (end,) = world.events(campaign, "CampaignDelivered")
    scored = world.events(campaign, "GradientScored")
    assert sum(e.payout for e in scored) + end.fee + end.refund == 10**18
    best, bounty = state.start_ppm, 10**18
    for batch in world.events(campaign, "BatchScored"):
        receipt = get_manifest(world.store, batch.receipt, ReceiptManifest)
        total = batch_payout_wei(
            bounty_wei=bounty,
            fee_wei=state.terms.fee,
            best_ppm=best,
            accuracy_ppm=receipt.accuracy_after_ppm,
            target_ppm=state.terms.target_ppm,
            min_improvement_ppm=state.terms.min_improvement_ppm,
        )
        paid = {e.gradient: e.payout for e in scored if e.batch == batch.batch}
        assert paid == {e.gradient: share_payout_wei(total, e.share_ppm) for e in receipt.entries}
        assert receipt.accuracy_before_ppm == best
        best, bounty = batch.best_ppm, batch.bounty


def test_two_honest_mines_are_paid_and_a_foreign_envelope_loses_its_bond(
    world: CapsuleWorld,
) -> None:
    manifest = world.manifest(scoring={"window_s": 0, "batch": 3})
    campaign = world.launch(manifest)
    with world.capsule() as capsule:
        settle(capsule)
        world.contribute(campaign, manifest, 0)
        world.contribute(campaign, manifest, 1)
        # Mine 2 sends what mine 0's address is bound to.
        victim = world.miners[0].wallet
        assert victim is not None
        stolen = world.train(campaign, manifest, rows(120, seed=7), victim.address)
        world.submit(campaign, 2, world.seal(stolen))
        settle(capsule)
    scored = world.events(campaign, "GradientScored")
    assert [e.reason for e in scored] == [0, 0, Reason.MISBOUND]
    assert scored[0].payout > 0
    assert scored[1].payout > 0
    assert (scored[2].payout, scored[2].bond_returned) == (0, 0)


def test_a_false_start_is_rejected_with_a_full_refund(world: CapsuleWorld) -> None:
    manifest = world.manifest(start_ppm=800_000)
    campaign = world.launch(manifest)
    with world.capsule() as capsule:
        settle(capsule)
    (event,) = world.events(campaign, "CampaignRejected")
    assert event.reason.startswith("start measured ")
    assert event.refund == 10**18
    assert world.state(campaign).phase == Phase.REJECTED


def test_the_deadline_delivers_the_best_model_and_returns_late_bonds(world: CapsuleWorld) -> None:
    manifest = world.manifest(scoring={"window_s": 3600, "batch": 2})
    campaign = world.launch(manifest, deadline=world.data_scientist.now() + 1000)
    with world.capsule() as capsule:
        settle(capsule)
        world.contribute(campaign, manifest, 0)
        settle(capsule)
        assert world.state(campaign).pending == 1
        world.anvil.travel(1000)
        settle(capsule)
    state = world.state(campaign)
    assert state.phase == Phase.DELIVERED
    assert state.pending == 0
    assert state.best_ppm > state.start_ppm
    weights, _ = world.delivered(campaign)
    assert np.abs(weights).max() > 0.01


def test_client_level_privacy_pays_alike_and_delivers(world: CapsuleWorld) -> None:
    manifest = world.manifest(
        privacy={"epsilon": 500.0, "delta": 1e-5, "level": "client"}, target_ppm=800_000
    )
    campaign = world.launch(manifest)
    with world.capsule() as capsule:
        settle(capsule)
        for round_ in range(8):
            if world.state(campaign).phase != Phase.OPEN:
                break
            world.contribute(campaign, manifest, 0, rows(200, seed=round_))
            world.contribute(campaign, manifest, 1, rows(200, seed=100 + round_))
            settle(capsule)
    assert world.state(campaign).phase == Phase.DELIVERED
    assert {event.share_ppm for event in world.events(campaign, "GradientScored")} <= {0, 500_000}


def test_a_network_is_trained_by_adam(world: CapsuleWorld) -> None:
    manifest = world.manifest(
        algorithm={"kind": "mlp-classifier", "hidden": 8, "learning_rate": 0.1, "batch": 64},
        update={"kind": "gradient"},
        start_ppm=400_000,
        target_ppm=600_000,
    )
    campaign = world.launch(manifest, start_tolerance_ppm=390_000)
    with world.capsule() as capsule:
        settle(capsule)
        assert world.state(campaign).phase == Phase.OPEN, world.events(campaign, "CampaignRejected")
        for round_ in range(20):
            if world.state(campaign).phase != Phase.OPEN:
                break
            world.contribute(campaign, manifest, 0, rows(64, seed=round_))
            world.contribute(campaign, manifest, 1, rows(64, seed=100 + round_))
            settle(capsule)
    state = world.state(campaign)
    assert state.phase == Phase.DELIVERED
    weights, _ = world.delivered(campaign)
    assert weights.shape == (9 + 3, 8)


class Clock:
    """The machine's clock, wrong by so much."""

    def __init__(self) -> None:
        self.wrong_s = 0.0
        self.monotonic, self.sleep = time.monotonic, time.sleep

    def time(self) -> float:
        return time.time() + self.wrong_s


def test_an_error_that_nobody_foresaw_holds_up_one_campaign(
    world: CapsuleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = world.launch(), world.launch()
    real = _opening.check_campaign

    def check(ctx: Any, chain: Any) -> Any:
        if chain.id == bad:
            raise RuntimeError("row 7 says 0.25")
        return real(ctx, chain)

    monkeypatch.setattr(_opening, "check_campaign", check)
    with world.capsule() as capsule:
        settle(capsule)
    assert [world.state(each).phase for each in (bad, good)] == [Phase.LAUNCHED, Phase.OPEN]
    (stuck,) = [line for line in world.log if line["event"] == "stuck"]
    assert re.fullmatch(
        r"unforeseen RuntimeError in test_capsule\.py, line \d+: report it", stuck["cause"]
    )


def test_with_a_clock_a_day_behind_no_certificate_is_rejected_as_too_young(
    world: CapsuleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(sys.modules["openmined.capsule._loop"], "time", clock)
    clock.wrong_s = -86_400.0
    young = world.manifest(certificate=FROM_2099.read_text())
    campaign, manifest = world.launch(young), world.manifest(target_ppm=800_000)
    other = world.launch(manifest)
    with world.capsule() as capsule:
        settle(capsule)
        assert world.state(campaign).phase == Phase.LAUNCHED
        (waits,) = [line for line in world.log if line.get("whom") == "operator"]
        assert "clock to be set right: by it, data scientist's certificate" in waits["what"]
        # What does not depend on the clock goes on; keys older than the clock says can sign.
        world.contribute(other, manifest, 0, rows(300))
        world.contribute(other, manifest, 1, rows(300, seed=1))
        settle(capsule)
        assert world.state(other).phase == Phase.DELIVERED
        world.delivered(other)
        clock.wrong_s = 0.0
    with world.capsule() as capsule:
        settle(capsule)
    (said,) = [line["what"] for line in world.log if line["event"] == "clock"]
    assert said.startswith("this machine's clock is 1440 minutes behind the chain's")
    (rejected,) = world.events(campaign, "CampaignRejected")
    assert "certificate: it is not valid now" in rejected.reason


def test_a_clock_a_day_ahead_is_said_and_nothing_is_signed_with_it(
    world: CapsuleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(sys.modules["openmined.capsule._loop"], "time", clock)
    manifest = world.manifest(target_ppm=800_000)
    campaign = world.launch(manifest)
    with world.capsule() as capsule:
        clock.wrong_s = 86_400.0
        settle(capsule)
        world.contribute(campaign, manifest, 0, rows(300))
        world.contribute(campaign, manifest, 1, rows(300, seed=1))
        settle(capsule)
        state = world.state(campaign)
        assert (state.best_ppm >= 800_000, state.phase) == (True, Phase.OPEN)
        clock.wrong_s = 0.0
        settle(capsule)
    assert world.state(campaign).phase == Phase.DELIVERED
    (said,) = [line["what"] for line in world.log if line["event"] == "clock"]
    assert said.startswith("this machine's clock is 1440 minutes ahead of the chain's")
    assert any(line.get("whom") == "operator" for line in world.log)
