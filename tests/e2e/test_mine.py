"""A real mine process on a real chain and store, against a Capsule played by the test."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.unit.mine.mine_world import (
    MineProcess,
    MineWorld,
    mine_loop,
    mine_world,
    rows,
    wait_for,
)

from openmined.sonar import Score
from openmined.syft import (
    accumulate_statistics,
    apply_update,
    encode_targets,
    initial_weights,
    mlp_gradient,
    spec_from_manifest,
)


@pytest.fixture
def world() -> Iterator[MineWorld]:
    with mine_world() as made:
        yield made


def test_a_mine_trains_submits_and_is_paid(world: MineWorld) -> None:
    folder, secrets = world.make_mine()
    with MineProcess(folder.path) as mine:
        opened = world.launch_open(weights=np.full((9, 3), 0.25))
        (event,) = world.wait_submitted(opened.campaign)
        assert event.miner == secrets.wallet.address

        spec = spec_from_manifest(opened.manifest)
        batch = rows(120)
        assert spec.features is not None
        data = (spec.features.transform(batch), encode_targets(spec, batch.column("label")))
        wanted = apply_update(
            np.full((9, 3), 0.25), accumulate_statistics([data]), opened.manifest.update, spec.l2
        )
        found = world.decrypt(opened, event)
        worst = np.abs(found - wanted).max() / np.abs(wanted).max()
        assert -np.log2(worst) > 9, "bits of precision"

        world.score(opened, 500_000, [Score(0, 1_000_000)], weights=found)
        # It goes on with the next version.
        first, second = world.wait_submitted(opened.campaign, 2)
        assert (first.version, second.version) == (1, 2)
        world.score(opened, 900_000, [Score(1, 1_000_000)])
        ledger = folder.ledger()
        wait_for(lambda: all(s.final for s in ledger.submissions()))
        output = mine.stop()

    paid = [s.payout for s in ledger.submissions()]
    part = 99 * 10**16
    assert paid == [400_000 * part // 900_000, 400_000 * part // 900_000]
    assert world.capsule.credit("0x" + "0" * 40, secrets.wallet.address) == sum(paid) + 2000
    assert mine.process.returncode == 0
    assert '"step": "submitted"' in output


def test_a_network_is_trained_by_backpropagation(world: MineWorld) -> None:
    batch = rows(200)
    folder, secrets = world.make_mine(batch=batch, permission=world.trusting)
    manifest = world.manifest(
        algorithm={"kind": "mlp-classifier", "hidden": 4, "batch": 64, "seed": "07"},
        update={"kind": "gradient"},
    )
    spec = spec_from_manifest(manifest)
    assert spec.features is not None
    weights = initial_weights(spec)
    opened = world.open(world.launch(manifest), manifest, weights)
    with mine_loop(folder, secrets) as loop:
        (event,) = wait_for(lambda: (loop.run_once(), world.submitted(opened.campaign))[1], 90)
    body = world.open_envelope(event)
    assert (body.kind, body.samples) == ("mlp-gradient", 64)
    found = world.decrypt(opened, event)
    # 64 of 200 rows, drawn by the mine: their mean gradient is near that of all.
    Z, Y = spec.features.transform(batch), encode_targets(spec, batch.column("label"))
    whole = mlp_gradient(weights, Z, Y)
    cosine = (found * whole).sum() / np.linalg.norm(found) / np.linalg.norm(whole)
    assert cosine > 0.7
    assert {path.name for path in folder.cache.iterdir()} <= {"keys"}, "no statistics are kept"
