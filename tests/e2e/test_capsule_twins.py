"""Two Capsules on one identity, backups restored elsewhere, and chains that change their mind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.unit.capsule.capsule_world import CapsuleWorld, capsule_world, rows, settle

from openmined.capsule import Capsule, FolderBusy, Log, unsealed
from openmined.capsule._backup import restore_backup, write_backup
from openmined.protocol import CampaignManifest, Phase


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CapsuleWorld]:
    with capsule_world(tmp_path) as made:
        yield made


@contextmanager
def twin(world: CapsuleWorld, name: str = "twin") -> Iterator[Capsule]:
    """Restore a backup into another folder and start a Capsule there."""
    folder = world.folder / name
    if not folder.exists():
        write_backup(world.capsule_folder, world.folder / f"{name}.age", world.unlock)
        restore_backup(world.folder / f"{name}.age", folder, world.unlock)
    with unsealed(folder, world.unlock, Log(world.log.append)) as context:
        context.store = world.store
        yield Capsule(context)


def open_campaign(world: CapsuleWorld, capsule: Capsule) -> tuple[int, CampaignManifest]:
    manifest = world.manifest(target_ppm=960_000)
    campaign = world.launch(manifest)
    settle(capsule)
    assert world.state(campaign).phase == Phase.OPEN
    return campaign, manifest


def contribute(
    world: CapsuleWorld, campaign: int, manifest: CampaignManifest, size: int, seed: int
) -> None:
    for miner in (0, 1):
        world.contribute(campaign, manifest, miner, rows(size, seed=seed + miner))


def check_outcomes(world: CapsuleWorld, campaign: int) -> None:
    state = world.state(campaign)
    assert state.phase == Phase.DELIVERED
    scored = world.events(campaign, "GradientScored")
    returned = world.events(campaign, "BondReclaimed")
    numbers = sorted(event.gradient for event in (*scored, *returned))
    assert numbers == list(range(state.gradients))
    (end,) = world.events(campaign, "CampaignDelivered")
    assert sum(e.payout for e in scored) + end.fee + end.refund == 10**18
    _, card = world.delivered(campaign)
    assert int(card["accuracy_ppm"]) >= 950_000


def test_a_folder_takes_one_capsule(world: CapsuleWorld) -> None:
    with world.capsule(), pytest.raises(FolderBusy), world.capsule():
        raise AssertionError("a second Capsule started")


def test_two_capsules_on_one_identity_do_no_harm(world: CapsuleWorld) -> None:
    with world.capsule() as first:
        campaign, manifest = open_campaign(world, first)
        with twin(world) as second:
            contribute(world, campaign, manifest, 2, seed=0)
            settle(first, second)
            contribute(world, campaign, manifest, 4, seed=20)
            settle(second, first)
            for seed in (40, 60, 80):
                if world.state(campaign).phase != Phase.OPEN:
                    break
                contribute(world, campaign, manifest, 400, seed=seed)
                settle(second, first)
    check_outcomes(world, campaign)
    events = [line["event"] for line in world.log]
    assert "replaying" in events
    assert "foreign" not in events


def test_a_backup_restored_elsewhere_goes_on_from_the_chain(world: CapsuleWorld) -> None:
    with world.capsule() as lost:
        campaign, manifest = open_campaign(world, lost)
        write_backup(world.capsule_folder, world.folder / "twin.age", world.unlock)
        contribute(world, campaign, manifest, 2, seed=0)
        settle(lost)
        contribute(world, campaign, manifest, 3, seed=10)
        settle(lost)
    restore_backup(world.folder / "twin.age", world.folder / "twin", world.unlock)
    with twin(world) as restored:
        settle(restored)
        for seed in (40, 60, 80):
            if world.state(campaign).phase != Phase.OPEN:
                break
            contribute(world, campaign, manifest, 400, seed=seed)
            settle(restored)
    check_outcomes(world, campaign)
    assert [line["batch"] for line in world.log if line["event"] == "replaying"] == [1, 2]


def test_a_replayed_batch_has_the_weights_of_the_original(world: CapsuleWorld) -> None:
    with world.context() as context:
        capsule = Capsule(context)
        campaign, manifest = open_campaign(world, capsule)
        write_backup(world.capsule_folder, world.folder / "twin.age", world.unlock)
        contribute(world, campaign, manifest, 3, seed=0)
        settle(capsule)
        version = world.state(campaign).version
        own = context.recall(campaign, "weights", version)
    restore_backup(world.folder / "twin.age", world.folder / "twin", world.unlock)
    with unsealed(world.folder / "twin", world.unlock, Log(world.log.append)) as context:
        context.store = world.store
        settle(Capsule(context))
        replayed = context.recall(campaign, "weights", version)
    assert own is not None
    assert replayed is not None
    np.testing.assert_allclose(replayed[0]["weights"], own[0]["weights"], rtol=0, atol=1e-12)


def test_without_the_keys_a_campaign_is_left_to_the_other(world: CapsuleWorld) -> None:
    write_backup(world.capsule_folder, world.folder / "twin.age", world.unlock)
    with world.capsule() as first:
        campaign, manifest = open_campaign(world, first)
        restore_backup(world.folder / "twin.age", world.folder / "twin", world.unlock)
        with twin(world) as second:
            contribute(world, campaign, manifest, 2, seed=0)
            settle(second, first)
            assert world.state(campaign).batches == 1
            for seed in (40, 60, 80):
                if world.state(campaign).phase != Phase.OPEN:
                    break
                contribute(world, campaign, manifest, 400, seed=seed)
                settle(second, first)
    check_outcomes(world, campaign)
    assert any("opened it" in line.get("cause", "") for line in world.log)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_reorganisation_takes_back_and_goes_on(world: CapsuleWorld, depth: int) -> None:
    with world.capsule() as capsule:
        campaign, manifest = open_campaign(world, capsule)
        contribute(world, campaign, manifest, 2, seed=0)
        settle(capsule)
        assert world.state(campaign).batches == 1
        # The report is gone, with depth 2 a submission, with depth 4 the opening too.
        world.anvil.reorganise(depth)
        settle(capsule)
        if world.state(campaign).gradients < 2:
            contribute(world, campaign, manifest, 2, seed=5)
        settle(capsule)
        for seed in (40, 60, 80):
            if world.state(campaign).phase != Phase.OPEN:
                break
            contribute(world, campaign, manifest, 400, seed=seed)
            settle(capsule)
    check_outcomes(world, campaign)
    assert "reorganised" in [line["event"] for line in world.log]


def test_a_new_chain_on_the_same_port_is_noticed(world: CapsuleWorld) -> None:
    with world.capsule() as capsule:
        campaign, _ = open_campaign(world, capsule)
        height = world.data_scientist.block_number()
        world.anvil.reorganise(height - 1)
        again = world.launch(replace_title(world))
        assert again == campaign, "another campaign has the number now"
        settle(capsule)
        assert world.state(campaign).phase == Phase.OPEN


def replace_title(world: CapsuleWorld) -> CampaignManifest:
    world.nonce = 0
    return world.manifest(title="Another campaign")
