"""A node that answers nonsense: every answer is altered in turn, every failure is typed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.sonar.conftest import ENVELOPE, World

from openmined.sonar import (
    ChainError,
    SonarError,
    UndecodableAnswer,
    Wallet,
    connect_sonar,
    deploy_sonar,
)
from openmined.sonar._events import decode_log

NONSENSE: list[Any] = [None, 7, "", "0x", "0xzz", "nonsense", [], {}, [{}], "0x" + "ff" * 33, True]


class Alters(httpx.BaseTransport):
    """Forwards every request; from the `after`-th on, answers to `method` are altered."""

    def __init__(self, method: str, alter: Callable[[Any], Any], after: int = 0) -> None:
        self._inner = httpx.HTTPTransport()
        self._method, self._alter, self._left = method, alter, after

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if json.loads(request.read())["method"] != self._method:
            return response
        self._left -= 1
        if self._left >= 0:
            return response
        answer = json.loads(response.read())
        if "result" in answer:
            answer["result"] = self._alter(answer["result"])
        return httpx.Response(200, json=answer)

    def close(self) -> None:
        self._inner.close()


METHODS = [
    "eth_chainId",
    "eth_getCode",
    "eth_call",
    "eth_estimateGas",
    "eth_getBalance",
    "eth_getTransactionCount",
    "eth_getBlockByNumber",
    "eth_maxPriorityFeePerGas",
    "eth_getTransactionReceipt",
]


def use(world: World, wallet: Wallet, locks: Path, campaign: int, transport: Any) -> None:
    contract = connect_sonar(
        world.anvil.url,
        world.address,
        wallet,
        lock_folder=locks,
        transport=transport,
        timeout_s=0.3,
        retry_s=0.2,
    )
    try:
        contract.campaign(campaign)
        contract.head()
        contract.now()
        contract.submit_gradient(campaign, 1, ENVELOPE)
    finally:
        contract.close()


@pytest.mark.parametrize("method", METHODS)
def test_nonsense_is_a_typed_error(
    own_world: World, wallets: list[Wallet], tmp_path: Path, method: str
) -> None:
    campaign = own_world.launch_open(1)
    refused = 0
    for nonsense in NONSENSE:
        for after in (0, 2):
            transport = Alters(method, lambda _, value=nonsense: value, after)
            with contextlib.suppress(SonarError):
                use(own_world, wallets[2], tmp_path, campaign, transport)
                continue
            refused += 1
    assert refused > len(NONSENSE) // 2


def test_a_receipt_without_the_event_is_not_believed(
    own_world: World, wallets: list[Wallet], tmp_path: Path
) -> None:
    campaign = own_world.launch_open(1)
    transport = Alters("eth_getTransactionReceipt", lambda found: found and {**found, "logs": []})
    with pytest.raises(ChainError, match="cannot be trusted"):
        use(own_world, wallets[2], tmp_path, campaign, transport)


def test_a_deployment_whose_receipt_names_no_contract(
    own_world: World, wallets: list[Wallet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openmined.sonar import _rpc

    read = _rpc.read_receipt
    monkeypatch.setattr(
        _rpc,
        "read_receipt",
        lambda value, what: read({**value, "contractAddress": None}, what),
    )
    with pytest.raises(SonarError, match="is not an address"):
        deploy_sonar(own_world.anvil.url, wallets[4], lock_folder=tmp_path)


def altered(log: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**log, **changes}


def test_logs_that_cannot_be_read(own_world: World) -> None:
    own_world.launch(1)
    (log,) = own_world.anvil.call("eth_getLogs", {"address": own_world.address, "fromBlock": "0x0"})
    decoded = decode_log(log, lambda _: 0)
    assert decoded is not None
    assert decoded.name == "CampaignLaunched"
    assert decode_log(altered(log, topics=[]), lambda _: 0) is None
    assert decode_log(altered(log, topics=["0x" + "12" * 32]), lambda _: 0) is None
    for change in (
        {"topics": log["topics"][:2]},
        {"topics": "nonsense"},
        {"topics": None},
        {"data": log["data"][:200]},
        {"data": "0x"},
        {"data": None},
        {"blockHash": "0x12"},
        {"blockNumber": -1},
        {"logIndex": "0x"},
        {"transactionHash": 7},
    ):
        with pytest.raises(UndecodableAnswer):
            decode_log(altered(log, **change), lambda _: 0)
