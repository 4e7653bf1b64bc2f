"""Bring a whole network up on this machine: node, contract, store, Capsule, mines.

Every party is a process of its own with keys of its own; they meet on the chain and in the store
only. What this module knows of them is where their folders and logs are.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import httpx

from openmined.devnet._anvil import (
    CHAIN_ID,
    anvil_arguments,
    free_port,
    fund,
    is_listening,
    local_client,
)
from openmined.devnet._errors import DevnetError
from openmined.devnet._programs import find_anvil, find_mine_js
from openmined.devnet._supervisor import Command, Supervisor, openmined_command
from openmined.protocol import TableSchema
from openmined.sonar import (
    CapsuleRef,
    Network,
    deploy_sonar,
    devnet_wallet,
    load_networks,
    save_network,
)

if TYPE_CHECKING:
    import pyarrow as pa

_START_S = 60.0
_POLL_INTERVAL_S = 0.2


MineKind = Literal["Mine.py", "Mine.js"]


@dataclass(frozen=True)
class Owner:
    """One data owner of a devnet: what she is called, what she has, which mine she runs."""

    name: str
    rows: pa.Table
    schema: TableSchema
    kind: MineKind = "Mine.py"


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
    kinds: dict[str, MineKind] = field(default_factory=dict)
    """Which mine each address runs."""
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
        """Start the node and the store; deploy the contract, unless this folder's chain has it."""
        known = self._read_network()
        rpc_port = self._port(8545, known.rpc_url if known else None)
        store_port = self._port(5001, known.store_url if known else None)
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
                    *self._origins(),
                ),
                self.settings.restarts,
            )
        )  # fmt: skip
        self.supervisor.wait_until(
            "anvil", lambda: is_listening(rpc_url), timeout_s=_START_S, what="listening"
        )
        if known is None:
            deployer = devnet_wallet(0)
            fund(rpc_url, deployer.address)
            sonar = deploy_sonar(rpc_url, deployer)
            known = Network(
                name="devnet",
                chain_id=CHAIN_ID,
                rpc_url=rpc_url,
                sonar=sonar,
                store_url=store_url,
            )
            self.say(f"contract deployed at {sonar}")
        self._know(known)
        self.places |= {"chain": rpc_url, "contract": known.sonar, "store": store_url}

    def wait_for_store(self) -> None:
        """Wait until the store answers."""
        url = self.network.store_url
        self.supervisor.wait_until(
            "store", lambda: _answers(f"{url}/api/v0/version"), timeout_s=_START_S, what="listening"
        )

    def start_capsule(self) -> None:
        """Make Capsule, unless it is here already, start it, and add it to the network."""
        from openmined.capsule import Unlock, create_folder, generate_key_file

        folder = self.settings.folder / "capsule"
        key_file = self.settings.folder / "capsule.key"
        known = self.network.capsule
        if known is None:
            port = self._port(7336)
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
            known = CapsuleRef(address=address, url=f"http://127.0.0.1:{port}")
            self._know(self.network.model_copy(update={"capsule": known}))
        start = openmined_command("capsule", "start", str(folder), "--key-file", str(key_file))
        self.supervisor.start(Command("capsule", start, self.settings.restarts))
        self.places["Capsule"] = str(known.url)

    def wait_for_capsule(self) -> None:
        """Wait until Capsule answers on its read-only interface."""
        capsule = self.network.capsule
        assert capsule is not None, "start Capsule first"
        self.supervisor.wait_until(
            "capsule", lambda: _answers(f"{capsule.url}/ready"), timeout_s=_START_S, what="ready"
        )

    def start_mine(self, owner: Owner) -> str:
        """Make a mine, unless it is here already: import its owner's rows, permit their use.

        Returns:
            The mine's address.

        Raises:
            MissingProgram: if it is to be Mine.js, and that is not here.
        """
        from openmined.mine import MineFolder

        folder = self.settings.folder / owner.name.replace(" ", "-")
        if not folder.exists():
            self._make_mine(folder, owner)
        mine = MineFolder(folder)
        start = _mine_command(owner.kind, folder, self.passphrase_file)
        # Mine.js trains by the openmined of this Python.
        environment = {"OPENMINED_PYTHON": sys.executable} if owner.kind == "Mine.js" else {}
        self.supervisor.start(Command(owner.name, start, self.settings.restarts, environment))
        self.mines[mine.address] = owner.name
        self.kinds[mine.address] = owner.kind
        if self.settings.interfaces:
            self.places[owner.name] = f"http://127.0.0.1:{mine.settings().api.port}"
        return mine.address

    def start_statistics(self) -> None:
        """Start the statistics service on this network; it serves Sonar UI as well."""
        port = self._statistics_port
        database = (self.settings.folder / "statistics.db").resolve()
        environment = {"OPENMINED_HOME": str(self.settings.folder)}
        start = openmined_command(
            "stats", "start",
            "--network", self.network.name,
            "--database", f"sqlite:///{database}",
            "--port", str(port),
            "--poll-s", str(_POLL_INTERVAL_S),
            "--public-rpc", self.network.rpc_url,
        )  # fmt: skip
        self.supervisor.start(Command("statistics", start, self.settings.restarts, environment))
        url = f"http://127.0.0.1:{port}"
        self.supervisor.wait_until(
            "statistics", lambda: _answers(f"{url}/v1/health"), timeout_s=_START_S, what="ready"
        )
        self.places["statistics"] = url

    def _origins(self) -> list[str]:
        """Let Sonar UI, which the statistics service serves, upload to the store."""
        if not self.settings.interfaces:
            return []
        names = ("127.0.0.1", "localhost")
        origins = [f"http://{name}:{self._statistics_port}" for name in names]
        return [word for origin in origins for word in ("--allow-origin", origin)]

    @cached_property
    def _statistics_port(self) -> int:
        return self._port(7338)

    def _make_mine(self, folder: Path, owner: Owner) -> None:
        from openmined.mine import ImportRequest, change_permission, create_mine, import_source

        mine, keys = create_mine(
            folder,
            {
                "format": "openmined/mine@1",
                "name": owner.name,
                "network": self._party_network(),
                "loop": {"poll_interval_s": _POLL_INTERVAL_S, "retry_s": 2.0},
                "api": {
                    "enabled": self.settings.interfaces,
                    "port": self._port(7340 + len(self.mines)),
                },
            },
            self.passphrase_file.read_text(encoding="utf-8"),
            cost="light",
        )
        with tempfile.TemporaryDirectory() as exports:
            source = _write_parquet(owner.rows, Path(exports) / "export.parquet")
            request = ImportRequest(source=source, dataset="rows", schema=owner.schema, strict=True)
            import_source(mine, keys.identity, request)
        change_permission(mine, "rows", {"mode": "automatic", "fields": ["*"]})
        fund(self.network.rpc_url, keys.wallet.address)

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

    def _read_network(self) -> Network | None:
        return load_networks(self._networks_file).get("devnet")

    def _know(self, network: Network) -> None:
        save_network(network, self._networks_file)
        self._network = network

    @property
    def _networks_file(self) -> Path:
        return self.settings.folder / "networks.json"

    def _port(self, preferred: int, used_before: str | None = None) -> int:
        if used_before is not None:
            # Mines and Capsule have this address in their settings.
            before = httpx.URL(used_before).port or 0
            if free_port(before) != before:
                raise DevnetError(
                    f"port {before}, which this devnet used before, is taken by another program: "
                    f"end that, or start a new devnet with --folder"
                )
            return before
        return free_port(preferred if self.settings.fixed_ports else 0)


def _mine_command(kind: MineKind, folder: Path, passphrase_file: Path) -> list[str]:
    words = ("start", str(folder), "--passphrase-file", str(passphrase_file))
    if kind == "Mine.py":
        return openmined_command("mine", *words)
    node, program = find_mine_js()
    return [str(node), str(program), *words]


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        method = "POST" if "/api/v0/" in url else "GET"
        return local_client().request(method, url).status_code == httpx.codes.OK
    return False


def _write_parquet(rows: pa.Table, path: Path) -> Path:
    import pyarrow.parquet

    pyarrow.parquet.write_table(rows, path)
    return path
