"""The interface that clients, indexers and mines are written against: changing it breaks them."""

import json

from eth_utils import keccak
from sonar_world import ARTIFACT

TERMS = (
    "(bytes32,address,address,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,"
    "uint256,uint256,uint256)"
)
CAMPAIGN = (
    f"(address,{TERMS},uint8,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,"
    "uint256)"
)
SCORES = "(uint256,uint256,uint256)[]"
FUNCTIONS = {
    f"launch_campaign(bytes32,{TERMS}) payable -> uint256",
    "top_up(uint256,uint256) payable -> ",
    "cancel_campaign(uint256) nonpayable -> ",
    "reject_campaign(uint256,string) nonpayable -> ",
    "open_campaign(uint256,bytes32,bytes32,uint256) nonpayable -> ",
    "submit_gradient(uint256,uint256,bytes32) payable -> uint256",
    f"score_batch(uint256,uint256,uint256,uint256,bytes32,bytes32,{SCORES}) nonpayable -> ",
    "rotate_keys(uint256,uint256,bytes32,bytes32) nonpayable -> ",
    "deliver(uint256,uint256,bytes32) nonpayable -> ",
    "expire_campaign(uint256) nonpayable -> ",
    "reclaim_bonds(uint256,uint256[]) nonpayable -> ",
    "withdraw(address) nonpayable -> ",
    f"campaign(uint256) view -> {CAMPAIGN}",
    "gradient(uint256,uint256) view -> address,uint256,uint256",
    "credit(address,address) view -> uint256",
    "escrow(address) view -> uint256",
    "campaign_count() view -> uint256",
    "campaign_of(address,bytes32) view -> uint256",
    "PPM() view -> uint256",
    "MAX_BATCH() view -> uint256",
    "MAX_GRACE() view -> uint256",
    "VERSION() view -> string",
}
EVENTS = {
    f"CampaignLaunched(uint256*,address*,address*,bytes32,{TERMS})",
    "BountyToppedUp(uint256*,address*,uint256,uint256)",
    "CampaignCancelled(uint256*,uint256)",
    "CampaignRejected(uint256*,string,uint256)",
    "CampaignOpened(uint256*,bytes32,bytes32,uint256)",
    "GradientSubmitted(uint256*,address*,uint256,uint256,bytes32)",
    "GradientScored(uint256*,address*,uint256,uint256,uint256,uint256,uint256,uint256)",
    "BatchScored(uint256*,uint256,uint256,uint256,uint256,bytes32,bytes32,uint256,uint256,uint256)",
    "KeysRotated(uint256*,uint256,uint256,bytes32,bytes32)",
    "CampaignDelivered(uint256*,bytes32,uint256,uint256)",
    "CampaignExpired(uint256*,address*,uint256)",
    "BondReclaimed(uint256*,address*,uint256,uint256)",
    "Withdrawn(address*,address*,uint256)",
}
ABI = json.loads(ARTIFACT.read_text())["abi"]


def canonical(parameter: dict) -> str:
    kind = parameter["type"]
    if kind.startswith("tuple"):
        inner = ",".join(canonical(component) for component in parameter["components"])
        kind = f"({inner}){kind.removeprefix('tuple')}"
    return kind + ("*" if parameter.get("indexed") else "")


def signature(entry: dict) -> str:
    return f"{entry['name']}({','.join(canonical(each) for each in entry['inputs'])})"


def test_the_functions() -> None:
    found = {
        f"{signature(entry)} {entry['stateMutability']} -> "
        + ",".join(canonical(output) for output in entry["outputs"])
        for entry in ABI
        if entry["type"] == "function"
    }
    assert found == FUNCTIONS


def test_the_events() -> None:
    found = {signature(entry) for entry in ABI if entry["type"] == "event"}
    assert found == EVENTS


def test_nothing_else_but_a_constructor_without_arguments() -> None:
    rest = [entry for entry in ABI if entry["type"] not in ("function", "event")]
    assert rest == [
        {"stateMutability": "nonpayable", "type": "constructor", "inputs": [], "outputs": []}
    ]


def test_selectors_are_distinct() -> None:
    selectors = {keccak(text=text.split(" ")[0])[:4] for text in FUNCTIONS}
    assert len(selectors) == len(FUNCTIONS)
