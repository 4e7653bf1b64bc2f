"""The Capsule as it is run: a process with its own folder, store by URL, HTTP beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pysequoia
import pytest
from tests.unit.capsule.capsule_world import CapsuleWorld, as_csv, capsule_world, rows

from openmined.capsule._folder import read_identity
from openmined.capsule._keyring import open_keyring
from openmined.capsule._pgp import wkd_hash
from openmined.protocol import CampaignManifest, Phase
from openmined.sonar import ETH, Reverted
from openmined.storage import connect_store, open_node

PATIENCE_S = 90.0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"still not: {what}"
        time.sleep(0.02)


@dataclass
class Running:
    world: CapsuleWorld
    process: subprocess.Popen[bytes]
    output: Path
    port: int

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)

    def answers(self, path: str, status: int) -> bool:
        try:
            return self.get(path).status_code == status
        except httpx.HTTPError:
            return False

    def log(self) -> list[dict[str, Any]]:
        lines = self.output.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=20) == 0


def command(*arguments: str | Path) -> list[str]:
    program = Path(sys.executable).with_name("openmined")
    return [str(program), "capsule", *map(str, arguments)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CapsuleWorld]:
    with (
        capsule_world(tmp_path) as made,
        open_node(tmp_path / "node") as node,
        connect_store(node.url) as store,
    ):
        made.store = store
        change_settings(made, node.url, free_port())
        yield made


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def change_settings(world: CapsuleWorld, store_url: str, port: int) -> None:
    path = world.capsule_folder / "capsule.toml"
    text = path.read_text().replace("http://127.0.0.1:9", store_url)
    text = text.replace("enabled = false", f"enabled = true\nport = {port}")
    path.write_text(text)


@pytest.fixture
def start(world: CapsuleWorld, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[subprocess.Popen[bytes]] = []
    text = (world.capsule_folder / "capsule.toml").read_text()
    port = int(re.findall(r"port = (\d+)", text)[0])

    def run(*options: str | Path) -> Running:
        output = tmp_path / "output"
        with output.open("ab") as file:
            process = subprocess.Popen(
                command("start", world.capsule_folder, *options),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        return Running(world, process, output, port)

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_sealed_unsealed_and_a_whole_campaign(
    world: CapsuleWorld, start: Callable[..., Running]
) -> None:
    capsule = start("--sealed")
    wait_until(lambda: capsule.answers("/health", 200), "HTTP")
    assert capsule.get("/ready").json() == {"status": "sealed"}
    assert capsule.get("/ready").status_code == 503
    campaign, manifest = launch(world)

    wrong = world.folder / "wrong"
    wrong.write_text("not it")
    wrong.chmod(0o600)
    refused = run("unseal", world.capsule_folder, "--passphrase-file", wrong)
    assert refused.returncode == 1
    assert "does not open" in refused.stderr + refused.stdout
    assert world.state(campaign).phase == Phase.LAUNCHED, "sealed, and asked to work"

    opened = run("unseal", world.capsule_folder, "--key-file", world.folder / "key")
    assert opened.returncode == 0, opened.stderr
    wait_until(lambda: capsule.answers("/ready", 200), "ready")
    finish(world, campaign, manifest)
    check_http(world, capsule, campaign)
    assert {line["event"] for line in capsule.log()} >= {"sealed", "started", "step", "ended"}
    capsule.stop()
    paid = run("withdraw", world.capsule_folder, "--key-file", world.folder / "key")
    assert paid.stdout == "withdrawn 0.01 ETH\n", paid.stderr
    assert world.data_scientist.credit(ETH, world.address) == 0
    status = run("status", world.capsule_folder, "--json")
    report = json.loads(status.stdout)
    assert report["seal"] == "sealed"
    assert report["campaigns"][0]["phase"] == "ended"
    check_no_secret_leaked(world, capsule)


def launch(world: CapsuleWorld) -> tuple[int, CampaignManifest]:
    manifest = world.manifest(description=CANARY_PUBLIC)
    return world.launch(manifest), manifest


CANARY_PUBLIC = "a public text that must be found, so that the search is known to work"


def finish(world: CapsuleWorld, campaign: int, manifest: CampaignManifest) -> None:
    wait_until(lambda: world.state(campaign).phase == Phase.OPEN, "open")
    for round_ in range(5):
        if world.state(campaign).phase != Phase.OPEN:
            break
        before = world.state(campaign).batches
        for miner in (0, 1):
            try:
                world.contribute(campaign, manifest, miner, rows(300, seed=10 * round_ + miner))
            except Reverted as reverted:
                # The first gradient alone was scored already, and was enough.
                if reverted.reason not in {"Sonar: target reached", "Sonar: not open"}:
                    raise
        wait_until(lambda before=before: settled(world, campaign, before + 1), "scored")  # type: ignore[misc]
    wait_until(lambda: world.state(campaign).phase == Phase.DELIVERED, "delivered")
    _, card = world.delivered(campaign)
    assert int(card["accuracy_ppm"]) >= 900_000


def settled(world: CapsuleWorld, campaign: int, batches: int) -> bool:
    """Whether so many batches are scored and, with the target reached, the end is there too."""
    state = world.state(campaign)
    reached = state.best_ppm >= state.terms.target_ppm
    return state.batches >= batches and (not reached or state.phase != Phase.OPEN)


def check_http(world: CapsuleWorld, capsule: Running, campaign: int) -> None:
    armored = capsule.get("/certificate").text
    fingerprint = pysequoia.Cert.from_bytes(armored.encode()).fingerprint
    assert fingerprint == world.certificate().fingerprint
    name = wkd_hash("capsule")
    binary = capsule.get(f"/.well-known/openpgpkey/hu/{name}").content
    assert pysequoia.Cert.from_bytes(binary).fingerprint == fingerprint
    assert capsule.get("/.well-known/openpgpkey/policy").status_code == 200
    assert capsule.get(f"/.well-known/openpgpkey/hu/{'y' * 32}").status_code == 404
    keys = capsule.get(f"/campaigns/{campaign}/keys").json()
    (opened,) = world.events(campaign, "CampaignOpened")
    assert keys == {"campaign": campaign, "epoch": 1, "keys": {"1": opened.keys.hex()}}
    assert capsule.get("/campaigns/99/keys").status_code == 404
    metrics = capsule.get("/metrics").text
    assert "capsule_ready 1" in metrics
    assert re.search(rf'capsule_batches_total\{{campaign="{campaign}"\}} [1-9]', metrics)
    paths = capsule.get("/openapi.json").json()["paths"]
    methods = {method for path in paths.values() for method in path}
    assert methods == {"get"}, "no request changes anything"
    for path in ("/certificate", "/campaigns", f"/campaigns/{campaign}/keys"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = httpx.request(method, f"http://127.0.0.1:{capsule.port}{path}")
            assert answer.status_code == 405


def check_no_secret_leaked(world: CapsuleWorld, capsule: Running) -> None:
    """Grep log, disk, store and process output for what nobody may find."""
    keyring = open_keyring(world.capsule_folder, world.unlock)
    identity = read_identity(world.capsule_folder, keyring)
    row = json.dumps(rows(150, seed=99)[0][0].tolist()).encode()
    secrets = {
        "age identity": str(keyring.identity).encode(),
        "wallet passphrase": keyring.wallet_passphrase.encode(),
        "OpenPGP secret": bytes(identity.secret)[200:260],
        "OpenPGP secret, armoured": str(identity.secret).splitlines()[8].encode(),
        "a validation row": row[:60],
        "the validation set": as_csv(rows(150, seed=99))[200:260],
    }
    places = [world.capsule_folder, world.folder / "node", capsule.output]
    data = b"".join(
        path.read_bytes()
        for place in places
        for path in ([place] if place.is_file() else place.rglob("*"))
        if path.is_file()
    )
    data += on_chain(world)
    assert CANARY_PUBLIC.encode() in data, "the search itself finds nothing"
    for name, secret in secrets.items():
        assert secret not in data, f"{name} was found in the clear"


def on_chain(world: CapsuleWorld) -> bytes:
    """Return the input of every transaction."""
    height = world.data_scientist.block_number()
    blocks = [world.anvil.call("eth_getBlockByNumber", hex(n), True) for n in range(height + 1)]
    inputs = [item["input"] for block in blocks for item in block["transactions"]]
    assert len(inputs) > 5
    return b"".join(bytes.fromhex(text[2:]) for text in inputs)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_the_chain_away_and_back_again(world: CapsuleWorld, start: Callable[..., Running]) -> None:
    capsule = start("--key-file", world.folder / "key")
    wait_until(lambda: capsule.answers("/ready", 200), "ready")
    pid = world.anvil._process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(
            lambda: any(line["event"] == "waiting" for line in capsule.log()),
            "it says that it waits for the chain",
        )
    finally:
        os.kill(pid, signal.SIGCONT)
    campaign, manifest = launch(world)
    finish(world, campaign, manifest)
    capsule.stop()


def test_killed_and_started_again_as_a_process(
    world: CapsuleWorld, start: Callable[..., Running]
) -> None:
    first = start("--key-file", world.folder / "key")
    campaign, manifest = launch(world)
    wait_until(lambda: world.state(campaign).phase == Phase.OPEN, "open")
    wait_until(lambda: first.answers("/health", 200), "HTTP")
    first.process.kill()
    first.process.wait()
    wait_until(lambda: not first.answers("/health", 200), "the interface ended with it")
    for miner in (0, 1):
        world.contribute(campaign, manifest, miner, rows(3, seed=miner))
    start("--key-file", world.folder / "key")
    wait_until(lambda: settled(world, campaign, 1), "scored")
    finish(world, campaign, manifest)


def test_started_while_the_chain_is_away_it_waits(
    world: CapsuleWorld, start: Callable[..., Running]
) -> None:
    path = world.capsule_folder / "capsule.toml"
    text = path.read_text().replace("[loop]", "[loop]\nretry_s = 0.2")
    path.write_text(text.replace(world.anvil.url, "http://127.0.0.1:9"))
    capsule = start("--key-file", world.folder / "key")
    wait_until(lambda: any(line["event"] == "waiting" for line in capsule.log()), "it says so")
    assert [line.get("whom") for line in capsule.log()] == ["chain"], "once"
    path.write_text(text)
    wait_until(lambda: capsule.answers("/ready", 200), "ready")
    capsule.stop()
