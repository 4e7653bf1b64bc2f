"""anvil, the devnet's EVM node, and the few calls only a devnet has."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from openmined.devnet._errors import DevnetError
from openmined.protocol import ETHER_WEI

CHAIN_ID = 31337
FUNDS_WEI = 1_000 * ETHER_WEI
"""What each party of a devnet starts with: play money."""

_counter = itertools.count(1)


@cache
def local_client() -> httpx.Client:
    """One client for everything on this machine: making one reads all root certificates."""
    return httpx.Client(timeout=10, trust_env=False)


def free_port(preferred: int = 0) -> int:
    """Return `preferred` if nothing listens there, else a port the system picks; loopback only."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DevnetError("no free port on 127.0.0.1: close some programs and try again")


def anvil_arguments(program: Path, port: int, state: Path) -> list[str]:
    """Return the command line of a quiet node that keeps its chain in `state`."""
    return [
        str(program),
        "--host", "127.0.0.1",
        "--port", str(port),
        "--chain-id", str(CHAIN_ID),
        "--accounts", "1",
        "--state", str(state),
        "--quiet",
    ]  # fmt: skip


def is_listening(url: str) -> bool:
    """Whether an EVM node answers at `url`."""
    try:
        return bool(call(url, "eth_chainId"))
    except (httpx.HTTPError, DevnetError):
        return False


def fund(url: str, address: str, amount_wei: int = FUNDS_WEI) -> None:
    """Give an account play money."""
    call(url, "anvil_setBalance", address, hex(amount_wei))


def call(url: str, method: str, *parameters: Any) -> Any:
    """Call a JSON-RPC method.

    Raises:
        DevnetError: if the node answers with an error.
    """
    request = {"jsonrpc": "2.0", "id": next(_counter), "method": method, "params": parameters}
    answer = local_client().post(url, json=request).json()
    if "error" in answer:
        raise DevnetError(f"{method} failed on {url}: {answer['error'].get('message')}")
    return answer["result"]


def call_many(url: str, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
    """Call JSON-RPC methods in one request; return their results in order.

    Raises:
        DevnetError: if the node answers one of them with an error.
    """
    requests = [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": list(parameters)}
        for number, (method, parameters) in enumerate(calls)
    ]
    answers = local_client().post(url, json=requests, timeout=120).json()
    for answer in answers:
        if "error" in answer:
            method = calls[answer["id"]][0]
            raise DevnetError(f"{method} failed on {url}: {answer['error'].get('message')}")
    return [one["result"] for one in sorted(answers, key=lambda one: int(one["id"]))]
