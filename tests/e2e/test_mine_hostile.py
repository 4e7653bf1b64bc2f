"""A Capsule, a data scientist and a store that are wrong or hostile: said, and survived."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.unit.mine.mine_world import (
    ETHER,
    MineWorld,
    Opened,
    mine_loop,
    mine_world,
    rows,
    wait_for,
)

from openmined.mine import MineFolder, Secrets, change_permission
from openmined.mine._ledger import DecisionRecord
from openmined.mine._loop import MineLoop
from openmined.protocol import CampaignManifest, KeysManifest, ModelManifest, SonarRef


@pytest.fixture(scope="module")
def world() -> Iterator[MineWorld]:
    with mine_world() as made:
        yield made


@pytest.fixture(scope="module")
def owner(world: MineWorld) -> tuple[MineFolder, Secrets]:
    return world.make_mine()


@pytest.fixture
def loop(owner: tuple[MineFolder, Secrets]) -> Iterator[MineLoop]:
    with mine_loop(*owner) as made:
        yield made


def verdict_on(loop: MineLoop, campaign: int) -> DecisionRecord:
    """Run passes until the mine has said something final about a campaign."""

    def look() -> DecisionRecord | None:
        loop.run_once()
        found = [d for d in loop.ledger.decisions() if d.campaign == campaign]
        return next((d for d in found if d.dataset == "*"), None)

    return wait_for(look, 60)


def elsewhere(chain: SonarRef) -> SonarRef:
    return chain.model_copy(update={"sonar": "0x" + "9" * 40})


def other_chain(chain: SonarRef) -> SonarRef:
    return chain.model_copy(update={"chain_id": 1})


def with_parameters(**changes: Any) -> Callable[[KeysManifest], KeysManifest]:
    def change(found: KeysManifest) -> KeysManifest:
        parameters = found.parameters.model_copy(update=changes)
        return found.model_copy(update={"parameters": parameters})

    return change


BAD_KEYS: dict[str, tuple[Callable[[KeysManifest], KeysManifest], str]] = {
    "another chain": (
        lambda keys: keys.model_copy(update={"chain": other_chain(keys.chain)}),
        "bound to chain 1",
    ),
    "another contract": (
        lambda keys: keys.model_copy(update={"chain": elsewhere(keys.chain)}),
        "bound to contract 0x9999",
    ),
    "another campaign": (
        lambda keys: keys.model_copy(update={"campaign": keys.campaign + 1}),
        "bound to campaign",
    ),
    "another epoch": (lambda keys: keys.model_copy(update={"epoch": 2}), "bound to key epoch 2"),
    "no protecting noise": (with_parameters(flood_bits=0), "0 bits of protecting noise"),
    "less than 128 bits": (
        with_parameters(poly_modulus_degree=4096, coeff_modulus_bits=(60, 60, 60)),
        "128",
    ),
    "no certificate": (
        lambda keys: keys.model_copy(
            update={"certificate": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabcd\n"}
        ),
        "certificate cannot be used",
    ),
}

BAD_MODELS: dict[str, tuple[Callable[[ModelManifest], ModelManifest], str]] = {
    "another campaign": (
        lambda model: model.model_copy(update={"campaign": model.campaign + 7}),
        "model manifest is bound to campaign",
    ),
    "another version": (
        lambda model: model.model_copy(update={"version": 2}),
        "bound to version 2, not to 1",
    ),
    "another epoch": (lambda model: model.model_copy(update={"epoch": 9}), "bound to key epoch 9"),
    "another contract": (
        lambda model: model.model_copy(update={"chain": elsewhere(model.chain)}),
        "bound to contract",
    ),
    "other keys": (
        lambda model: model.model_copy(update={"keys": "ab" * 32}),
        "encrypted under keys abab",
    ),
    "another shape": (
        lambda model: model.model_copy(
            update={"packing": model.packing.model_copy(update={"columns": 2})}
        ),
        "packed for (9, 2)",
    ),
    "a size that is a lie": (
        lambda model: model.model_copy(
            update={
                "ciphertexts": tuple(
                    ref.model_copy(update={"size": ref.size - 1}) for ref in model.ciphertexts
                )
            }
        ),
        "ciphertext",
    ),
    "a size beyond all bounds": (
        lambda model: model.model_copy(
            update={
                "ciphertexts": tuple(
                    ref.model_copy(update={"size": 1 << 33}) for ref in model.ciphertexts
                )
            }
        ),
        "is above the",
    ),
    "one ciphertext twice": (
        lambda model: model.model_copy(update={"ciphertexts": model.ciphertexts * 2}),
        "ciphertexts",
    ),
}

BAD_BLOBS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a model cut short": ("ciphertext", lambda data: data[: len(data) // 2]),
    "a model of noise": ("ciphertext", lambda data: os.urandom(len(data))),
    "a model with one bit changed in its head": (
        "ciphertext",
        lambda data: bytes([data[0] ^ 1]) + data[1:],
    ),
    "a public key cut short": ("public-key", lambda data: data[:-200]),
    "rotation keys of noise": ("galois-keys", lambda data: data[:64] + os.urandom(5000)),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_keys_that_cannot_be_used(world: MineWorld, loop: MineLoop, name: str) -> None:
    change, text = BAD_KEYS[name]
    manifest = world.manifest()
    opened = world.open(world.launch(manifest), manifest, change_keys=change)
    check_refused(world, loop, opened, text)


@pytest.mark.parametrize("name", BAD_MODELS)
def test_models_that_cannot_be_used(world: MineWorld, loop: MineLoop, name: str) -> None:
    change, text = BAD_MODELS[name]
    manifest = world.manifest()
    opened = world.open(world.launch(manifest), manifest, change_model=change)
    check_refused(world, loop, opened, text)


@pytest.mark.parametrize("name", BAD_BLOBS)
def test_bytes_that_are_no_keys_and_no_ciphertexts(
    world: MineWorld, loop: MineLoop, name: str
) -> None:
    purpose, change = BAD_BLOBS[name]
    manifest = world.manifest()
    opened = world.open(
        world.launch(manifest),
        manifest,
        change_blob=lambda found, data: change(data) if found == purpose else data,
    )
    check_refused(world, loop, opened, "its keys or model")


def check_refused(world: MineWorld, loop: MineLoop, opened: Opened, text: str) -> None:
    said = verdict_on(loop, opened.campaign)
    assert said.verdict == "refuse"
    assert text in said.text
    (submission,) = loop.ledger.submissions(opened.campaign)
    assert submission.step == "failed"
    assert not submission.left_mine
    assert world.submitted(opened.campaign) == []


def test_a_sound_version_after_an_unsound_one(world: MineWorld, loop: MineLoop) -> None:
    manifest = world.manifest()
    opened = world.open(
        world.launch(manifest),
        manifest,
        change_blob=lambda purpose, data: data[:99] if purpose == "ciphertext" else data,
    )
    assert verdict_on(loop, opened.campaign).verdict == "refuse"
    world.rotate(opened, np.full((9, 3), 0.5))
    (event,) = wait_for(lambda: (loop.run_once(), world.submitted(opened.campaign))[1], 60)
    assert event.version == 2
    assert world.open_envelope(event).epoch == 2


def test_terms_that_disagree_with_the_manifest(world: MineWorld, loop: MineLoop) -> None:
    manifest = world.manifest(target_ppm=800_000)
    opened = world.open(world.launch(manifest), manifest)
    said = verdict_on(loop, opened.campaign)
    assert (said.verdict, said.causes[0]["code"]) == ("refuse", "terms")
    assert "80.0 %" in said.text
    assert "90.0 %" in said.text


@pytest.mark.parametrize(
    "data", [b"{}", b"\xff" * 100, b'{"format":"openmined/campaign@9"}', b"[" * 5000]
)
def test_a_campaign_that_is_no_manifest(world: MineWorld, loop: MineLoop, data: bytes) -> None:
    manifest = world.manifest()
    campaign = world.launch(manifest, spec=world.store.put_manifest_bytes(data))
    world.open(campaign, manifest)
    said = verdict_on(loop, campaign)
    assert (said.verdict, said.causes[0]["code"]) == ("refuse", "terms")


def test_a_campaign_that_the_store_does_not_have_yet(world: MineWorld, loop: MineLoop) -> None:
    import hashlib

    from openmined.protocol import encode_manifest

    manifest = world.manifest(title="Published late")
    data = encode_manifest(manifest)
    campaign = world.launch(manifest, spec=hashlib.sha256(data + b"?").digest())
    world.open(campaign, manifest)
    said = verdict_on(loop, campaign)
    assert (said.verdict, said.causes[0]["code"]) == ("wait", "waiting")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"input": {"fields": [{"name": "voltage", "type": "number"}]}},
            "no field 'voltage'",
        ),
        (
            {
                "output": {
                    "fields": [
                        {"name": "label", "type": "string", "constraints": {"enum": ["a", "b"]}}
                    ]
                }
            },
            "classes the campaign lacks: c",
        ),
    ],
)
def test_a_schema_that_no_dataset_has(
    world: MineWorld, loop: MineLoop, change: dict[str, Any], text: str
) -> None:
    if "input" in change:
        change = change | {"features": [{"kind": "columns", "columns": ["voltage"]}]}
    manifest = world.manifest(**change)
    opened = world.open(world.launch(manifest), manifest)

    def look() -> DecisionRecord | None:
        loop.run_once()
        return next((d for d in loop.ledger.decisions() if d.campaign == opened.campaign), None)

    said = wait_for(look)
    assert (said.dataset, said.verdict, said.causes[0]["code"]) == ("data", "refuse", "schema")
    assert text in said.text


def test_a_dataset_that_was_damaged(world: MineWorld) -> None:
    folder, secrets = world.make_mine("damaged")
    place = folder.datasets / "data/part-0001.arrow.age"
    place.write_bytes(place.read_bytes()[:-50])
    opened = world.launch_open()
    with mine_loop(folder, secrets) as loop:
        said = verdict_on(loop, opened.campaign)
    assert said.verdict == "refuse"
    assert "restore it from a backup" in said.text


def test_no_money_for_bond_and_gas(world: MineWorld) -> None:
    folder, secrets = world.make_mine("poor", fund=0)
    opened = world.launch_open()
    with mine_loop(folder, secrets) as loop:
        said = verdict_on(loop, opened.campaign)
        assert (said.verdict, said.causes[0]["code"]) == ("wait", "funds")
        assert secrets.wallet.address in said.text
        assert "send it at least" in said.text
        # Funded, it goes on by itself.
        world.anvil.call("anvil_setBalance", secrets.wallet.address, hex(ETHER))
        wait_for(lambda: (loop.run_once(), world.submitted(opened.campaign))[1], 60)


def test_the_owner_is_asked_and_answers(world: MineWorld) -> None:
    folder, secrets = world.make_mine("asking", permission={"mode": "ask", "fields": ["*"]})
    opened, other = world.launch_open(), world.launch_open()
    with mine_loop(folder, secrets) as loop:

        def verdicts() -> dict[int, str]:
            loop.run_once()
            found = loop.ledger.decisions(latest=True)
            numbers = (opened.campaign, other.campaign)
            return {d.campaign: d.verdict for d in found if d.campaign in numbers}

        wait_for(lambda: set(verdicts().values()) == {"ask"} and len(verdicts()) == 2)
        answers = folder.ledger()
        answers.give_answer(opened.campaign, "data", "approved")
        answers.give_answer(other.campaign, "data", "refused")
        answers.close()
        wait_for(lambda: verdicts() and world.submitted(opened.campaign), 60)
        wait_for(lambda: verdicts()[other.campaign] == "refuse")
    assert world.submitted(other.campaign) == []


def test_after_all_that_an_honest_campaign_is_served(world: MineWorld, loop: MineLoop) -> None:
    opened = world.launch_open()
    wait_for(lambda: (loop.run_once(), world.submitted(opened.campaign))[1], 60)


def test_rounds_end_at_the_owners_limit(world: MineWorld) -> None:
    folder, secrets = world.make_mine(
        "limited", permission={"mode": "automatic", "fields": ["*"], "max_rounds": 1}
    )
    opened = world.launch_open()
    with mine_loop(folder, secrets) as loop:
        (event,) = wait_for(lambda: (loop.run_once(), world.submitted(opened.campaign))[1], 60)
        from openmined.sonar import Score

        world.score(
            opened, 400_000, [Score(event.gradient, 1_000_000)], weights=np.full((9, 3), 0.1)
        )

        def said() -> Any:
            loop.run_once()
            found = [d for d in loop.ledger.decisions() if d.campaign == opened.campaign]
            return next((d for d in found if d.causes[0]["code"] == "rounds"), None)

        assert wait_for(said).text == "it had its 1 gradients"
    assert len(world.submitted(opened.campaign)) == 1


def test_a_private_campaign_is_answered_from_one_release(world: MineWorld) -> None:
    folder, secrets = world.make_mine(
        "private",
        batch=rows(400),
        permission={"mode": "automatic", "fields": ["*"], "epsilon_budget": 5.0},
    )
    privacy = {"epsilon": 3.0, "delta": 1e-5}
    manifest: CampaignManifest = world.manifest(privacy=privacy)
    opened = world.launch_open(manifest)
    with mine_loop(folder, secrets) as loop:
        (first,) = wait_for(lambda: (loop.run_once(), world.submitted(opened.campaign))[1], 60)
        assert loop.ledger.epsilon_spent("data") == 3.0
        kept = [path.read_bytes() for path in sorted(folder.releases.iterdir())]
        from openmined.sonar import Score

        world.score(opened, 400_000, [Score(first.gradient, 1_000_000)], weights=np.zeros((9, 3)))
        _, second = wait_for(
            lambda: (
                loop.run_once(),
                found if len(found := world.submitted(opened.campaign)) > 1 else None,
            )[1],
            60,
        )
        assert [path.read_bytes() for path in sorted(folder.releases.iterdir())] == kept
        assert loop.ledger.epsilon_spent("data") == 3.0
        # Same release, same starting weights: the same answer but for the protecting noise.
        found = [world.decrypt(opened, event) for event in (first, second)]
        assert np.abs(found[0] - found[1]).max() < 2**-9 * np.abs(found[0]).max()

        # What is left of the budget does not pay for another campaign.
        other = world.launch_open(world.manifest(privacy=privacy, title="Another"))
        change_permission(folder, "data", {"hours": []})

        def said() -> Any:
            loop.run_once()
            found = [d for d in loop.ledger.decisions() if d.campaign == other.campaign]
            return next((d for d in found if d.causes[0]["code"] == "epsilon"), None)

        assert wait_for(said).text == "it costs epsilon 3; 3 of 5 are spent"
