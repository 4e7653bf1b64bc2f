"""The statistics service on a real EVM node: reorganisations, a bad line, and sudden death."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from tests.unit.sonar.chain import Anvil
from tests.unit.stats.fault_proxy import faulty
from tests.unit.stats.serving import served, wait_until

from openmined.protocol import Phase
from openmined.sonar import (
    ETH,
    Network,
    Score,
    SonarContract,
    Terms,
    connect_sonar,
    deploy_sonar,
    devnet_wallets,
    save_network,
)
from openmined.stats import (
    Chain,
    Database,
    Feed,
    Indexer,
    Rpc,
    Service,
    create_app,
    open_database,
    verify,
)
from openmined.stats import _schema as schema

PPM = 1_000_000


class Play:
    """Actors on a chain, doing random things that the contract allows."""

    def __init__(self, anvil: Anvil, locks: Path, seed: int = 0) -> None:
        wallets = devnet_wallets(5)
        self.anvil = anvil
        self.random = random.Random(seed)
        self.address = deploy_sonar(anvil.url, wallets[0], lock_folder=locks)
        parties = [connect_sonar(anvil.url, self.address, w, lock_folder=locks) for w in wallets]
        self.scientist, self.capsule, *self.miners = parties
        self.nonce = 0
        self.open: dict[int, list[int]] = {}
        self.chains: list[Chain] = []

    def close(self) -> None:
        for party in (self.scientist, self.capsule, *self.miners):
            party.close()
        for chain in self.chains:
            chain.close()

    def chain(self, url: str | None = None, **settings: Any) -> Chain:
        chain = Chain(Rpc(url or self.anvil.url, timeout_s=5.0, **settings), self.address)
        self.chains.append(chain)
        return chain

    def launch(self) -> int:
        self.nonce += 1
        assert self.capsule.wallet is not None
        terms = Terms(
            spec=b"\x11" * 32,
            capsule=self.capsule.wallet.address,
            bounty=10_000,
            fee=100,
            bond=10,
            start_ppm=100_000,
            start_tolerance_ppm=5_000,
            target_ppm=800_000,
            min_improvement_ppm=1_000,
            deadline=self.scientist.now() + 10**6,
            grace=600,
            max_gradients=1000,
            max_batch=10,
        )
        nonce = self.random.randbytes(32)
        campaign = self.scientist.launch_campaign(nonce, terms)
        self.capsule.open_campaign(campaign, b"\xa0" * 32, b"\xa1" * 32, 100_000)
        self.open[campaign] = []
        return campaign

    def act(self) -> None:
        """Submit or score; start a campaign when there is none."""
        campaign = self.random.choice(list(self.open)) if self.open else self.launch()
        pending = self.open[campaign]
        if len(pending) < 3:
            miner = self.random.choice(self.miners)
            pending.append(miner.submit_gradient(campaign, 1, b"\xa4" * 32).gradient)
            return
        state = self.scientist.campaign(campaign)
        accuracy = min(800_000, state.best_ppm + 20_000)
        scores = [
            Score(pending[0], PPM, 0),
            *(Score(gradient, 0, self.random.choice([3, 128])) for gradient in pending[1:]),
        ]
        self.capsule.score_batch(
            campaign, state.batches + 1, state.version, accuracy, b"\xa1" * 32, b"\xa3" * 32, scores
        )
        pending.clear()

    def forget(self) -> None:
        """After a reorganisation: learn anew what is on the chain."""
        self.open.clear()
        for campaign in range(1, self.scientist.campaign_count() + 1):
            state = self.scientist.campaign(campaign)
            if state.phase == Phase.OPEN and state.best_ppm < 800_000:
                self.open[campaign] = [
                    gradient
                    for gradient in range(state.gradients)
                    if self.scientist.gradient(campaign, gradient).status == 1
                ]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with Anvil() as anvil:
        play = Play(anvil, tmp_path / "locks")
        anvil.mine(70)  # deep enough for every reorganisation to leave the contract where it is
        yield play
        play.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'stats.sqlite3'}", migrate=True)
    yield database
    database.close()


def test_the_index_says_what_the_contract_says(play: Play, database: Database) -> None:
    for _ in range(25):
        play.act()
    play.miners[0].withdraw(ETH)
    indexer = Indexer(database, play.chain())
    indexer.prepare()
    indexer.catch_up()
    with served(create_app(Service(database, Feed(database)))) as api:
        for item in api.get("/v1/campaigns").json()["items"]:
            assert_same(item, play.scientist, item["campaign"])
        for mine in api.get("/v1/mines").json()["items"]:
            [purse] = mine["purses"]
            assert int(purse["credit"]) == play.scientist.credit(ETH, mine["address"])
    verify(database, play.chain())


def assert_same(item: dict[str, Any], contract: SonarContract, campaign: int) -> None:
    state = contract.campaign(campaign)
    assert item["phase"] == Phase(state.phase).name.lower()
    for name in ("version", "epoch", "best_ppm", "gradients", "pending", "batches"):
        assert item[name] == getattr(state, name), name
    assert int(item["bounty"]) == state.terms.bounty
    assert int(item["paid"]) == state.paid
    assert int(item["unspent"]) == state.unspent
    assert item["deadline"] == state.terms.deadline


@pytest.mark.parametrize("depth", [1, 2, 5, 17, 64])
def test_reorganised_by_the_node(play: Play, database: Database, depth: int) -> None:
    for _ in range(min(depth, 40)):
        play.act()
    indexer = Indexer(database, play.chain())
    indexer.prepare()
    indexer.catch_up()
    before = events(database)
    play.anvil.reorganise(depth)
    indexer.catch_up()
    assert len(events(database)) < len(before)
    verify(database, play.chain())
    play.forget()
    for _ in range(5):
        play.act()
    indexer.catch_up()
    verify(database, play.chain())


def events(database: Database) -> list[Any]:
    with database.reading() as connection:
        return list(connection.execute(select(schema.events.c.position)))


def test_over_a_bad_line_through_reorganisations(play: Play, database: Database) -> None:
    luck = random.Random(11)
    with faulty(play.anvil.url, share=0.2) as (url, proxy):
        indexer = Indexer(database, play.chain(url, wait=lambda _: None, tries=40))
        indexer.prepare()
        for _ in range(8):
            for _ in range(6):
                play.act()
            indexer.step()
            if luck.random() < 0.5:
                play.anvil.reorganise(luck.randint(1, 12))
                play.forget()
        indexer.catch_up()
    assert len(proxy.met) >= 6
    verify(database, play.chain())


def test_killed_at_any_instant(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(30):
        play.act()
    devnet(play, tmp_path, monkeypatch)
    url = f"sqlite:///{tmp_path / 'killed.sqlite3'}"
    stop = threading.Event()
    acting = threading.Thread(target=lambda: [play.act() for _ in range(60) if not stop.is_set()])
    acting.start()
    luck = random.Random(2)
    try:
        for _ in range(5):
            options = ("--only", "indexer", "--database", url, "--poll-s", "0.05")
            with command("start", *options) as process:
                assert process.stdout is not None
                assert "indexing" in process.stdout.readline()
                stop.wait(luck.random() * 0.4)  # any instant: this is what is being drawn
                process.send_signal(signal.SIGKILL)
    finally:
        stop.set()
        acting.join()
    database = open_database(url)
    indexer = Indexer(database, play.chain())
    indexer.prepare()
    indexer.catch_up()
    verify(database, play.chain())
    database.close()


def test_the_command_serves_what_it_indexes(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = play.launch()
    devnet(play, tmp_path, monkeypatch)
    url = f"sqlite:///{tmp_path / 'served.sqlite3'}"
    with command("start", "--database", url, "--port", "0", "--poll-s", "0.05") as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        with httpx.Client(base_url=ready.split()[-1], trust_env=False) as api:
            wait_until(lambda: api.get(f"/v1/campaigns/{campaign}").status_code == 200)
            assert api.get("/v1/network").json()["contract"] == play.address.lower()
            play.miners[0].submit_gradient(campaign, 1, b"\xa4" * 32)
            wait_until(lambda: api.get("/v1/totals").json()["counts"]["gradients_submitted"] == 1)
            assert api.get("/v1/status").json()["head"] >= 70
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    for arguments, said in (
        (("verify", "--database", url), "equal to its rebuild"),
        (("rebuild", "--database", url), "rebuilt from"),
        (("verify", "--database", url), "equal to its rebuild"),
        (("export", "--database", url, str(tmp_path / "out")), "snapshot written"),
    ):
        with command(*arguments) as process:
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            assert said in output


def test_a_wrong_network_is_refused(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devnet(play, tmp_path, monkeypatch, sonar="0x" + "12" * 20)
    url = f"sqlite:///{tmp_path / 'refused.sqlite3'}"
    for arguments, said in (
        (("start", "--database", url), "there is no contract at 0x1212"),
        (("start", "--network", "nowhere"), "nowhere"),
        (("start", "--database", "postgresql://me:secret@host/x"), "--database-file"),
        (("verify", "--database", url), "no index"),
    ):
        with command(*arguments, stderr=subprocess.PIPE) as process:
            _, complaint = process.communicate(timeout=60)
            assert process.returncode == 1
            assert said in " ".join(complaint.split())
            assert "Traceback" not in complaint


def devnet(play: Play, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setenv("OPENMINED_HOME", str(folder / "home"))
    values = {
        "name": "devnet",
        "chain_id": 31337,
        "rpc_url": play.anvil.url,
        "sonar": play.address,
        "store_url": "http://127.0.0.1:9",
    }
    save_network(Network(**values | changes))


def command(*arguments: str, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "openmined", "stats", *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
