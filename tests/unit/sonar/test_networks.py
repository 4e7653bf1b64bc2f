from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from openmined.sonar import (
    CapsuleRef,
    Network,
    NetworksFileError,
    UnknownNetwork,
    load_network,
    load_networks,
    networks_path,
    save_network,
)

NETWORK = Network(
    name="testnet",
    chain_id=11155111,
    rpc_url="https://node.example/v3/key",
    sonar="0x" + "12" * 20,
    store_url="http://127.0.0.1:5001",
    capsule=CapsuleRef(address="0x" + "34" * 20, url="https://capsule.example"),
)


def test_a_network_is_found_again(home: Path) -> None:
    assert load_networks() == {}
    save_network(NETWORK)
    other = NETWORK.model_copy(update={"name": "another", "first_block": 7})
    save_network(other)
    assert load_networks() == {"another": other, "testnet": NETWORK}
    assert load_network("testnet") == NETWORK
    save_network(NETWORK.model_copy(update={"chain_id": 1}))
    assert load_network("testnet").chain_id == 1
    assert networks_path().parent == home
    assert stat.S_IMODE(networks_path().stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["networks.json"]


def test_an_unknown_network_is_named_with_the_known_ones(home: Path) -> None:
    with pytest.raises(UnknownNetwork, match=r"no network 'devnet'.*openmined up"):
        load_network("devnet")
    save_network(NETWORK)
    with pytest.raises(UnknownNetwork, match=r"known: testnet.*openmined network add"):
        load_network("mainnet")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"networks": [{"name": "x"}]}', '{"format": 1}', " " * 2_000_000]
)
def test_a_damaged_file_is_never_overwritten(home: Path, text: str) -> None:
    home.mkdir()
    networks_path().write_text(text)
    with pytest.raises(NetworksFileError, match="damaged"):
        load_networks()
    with pytest.raises(NetworksFileError, match="damaged"):
        save_network(NETWORK)
    assert networks_path().read_text() == text


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Dev Net"},
        {"name": "../x"},
        {"sonar": "0x12"},
        {"rpc_url": "file:///etc/passwd"},
        {"store_url": "localhost:5001"},
        {"chain_id": -1},
        {"surprise": 1},
    ],
)
def test_what_is_no_network(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Network.model_validate(NETWORK.model_dump() | change)
