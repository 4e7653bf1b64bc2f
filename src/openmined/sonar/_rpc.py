"""JSON-RPC over HTTP: one request, one answer, faults retried, every failure typed."""

from __future__ import annotations

import itertools
import json
import random
import re
import time
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic_core import from_json

from openmined.sonar._errors import RpcRefused, RpcUnreachable, UndecodableAnswer

MAX_ANSWER_BYTES = 64 << 20
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOO_MANY_REQUESTS = -32005
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_HASH_BYTES = 32


class Rpc:
    """A node's JSON-RPC interface. Safe for many threads.

    Args:
        url: `http://` or `https://` address of the node.
        timeout_s: longest wait for one answer.
        retry_s: for how long a node that does not answer is asked again.
        transport: replaces the network, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 30.0,
        retry_s: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise RpcUnreachable(url, "the address must start with http:// or https://")
        self.url = url
        self._retry_s = retry_s
        self._ids = itertools.count(1)
        self._http = httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=min(5.0, timeout_s)),
            transport=transport,
            headers={"content-type": "application/json"},
            trust_env=not _is_local(url),
            verify=url.startswith("https://"),  # reading all root certificates takes time
        )

    def call(self, method: str, *params: object) -> Any:
        """Ask the node; network faults, overload and rate limits are retried with backoff.

        Raises:
            RpcUnreachable: if no sensible answer came in time.
            RpcRefused: if the node answered with an error.
        """
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        give_up = time.monotonic() + self._retry_s
        for attempt in itertools.count():
            try:
                return self._once(method, request)
            except _Retry as fault:
                pause = min(2.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311
                if time.monotonic() + pause >= give_up:
                    raise RpcUnreachable(self.url, fault.cause) from fault
                time.sleep(pause)
        raise AssertionError("unreachable")

    def quantity(self, method: str, *params: object) -> int:
        """Ask for a number.

        Raises:
            UndecodableAnswer: if the answer is none. Also as `call`.
        """
        return read_quantity(self.call(method, *params), method)

    def data(self, method: str, *params: object) -> bytes:
        """Ask for bytes. Raises as `quantity`."""
        return read_data(self.call(method, *params), method)

    def block(self, which: int | str) -> Block | None:
        """Return a block by number, by tag (`latest`) or by hash; None if there is none."""
        by_hash = isinstance(which, str) and which.startswith("0x")
        method = "eth_getBlockByHash" if by_hash else "eth_getBlockByNumber"
        found = self.call(method, hex(which) if isinstance(which, int) else which, False)
        return None if found is None else read_block(found, method)

    def newest(self) -> Block:
        """Return the newest block."""
        found = self.block("latest")
        if found is None:
            raise UndecodableAnswer("the node has no newest block: use another node")
        return found

    def receipt(self, transaction: str) -> MinedTransaction | None:
        """Return the receipt of a transaction; None while it is not mined."""
        method = "eth_getTransactionReceipt"
        found = self.call(method, transaction)
        if found is None or (isinstance(found, dict) and found.get("blockNumber") is None):
            return None
        return read_receipt(found, method)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _once(self, method: str, request: dict[str, Any]) -> Any:
        status, body = self._post(json.dumps(request).encode())
        if status in _RETRIED_STATUS:
            raise _Retry(f"HTTP status {status}")
        try:
            answer = from_json(body)  # bounds its recursion, which json.loads leaves to a setting
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise RpcUnreachable(self.url, f"HTTP status {status} and no JSON-RPC answer")
        if answer.get("error") is None:
            return answer.get("result")
        raise _refusal(method, answer["error"])

    def _post(self, body: bytes) -> tuple[int, bytes]:
        try:
            with self._http.stream("POST", self.url, content=body) as response:
                parts, size = [], 0
                for part in response.iter_bytes():
                    size += len(part)
                    if size > MAX_ANSWER_BYTES:
                        raise RpcUnreachable(self.url, f"an answer above {MAX_ANSWER_BYTES} bytes")
                    parts.append(part)
                return response.status_code, b"".join(parts)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise RpcUnreachable(self.url, "the address is no HTTP URL") from error
        except httpx.HTTPError as error:
            raise _Retry(_describe(error)) from error


@dataclass(frozen=True, slots=True)
class Block:
    """What is looked at of a block. `base_fee` is None before EIP-1559."""

    number: int
    hash: str
    timestamp: int
    base_fee: int | None


@dataclass(frozen=True, slots=True)
class MinedTransaction:
    """What is looked at of a receipt."""

    transaction: str
    block_number: int
    block_hash: str
    succeeded: bool
    gas_used: int
    price: int
    contract: str | None
    logs: tuple[dict[str, Any], ...]


def read_quantity(value: object, what: str) -> int:
    """Read a number as JSON-RPC writes it: hexadecimal text.

    Raises:
        UndecodableAnswer: if it is none.
    """
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return int(value, 16)
    raise UndecodableAnswer(f"the node's {what} is no number: {str(value)[:60]!r}")


def read_data(value: object, what: str) -> bytes:
    """Read bytes as JSON-RPC writes them. Raises as `read_quantity`."""
    if isinstance(value, str) and _DATA.fullmatch(value):
        return bytes.fromhex(value[2:])
    raise UndecodableAnswer(f"the node's {what} is no hexadecimal text: {str(value)[:60]!r}")


def read_hash(value: object, what: str) -> str:
    """Read a 32-byte hash, lower case. Raises as `read_quantity`."""
    if len(read_data(value, what)) != _HASH_BYTES:
        raise UndecodableAnswer(f"the node's {what} is no hash: {str(value)[:80]!r}")
    return str(value).lower()


def read_block(value: object, what: str) -> Block:
    """Read a block. Raises as `read_quantity`."""
    found = _read_object(value, what)
    base = found.get("baseFeePerGas")
    return Block(
        read_quantity(found.get("number"), "block number"),
        read_hash(found.get("hash"), "block hash"),
        read_quantity(found.get("timestamp"), "timestamp"),
        None if base is None else read_quantity(base, "base fee"),
    )


def read_timestamp(value: object) -> int:
    """Read the timestamp of a block that may be pending, without hash. As `read_quantity`."""
    return read_quantity(_read_object(value, "pending block").get("timestamp"), "timestamp")


def read_receipt(value: object, what: str) -> MinedTransaction:
    """Read a receipt. Raises as `read_quantity`."""
    found = _read_object(value, what)
    logs, contract = found.get("logs"), found.get("contractAddress")
    if not isinstance(logs, list) or not (contract is None or isinstance(contract, str)):
        raise UndecodableAnswer(f"the node's {what} has no logs: use another node")
    return MinedTransaction(
        transaction=read_hash(found.get("transactionHash"), "transaction hash"),
        block_number=read_quantity(found.get("blockNumber"), "block number"),
        block_hash=read_hash(found.get("blockHash"), "block hash"),
        succeeded=read_quantity(found.get("status"), "status") == 1,
        gas_used=read_quantity(found.get("gasUsed"), "gas"),
        price=read_quantity(found.get("effectiveGasPrice"), "gas price"),
        contract=contract,
        logs=tuple(_read_object(log, "log") for log in logs),
    )


def _read_object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UndecodableAnswer(f"the node's {what} is no object: {str(value)[:60]!r}")
    return value


class _Retry(Exception):
    """A fault that may pass."""

    def __init__(self, cause: str) -> None:
        self.cause = cause


def _refusal(method: str, error: object) -> Exception:
    if not isinstance(error, dict):
        return RpcRefused(method, 0, str(error))
    code = error.get("code")
    message = str(error.get("message", ""))
    # "Limit exceeded": too often, or of logs too many at once, which asking again does not cure.
    if code == _TOO_MANY_REQUESTS and (method != "eth_getLogs" or "rate" in message.lower()):
        return _Retry(message)
    return RpcRefused(method, code if isinstance(code, int) else 0, message, _find_data(error))


def _find_data(error: dict[str, Any]) -> bytes:
    # geth and anvil: data is hex text; hardhat: an object that holds it under `data`.
    data = error.get("data")
    for _ in range(3):
        if isinstance(data, dict):
            data = data.get("data", data.get("result"))
    if isinstance(data, str) and data.startswith("0x"):
        try:
            return bytes.fromhex(data[2:])
        except ValueError:
            return b""
    return b""


def _describe(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return "connection refused"
    return type(error).__name__


def _is_local(url: str) -> bool:
    host = httpx.URL(url).host
    return host in {"localhost", "::1"} or host.startswith("127.")
