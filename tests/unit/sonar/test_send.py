"""What happens to transactions on the way, against a real node that is made to misbehave."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.sonar.chain import in_background, wait_for
from tests.unit.sonar.conftest import ENVELOPE, World

from openmined.sonar import (
    ChainError,
    ChainRestarted,
    Reverted,
    SonarContract,
    TransactionLost,
    TransactionPending,
    Wallet,
    connect_sonar,
)
from openmined.sonar._send import account_lock


def client(world: World, wallet: Wallet, tmp_path: Path, **options: Any) -> SonarContract:
    return connect_sonar(
        world.anvil.url, world.address, wallet, lock_folder=tmp_path / "locks", **options
    )


def nonce_of(world: World, wallet: Wallet) -> int:
    return int(world.anvil.call("eth_getTransactionCount", wallet.address, "latest"), 16)


def test_many_threads_with_one_key(own_world: World) -> None:
    world = own_world
    campaign = world.launch_open(1)
    before = nonce_of(world, world.miner.wallet)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(world.miner.submit_gradient, campaign, 1, ENVELOPE) for _ in range(24)]
        gradients = {call.result().gradient for call in calls}
    assert gradients == set(range(24))
    assert nonce_of(world, world.miner.wallet) == before + 24


CHILD = """
import sys
from openmined.sonar import connect_sonar, devnet_wallet
url, address, locks, campaign = sys.argv[1:]
from pathlib import Path
sonar = connect_sonar(url, address, devnet_wallet(2), lock_folder=Path(locks))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(8):
    print(sonar.submit_gradient(int(campaign), 1, b"e" * 32).gradient, flush=True)
"""


def test_many_processes_with_one_key(own_world: World, tmp_path: Path) -> None:
    world = own_world
    campaign = world.launch_open(1)
    arguments = [world.anvil.url, world.address, str(tmp_path / "locks"), str(campaign)]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    outputs = []
    with ThreadPoolExecutor(3) as pool:
        outputs = list(pool.map(lambda child: child.communicate("go\n")[0], children))
    assert [child.returncode for child in children] == [0, 0, 0]
    gradients = sorted(int(line) for output in outputs for line in output.split())
    assert gradients == list(range(24))


def test_a_lock_that_is_never_released_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openmined.sonar._send._LOCK_TIMEOUT_S", 0.05)
    with (
        account_lock(tmp_path, 1, "0xabc"),
        pytest.raises(ChainError, match=r"1-0xabc\.lock is locked"),
        account_lock(tmp_path, 1, "0xabc"),
    ):
        pass
    with account_lock(tmp_path, 1, "0xabc"):
        pass


class LosesAnswers(httpx.BaseTransport):
    """Forwards every request, and loses the first `count` answers to a method."""

    def __init__(self, method: str, count: int) -> None:
        self._inner = httpx.HTTPTransport()
        self._method = method
        self.left = count

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if self.left and json.loads(request.read())["method"] == self._method:
            self.left -= 1
            response.read()
            raise httpx.ReadError("connection reset")
        return response

    def close(self) -> None:
        self._inner.close()


def test_a_lost_answer_sends_nothing_twice(
    own_world: World, wallets: list[Wallet], tmp_path: Path
) -> None:
    # The node mines at once, so the second attempt meets `nonce too low`, by these very bytes.
    world = own_world
    transport = LosesAnswers("eth_sendRawTransaction", 2)
    sender = client(world, wallets[2], tmp_path, transport=transport)
    campaign = world.launch_open(1)
    assert sender.submit_gradient(campaign, 1, ENVELOPE).gradient == 0
    assert transport.left == 0
    assert world.miner.campaign(campaign).gradients == 1
    sender.close()


def test_a_lost_answer_with_the_transaction_in_the_pool(
    own_world: World, wallets: list[Wallet], tmp_path: Path
) -> None:
    world = own_world
    transport = LosesAnswers("eth_sendRawTransaction", 1)
    sender = client(world, wallets[2], tmp_path, transport=transport)
    campaign = world.launch_open(1)
    world.anvil.set_automine(False)
    sent = in_background(lambda: sender.submit_gradient(campaign, 1, ENVELOPE))
    wait_for(lambda: transport.left == 0 and world.anvil.pending())
    world.anvil.mine()
    assert sent.result(20).gradient == 0
    assert world.miner.campaign(campaign).gradients == 1
    sender.close()


class HasNoPendingState(httpx.BaseTransport):
    """Refuses to run calls on the pending state, as geth without a miner does."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.refused = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.read())
        if asked["method"] in ("eth_call", "eth_estimateGas") and asked["params"][-1] == "pending":
            self.refused += 1
            error = {"code": -32000, "message": "pending state is not available"}
            return httpx.Response(200, json={"jsonrpc": "2.0", "id": asked["id"], "error": error})
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def test_a_node_without_pending_state_serves_as_well(
    own_world: World, wallets: list[Wallet], tmp_path: Path
) -> None:
    world = own_world
    transport = HasNoPendingState()
    sender = client(world, wallets[2], tmp_path, transport=transport)
    campaign = world.launch_open(1)
    assert sender.submit_gradient(campaign, 1, ENVELOPE).gradient == 0
    with pytest.raises(Reverted, match="Sonar: versions start at 1"):
        sender.submit_gradient(campaign, 0, ENVELOPE)
    assert transport.refused == 1, "asked once, then no more"
    sender.close()


