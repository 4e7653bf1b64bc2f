"""Bring a whole network up on this machine: node, contract, store, Capsule, mines.

Every party is a process of its own with keys of its own; they meet on the chain and in the store
only. What this module knows of them is where their folders and logs are.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import httpx

from openmined.devnet._anvil import CHAIN_ID, anvil_arguments, free_port, fund, is_listening
from openmined.devnet._programs import find_anvil
from openmined.devnet._supervisor import Command, Supervisor, openmined_command
from openmined.protocol import TableSchema
from openmined.sonar import CapsuleRef, Network, deploy_sonar, devnet_wallet

if TYPE_CHECKING:
    import pyarrow as pa

_START_S = 60.0
_POLL_INTERVAL_S = 0.2


@dataclass(frozen=True)
class Owner:
    """One data owner of a devnet: what she is called, what she has, what she permits."""

    name: str
    rows: pa.Table
    schema: TableSchema


@dataclass(frozen=True)
class Settings:
    """How a devnet is laid out."""

    folder: Path
    fixed_ports: bool = False
    """Ports people can remember, where they are free; else any."""
    restarts: int = 0
    """How often a crashed process is started again."""
    interfaces: bool = False
    """Whether mines serve their API and the statistics service runs."""


@dataclass
class Devnet:
    """A running network; a context manager that leaves nothing running."""

    settings: Settings
    say: Callable[[str], None] = lambda _: None
    mines: dict[str, str] = field(default_factory=dict)
    """Names of the mines by their address."""
    places: dict[str, str] = field(default_factory=dict)
    """Where things are, for people: a name and a URL each."""
    _network: Network | None = None

    def __post_init__(self) -> None:
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self.supervisor = Supervisor(self.settings.folder / "logs", self.say)

    @property
    def network(self) -> Network:
        """What a client needs to take part. Known once `start_chain` and `start_capsule` ran."""
        assert self._network is not None, "start the chain first"
        return self._network

    @property
    def passphrase_file(self) -> Path:
        """One random passphrase for all of a devnet's play-money keys."""
        path = self.settings.folder / "passphrase"
        if not path.exists():
            with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(24))
        return path

    def start_chain(self) -> None:
        """Start the node and the store, and deploy the contract."""
        rpc_port = self._port(8545)
        store_port = self._port(5001)
        rpc_url, store_url = (f"http://127.0.0.1:{port}" for port in (rpc_port, store_port))
        state = self.settings.folder / "chain.json"
        self.supervisor.start(Command("anvil", anvil_arguments(find_anvil(), rpc_port, state)))
        self.supervisor.start(
            Command(
                "store",
                openmined_command(
                    "store", "serve",
                    "--folder", str(self.settings.folder / "store"),
                    "--port", str(store_port),
                ),
                self.settings.restarts,
            )
        )  # fmt: skip
        self.supervisor.wait_until(
            "anvil", lambda: is_listening(rpc_url), timeout_s=_START_S, what="listening"
        )
        deployer = devnet_wallet(0)
        fund(rpc_url, deployer.address)
        sonar = deploy_sonar(rpc_url, deployer)
        self._network = Network(
            name="devnet",
            chain_id=CHAIN_ID,
            rpc_url=rpc_url,
            sonar=sonar,
            store_url=store_url,
        )
        self.places |= {"chain (JSON-RPC)": rpc_url, "contract": sonar, "store": store_url}
        self.say(f"contract deployed at {sonar}")

    def wait_for_store(self) -> None:
        """Wait until the store answers."""
        url = self.network.store_url
        self.supervisor.wait_until(
            "store", lambda: _answers(f"{url}/api/v0/version"), timeout_s=_START_S, what="listening"
        )

    def start_capsule(self) -> None:
        """Make and start Capsule, and add it to the network."""
        from openmined.capsule import Unlock, create_folder, generate_key_file

        folder = self.settings.folder / "capsule"
        key_file = self.settings.folder / "capsule.key"
        port = self._port(7336)
        url = f"http://127.0.0.1:{port}"
        generate_key_file(key_file)
        address, _ = create_folder(
            folder,
            {
                "format": "openmined/capsule@1",
                "network": self._party_network(),
                "loop": {"poll_interval_s": _POLL_INTERVAL_S},
                "api": {"port": port},
            },
            Unlock.from_key_file(key_file),
        )
        fund(self.network.rpc_url, address)
        start = openmined_command("capsule", "start", str(folder), "--key-file", str(key_file))
        self.supervisor.start(Command("capsule", start, self.settings.restarts))
        capsule = CapsuleRef(address=address, url=url)
        self._network = self.network.model_copy(update={"capsule": capsule})
        self.places["capsule"] = url

    def wait_for_capsule(self) -> None:
        """Wait until Capsule answers on its read-only interface."""
        capsule = self.network.capsule
        assert capsule is not None, "start Capsule first"
        self.supervisor.wait_until(
            "capsule", lambda: _answers(f"{capsule.url}/ready"), timeout_s=_START_S, what="ready"
        )

    def start_mine(self, owner: Owner) -> str:
        """Make a mine, import its owner's rows, permit campaigns to use them, start it.

        Returns:
            The mine's address.
        """
        from openmined.mine import ImportRequest, change_permission, create_mine, import_source

        folder = self.settings.folder / owner.name.replace(" ", "-")
        mine, keys = create_mine(
            folder,
            {
                "format": "openmined/mine@1",
                "name": owner.name,
                "network": self._party_network(),
                "loop": {"poll_interval_s": _POLL_INTERVAL_S, "retry_s": 2.0},
                "api": {"enabled": self.settings.interfaces, "port": self._port(7337)},
            },
            self._passphrase(),
            cost="light",
        )
        with tempfile.TemporaryDirectory() as exports:
            source = _write_parquet(owner.rows, Path(exports) / "export.parquet")
            request = ImportRequest(source=source, dataset="rows", schema=owner.schema, strict=True)
            import_source(mine, keys.identity, request)
        change_permission(mine, "rows", {"mode": "automatic", "fields": ["*"]})
        address = keys.wallet.address
        fund(self.network.rpc_url, address)
        start = openmined_command(
            "mine", "start", str(folder), "--passphrase-file", str(self.passphrase_file)
        )
        self.supervisor.start(Command(owner.name, start, self.settings.restarts))
        self.mines[address] = owner.name
        return address

    def __enter__(self) -> Self:
        self.supervisor.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.supervisor.__exit__(kind, error, trace)

    def _party_network(self) -> dict[str, object]:
        keys = {"name", "chain_id", "rpc_url", "sonar", "store_url"}
        return self.network.model_dump(mode="json", include=keys)

    def _passphrase(self) -> str:
        return self.passphrase_file.read_text(encoding="utf-8")

    def _port(self, preferred: int) -> int:
        return free_port(preferred if self.settings.fixed_ports else 0)


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        method = "POST" if "/api/v0/" in url else "GET"
        return httpx.request(method, url, timeout=5).status_code == httpx.codes.OK
    return False


def _write_parquet(rows: pa.Table, path: Path) -> Path:
    import pyarrow.parquet

    pyarrow.parquet.write_table(rows, path)
    return path
