from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.sonar.chain import Anvil
from tests.unit.sonar.played import PlayedCapsule, generate_pgp

from openmined.protocol import ColumnsStep, LinearClassifierAlgorithm
from openmined.sonar import (
    Campaign,
    CapsuleRef,
    PgpKey,
    Sonar,
    SonarContract,
    Terms,
    Wallet,
    connect_sonar,
    deploy_sonar,
    devnet_wallets,
)
from openmined.storage import MemoryStore

_NUMBERS = count(1)
SPEC = b"\x11" * 32
KEYS, MODEL, RECEIPT, DELIVERY, ENVELOPE = (bytes([n]) * 32 for n in range(0xA0, 0xA5))


@dataclass
class World:
    """A chain with a Sonar, and its parties' clients."""

    anvil: Anvil
    data_scientist: SonarContract
    capsule: SonarContract
    miner: SonarContract
    stranger: SonarContract

    @property
    def address(self) -> str:
        return self.data_scientist.address

    def terms(self, **changes: Any) -> Terms:
        assert self.capsule.wallet is not None
        values: dict[str, Any] = {
            "spec": SPEC,
            "capsule": self.capsule.wallet.address,
            "bounty": 1000,
            "fee": 0,
            "bond": 10,
            "start_ppm": 100_000,
            "start_tolerance_ppm": 5_000,
            "target_ppm": 800_000,
            "min_improvement_ppm": 1_000,
            "deadline": self.data_scientist.now() + 3600,
            "grace": 600,
            "max_gradients": 100,
            "max_batch": 10,
        }
        return Terms(**values | changes)

    def launch(self, nonce: int, **changes: Any) -> int:
        return self.data_scientist.launch_campaign(nonce.to_bytes(32), self.terms(**changes))

    def launch_open(self, nonce: int, **changes: Any) -> int:
        campaign = self.launch(nonce, **changes)
        self.capsule.open_campaign(campaign, KEYS, MODEL, 100_000)
        return campaign


@pytest.fixture(scope="session")
def wallets() -> list[Wallet]:
    return list(devnet_wallets(6))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENMINED_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def build_world(anvil: Anvil, wallets: list[Wallet], locks: Path) -> World:
    address = deploy_sonar(anvil.url, wallets[0], lock_folder=locks)
    clients = [connect_sonar(anvil.url, address, one, lock_folder=locks) for one in wallets[:4]]
    return World(anvil, *clients)


@pytest.fixture(scope="module")
def world(wallets: list[Wallet], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One chain for a whole test module: tests launch campaigns of their own on it."""
    with Anvil() as anvil:
        world = build_world(anvil, wallets, tmp_path_factory.mktemp("locks"))
        yield world
        for client in (world.data_scientist, world.capsule, world.miner, world.stranger):
            client.close()


@pytest.fixture
def own_world(wallets: list[Wallet], tmp_path: Path) -> Iterator[World]:
    """A chain that the test may wreck."""
    with Anvil() as anvil:
        world = build_world(anvil, wallets, tmp_path / "locks")
        yield world
        for client in (world.data_scientist, world.capsule, world.miner, world.stranger):
            client.close()


@dataclass
class Scene:
    """A world with a store, a data scientist's Sonar and a played Capsule."""

    world: World
    store: MemoryStore
    sonar: Sonar
    capsule: PlayedCapsule
    pgp: PgpKey
    drafts: Path

    def launch(self, **changes: Any) -> Campaign:
        rows = np.random.default_rng(7).normal(size=(120, 3))
        labels = np.where(rows @ [1.0, -2.0, 0.5] > 0, "yes", "no")
        values: dict[str, Any] = {
            "title": "A test",
            "bounty": 10**6,
            "estimator": LinearClassifierAlgorithm(),
            "features": [ColumnsStep(columns=("x",))],
            "target_accuracy": 0.9,
            "duration_s": 3600,
            "grace_s": 600,
            "capsule_certificate": self.capsule.certificate,
            "repeat": next(_NUMBERS),  # the world outlives the scene: every launch is its own
        }
        return self.sonar.launch_campaign(rows, labels, **values | changes)

    def submit(self, campaign: Campaign, *, envelope: bytes = ENVELOPE, version: int = 1) -> int:
        return self.world.miner.submit_gradient(campaign.id, version, envelope).gradient


@pytest.fixture(scope="session")
def pgp() -> PgpKey:
    return PgpKey(generate_pgp("Data scientist"))


def build_scene(world: World, pgp: PgpKey, folder: Path) -> Scene:
    store = MemoryStore()
    capsule = PlayedCapsule(world.capsule, store)
    sonar = Sonar(
        world.data_scientist,
        store,
        pgp=pgp,
        capsule=CapsuleRef(address=capsule.address),
        drafts=folder / "drafts",
        poll_s=0.01,
    )
    return Scene(world, store, sonar, capsule, pgp, folder / "drafts")


@pytest.fixture
def scene(world: World, pgp: PgpKey, tmp_path: Path) -> Scene:
    return build_scene(world, pgp, tmp_path)


@pytest.fixture
def own_scene(own_world: World, pgp: PgpKey, tmp_path: Path) -> Scene:
    return build_scene(own_world, pgp, tmp_path)
