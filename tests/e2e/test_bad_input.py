"""What goes wrong for a data scientist: one clear message, a non-zero exit code, no money stuck.

A hostile or careless Capsule (a model ciphertext cut short, say) is in
tests/exploits/services/test_malformed_campaigns.py.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from openmined.devnet._anvil import fund
from openmined.devnet._demo import launch
from openmined.devnet._network import Devnet, Owner, Settings
from openmined.devnet._scenarios import Scenario, load_scenario
from openmined.mine import MineFolder
from openmined.protocol import ETHER_WEI, Phase, TableSchema, encode_canonical
from openmined.sonar import ETH, PgpKey, Sonar, Terms, Wallet
from openmined.storage import StorageError, connect_store

STRANGER = "0x00000000000000000000000000000000000000Ff"


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


@dataclass
class World:
    devnet: Devnet
    scenario: Scenario
    home: Path
    wallet: Wallet
    pgp: PgpKey

    def openmined(self, *arguments: str) -> tuple[int, str]:
        """Run the command as a user would; return its exit code and what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "openmined", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | {"OPENMINED_HOME": str(self.home), "COLUMNS": "400"},
        )
        return done.returncode, done.stdout + done.stderr

    def create(self, *arguments: str, bounty: str = "1", target_accuracy: str = "0.5") -> Any:
        return self.openmined(
            "campaign", "create", str(self.home / "validation.csv"),
            "--title", "progression", "--target", "progression", "--bounty", bounty,
            "--target-accuracy", target_accuracy,
            "--keystore", str(self.home / "wallet.json"), "--pgp", str(self.home / "pgp.age"),
            "--passphrase-file", str(self.devnet.passphrase_file), "--yes", *arguments,
        )  # fmt: skip

    def balance(self) -> int:
        with self.sonar() as sonar:
            return sonar.contract.balance(self.wallet.address)

    def sonar(self) -> Sonar:
        return Sonar.connect(self.devnet.network, wallet=self.wallet, pgp=self.pgp)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("home")
    scenario = load_scenario("diabetes", 3)
    schema = TableSchema(fields=scenario.input.fields + scenario.output.fields)
    with Devnet(Settings(home / "network")) as devnet:
        devnet.start_chain()
        devnet.wait_for_store()
        devnet.start_capsule()
        devnet.start_mine(Owner("mine 1", scenario.shares[0], schema))
        devnet.wait_for_capsule()
        passphrase = devnet.passphrase_file.read_text(encoding="utf-8")
        wallet = Wallet.create(home / "wallet.json", passphrase, cost="light")
        pgp = PgpKey.create(home / "pgp.age", passphrase)
        made = World(devnet, scenario, home, wallet, pgp)
        fund(devnet.network.rpc_url, wallet.address)
        _write_csv(scenario, home / "validation.csv")
        code, said = made.openmined(
            "network", "add", "devnet",
            "--rpc", devnet.network.rpc_url, "--sonar", devnet.network.sonar,
            "--store", devnet.network.store_url,
            "--capsule", str(devnet.network.capsule and devnet.network.capsule.address),
            "--capsule-url", str(devnet.network.capsule and devnet.network.capsule.url),
        )  # fmt: skip
        assert code == 0, said
        yield made
        with made.sonar() as sonar:
            _assert_nothing_is_stuck(sonar)


def test_a_bounty_of_zero(world: World) -> None:
    before = world.balance()
    code, said = world.create(bounty="0")
    assert code != 0
    assert re.search(r"bounty", said), said
    assert world.balance() == before


def test_a_target_below_the_start(world: World) -> None:
    before = world.balance()
    code, said = world.create(target_accuracy="0")
    assert code != 0
    assert "target accuracy" in said
    assert "ask for more" in said
    assert world.balance() == before


@pytest.mark.parametrize("wrong", ["0x1234", "capsule.eth"])
def test_a_capsule_address_that_is_none(world: World, wrong: str) -> None:
    before = world.balance()
    code, said = world.create("--capsule", wrong)
    assert code != 0
    assert wrong in said
    assert world.balance() == before


def test_a_capsule_that_nobody_knows(world: World) -> None:
    before = world.balance()
    code, said = world.create("--capsule", STRANGER)
    assert code != 0
    assert STRANGER.lower() in said.lower()
    assert "certificate" in said
    assert world.balance() == before


def test_a_campaign_of_an_absent_capsule_is_cancelled_and_refunded(world: World) -> None:
    with world.sonar() as sonar:
        contract = sonar.contract
        spec = sonar.store.put_manifest_bytes(b"{}")
        number = contract.launch_campaign(os.urandom(32), _terms(world, spec, STRANGER))
        campaign = sonar.campaign(number)
        assert campaign.status().waiting == "capsule-to-open"
        campaign.cancel()
        assert contract.credit(ETH, world.wallet.address) == ETHER_WEI
        sonar.withdraw()


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (encode_canonical({"format": "openmined/campaign@9"}), "openmined/campaign@9"),
        (b"\x00no manifest", "manifest"),
    ],
)
def test_a_manifest_of_unknown_format_is_rejected_and_refunded(
    world: World, manifest: bytes, reason: str
) -> None:
    capsule = world.devnet.network.capsule
    assert capsule is not None
    with world.sonar() as sonar:
        contract = sonar.contract
        spec = sonar.store.put_manifest_bytes(manifest)
        number = contract.launch_campaign(os.urandom(32), _terms(world, spec, capsule.address))
        wait_for(lambda: contract.campaign(number).phase.final, "the campaign ends")
        history = sonar.campaign(number).history()
        assert history.phase == Phase.REJECTED
        assert history.refund == ETHER_WEI
        assert reason in history.ending.reason, history.ending.reason
        code, said = world.openmined(
            "campaign", "result", str(number), "--output", str(world.home / "model"), *_keys(world)
        )
        assert code != 0
        assert "rejected" in said
        assert "withdraw" in said
        sonar.withdraw()


