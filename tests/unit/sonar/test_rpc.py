from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from openmined.sonar import ChainError, RpcRefused, RpcUnreachable
from openmined.sonar._errors import redact_url
from openmined.sonar._logs import fetch_logs
from openmined.sonar._rpc import MAX_ANSWER_BYTES, Rpc
from openmined.sonar._send import as_revert

URL = "http://node.example"
SONAR = "0x" + "12" * 20


def rpc_of(*answers: Any, retry_s: float = 5.0) -> Rpc:
    """A node that gives these answers in turn: responses, or errors to raise."""
    left: Iterator[Any] = iter(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    return Rpc(URL, retry_s=retry_s, transport=httpx.MockTransport(answer))


def result(value: Any) -> httpx.Response:
    return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": value})


def error(**fields: Any) -> httpx.Response:
    return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "error": fields})


def test_faults_that_pass_are_retried() -> None:
    rpc = rpc_of(
        httpx.ConnectError("refused"),
        httpx.Response(503),
        error(code=-32005, message="rate limit reached"),
        error(code=-32005, message="limit exceeded"),
        result("0x1"),
    )
    assert rpc.call("eth_chainId") == "0x1"


def test_too_many_logs_at_once_are_not_asked_for_again() -> None:
    with pytest.raises(RpcRefused, match="limit exceeded"):
        rpc_of(error(code=-32005, message="limit exceeded")).call("eth_getLogs")


def test_a_fault_that_stays_is_reported_with_its_cause() -> None:
    rpc = rpc_of(*[httpx.ReadTimeout("slow")] * 50, retry_s=0.3)
    with pytest.raises(RpcUnreachable, match=r"http://node\.example \(no answer in time\)"):
        rpc.call("eth_chainId")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>welcome</html>"),
        httpx.Response(404, json={"detail": "not found"}),
        httpx.Response(200, json=[1]),
        httpx.Response(200, text="[" * 100_000),
    ],
)
def test_what_is_no_json_rpc_is_refused_at_once(answer: httpx.Response) -> None:
    with pytest.raises(RpcUnreachable, match="no JSON-RPC answer"):
        rpc_of(answer).call("eth_chainId")


def test_an_endless_answer_is_cut() -> None:
    def endless() -> Iterator[bytes]:
        sent = 0
        while sent < 2 * MAX_ANSWER_BYTES:
            sent += 1 << 20
            yield bytes(1 << 20)
        raise AssertionError("read on and on")

    with pytest.raises(RpcUnreachable, match="above"):
        rpc_of(httpx.Response(200, content=endless())).call("eth_chainId")


def test_a_refusal_carries_code_text_and_data() -> None:
    rpc = rpc_of(error(code=-32000, message="x\n" * 1000, data="0x1234"))
    with pytest.raises(RpcRefused) as caught:
        rpc.call("eth_call")
    assert (caught.value.code, caught.value.data) == (-32000, b"\x12\x34")
    assert len(caught.value.message) == 300
    assert "\n" not in str(caught.value)


REASON = f"0x08c379a0{32:064x}{len('Sonar: not open'):064x}" + b"Sonar: not open".hex().ljust(
    64, "0"
)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"code": 3, "message": "execution reverted", "data": REASON}, "Sonar: not open"),
        ({"code": -32603, "message": "reverted", "data": {"data": REASON}}, "Sonar: not open"),
        ({"code": -32000, "message": "execution reverted: Sonar: no bounty"}, "Sonar: no bounty"),
        ({"code": 3, "message": "execution reverted", "data": "0x"}, ""),
        ({"code": 3, "message": "execution reverted", "data": "0x08c379a0ff"}, ""),
        ({"code": 3, "message": "reverted", "data": "nonsense"}, ""),
        (
            {"code": 3, "message": "reverted", "data": "0x4e487b71" + f"{0x11:064x}"},
            "arithmetic panic 0x11",
        ),
    ],
)
def test_reasons_are_found_however_nodes_say_them(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(RpcRefused) as caught:
        rpc_of(error(**fields)).call("eth_call")
    reverted = as_revert(caught.value)
    assert reverted is not None
    assert reverted.reason == reason


def test_other_refusals_are_no_reverts() -> None:
    with pytest.raises(RpcRefused) as caught:
        rpc_of(error(code=-32601, message="the method does not exist")).call("eth_call")
    assert as_revert(caught.value) is None


def test_secrets_in_addresses_are_not_shown() -> None:
    url = "https://user:pass@node.example:8545/v3/0123456789abcdef0123456789abcdef?key=secret"
    assert redact_url(url) == "https://node.example:8545/v3/..."
    rpc = Rpc(url, retry_s=0.0, transport=httpx.MockTransport(lambda _: httpx.Response(503)))
    with pytest.raises(RpcUnreachable) as caught:
        rpc.call("eth_chainId")
    assert not {"pass", "secret", "0123456789abcdef"} & set(str(caught.value).split("/"))
    assert "secret" not in repr(caught.value)


def log_at(block: int, index: int = 0, **changes: Any) -> dict[str, Any]:
    return {"address": SONAR, "blockNumber": hex(block), "logIndex": hex(index)} | changes


class LimitedNode:
    """Has a log in every block, and refuses more than `limit` blocks at once."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.spans: list[int] = []

    def rpc(self) -> Rpc:
        return Rpc(URL, transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        (query,) = json.loads(request.read())["params"]
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        self.spans.append(last - first + 1)
        if self.spans[-1] > self.limit:
            return error(code=-32602, message=f"block range is limited to {self.limit}")
        return result([log_at(block) for block in range(first, last + 1)])


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_ranges_too_large_are_read_in_parts(limit: int) -> None:
    node = LimitedNode(limit)
    logs = fetch_logs(node.rpc(), SONAR, [], 5, 304)
    assert [int(log["blockNumber"], 16) for log in logs] == list(range(5, 305))
    assert len(node.spans) < 40 + 2 * 300 / limit


def test_a_node_that_refuses_even_one_block_is_not_asked_for_ever() -> None:
    with pytest.raises(RpcRefused, match="limited to 0"):
        fetch_logs(LimitedNode(0).rpc(), SONAR, [], 0, 100)


@pytest.mark.parametrize(
    "logs",
    [
        [log_at(4)],
        [log_at(1, address="0x" + "99" * 20)],
        [{"address": SONAR}],
        "nonsense",
        7,
        [log_at(1, logIndex=None)],
    ],
)
def test_logs_nobody_asked_for_are_refused(logs: Any) -> None:
    with pytest.raises(ChainError):
        fetch_logs(rpc_of(result(logs)), SONAR, [], 1, 3)


def test_logs_come_in_order_and_removed_ones_not() -> None:
    answer = [log_at(2, 1), log_at(2, 0), log_at(1, 3, removed=True), log_at(1, 2)]
    logs = fetch_logs(rpc_of(result(answer)), SONAR, [], 1, 3)
    places = [(int(log["blockNumber"], 16), int(log["logIndex"], 16)) for log in logs]
    assert places == [(1, 2), (2, 0), (2, 1)]
