"""What the calls cost: within the bounds promised, and as in the committed snapshot."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import boa
import pytest
from sonar_gas import (
    BoaChain,
    launch,
    measure_gas,
    on_fresh_chain,
    open_campaign,
    read_snapshot,
    score,
    submit,
    terms,
)
from sonar_world import ARTIFACT, PPM, REPOSITORY, START_S

from openmined.sonar._abi import sonar_abi
from openmined.sonar._rpc import MinedTransaction, Rpc
from openmined.sonar.contract import load_artifact

ANVIL = REPOSITORY / "node_modules/.bin/anvil"
PARTIES = 26


def test_the_snapshot_is_what_the_calls_cost() -> None:
    assert on_fresh_chain(measure_gas) == read_snapshot(), (
        "the gas has changed; if it should, run `python benchmarks/gas.py --write`"
    )


def test_a_gradient_costs_less_than_100_000_gas_in_all() -> None:
    gas = read_snapshot()
    submitting = gas["submit_gradient"]
    scoring = gas["score_batch of ten new miners, per gradient"]
    assert submitting <= 60_000
    assert scoring <= 40_000
    assert submitting + scoring <= 100_000


def test_the_bounds_hold_for_the_sixteen_millionth_campaign() -> None:
    def late(chain: BoaChain) -> int:
        slot = json.loads(ARTIFACT.read_text())["storage_layout"]["campaign_count"]["slot"]
        boa.env.set_storage(chain.world.sonar.address, slot, 2**24 - 2)
        launch(chain, 1)
        open_campaign(chain, 2**24 - 1)
        return submit(chain, 2**24 - 1, 2)

    assert on_fresh_chain(late) <= 60_000


def test_a_campaign_costs_the_same_however_many_came_before() -> None:
    def one_campaign(chain: BoaChain, campaign: int) -> list[int]:
        return [
            launch(chain, campaign),
            open_campaign(chain, campaign),
            submit(chain, campaign, 2),
            score(chain, campaign, 1, 300_000, (0, PPM, 0)),
        ]

    def many(chain: BoaChain) -> list[list[int]]:
        return [one_campaign(chain, campaign) for campaign in range(1, 41)]

    costs = on_fresh_chain(many)
    # From the second on, the miner has a credit and the counter of campaigns is not zero.
    assert all(cost == costs[1] for cost in costs[1:])
    assert sum(costs[1]) < sum(costs[0])


def test_a_gradient_costs_the_same_however_many_came_before() -> None:
    def many(chain: BoaChain) -> tuple[list[int], list[int]]:
        changed = list(terms(chain))
        changed[12] = 2**32 - 1  # max_gradients
        chain.gas(0, "launch_campaign", b"\x01" * 32, tuple(changed), value=10**18)
        open_campaign(chain, 1)
        submits, scores = [], []
        for gradient in range(300):
            submits.append(submit(chain, 1, 2))
            scores.append(score(chain, 1, gradient + 1, 0, (gradient, 0, 0)))
        return submits, scores

    submits, scores = on_fresh_chain(many)
    assert max(submits) == min(submits)
    # Gradient, batch and version above 255 take one more non-zero byte of calldata each; nothing
    # else grows.
    assert max(scores[1:]) - min(scores[1:]) <= 3 * 12


class AnvilChain:
    """The same calls as transactions on a real node, by its unlocked accounts."""

    def __init__(self, rpc: Rpc):
        self.rpc = rpc
        self.accounts = rpc.call("eth_accounts")
        self.go_to(START_S)
        artifact = load_artifact()
        bytecode = artifact.bytecode
        deployed = self.mined({"from": self.accounts[-1], "data": "0x" + bytecode.hex()})
        assert deployed.contract is not None
        self.sonar = deployed.contract
        assert rpc.data("eth_getCode", self.sonar, "latest") == artifact.deployed_bytecode

    def address(self, party: int) -> str:
        return str(self.accounts[party])

    def gas(self, party: int, method: str, *arguments: Any, value: int = 0) -> int:
        data = sonar_abi().functions[method].encode(*arguments)
        call = {"from": self.accounts[party], "to": self.sonar, "value": hex(value)}
        mined = self.mined(call | {"data": "0x" + data.hex()})
        assert mined.succeeded, method
        return mined.gas_used

    def mined(self, transaction: dict[str, str]) -> MinedTransaction:
        # With a limit given: an estimate would be made at the time of the last block.
        sent = self.rpc.call("eth_sendTransaction", transaction | {"gas": hex(16_000_000)})
        deadline = time.monotonic() + 60
        while (mined := self.rpc.receipt(sent)) is None:
            assert time.monotonic() < deadline, "the node did not mine within 60 s"
        return mined

    def go_to(self, timestamp_s: int) -> None:
        self.rpc.call("evm_setNextBlockTimestamp", timestamp_s)


@pytest.fixture
def anvil() -> Iterator[Rpc]:
    if not ANVIL.exists():
        pytest.skip("anvil is not installed: run `npm ci`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [ANVIL, "--host", "127.0.0.1", "--port", str(port), "--accounts", str(PARTIES)]
    with subprocess.Popen([*command, "--silent"], stdout=subprocess.DEVNULL) as process:
        rpc = Rpc(f"http://127.0.0.1:{port}", retry_s=60.0)
        try:
            yield rpc  # the first call waits until the node answers
        finally:
            rpc.close()
            process.terminate()


def test_a_real_node_charges_the_same(anvil: Rpc) -> None:
    charged = measure_gas(AnvilChain(anvil))
    known = read_snapshot()
    # Addresses with zero bytes make calldata cheaper: 12 gas each.
    off = {name: gas - known[name] for name, gas in charged.items() if abs(gas - known[name]) > 24}
    assert not off, json.dumps(off)
