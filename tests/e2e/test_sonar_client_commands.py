"""The data scientist's commands, as a shell would run them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from tests.unit.sonar.chain import Anvil
from tests.unit.sonar.played import PlayedCapsule
from tests.unit.sonar.token import Token
from typer.testing import CliRunner

from openmined.protocol import OpenMinedError
from openmined.sonar import (
    Score,
    Wallet,
    app,
    connect_sonar,
    devnet_wallets,
    load_network,
)
from openmined.storage import connect_store, open_node

PASSPHRASE = "a test's passphrase"
WEIGHTS = np.array([[-1.0, 1.0], [2.0, -2.0], [-0.1, 0.1]])


@dataclass
class Shell:
    folder: Path
    anvil: Anvil
    store_url: str
    wallets: list[Wallet]
    keystore: Path
    passphrase: Path
    pgp: Path

    def run(self, *words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, (words, result.output, result.exception)
        return result

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--format", "json", code=code).stdout)

    def fails(self, *words: str) -> str:
        result = CliRunner().invoke(app, list(words))
        assert isinstance(result.exception, OpenMinedError), result.output
        return str(result.exception)

    @property
    def keys(self) -> list[str]:
        return ["--keystore", str(self.keystore), "--passphrase-file", str(self.passphrase)]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("OPENMINED_HOME", str(tmp_path / "home"))
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(PASSPHRASE + "\n")
    passphrase.chmod(0o600)
    with Anvil() as anvil, open_node(tmp_path / "store") as node:
        shell = Shell(
            tmp_path,
            anvil,
            node.url,
            list(devnet_wallets(4)),
            tmp_path / "account.json",
            passphrase,
            tmp_path / "me.pgp",
        )
        made = shell.json(
            "wallet", "create", str(shell.keystore), "--passphrase-file", str(passphrase)
        )
        anvil.call("anvil_setBalance", made["address"], hex(10**20))
        yield shell


def deploy(shell: Shell) -> dict[str, Any]:
    return shell.json(
        "sonar",
        "deploy",
        *["--rpc", shell.anvil.url, "--name", "devnet", "--store", shell.store_url],
        *["--capsule", shell.wallets[1].address, "--yes", *shell.keys],
    )


def write_rows(path: Path) -> Path:
    random = np.random.default_rng(3)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "ill"])
        for a, b in random.normal(size=(150, 2)):
            writer.writerow([a, b, "yes" if a > 2 * b else "no"])
    return path


def create(shell: Shell, capsule: PlayedCapsule, *more: str) -> list[str]:
    rows = write_rows(shell.folder / "rows.csv")
    certificate = shell.folder / "capsule.asc"
    certificate.write_text(capsule.certificate)
    return [
        *["campaign", "create", str(rows), "--target", "ill", "--title", "Who is ill?"],
        *["--bounty", "1.5", "--target-accuracy", "0.9", "--algorithm", "linear-classifier"],
        *["--pgp", str(shell.pgp), "--capsule-certificate", str(certificate)],
        *["--days", "0.1", "--grace-hours", "0.1", *shell.keys, *more],
    ]


def test_a_campaign_by_commands(shell: Shell) -> None:
    deployed = deploy(shell)
    assert load_network("devnet").sonar == deployed["sonar"]
    shown = shell.json("wallet", "show", str(shell.keystore), "--network", "devnet")
    assert int(shown["balance_wei"]) < 10**20
    checks = shell.json("doctor", "--keystore", str(shell.keystore), code=3)
    assert [check["name"] for check in checks if not check["ok"]] == ["Capsule"], "it has no URL"
    assert shell.json("campaign", "list") == []

    with (
        connect_sonar(shell.anvil.url, deployed["sonar"], shell.wallets[1]) as contract,
        connect_sonar(shell.anvil.url, deployed["sonar"], shell.wallets[2]) as miner,
        connect_store(shell.store_url) as store,
    ):
        capsule = PlayedCapsule(contract, store)
        made = shell.json(*create(shell, capsule))
        assert shell.json(*create(shell, capsule)) == made, "the same again is the same"
        assert (made["campaign"], made["phase"], made["bounty"]) == (
            1,
            "launched",
            str(15 * 10**17),
        )
        assert made["waiting"] == "capsule-to-open"

        model = str(shell.folder / "model.safetensors")
        collect = ["campaign", "result", "1", "--pgp", str(shell.pgp), "--output", model]
        collect += ["--passphrase-file", str(shell.passphrase)]
        assert "waiting for Capsule to open" in shell.json(*collect, code=4)["error"]
        watch = ["campaign", "watch", "1", "--timeout", "0.01"]
        lines = shell.run(*watch, "--format", "json", code=4).stdout.splitlines()
        assert json.loads(lines[0])["event"] == "CampaignLaunched"
        assert "waiting for Capsule" in json.loads(lines[-1])["error"]

        capsule.open(1)
        miner.submit_gradient(1, 1, b"e" * 32)
        shell.run("campaign", "top-up", "1", "0.5", *shell.keys)
        capsule.score(1, 950_000, [Score(0, 1_000_000)])
        capsule.deliver(1, WEIGHTS, card={"campaign": "1", "title": "Who is ill?"})

    watched = [
        json.loads(line)
        for line in shell.run("campaign", "watch", "1", "--format", "json").stdout.splitlines()
    ]
    assert [step["event"] for step in watched] == [
        "CampaignLaunched",
        "CampaignOpened",
        "GradientSubmitted",
        "BountyToppedUp",
        "GradientScored",
        "BatchScored",
        "CampaignDelivered",
    ]
    assert "delivered" in shell.run("campaign", "watch", "1").stdout
    shown = shell.json("campaign", "show", "1")
    assert shown["bounty"] == str(2 * 10**18)
    assert shown["by_miner"] == {shell.wallets[2].address: shown["paid"]}
    assert "earned" in shell.run("campaign", "show", "1").stdout
    assert shell.json("campaign", "list", "--phase", "delivered")[0]["campaign"] == 1
    assert shell.json("campaign", "list", "--phase", "open") == []

    assert shell.json(*collect)["card"]["title"] == "Who is ill?"
    assert Path(model).stat().st_size > 100
    report = shell.json("audit", "1")
    assert report["ok"]
    assert report["bad_batches"] == []
    assert "follows" in shell.run("audit", "1").stdout

    records = shell.json("models", "list")
    assert [record["version"] for record in records] == [1, 2]
    assert shell.json("models", "show", "1", "2")["cid"] == records[1]["cid"]
    files = shell.json("models", "download", "1", "1", str(shell.folder / "model"))["files"]
    assert all(Path(path).is_file() for path in files)
    assert shell.json("campaign", "withdraw", *shell.keys)["transaction"]
    assert shell.json("campaign", "withdraw", *shell.keys)["transaction"] is None


def test_an_audit_that_fails_has_its_own_exit_code(shell: Shell) -> None:
    deployed = deploy(shell)
    with (
        connect_sonar(shell.anvil.url, deployed["sonar"], shell.wallets[1]) as contract,
        connect_sonar(shell.anvil.url, deployed["sonar"], shell.wallets[2]) as miner,
        connect_store(shell.store_url) as store,
    ):
        capsule = PlayedCapsule(contract, store)
        shell.json(*create(shell, capsule))
        capsule.open(1)
        miner.submit_gradient(1, 1, b"e" * 32)
        lie = {"accuracy_after_ppm": 940_000}
        capsule.score(1, 950_000, [Score(0, 1_000_000)], receipt=lie)
    report = shell.json("audit", "1", code=3)
    assert report["bad_batches"] == [1]
    assert "batch 1: the receipt's accuracy is 940000" in shell.run("audit", "1", code=3).stdout


def test_cancel_and_expire_return_the_money(shell: Shell) -> None:
    deployed = deploy(shell)
    with (
        connect_sonar(shell.anvil.url, deployed["sonar"], shell.wallets[1]) as contract,
        connect_store(shell.store_url) as store,
    ):
        capsule = PlayedCapsule(contract, store)
        shell.json(*create(shell, capsule))
        shell.json(*create(shell, capsule, "--repeat", "1"))
        assert contract.escrow("0x" + "00" * 20) == 3 * 10**18
        assert shell.json("campaign", "cancel", "1", *shell.keys)["transaction"]
        assert shell.json("campaign", "cancel", "1", *shell.keys)["transaction"] is None
        shell.anvil.travel(86_400)
        assert shell.json("campaign", "expire", "2", *shell.keys)["transaction"]
        assert contract.escrow("0x" + "00" * 20) == 0


def test_a_campaign_in_a_token(shell: Shell) -> None:
    deployed = deploy(shell)
    with (
        connect_sonar(shell.anvil.url, deployed["sonar"], shell.wallets[1]) as contract,
        connect_store(shell.store_url) as store,
    ):
        token = Token(contract)
        account = shell.json("wallet", "show", str(shell.keystore))["address"]
        token.send("mint(address,uint256)", account, 2_500_000)
        made = shell.json(*create(shell, PlayedCapsule(contract, store), "--token", token.address))
        assert (made["token"].lower(), made["bounty"]) == (token.address, "1500000")
        added = shell.run("campaign", "top-up", "1", "0.75", *shell.keys).stdout
        assert "added 0.75 TEST to campaign 1" in added
        assert "2.25 TEST, of which the fee 0.075 TEST" in shell.run("campaign", "show", "1").stdout
        assert "more than 6 decimals" in shell.fails(
            "campaign", "top-up", "1", "0.0000001", *shell.keys
        )
        shell.json("campaign", "cancel", "1", *shell.keys)
        assert contract.balance(account, token.address) == 2_500_000


def test_bad_input_is_named_with_the_next_step(shell: Shell) -> None:
    assert "openmined up" in shell.fails("campaign", "list")
    deploy(shell)
    assert "choose another name" in shell.fails(
        *["sonar", "deploy", "--rpc", shell.anvil.url, "--name", "devnet"],
        *["--store", shell.store_url, "--yes", *shell.keys],
    )
    assert "no campaign 7" in shell.fails("campaign", "show", "7")
    shell.passphrase.chmod(0o644)
    assert "chmod 600" in shell.fails("campaign", "withdraw", *shell.keys)
    shell.passphrase.chmod(0o600)
    shell.passphrase.write_text("wrong\n")
    assert "passphrase does not open" in shell.fails("campaign", "withdraw", *shell.keys)
    shell.passphrase.write_text("")
    assert "holds no passphrase" in shell.fails("campaign", "withdraw", *shell.keys)
    assert "nobody to ask" in shell.fails("campaign", "withdraw", "--keystore", str(shell.keystore))
    shell.run("campaign", "list", "--phase", "sleeping", code=2)


def test_networks_are_added_after_a_look_at_the_contract(shell: Shell) -> None:
    deployed = deploy(shell)
    add = ["network", "add", "mine", "--rpc", shell.anvil.url, "--store", shell.store_url]
    added = shell.json(*add, "--sonar", deployed["sonar"])
    assert (added["chain_id"], added["first_block"]) == (31337, 1)
    assert [one["name"] for one in shell.json("network", "list")] == ["devnet", "mine"]
    assert "there is no contract" in shell.fails(*add, "--sonar", "0x" + "12" * 20)
    assert "address" in shell.fails(*add, "--sonar", deployed["sonar"], "--capsule", "0x12")


def test_a_doctor_names_what_fails(shell: Shell) -> None:
    checks = {check["name"]: check for check in shell.json("doctor", code=3)}
    assert checks["python"]["ok"]
    assert not checks["network"]["ok"]
    deploy(shell)
    shell.anvil.stop()
    checks = {check["name"]: check for check in shell.json("doctor", code=3)}
    assert "check that it runs" in checks["chain and contract"]["text"]
    assert checks["store"]["ok"]
    shell.anvil.start()
    checks = {check["name"]: check for check in shell.json("doctor", code=3)}
    assert "openmined sonar deploy" in checks["chain and contract"]["text"]
