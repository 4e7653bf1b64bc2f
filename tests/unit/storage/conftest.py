"""A gateway that a test writes by hand, and the embedded node on a free port."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from openmined.storage import KuboStore, RetryPolicy, StoreNode, open_node

Answer = Callable[[httpx.Request], httpx.Response]


class Connect(Protocol):
    def __call__(self, answer: Answer, attempts: int = 1) -> KuboStore: ...


def _as_over_a_wire(answer: Answer) -> httpx.MockTransport:
    # httpx reads the body of a hand-made response at once; one from a wire is still to be read.
    def streamed(request: httpx.Request) -> httpx.Response:
        response = answer(request)
        if not response.is_stream_consumed:
            return response
        return httpx.Response(
            response.status_code, headers=response.headers, content=iter([response.content])
        )

    return httpx.MockTransport(streamed)


@pytest.fixture
def mock_transport() -> Callable[[Answer], httpx.MockTransport]:
    """Make a transport of a function that answers requests."""
    return _as_over_a_wire


@pytest.fixture
def waits() -> list[float]:
    """How long the client waited between attempts; nothing really waits."""
    return []


@pytest.fixture
def connect(waits: list[float]) -> Iterator[Connect]:
    """Make a client whose store is a function."""
    clients: list[KuboStore] = []

    def make(answer: Answer, attempts: int = 1) -> KuboStore:
        policy = RetryPolicy(attempts=attempts, sleep=waits.append)
        transport = _as_over_a_wire(answer)
        clients.append(KuboStore("http://store.test", retry=policy, transport=transport))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StoreNode]:
    with open_node(tmp_path / "store") as running:
        yield running


@pytest.fixture
def http(node: StoreNode) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=node.url, trust_env=False) as client:
        yield client


@pytest.fixture
def unused_url() -> Iterator[str]:
    """A URL at which nothing listens: the port is bound, but no connection is taken."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
