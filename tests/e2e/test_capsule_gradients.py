"""What becomes of each kind of gradient on a real chain: attackers, latecomers, lost bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tenseal.sealapi as seal
from tests.unit.capsule.capsule_world import CapsuleWorld, Rows, capsule_world, rows
from tests.unit.capsule.capsule_world import settle as settle_within

from openmined.capsule import Capsule
from openmined.capsule._rotation import request_rotation
from openmined.protocol import (
    Phase,
    Reason,
    decode_gradient_body,
    encode_gradient_body,
)
from openmined.storage import StoreUnreachable
from openmined.syft import EncryptedGradient
from openmined.syft._seal import Kind, frame, make_context, save


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CapsuleWorld]:
    with capsule_world(tmp_path, miners=5) as made:
        yield made


settle = partial(settle_within, turns=40)


def address(world: CapsuleWorld, miner: int) -> str:
    wallet = world.miners[miner].wallet
    assert wallet is not None
    return wallet.address


def negative(world: CapsuleWorld, campaign: int, body: bytes, miner: str) -> bytes:
    """Negate another's ciphertexts and bind them to oneself: what a colluder could do."""
    found = decode_gradient_body(body)
    keys, model = world.published(campaign)
    blobs = list(found.ciphertexts)
    gradient = EncryptedGradient.from_blobs(model.packing, blobs, keys.parameters)
    evaluator = seal.Evaluator(make_context(keys.parameters))
    negated = []
    for item in gradient.ciphertexts:
        evaluator.negate_inplace(item)
        negated.append(frame(Kind.GRADIENT, gradient.key_id, save(item)))
    return encode_gradient_body(
        found.model_copy(update={"miner": miner, "ciphertexts": tuple(negated)})
    )


def noise_rows(count: int, seed: int) -> Rows:
    random = np.random.default_rng(seed)
    labels = ["abc"[label] for label in random.integers(0, 3, count)]
    return random.normal(0, 1.0, (count, 8)), labels


def poisoned(data: Rows) -> Rows:
    return data[0], ["bca"["abc".index(label)] for label in data[1]]


def test_among_attackers_the_honest_mine_is_paid(world: CapsuleWorld) -> None:
    """Twelve rows a round: the campaign lasts for several, the late ones with little to gain."""
    manifest = world.manifest(target_ppm=999_000, scoring={"window_s": 0, "batch": 5})
    campaign = world.launch(manifest)
    honest, noise, copier, negator, poisoner = (address(world, i) for i in range(5))
    with world.capsule() as capsule:
        settle(capsule)
        for round_ in range(4):
            if world.state(campaign).phase != Phase.OPEN:
                break
            own = rows(12, seed=round_)
            body = world.train(campaign, manifest, own, honest)
            bodies = [
                body,
                world.train(campaign, manifest, noise_rows(200, round_), noise),
                world.train(campaign, manifest, own, copier),
                negative(world, campaign, body, negator),
                world.train(campaign, manifest, poisoned(rows(12, seed=50 + round_)), poisoner),
            ]
            for miner, each in enumerate(bodies):
                world.submit(campaign, miner, world.seal(each))
            settle(capsule)
    assert world.state(campaign).batches >= 3
    scored = world.events(campaign, "GradientScored")
    everyone = (honest, noise, copier, negator, poisoner)
    paid = {miner: sum(e.payout for e in scored if e.miner == miner) for miner in everyone}
    assert paid[honest] >= 0.95 * sum(paid.values()), paid
    reasons = {e.reason for e in scored if e.miner == copier}
    assert reasons == {Reason.DUPLICATE}


def test_lost_bytes_wait_then_cost_nothing(world: CapsuleWorld) -> None:
    manifest = world.manifest(target_ppm=999_000, scoring={"window_s": 0, "batch": 2})
    campaign = world.launch(manifest)
    with world.capsule() as capsule:
        settle(capsule)
        world.miners[0].submit_gradient(campaign, 1, os.urandom(32))
        world.contribute(campaign, manifest, 1)
        deadline = 200
        while len(world.events(campaign, "GradientScored")) < 2 and deadline:
            capsule.turn()
            deadline -= 1
    lost, good = sorted(world.events(campaign, "GradientScored"), key=lambda e: e.gradient)
    assert (lost.reason, lost.bond_returned) == (Reason.UNAVAILABLE, 1000)
    assert good.share_ppm == 1_000_000
    (line,) = [found for found in world.log if "envelope of gradient 0" in found.get("what", "")]
    assert line["whom"] == "store"