def test_a_dropped_transaction_is_sent_again(own_world: World) -> None:
    world = own_world
    campaign = world.launch_open(1)
    world.anvil.set_automine(False)
    sent = in_background(lambda: world.miner.submit_gradient(campaign, 1, ENVELOPE))
    (hash_,) = wait_for(world.anvil.pending)
    world.anvil.drop(hash_)
    wait_for(lambda: world.anvil.pending() == [hash_])
    world.anvil.mine()
    assert sent.result(20).transaction == hash_


def test_a_reorganisation_before_the_receipt_loses_nothing(own_world: World) -> None:
    world = own_world
    campaign = world.launch_open(1)
    world.anvil.mine(3)
    world.anvil.set_automine(False)
    sent = in_background(lambda: world.miner.submit_gradient(campaign, 1, ENVELOPE))
    wait_for(world.anvil.pending)
    world.anvil.reorganise(2)
    wait_for(world.anvil.pending)
    world.anvil.mine()
    assert sent.result(20).gradient == 0


def test_a_replaced_transaction_is_lost(own_world: World) -> None:
    world = own_world
    campaign = world.launch_open(1)
    wallet = world.miner.wallet
    assert wallet is not None
    world.anvil.set_automine(False)
    sent = in_background(lambda: world.miner.submit_gradient(campaign, 1, ENVELOPE))
    (hash_,) = wait_for(world.anvil.pending)
    nonce = nonce_of(world, wallet)
    raw, other = wallet.sign_transaction(
        {
            "chain_id": 31337,
            "nonce": nonce,
            "max_priority_fee": 10**11,
            "max_fee": 10**12,
            "gas": 21_000,
            "to": bytes(20),
            "value": 0,
            "data": b"",
        }
    )
    world.anvil.call("eth_sendRawTransaction", "0x" + raw.hex())
    wait_for(lambda: world.anvil.pending() == [other])
    world.anvil.mine()
    with pytest.raises(TransactionLost) as caught:
        sent.result(20)
    assert (caught.value.transaction, caught.value.nonce) == (hash_, nonce)
    assert world.miner.campaign(campaign).gradients == 0


def test_a_fee_that_is_too_low_is_raised(
    own_world: World, wallets: list[Wallet], tmp_path: Path
) -> None:
    world = own_world
    campaign = world.launch_open(1)
    sender = client(world, wallets[2], tmp_path, raise_fee_after_s=0.1)
    world.anvil.set_automine(False)
    sent = in_background(lambda: sender.submit_gradient(campaign, 1, ENVELOPE))
    (first,) = wait_for(world.anvil.pending)
    price = int(world.anvil.call("eth_getTransactionByHash", first)["maxFeePerGas"], 16)
    (raised,) = wait_for(lambda: [one for one in world.anvil.pending() if one != first])
    again = int(world.anvil.call("eth_getTransactionByHash", raised)["maxFeePerGas"], 16)
    assert again * 100 >= price * 110, "geth asks for ten percent more"
    world.anvil.mine()
    assert sent.result(20).gradient == 0
    assert world.miner.campaign(campaign).gradients == 1
    sender.close()


def test_the_raised_fee_stays_below_the_cap(
    own_world: World, wallets: list[Wallet], tmp_path: Path
) -> None:
    world = own_world
    campaign = world.launch_open(1)
    wallet = wallets[2]
    probe = client(world, wallet, tmp_path)
    assert probe._sender is not None
    spent = probe.submit_gradient(campaign, 1, ENVELOPE)
    full = world.anvil.call("eth_getTransactionByHash", spent.transaction)
    cap = int(full["gas"], 16) * int(full["maxFeePerGas"], 16) * 11 // 10
    sender = client(world, wallet, tmp_path, raise_fee_after_s=0.05, max_fee_wei=cap, timeout_s=1.5)
    world.anvil.set_automine(False)
    with pytest.raises(TransactionPending) as caught:
        sender.submit_gradient(campaign, 1, ENVELOPE)
    assert world.anvil.pending() == [caught.value.transaction], "the first one, never replaced"
    probe.close()
    sender.close()


def test_a_restarted_chain_is_noticed(own_world: World) -> None:
    world = own_world
    campaign = world.launch_open(1)
    world.anvil.set_automine(False)
    sent = in_background(lambda: world.miner.submit_gradient(campaign, 1, ENVELOPE))
    wait_for(world.anvil.pending)
    world.anvil.stop()
    world.anvil.start()
    with pytest.raises(ChainRestarted):
        sent.result(30)


def test_a_refusal_after_mining_has_reason_and_transaction(own_world: World) -> None:
    world = own_world
    campaign = world.launch_open(1)
    world.anvil.set_automine(False)
    sent = in_background(lambda: world.miner.submit_gradient(campaign, 1, ENVELOPE))
    (hash_,) = wait_for(world.anvil.pending)
    world.anvil.travel(4000)
    with pytest.raises(Reverted) as caught:
        sent.result(20)
    assert caught.value.reason == "Sonar: past the deadline"
    assert caught.value.transaction == hash_
