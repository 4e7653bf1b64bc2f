"""Campaigns built to harm a mine: both refuse them in the same words, and serve the others."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.mines import PYTHON, Kind, Running, make_mine, node_kind, wait_for
from tests.exploits.services.test_malformed_campaigns import BAD_BLOBS, BAD_KEYS, BAD_MODELS
from tests.unit.mine.mine_world import MineWorld

from openmined.mine import MineFolder

Said = tuple[str, str, str, str]

OWN_WORDS = {
    "keys: no certificate": "certificate cannot be used: ",
    "manifest: " + repr(b"\xff" * 40): "campaign@1 manifest: ",
}
"""After these comes what a parser of OpenPGP or of UTF-8 says: each language has its own."""


def cut(said: Said, what: str) -> Said:
    verdict, cause, *texts = said
    text, problem = (text.partition(OWN_WORDS[what])[0] for text in texts)
    return verdict, cause, text, problem


def open_hostile(world: MineWorld) -> dict[int, str]:
    """Open one campaign of each kind; return what is wrong with each, by number."""
    manifest = world.manifest()
    opened: dict[int, str] = {}

    def note(what: str, **changes: Any) -> None:
        number = world.launch(manifest)
        world.open(number, manifest, **changes)
        opened[number] = what

    for name, (change_keys, _) in BAD_KEYS.items():
        note(f"keys: {name}", change_keys=change_keys)
    for name, (change_model, _) in BAD_MODELS.items():
        note(f"model: {name}", change_model=change_model)
    for name in ("a model of noise", "a public key cut short"):
        purpose, change = BAD_BLOBS[name]
        note(
            name,
            change_blob=lambda found, data, purpose=purpose, change=change: (
                change(data) if found == purpose else data
            ),
        )
    for data in (b"{}", b"\xff" * 100, b'{"format":"openmined/campaign@9"}', b"[" * 5000):
        number = world.launch(manifest, spec=world.store.put_manifest_bytes(data))
        world.open(number, manifest)
        opened[number] = f"manifest: {data[:40]!r}"
    no_keys = world.store.put_manifest_bytes(b'{"format":"openmined/nothing@1"}')
    number = world.launch(manifest)
    world.capsule.open_campaign(number, no_keys, no_keys, 100_000)
    opened[number] = "keys: no such format"
    other = world.manifest(target_ppm=800_000)
    number = world.launch(other)
    world.open(number, other)
    opened[number] = "terms that disagree"
    voltage = {"fields": [{"name": "voltage", "type": "number"}]}
    strange = world.manifest(input=voltage, features=[{"kind": "columns", "columns": ["voltage"]}])
    number = world.launch(strange)
    world.open(number, strange)
    opened[number] = "a field that nobody has"
    return opened


def verdicts(folder: MineFolder) -> dict[int, Said]:
    """What a mine said last of each campaign, and what became of its work."""
    ledger = folder.ledger()
    said: dict[int, Said] = {}
    for decision in reversed(ledger.decisions()):
        if decision.verdict != "accept":
            cause = decision.causes[0]["code"]
            problem = next(
                (s.problem or "" for s in ledger.submissions(decision.campaign)), "nothing begun"
            )
            said[decision.campaign] = (decision.verdict, cause, decision.text, problem)
    ledger.close()
    return said


def served(world: MineWorld, campaign: int, miner: str) -> bool:
    return any(event.miner == miner for event in world.submitted(campaign))


@pytest.fixture(scope="module")
def told(world: MineWorld) -> dict[str, dict[str, Said]]:
    mines: list[tuple[Kind, MineFolder]] = [
        (kind, make_mine(world, f"hostile-{kind.name}")[0]) for kind in (PYTHON, node_kind())
    ]
    opened = open_hostile(world)
    honest = world.launch_open()
    found = {}
    for kind, folder in mines:
        with Running(kind, folder.path) as mine:
            wait_for(lambda at=folder: set(verdicts(at)) >= set(opened))
            # The honest campaign after all of them is served.
            wait_for(lambda at=folder.address: served(world, honest.campaign, at))
            mine.stop()
        said = verdicts(folder)
        found[kind.name] = {opened[number]: said[number] for number in opened}
    assert all(not world.submitted(number) for number in opened)
    return found


def test_both_refuse_in_the_same_words(told: dict[str, dict[str, Said]]) -> None:
    different = []
    for what, said in told["python"].items():
        pair = said, told["node"][what]
        if what in OWN_WORDS:
            pair = cut(pair[0], what), cut(pair[1], what)
        if pair[0] != pair[1]:
            different.append(f"{what}\n  python {pair[0]}\n  node   {pair[1]}")
    assert different == [], "\n".join(["", *different])
    assert {said[0] for said in told["python"].values()} == {"refuse"}


def test_the_reasons_are_those_of_the_corpus(told: dict[str, dict[str, Said]]) -> None:
    for name, (_, text) in BAD_KEYS.items():
        assert text in told["node"][f"keys: {name}"][2]
    for name, (_, text) in BAD_MODELS.items():
        assert text in told["node"][f"model: {name}"][2]