def test_a_store_that_is_down_is_waited_for(world: CapsuleWorld) -> None:
    class Down:
        up = False

        def __getattr__(self, name: str) -> Any:
            if not self.up:
                raise StoreUnreachable("the store does not answer")
            return getattr(world.store, name)

    manifest = world.manifest()
    campaign = world.launch(manifest)
    store = Down()
    with world.context() as context:
        context.store = store
        capsule = Capsule(context)
        for _ in range(5):
            capsule.turn()
        assert world.state(campaign).phase == Phase.LAUNCHED
        store.up = True
        opened(world, capsule, campaign)
        world.contribute(campaign, manifest, 0)
        world.contribute(campaign, manifest, 1)
        store.up = False
        for _ in range(5):
            capsule.turn()
        assert world.state(campaign).pending == 2, "nobody is rejected for the store's sake"
        store.up = True
        for _ in range(200):
            capsule.turn()
            if not world.state(campaign).pending:
                break
    assert [e.reason for e in world.events(campaign, "GradientScored")] == [0, 0]
    assert any(line.get("whom") == "store" for line in world.log)


def opened(world: CapsuleWorld, capsule: Capsule, campaign: int) -> None:
    for _ in range(200):
        capsule.turn()
        if world.state(campaign).phase == Phase.OPEN:
            return
    raise AssertionError("not opened")


def test_over_quota_costs_the_bond_unopened(world: CapsuleWorld) -> None:
    manifest = world.manifest(scoring={"window_s": 0, "batch": 3, "quota": 1})
    campaign = world.launch(manifest)
    with world.capsule() as capsule:
        settle(capsule)
        for seed in (0, 1):
            world.contribute(campaign, manifest, 0, rows(50, seed=seed))
        world.contribute(campaign, manifest, 1)
        settle(capsule)
    reasons = [e.reason for e in world.events(campaign, "GradientScored")]
    assert reasons == [0, Reason.OVER_QUOTA, 0]


def test_gradients_of_a_retired_key_epoch_are_stale(world: CapsuleWorld) -> None:
    manifest = world.manifest(target_ppm=990_000, scoring={"window_s": 0, "batch": 2})
    campaign = world.launch(manifest)
    with world.context() as context:
        capsule = Capsule(context)
        settle(capsule)
        late = world.train(campaign, manifest, rows(50), address(world, 0))
        request_rotation(context.state, campaign, 1)
        settle(capsule)
        assert world.state(campaign).epoch == 2
        world.submit(campaign, 0, world.seal(late), version=1)
        world.contribute(campaign, manifest, 1)
        settle(capsule)
    stale, good = sorted(world.events(campaign, "GradientScored"), key=lambda e: e.gradient)
    assert (stale.reason, stale.bond_returned) == (Reason.STALE, 1000)
    assert good.reason == 0


def test_gradients_of_an_older_version_are_used_when_they_help(world: CapsuleWorld) -> None:
    manifest = world.manifest(target_ppm=990_000, scoring={"window_s": 0, "batch": 1})
    campaign = world.launch(manifest)
    with world.capsule() as capsule:
        settle(capsule)
        late = world.train(campaign, manifest, rows(300, seed=3), address(world, 1))
        world.contribute(campaign, manifest, 0, rows(3, seed=1))
        settle(capsule)
        assert world.state(campaign).version == 2
        world.submit(campaign, 1, world.seal(late), version=1)
        settle(capsule)
    _, second = sorted(world.events(campaign, "GradientScored"), key=lambda e: e.gradient)
    assert second.share_ppm == 1_000_000


@pytest.mark.parametrize(
    ("changes", "terms", "said"),
    [
        ({"start_ppm": 800_000}, {}, "start measured"),
        ({"validation": b"not sealed"}, {}, "validation set: it is not sealed to this Capsule"),
        (
            {"features": [{"kind": "columns", "columns": ["label"]}]},
            {},
            "spec:",
        ),
        ({}, {"target_ppm": 940_000}, "spec: its start and target are not those of the terms"),
        ({"certificate": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"}, {}, "certificate:"),
    ],
)
def test_impossible_campaigns_are_rejected_with_the_reason(
    world: CapsuleWorld, changes: dict[str, Any], terms: dict[str, Any], said: str
) -> None:
    campaign = world.launch(world.manifest(**changes), **terms)
    with world.capsule() as capsule:
        settle(capsule)
    (event,) = world.events(campaign, "CampaignRejected")
    assert said in event.reason
    assert len(event.reason) <= 96
    assert event.refund == 10**18


def test_a_spec_that_is_nowhere_is_rejected_in_the_end(world: CapsuleWorld) -> None:
    campaign = world.launch(world.manifest(), spec=os.urandom(32))
    with world.capsule() as capsule:
        for _ in range(300):
            capsule.turn()
            if world.state(campaign).phase == Phase.REJECTED:
                break
    (event,) = world.events(campaign, "CampaignRejected")
    assert event.reason.startswith("not on the store")
