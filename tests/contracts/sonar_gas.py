"""What each call of Sonar costs, measured alike on titanoboa and on a real node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import boa
from sonar_world import (
    DELIVERY,
    ENVELOPE,
    ETH,
    KEYS,
    MODEL,
    PPM,
    RECEIPT,
    REPOSITORY,
    START_S,
    TERMS,
    World,
    new_world,
    transaction_gas,
)

SNAPSHOT = REPOSITORY / "tests/unit/sonar_contract/gas.json"
SHARES = [100_000] * 10
BOUNTY, BOND, FEE = 10**18, 10**15, 10**16


class Chain(Protocol):
    """Where the calls are made. Parties are numbers: 0 data scientist, 1 capsule, 2.. miners."""

    def address(self, party: int) -> str: ...

    def gas(self, party: int, method: str, *arguments: Any, value: int = 0) -> int: ...

    def go_to(self, timestamp_s: int) -> None: ...


class BoaChain:
    """titanoboa in an environment of its own (`fresh`): counting gas cold cannot be rolled back."""

    def __init__(self, world: World):
        self.world = world
        self.parties = [world.data_scientist, world.capsule, *world.miners, world.stranger]

    def address(self, party: int) -> str:
        return str(self.parties[party])

    def gas(self, party: int, method: str, *arguments: Any, value: int = 0) -> int:
        call = getattr(self.world.sonar, method)
        sender = self.parties[party]
        return transaction_gas(
            lambda: call(*arguments, value=value, sender=sender), self.world.sonar, sender
        )

    def go_to(self, timestamp_s: int) -> None:
        self.world.at(timestamp_s)


def on_fresh_chain(measure: Callable[[BoaChain], Any]) -> Any:
    env = boa.Env()
    env.set_random_seed(2018)  # an address with a zero byte is cheaper by 12 gas
    with boa.swap_env(env):
        return measure(BoaChain(new_world(miners=24)))


def terms(chain: Chain, token: str = ETH) -> tuple[Any, ...]:
    changes = {
        "capsule": chain.address(1),
        "token": token,
        "bounty": BOUNTY,
        "bond": BOND,
        "fee": FEE,
    }
    return tuple({**TERMS, **changes}.values())


def launch(chain: Chain, nonce: int, token: str = ETH) -> int:
    value = BOUNTY if token == ETH else 0
    word = nonce.to_bytes(32)
    return chain.gas(0, "launch_campaign", word, terms(chain, token), value=value)


def open_campaign(chain: Chain, campaign: int) -> int:
    return chain.gas(1, "open_campaign", campaign, KEYS, MODEL, 100_000)


def submit(chain: Chain, campaign: int, miner: int, token: str = ETH) -> int:
    value = BOND if token == ETH else 0
    return chain.gas(miner, "submit_gradient", campaign, 1, ENVELOPE, value=value)


def score(
    chain: Chain, campaign: int, batch: int, accuracy_ppm: int, *scores: tuple[int, int, int]
) -> int:
    """Score a batch of a campaign in which every batch made a version: both have one number."""
    place, digests = (campaign, batch, batch), (MODEL, RECEIPT)
    return chain.gas(1, "score_batch", *place, accuracy_ppm, *digests, list(scores))


def measure_gas(chain: Chain) -> dict[str, int]:
    """One campaign in ETH, in which every miner is new to the contract."""
    found = {"launch_campaign": launch(chain, 1)}
    found["open_campaign"] = open_campaign(chain, 1)
    found["top_up"] = chain.gas(0, "top_up", 1, 10**18, value=10**18)
    submits = [submit(chain, 1, 2 + miner) for miner in range(20)]
    found["submit_gradient, first of the campaign"] = submits[0]
    found["submit_gradient"] = max(submits[1:])
    batch = [(gradient, share, 0) for gradient, share in enumerate(SHARES)]
    found["score_batch of ten new miners, per gradient"] = score(chain, 1, 1, 300_000, *batch) // 10
    found["score_batch of one new miner"] = score(chain, 1, 2, 400_000, (10, PPM, 0))
    found["score_batch of one that loses its bond"] = score(chain, 1, 3, 0, (11, 0, 5))
    found["rotate_keys"] = chain.gas(1, "rotate_keys", 1, 4, KEYS, MODEL)
    chain.go_to(TERMS["deadline"])
    found["deliver"] = chain.gas(1, "deliver", 1, 3, DELIVERY)
    reclaimed = chain.gas(22, "reclaim_bonds", 1, list(range(12, 17)))
    found["reclaim_bonds of five, per bond"] = reclaimed // 5
    found["withdraw"] = chain.gas(2, "withdraw", ETH)
    chain.go_to(START_S + 31 * 86_400)
    return found


def read_snapshot() -> dict[str, int]:
    snapshot: dict[str, int] = json.loads(SNAPSHOT.read_text())
    return snapshot


def write_snapshot(found: dict[str, int], path: Path = SNAPSHOT) -> None:
    path.write_text(json.dumps(found, indent=2) + "\n")
