"""Launched once, whatever happens."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from tests.unit.sonar.chain import in_background, wait_for
from tests.unit.sonar.conftest import Scene
from tests.unit.sonar.played import PlayedCapsule, generate_pgp

from openmined.protocol import CampaignManifest, Phase, UnitError, encode_manifest
from openmined.sonar import (
    Campaign,
    CampaignLaunched,
    CapsuleRef,
    LaunchRefused,
    NotEnoughFunds,
    NoWallet,
    PgpKey,
    Sonar,
    Wallet,
    connect_sonar,
)
from openmined.sonar import _launch as launch_module
from openmined.storage import FolderStore, MemoryStore, StoreUnreachable, get_manifest


def test_a_launch_says_what_was_asked_for(scene: Scene) -> None:
    campaign = scene.launch(bounty=2_000_000, description="of points")
    state = campaign.state()
    assert state.phase == Phase.LAUNCHED
    terms = state.terms
    assert (terms.bounty, terms.fee, terms.bond) == (2_000_000, 100_000, 2_000)
    assert terms.target_ppm == 900_000
    assert terms.min_improvement_ppm == 10_000
    assert terms.capsule == scene.capsule.address
    manifest = campaign.manifest
    assert (manifest.start_ppm, manifest.target_ppm) == (terms.start_ppm, terms.target_ppm)
    assert manifest.certificate == scene.pgp.certificate
    assert manifest.output.fields[0].classes == ("no", "yes")
    share_of_no = terms.start_ppm / 1e6
    assert 0.3 < share_of_no < 0.7, "all weights zero: always the first class"
    text = scene.capsule.read_validation(campaign.id)
    assert text.startswith('x,y\r\n"[')
    assert text.count("\r\n") == 121


def test_the_validation_set_is_on_the_store_only_sealed(scene: Scene) -> None:
    campaign = scene.launch()
    blocks: dict[Any, bytes] = scene.store.blocks._blocks  # type: ignore[attr-defined]
    plain = scene.capsule.read_validation(campaign.id).encode()
    secret = plain[len(plain) // 2 :][:16]
    assert not any(secret in data for data in blocks.values())


def test_the_same_call_is_the_same_campaign_and_another_is_not(scene: Scene) -> None:
    first = scene.launch(repeat=0, title="once")
    assert scene.launch(repeat=0, title="once") == first
    assert scene.launch(repeat=1, title="once") != first
    assert scene.launch(repeat=0, title="twice") != first


def trace_lines(visit: Callable[[int], None]) -> Callable[..., Any]:
    """Call `visit` with a running number at every line of the launch."""
    counter = 0
    watched = {
        "launch",
        "make_draft",
        "is_usable",
        "write_draft",
        "launch_campaign",
        "_transact",
        "send",
        "_submit",
        "_broadcast",
        "_await",
        "_judge",
    }

    def local(frame: FrameType, event: str, _: object) -> Any:
        nonlocal counter
        if event == "line":
            counter += 1
            visit(counter)
        return local

    def tracer(frame: FrameType, _event: str, _: object) -> Any:
        ours = frame.f_code.co_filename.startswith(str(Path(launch_module.__file__).parent))
        return local if ours and frame.f_code.co_name in watched else None

    return tracer


def test_killed_at_any_line_and_run_again_it_is_one_campaign(
    own_scene: Scene, tmp_path: Path, wallets: list[Wallet]
) -> None:
    world = own_scene.world
    store = FolderStore(tmp_path / "store")

    def launch(number: int) -> Campaign:
        contract = connect_sonar(
            world.anvil.url, world.address, wallets[0], lock_folder=tmp_path / "locks"
        )
        scene = Scene(
            world,
            store,  # type: ignore[arg-type]
            Sonar(
                contract,
                store,
                pgp=own_scene.pgp,
                capsule=CapsuleRef(address=own_scene.capsule.address),
                drafts=own_scene.drafts,
            ),
            own_scene.capsule,
            own_scene.pgp,
            own_scene.drafts,
        )
        campaign = scene.launch(repeat=number)
        contract.close()
        return campaign

    def run_killed(number: int, at: int) -> bool:
        """Launch in a child that dies at its line `at`; whether it died."""
        child = os.fork()
        if child == 0:
            sys.settrace(trace_lines(lambda line: os._exit(9) if line == at else None))
            try:
                launch(number)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status) == 9

    line, launched_early, campaigns = 0, 0, world.data_scientist.campaign_count()
    while True:
        line += 1
        died = run_killed(line, line)
        count = world.data_scientist.campaign_count()
        launched_early += died and count > campaigns
        campaign = launch(line)
        campaigns += 1
        assert world.data_scientist.campaign_count() == campaigns, f"after line {line}"
        assert campaign.id == campaigns
        assert world.data_scientist.escrow("0x" + "00" * 20) == campaigns * 10**6
        if not died:
            break
    assert line > 40
    assert launched_early > 0, "some deaths were after the sending"


def test_a_launch_sent_and_not_yet_mined_is_adopted(
    own_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first run was killed while it waited for its receipt; the second finds the nonce used.
    scene = own_scene
    adopting = threading.Event()
    adopt = launch_module._adopt

    def noting(*arguments: Any) -> int:
        adopting.set()
        return adopt(*arguments)

    monkeypatch.setattr(launch_module, "_adopt", noting)
    scene.world.anvil.set_automine(False)
    first = in_background(lambda: scene.launch(repeat=0))
    wait_for(scene.world.anvil.pending)
    second = in_background(lambda: scene.launch(repeat=0))
    assert adopting.wait(20)
    scene.world.anvil.mine()
    assert first.result(20) == second.result(20)
    assert scene.world.data_scientist.campaign_count() == 1


def test_a_draft_whose_time_has_run_out_is_made_anew(scene: Scene) -> None:
    request = {"repeat": 0, "title": "late"}
    campaign = scene.launch(**request)
    (path,) = scene.drafts.glob("*.json")
    draft = launch_module.read_draft(path)
    assert draft is not None
    assert draft.manifest == encode_manifest(campaign.manifest)
    assert draft.deadline == campaign.state().terms.deadline
    path.write_text("{")
    assert launch_module.read_draft(path) is None
    launch_module.write_draft(path, draft)
    assert launch_module.read_draft(path) == draft


def test_a_store_that_lost_the_draft_gets_it_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise StoreUnreachable("the chain is not there for a moment")

    with monkeypatch.context() as patch:
        patch.setattr(scene.world.data_scientist, "launch_campaign", fail)
        with pytest.raises(StoreUnreachable):
            scene.launch(repeat=0, title="lost")
    assert len(list(scene.drafts.glob("*.json"))) == 1
    scene.sonar.store = scene.store = scene.capsule.store = MemoryStore()
    campaign = scene.launch(repeat=0, title="lost")
    found = get_manifest(scene.store, campaign.state().terms.spec, CampaignManifest)
    assert found.title == "lost"
    assert scene.capsule.read_validation(campaign.id)


def test_a_draft_is_used_again_as_it_is(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise StoreUnreachable("the chain is not there for a moment")

    with monkeypatch.context() as patch:
        patch.setattr(scene.world.data_scientist, "launch_campaign", fail)
        with pytest.raises(StoreUnreachable):
            scene.launch(repeat=0, title="again")
    (path,) = scene.drafts.glob("*.json")
    draft = launch_module.read_draft(path)
    assert draft is not None
    campaign = scene.launch(repeat=0, title="again")
    assert encode_manifest(campaign.manifest) == draft.manifest
    assert campaign.state().terms.deadline == draft.deadline


def test_without_the_money_nothing_is_uploaded(scene: Scene) -> None:
    blocks: dict[Any, bytes] = scene.store.blocks._blocks  # type: ignore[attr-defined]
    before = len(blocks)
    with pytest.raises(NotEnoughFunds):
        scene.launch(bounty=10**30)
    assert len(blocks) == before
    assert not scene.drafts.exists()


def test_a_folder_that_cannot_be_written_stops_the_launch(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    scene.sonar._drafts = tmp_path / "file" / "drafts"
    count = scene.world.data_scientist.campaign_count()
    with pytest.raises(LaunchRefused, match=r"not sent|cannot be read"):
        scene.launch()
    assert scene.world.data_scientist.campaign_count() == count


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"target_accuracy": 0.3}, LaunchRefused, "not above"),
        ({"bounty": 1.5}, UnitError, "bounty"),
        ({"bounty": -1}, UnitError, "bounty"),
        ({"title": ""}, LaunchRefused, "title"),
        ({"title": "x" * 300}, LaunchRefused, "title"),
        ({"capsule": "0x12"}, Exception, "is not an address"),
        ({"capsule_certificate": "nonsense"}, Exception, "no OpenPGP certificate"),
        ({"capsule_fingerprint": "ab" * 20}, LaunchRefused, "has fingerprint"),
        ({"capsule_certificate": None}, LaunchRefused, "no OpenPGP certificate of Capsule"),
        ({"initial": np.zeros((2, 2))}, LaunchRefused, "initial weights of shape"),
        ({"bounty": 0}, Exception, "Sonar: no bounty"),
        ({"grace_s": 10**9}, Exception, "Sonar: grace too long"),
    ],
)
def test_what_cannot_be_a_campaign(
    scene: Scene, changes: dict[str, Any], error: type[Exception], text: str
) -> None:
    scene.capsule.secret = generate_pgp("Unpublished")
    count = scene.world.data_scientist.campaign_count()
    if changes.get("capsule_certificate", "") is None:
        changes["capsule"] = scene.world.stranger.wallet.address
    with pytest.raises(error, match=text):
        scene.launch(**changes)
    assert scene.world.data_scientist.campaign_count() == count


def test_a_capsules_certificate_is_found_on_chain(scene: Scene) -> None:
    first = scene.launch()
    scene.capsule.open(first.id)
    second = scene.launch(capsule_certificate=None)
    assert scene.capsule.read_validation(second.id)


def test_a_certificate_from_an_untrusted_address_needs_a_fingerprint(
    scene: Scene, world: Any
) -> None:
    stranger = PlayedCapsule(world.stranger, scene.store)
    scene.sonar.capsule = CapsuleRef(address=stranger.address, url="http://capsule.example")
    with pytest.raises(LaunchRefused, match="could be anybody's"):
        scene.launch(capsule_certificate=None)
    scene.sonar.capsule = CapsuleRef(address=stranger.address, url="http://127.0.0.1:9")
    with pytest.raises(LaunchRefused, match="see that the Capsule runs"):
        scene.launch(capsule_certificate=None)


def test_launching_needs_wallet_and_key(scene: Scene, pgp: PgpKey) -> None:
    with connect_sonar(scene.world.anvil.url, scene.world.address) as reader:
        scene.sonar = Sonar(reader, scene.store, pgp=pgp)
        with pytest.raises(NoWallet):
            scene.launch()
    scene.sonar = Sonar(scene.world.data_scientist, scene.store)
    with pytest.raises(LaunchRefused, match="PgpKey"):
        scene.launch()


def test_initial_weights_go_sealed_to_capsule(scene: Scene) -> None:
    weights = np.array([[1.0, -1.0], [-2.0, 2.0], [0.5, -0.5], [0.0, 0.0]]) * -1
    weights[3] = [0.4, -0.4]
    campaign = scene.launch(initial=weights, target_accuracy=1.0, min_improvement_ppm=1)
    assert 800_000 < campaign.state().terms.start_ppm < 1_000_000
    assert campaign.manifest.initial_weights is not None
    launched = campaign.events()[0]
    assert isinstance(launched, CampaignLaunched)
