"""The reference page says everything that the contract does, and NatSpec leaves nothing out."""

import json
import re

import pytest
from sonar_gas import read_snapshot
from sonar_world import ARTIFACT, REPOSITORY, SOURCE

PAGE = (REPOSITORY / "docs/sonar-contract.md").read_text()
DOCUMENT = json.loads(ARTIFACT.read_text())
FUNCTIONS = [entry for entry in DOCUMENT["abi"] if entry["type"] == "function"]
EVENTS = [entry["name"] for entry in DOCUMENT["abi"] if entry["type"] == "event"]
REASONS = sorted(set(re.findall(r'"(Sonar: [^"]+)"', SOURCE.read_text())))


def test_every_call_event_and_refusal_is_on_the_page() -> None:
    missing = [f["name"] for f in FUNCTIONS if f"`{f['name']}" not in PAGE]
    missing += [event for event in EVENTS if f"`{event}`" not in PAGE]
    missing += [reason for reason in REASONS if f"`{reason}`" not in PAGE]
    assert not missing


def test_the_page_names_no_refusal_that_is_not_there() -> None:
    assert sorted(set(re.findall(r"`(Sonar: [^`]+)`", PAGE))) == REASONS


def test_the_pages_gas_is_the_snapshots() -> None:
    gas = read_snapshot()
    for name in (
        "submit_gradient",
        "score_batch of ten new miners, per gradient",
        "launch_campaign",
        "open_campaign",
        "deliver",
        "withdraw",
    ):
        assert f"{gas[name]:,}" in PAGE, name


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function["name"])
def test_every_call_has_its_natspec(function: dict) -> None:
    types = ",".join(canonical(parameter) for parameter in function["inputs"])
    signature = f"{function['name']}({types})"
    generated = {"PPM", "MAX_BATCH", "MAX_GRACE", "VERSION"}  # getters take no NatSpec
    storage = {"campaign_count", "campaign_of", "credit", "escrow"}
    if function["name"] in generated | storage:
        return
    assert DOCUMENT["userdoc"]["methods"][signature]["notice"]
    described = DOCUMENT["devdoc"]["methods"][signature]
    assert list(described["params"]) == [parameter["name"] for parameter in function["inputs"]]
    assert bool(function["outputs"]) == ("returns" in described)


def canonical(parameter: dict) -> str:
    if not parameter["type"].startswith("tuple"):
        return parameter["type"]
    inner = ",".join(canonical(component) for component in parameter["components"])
    return f"({inner}){parameter['type'].removeprefix('tuple')}"


def test_declarations_keep_one_order() -> None:
    order = ["constant(", "struct ", "event ", "HashMap[", "@deploy", "@external", "@internal"]
    source = SOURCE.read_text()
    firsts = [re.search(rf"^[^#\n]*{re.escape(mark)}", source, re.MULTILINE) for mark in order]
    positions = [found.start() for found in firsts if found]
    assert len(positions) == len(order)
    assert positions == sorted(positions)
    assert source.rindex("@external") < source.index("@internal")
