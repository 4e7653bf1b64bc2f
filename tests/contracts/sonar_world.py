"""Sonar on titanoboa, with its actors: what every test of the contract starts from.

The contract under test is `Sonar.vy`; `SONAR_SOURCE` names another file (the mutation runner's).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boa
import eth_abi
import pytest
from eth_utils import keccak

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src/openmined/sonar/contract/Sonar.vy"
ARTIFACT = SOURCE.with_suffix(".json")
TOKENS = Path(__file__).with_name("tokens")

ETH = "0x" + "00" * 20
PPM = 1_000_000
START_S = 1_900_000_000
DAY_S = 86_400

LAUNCHED, OPEN, DELIVERED, REJECTED, CANCELLED, EXPIRED = range(1, 7)
# What Token.vy and Visitor.vy can be told to do.
(
    PLAIN,
    NO_ANSWER,
    LONG_ANSWER,
    TAKES_FEE,
    SAYS_FALSE,
    REVERTS,
    LIES,
    SHORT_ANSWER,
    SAYS_TWO,
    REENTERS,
    GIVES_MORE,
    BURNS_MORE,
    BALANCE_REVERTS,
    BALANCE_SHORT,
    BALANCE_WRITES,
) = range(15)
VISITOR_REJECTS, VISITOR_REENTERS, VISITOR_RETURNS_MUCH = 1, 2, 3

PENDING, SCORED, DISMISSED, RECLAIMED = range(1, 5)

TERMS = {
    "spec": b"\x11" * 32,
    "capsule": None,
    "token": ETH,
    "bounty": 1000,
    "fee": 0,
    "bond": 10,
    "start_ppm": 100_000,
    "start_tolerance_ppm": 5_000,
    "target_ppm": 800_000,
    "min_improvement_ppm": 1_000,
    "deadline": START_S + 30 * DAY_S,
    "grace": 2 * DAY_S,
    "max_gradients": 100,
    "max_batch": 10,
}

KEYS, MODEL, RECEIPT, DELIVERY, ENVELOPE = (bytes([n]) * 32 for n in range(0xA0, 0xA5))
NO_MODEL = bytes(32)


@cache
def sonar_deployer() -> Any:
    return boa.load_partial(os.environ.get("SONAR_SOURCE", str(SOURCE)))


@cache
def deployer(name: str) -> Any:
    return boa.load_partial(str(TOKENS / f"{name}.vy"))


def deploy(source: Any) -> Any:
    """Deploy by bytecode: titanoboa's own `deploy` assembles the contract anew every time."""
    address, _ = boa.env.deploy_code(bytecode=source.compiler_data.bytecode)
    return source.at(address)


def actor(name: str, ether: int = 10**24) -> Any:
    account = boa.env.generate_address(name)
    boa.env.set_balance(account, ether)
    return account


