"""What the hostile mines of a storm send: each is one gradient, or a flood of them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pysequoia
from tests.soak.world import World

from openmined.protocol import GradientManifest, Phase
from openmined.sonar import ETH, SonarContract, SonarError
from openmined.storage import StorageError, put_manifest, put_ref

_OVERSIZED = 65 << 20
"""More than the 64 MiB that a Capsule takes by default; announced, not sent."""


def attack(world: World, what: str, amount: int, luck: random.Random) -> int:
    """Submit hostile gradients to an open campaign; return how many the contract took."""
    contract = luck.choice(world.hostile)
    try:
        campaign = _open_campaign(world)
        if not campaign:
            return 0
        return sum(_submit(world, contract, campaign, what, luck) for _ in range(amount))
    except (SonarError, StorageError):
        return 0  # the contract or a dead store refused: that is an answer as well


def _open_campaign(world: World) -> int:
    for number in range(world.admin.campaign_count(), 0, -1):
        if world.admin.campaign(number).phase == Phase.OPEN:
            return number
    return 0


def _submit(
    world: World, contract: SonarContract, campaign: int, what: str, luck: random.Random
) -> int:
    version = world.admin.campaign(campaign).version
    if what == "future-version":
        version += 1
    envelopes: dict[str, Callable[[], bytes]] = {
        "unknown-digest": lambda: luck.randbytes(32),
        "future-version": lambda: luck.randbytes(32),
        "wrong-manifest": lambda: world.store.put_manifest_bytes(
            b'{"format":"openmined/model@1"}' + luck.randbytes(4).hex().encode()
        ),
        "garbage-envelope": lambda: _manifest(world, luck.randbytes(4000)),
        "flood": lambda: _manifest(world, _sealed(world, luck.randbytes(64))),
        "copied-envelope": lambda: _copy(world, campaign) or luck.randbytes(32),
        "oversized": lambda: _announce(world),
    }
    contract.submit_gradient(campaign, version, envelopes[what]())
    if luck.random() < 0.2 and contract.wallet and contract.credit(ETH, contract.wallet.address):
        contract.withdraw()
    return 1


def _manifest(world: World, envelope: bytes) -> bytes:
    ref = put_ref(world.store, envelope, "envelope")
    return put_manifest(world.store, GradientManifest(envelope=ref))


def _sealed(world: World, data: bytes) -> bytes:
    """Seal nonsense so that it opens: Capsule finds out only inside."""
    path = world.disk("capsule") / "folder" / "certificate.asc"
    certificate = pysequoia.Cert.from_bytes(path.read_bytes())
    return bytes(pysequoia.encrypt(data, recipients=[certificate], armor=False))


def _copy(world: World, campaign: int) -> bytes | None:
    """Take another mine's envelope."""
    for event in reversed(world.admin.events(0, campaign=campaign)):
        if event.name == "GradientSubmitted":
            return bytes(event.arguments()["envelope"])
    return None


def _announce(world: World) -> bytes:
    ref = put_ref(world.store, b"small", "envelope").model_copy(update={"size": _OVERSIZED})
    return put_manifest(world.store, GradientManifest(envelope=ref))