def test_a_schema_that_no_mine_has(world: World) -> None:
    path = world.home / "other.csv"
    _write_csv(world.scenario, path, rename={"bmi": "shoe_size"})
    code, said = world.openmined(
        "campaign", "create", str(path), "--title", "shoes", "--target", "progression",
        "--bounty", "1", "--target-accuracy", "0.5", "--format", "json",
        "--keystore", str(world.home / "wallet.json"), "--pgp", str(world.home / "pgp.age"),
        "--passphrase-file", str(world.devnet.passphrase_file), "--yes",
        "--days", "0.0003", "--grace-hours", "1",
    )  # fmt: skip
    assert code == 0, said
    number = int(json.loads(said[said.index("{") :])["campaign"])
    ledger = MineFolder(world.devnet.settings.folder / "mine-1")

    def reason() -> str:
        with_ledger = ledger.ledger()
        found = [r.text for r in with_ledger.decisions(latest=True) if r.campaign == number]
        with_ledger.close()
        return " ".join(found)

    assert "shoe_size" in wait_for(reason, "the mine decides")
    with world.sonar() as sonar:
        campaign = sonar.campaign(number)
        wait_for(lambda: campaign.state().phase.final, "Capsule ends it at its deadline")
        spend = campaign.spend()
        assert spend.paid == 0
        assert spend.refund + spend.fee == ETHER_WEI
        sonar.withdraw()


def test_an_rpc_that_is_not_there(world: World) -> None:
    nowhere = "http://127.0.0.1:9"
    code, said = world.openmined(
        "network", "add", "nowhere", "--rpc", nowhere, "--sonar", world.devnet.network.sonar,
        "--store", world.devnet.network.store_url,
    )  # fmt: skip
    assert code != 0
    assert f"no Ethereum node answers at {nowhere}" in said
    assert "check that it runs" in said


def test_a_store_that_is_not_there(world: World) -> None:
    before = world.balance()
    network = world.devnet.network.model_copy(update={"store_url": "http://127.0.0.1:9"})
    with Sonar.connect(network, wallet=world.wallet, pgp=world.pgp) as sonar:
        launched = sonar.contract.campaign_count()
        with pytest.raises(StorageError, match=r"127\.0\.0\.1:9"):
            launch(sonar, world.scenario)
        assert sonar.contract.campaign_count() == launched
    assert world.balance() == before


def test_a_cid_whose_bytes_do_not_match(world: World) -> None:
    with connect_store(world.devnet.network.store_url) as store:
        cid, _ = store.put_blob(b"what was stored " * 100)
    folder = world.devnet.settings.folder / "store"
    (block,) = [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.read_bytes() == b"what was stored " * 100
    ]
    block.chmod(0o600)
    block.write_bytes(b"what was written" * 100)
    code, said = world.openmined(
        "store",
        "get",
        cid,
        "--output",
        str(world.home / "out"),
        "--store",
        world.devnet.network.store_url,
    )
    assert code != 0
    assert cid in said
    assert not (world.home / "out").exists()


def _keys(world: World) -> tuple[str, ...]:
    return (
        "--pgp", str(world.home / "pgp.age"),
        "--passphrase-file", str(world.devnet.passphrase_file),
    )  # fmt: skip


def _terms(world: World, spec: bytes, capsule: str) -> Terms:
    return Terms(
        spec=spec,
        capsule=capsule,
        bounty=ETHER_WEI,
        start_ppm=0,
        start_tolerance_ppm=5_000,
        target_ppm=500_000,
        min_improvement_ppm=1,
        deadline=int(time.time()) + 3600,
        grace=3600,
        max_gradients=10,
    )


def _write_csv(scenario: Scenario, path: Path, rename: dict[str, str] | None = None) -> None:
    table = scenario.validation
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([(rename or {}).get(name, name) for name in table.column_names])
        writer.writerows(
            zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
        )


def _assert_nothing_is_stuck(sonar: Sonar) -> None:
    """Everything the contract holds is a credit that somebody can withdraw."""
    contract = sonar.contract
    states = [one.state() for one in sonar.campaigns()]
    assert all(state.phase.final for state in states)
    accounts = {state.data_scientist for state in states} | {s.terms.capsule for s in states}
    credits_wei = sum(contract.credit(ETH, account) for account in accounts)
    assert contract.escrow(ETH) == credits_wei == contract.balance(contract.address)