@dataclass
class World:
    """One deployed Sonar and the parties that use it."""

    sonar: Any
    data_scientist: Any
    capsule: Any
    miners: Sequence[Any]
    stranger: Any
    nonces: int = 0

    @property
    def miner(self) -> Any:
        return self.miners[0]

    # ------------------------------------------------------------------ money

    def token(self, mood: int = 0) -> Any:
        """An ERC-20 of which every actor has plenty, all of it approved for Sonar."""
        token = deploy(deployer("Token"))
        token.set_mood(mood)
        for account in (self.data_scientist, self.capsule, self.stranger, *self.miners):
            token.mint(account, 10**30)
            token.approve(self.sonar.address, 2**256 - 1, sender=account)
        return token

    def credit(self, account: Any, token: Any = ETH) -> int:
        return self.sonar.credit(token, account)

    def balance(self, account: Any) -> int:
        return boa.env.get_balance(getattr(account, "address", account))

    # ------------------------------------------------------------------- calls

    def terms(self, **changes: Any) -> tuple[Any, ...]:
        unknown = set(changes) - set(TERMS)
        assert not unknown, unknown
        return tuple({**TERMS, "capsule": self.capsule, **changes}.values())

    def launch(
        self,
        *,
        sender: Any = None,
        nonce: bytes | None = None,
        value: int | None = None,
        **changes: Any,
    ) -> int:
        self.nonces += 1
        terms = self.terms(**changes)
        token, bounty = terms[2], terms[3]
        if value is None:
            value = bounty if token == ETH else 0
        return self.sonar.launch_campaign(
            nonce or self.nonces.to_bytes(32),
            terms,
            value=value,
            sender=sender or self.data_scientist,
        )

    def open(self, campaign: int, accuracy_ppm: int = 100_000, sender: Any = None) -> None:
        self.sonar.open_campaign(campaign, KEYS, MODEL, accuracy_ppm, sender=sender or self.capsule)

    def launch_open(self, accuracy_ppm: int = 100_000, **changes: Any) -> int:
        campaign = self.launch(**changes)
        self.open(campaign, accuracy_ppm)
        return campaign

    def submit(
        self, campaign: int, *, version: int = 1, sender: Any = None, value: int | None = None
    ) -> int:
        terms = self.sonar.campaign(campaign).terms
        if value is None:
            value = terms.bond if str(terms.token) == ETH else 0
        return self.sonar.submit_gradient(
            campaign, version, ENVELOPE, value=value, sender=sender or self.miner
        )

    def score(
        self,
        campaign: int,
        accuracy_ppm: int,
        *scores: tuple[int, int, int],
        model: bytes = MODEL,
        sender: Any = None,
        batch: int | None = None,
        version: int | None = None,
    ) -> None:
        """Score a batch where the campaign stands, unless the test says another place."""
        state = self.sonar.campaign(campaign)
        self.sonar.score_batch(
            campaign,
            state.batches + 1 if batch is None else batch,
            state.version if version is None else version,
            accuracy_ppm,
            model,
            RECEIPT,
            list(scores),
            sender=sender or self.capsule,
        )

    def rotate(self, campaign: int, *, version: int | None = None, sender: Any = None) -> None:
        if version is None:
            version = self.sonar.campaign(campaign).version
        self.sonar.rotate_keys(campaign, version, KEYS, MODEL, sender=sender or self.capsule)

    def deliver(self, campaign: int, sender: Any = None, batch: int | None = None) -> None:
        if batch is None:
            batch = self.sonar.campaign(campaign).batches
        self.sonar.deliver(campaign, batch, DELIVERY, sender=sender or self.capsule)

    # -------------------------------------------------------------------- time

    def at(self, timestamp_s: int) -> None:
        boa.env.timestamp = timestamp_s

    def at_deadline(self, campaign: int, offset_s: int = 0) -> None:
        self.at(self.sonar.campaign(campaign).terms.deadline + offset_s)

    def at_end_of_grace(self, campaign: int, offset_s: int = 0) -> None:
        terms = self.sonar.campaign(campaign).terms
        self.at(terms.deadline + terms.grace + offset_s)


@contextmanager
def reverts(reason: str | None) -> Iterator[None]:
    """The call inside reverts with exactly this reason; `None`: without one, by Vyper's checks."""
    with pytest.raises(boa.BoaError) as caught:
        yield
    assert revert_reason(caught.value.call_trace.computation.output) == reason


def revert_reason(output: bytes) -> str | None:
    """Decode `Error(string)`, the encoding of named reverts."""
    if output == b"":
        return None
    assert output[:4] == bytes.fromhex("08c379a0"), output
    return eth_abi.decode(["string"], output[4:])[0]


def events(contract: Any) -> list[tuple[str, dict[str, Any]]]:
    """The events of the contract's last call: name and fields."""
    logs = []
    for log in contract.get_logs():
        values = log._asdict()
        if str(values.pop("address")) == str(contract.address):
            logs.append((type(log).__name__, values))
    return logs


def life_slot(campaign: int) -> int:
    """The storage slot of a campaign's hot word: keccak(slot of `_records` . campaign)."""
    layout = json.loads(ARTIFACT.read_text())["storage_layout"]["_records"]["slot"]
    return int.from_bytes(keccak(layout.to_bytes(32) + campaign.to_bytes(32)))


def new_world(miners: int = 12) -> World:
    boa.env.timestamp = START_S
    return World(
        sonar=deploy(sonar_deployer()),
        data_scientist=actor("data_scientist"),
        capsule=actor("capsule"),
        miners=[actor(f"miner_{index}") for index in range(miners)],
        stranger=actor("stranger"),
    )


def transaction_gas(call: Callable[[], Any], contract: Any, sender: Any) -> int:
    """The gas that a transaction making `call` would use: calldata (EIP-2028), everything cold.

    Only inside `boa.swap_env(boa.Env())`: it forgets what py-evm needs to roll back.
    """
    boa.env.evm.vm.state.lock_changes()  # a transaction of its own: storage as it was before it
    boa.env.reset_gas_used()
    boa.env.evm.vm.state.mark_address_warm(sender.canonical_address)
    call()
    computation = contract._computation
    data = computation.msg.data
    zeros = data.count(0)
    gas: int = 21_000 + 4 * zeros + 16 * (len(data) - zeros) + computation.get_gas_used()
    return gas - min(gas // 5, computation.get_gas_refund())  # EIP-3529
