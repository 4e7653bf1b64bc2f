"""The network a storm rages in: real processes; their wires, clocks and disks can fail."""

from __future__ import annotations

import os
import secrets
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from tests.soak.lines import Line
from tests.soak.plan import LINES, MINES, PARTIES
from tests.soak.processes import MARK, has_said_why, stragglers, was_told
from vyper import compile_code

from openmined.capsule import Unlock, create_folder, generate_key_file
from openmined.devnet._anvil import (
    CHAIN_ID,
    anvil_arguments,
    call,
    free_port,
    fund,
    is_listening,
    local_client,
)
from openmined.devnet._programs import find_anvil
from openmined.devnet._scenarios import Scenario, load_scenario
from openmined.devnet._supervisor import Command, Supervisor, openmined_command
from openmined.mine import ImportRequest, MineFolder, change_permission, create_mine, import_source
from openmined.protocol import TableSchema
from openmined.sonar import (
    CapsuleRef,
    Network,
    PgpKey,
    Sonar,
    Wallet,
    connect_sonar,
    deploy_sonar,
    devnet_wallet,
    save_network,
)
from openmined.sonar._send import Call
from openmined.sonar._types import checked_address
from openmined.storage import connect_store

HERE = Path(__file__).resolve().parent
HOSTILE_MINES = 2
TOKENS = 10**30
PASSPHRASE = "a storm's play money"
_DISK_MB = 48
_START_S = 120.0
_CONFIRMATIONS = 2
"""What the Capsule waits for, as on a real chain: reorganisations may go deeper."""


class World:
    """Everything that runs in a storm."""

    def __init__(self, folder: Path, seed: int, say: Callable[[str], None]) -> None:
        self.folder, self.seed, self.say = folder, seed, say
        self.scenario: Scenario = load_scenario("diabetes", MINES)
        self.deaths: list[str] = []
        self.refusals: list[str] = []
        self.sessions: set[int] = set()
        self.lines: dict[str, Line] = {}
        self.mines: dict[str, MineFolder] = {}
        self.mark = secrets.token_hex(16)
        self._sent: dict[str, set[int]] = {}
        """Signals that a party is to end by, since it was started."""
        self._stack = ExitStack()
        os.environ["OPENMINED_HOME"] = str(folder / "home")
        self.supervisor = Supervisor(folder / "logs", self._note_death)

    def __enter__(self) -> World:
        self._stack.enter_context(self.supervisor)
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        self._stack.close()

    # ------------------------------------------------------------------------------ putting it up

    def _start(self) -> None:
        self._start_chain()
        self._make_lines()
        self._start_party("store", *self._store_arguments())
        self._make_capsule()
        for number in range(1, MINES + 1):
            self._make_mine(f"mine-{number}", self.scenario.shares[number - 1])
        self._start_statistics()
        self._connect()
        for what, ready in self._signs().items():
            self.supervisor.wait_until("anvil", ready, timeout_s=_START_S, what=f"beside {what}")

    def _start_chain(self) -> None:
        port, store_port = free_port(), free_port()
        self.chain_url = f"http://127.0.0.1:{port}"
        self.store_url = f"http://127.0.0.1:{store_port}"
        state = self.folder / "chain.json"
        arguments = anvil_arguments(find_anvil(), port, state)
        self.supervisor.start(Command("anvil", arguments, environment={MARK: self.mark}))
        self.supervisor.wait_until(
            "anvil", lambda: is_listening(self.chain_url), timeout_s=_START_S, what="listening"
        )
        deployer = devnet_wallet(0)
        fund(self.chain_url, deployer.address)
        self.sonar_address = deploy_sonar(self.chain_url, deployer)
        self.admin = self._stack.enter_context(
            connect_sonar(self.chain_url, self.sonar_address, deployer)
        )
        self.token = self._deploy_token()
        # Deep enough for every reorganisation to leave the contract where it is.
        call(self.chain_url, "anvil_mine", hex(20))

    def _deploy_token(self) -> str:
        source = (HERE.parent / "contracts/tokens/Token.vy").read_text()
        code = str(compile_code(source, output_formats=["bytecode"])["bytecode"])
        assert self.admin._sender is not None
        receipt, _ = self.admin._sender.send(Call("", bytes.fromhex(code.removeprefix("0x"))))
        found = call(self.chain_url, "eth_getTransactionReceipt", receipt.transaction)
        return checked_address(found["contractAddress"])

    def endow(self, address: str) -> None:
        """Give an account play money and tokens."""
        fund(self.chain_url, address)
        data = keccak(text="mint(address,uint256)")[:4]
        data += encode(["address", "uint256"], [address, TOKENS])
        assert self.admin._sender is not None
        self.admin._sender.send(Call(self.token, data))

    def _make_lines(self) -> None:
        for name in LINES:
            end = self.chain_url if name.endswith(">chain") else self.store_url
            self.lines[name] = Line(name, end, self.seed)
            self._stack.callback(self.lines[name].close)

    def _network(self, party: str) -> dict[str, Any]:
        return {
            "name": "storm",
            "chain_id": CHAIN_ID,
            "rpc_url": self.lines[f"{party}>chain"].url,
            "sonar": self.sonar_address,
            "store_url": self.lines[f"{party}>store"].url,
        }

    def _start_party(self, name: str, *arguments: str) -> None:
        clock = self.folder / "clocks" / name
        clock.parent.mkdir(exist_ok=True)
        clock.write_bytes(struct.pack("d", 0.0))
        environment = {
            MARK: self.mark,
            "OPENMINED_SOAK_CLOCK": str(clock),
            "PYTHONPATH": os.pathsep.join(
                filter(None, (str(HERE / "clock"), os.environ.get("PYTHONPATH")))
            ),
            "OPENMINED_HOME": str(self.folder / "home" / name),
        }
        command = Command(name, openmined_command(*arguments), 1 << 30, environment)
        self.supervisor.start(command)
        self.sessions.add(self.supervisor.process_id(name))

    def _store_arguments(self) -> list[str]:
        folder, port = self.disk("store"), httpx.URL(self.store_url).port
        return ["store", "serve", "--folder", str(folder / "blocks"), "--port", str(port)]

    def _make_capsule(self) -> None:
        folder, key_file = self.disk("capsule") / "folder", self.folder / "capsule.key"
        port = free_port()
        generate_key_file(key_file)
        address, _ = create_folder(
            folder,
            {
                "format": "openmined/capsule@1",
                "network": self._network("capsule") | {"confirmations": _CONFIRMATIONS},
                "loop": {"poll_interval_s": 0.2, "retry_s": 2.0, "unavailable_after_s": 10.0},
                "api": {"port": port},
            },
            Unlock.from_key_file(key_file),
        )
        fund(self.chain_url, address)
        self.capsule_url = f"http://127.0.0.1:{port}"
        self.capsule_address = address
        self._start_party("capsule", "capsule", "start", str(folder), "--key-file", str(key_file))

    def _make_mine(self, name: str, rows: Any) -> None:
        secret = self.folder / "passphrase"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(PASSPHRASE)
        settings = {
            "format": "openmined/mine@1",
            "name": name,
            "network": self._network(name),
            "loop": {"poll_interval_s": 0.2, "retry_s": 2.0},
        }
        path = self.disk(name) / "folder"
        mine, keys = create_mine(path, settings, PASSPHRASE, cost="light")
        fields = self.scenario.input.fields + self.scenario.output.fields
        with tempfile.TemporaryDirectory() as exports:
            source = Path(exports) / "export.parquet"
            pyarrow.parquet.write_table(rows, source)
            schema = TableSchema(fields=fields)
            request = ImportRequest(source=source, dataset="rows", schema=schema, strict=True)
            import_source(mine, keys.identity, request)
        change_permission(mine, "rows", {"mode": "automatic", "fields": ["*"]})
        self.endow(keys.wallet.address)
        self.mines[name] = mine
        self._start_party(name, "mine", "start", str(path), "--passphrase-file", str(secret))

    def _start_statistics(self) -> None:
        home = self.folder / "home" / "statistics"
        save_network(Network(**self._network("statistics")), home / "networks.json")
        # The judge asks the node itself, over no bad line.
        direct = {"rpc_url": self.chain_url, "store_url": self.store_url}
        network = Network(**(self._network("statistics") | direct))
        save_network(network, self.folder / "home" / "networks.json")
        self.database = f"sqlite:///{self.disk('statistics') / 'statistics.db'}"
        port = free_port()
        self.statistics_url = f"http://127.0.0.1:{port}"
        self._start_party(
            "statistics",
            "stats", "start",
            "--network", "storm",
            "--database", self.database,
            "--port", str(port),
            "--poll-s", "0.3",
        )  # fmt: skip

    def _connect(self) -> None:
        wallet = Wallet.create(self.folder / "data-scientist.json", PASSPHRASE, cost="light")
        self.endow(wallet.address)
        pgp = PgpKey.create(self.folder / "data-scientist.pgp", PASSPHRASE)
        capsule = CapsuleRef(address=self.capsule_address, url=self.capsule_url)
        network = Network(**self._network("data-scientist"), capsule=capsule)
        self.data_scientist = self._stack.enter_context(
            Sonar.connect(network, wallet=wallet, pgp=pgp)
        )
        self.hostile = []
        for number in range(1, HOSTILE_MINES + 1):
            wallet = devnet_wallet(number)
            self.endow(wallet.address)
            contract = connect_sonar(self.chain_url, self.sonar_address, wallet)
            self.hostile.append(self._stack.enter_context(contract))
        self.store = self._stack.enter_context(connect_store(self.store_url))

    def _signs(self) -> dict[str, Callable[[], bool]]:
        return {
            "store": lambda: _answers(f"{self.store_url}/api/v0/version", "POST"),
            "capsule": lambda: _answers(f"{self.capsule_url}/ready"),
            "statistics": lambda: _answers(f"{self.statistics_url}/v1/health"),
        }

    def is_up(self) -> bool:
        """Whether every party with an interface answers on it."""
        return all(ready() for ready in self._signs().values())

    # ------------------------------------------------------------------------------------- disks

    def disk(self, party: str) -> Path:
        """Return a party's disk: a small file system of its own where one can be mounted."""
        place = self.folder / "disks" / party
        if not place.exists():
            place.mkdir(parents=True)
            if can_mount():
                subprocess.run(
                    ["mount", "-t", "tmpfs", "-o", f"size={_disk_mb(party)}m", "tmpfs", place],
                    check=True,
                )
        return place

    def fill_disk(self, party: str) -> None:
        """Leave no byte free on a party's disk."""
        block = b"\0" * (1 << 16)
        with (self.disk(party) / "filler").open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(block)

    def free_disk(self, party: str) -> None:
        """Give the room back."""
        (self.disk(party) / "filler").unlink(missing_ok=True)

    # ----------------------------------------------------------------------------------- parties

    def signal(self, party: str, number: signal.Signals) -> None:
        """Send a signal to a party's own process, not to those it started."""
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._sent.setdefault(party, set()).add(number)
        with suppress(ProcessLookupError):
            os.kill(self.supervisor.process_id(party), number)

    def tend(self) -> None:
        """Start again what has died."""
        self.supervisor.check()
        self.sessions |= {self.supervisor.process_id(party) for party in PARTIES}

    def thaw(self) -> None:
        """Let every party run on."""
        for party in PARTIES:
            with suppress(StopIteration):
                self.signal(party, signal.SIGCONT)

    def freeze(self) -> None:
        """Halt everybody who sends transactions."""
        for party in ("capsule", *self.mines):
            self.signal(party, signal.SIGSTOP)

    def shift_clock(self, party: str, seconds: float) -> None:
        """Set a party's wall clock off by so much."""
        with (self.folder / "clocks" / party).open("r+b") as file:
            file.write(struct.pack("d", seconds))

    def _note_death(self, text: str) -> None:
        party = text.split(" ", 1)[0]
        if was_told(text, self._sent.pop(party, ())):
            return
        noted = self.refusals if has_said_why(text, self.supervisor.log_of(party)) else self.deaths
        noted.append(text)
        self.say(f"       {text}")

    def orphans(self) -> list[str]:
        """Return the processes of parties' former lives that are still there."""
        living = {self.supervisor.process_id(party) for party in PARTIES}
        living.add(self.supervisor.process_id("anvil"))
        return stragglers(self.sessions - living, self.mark, living)

    def remains(self) -> list[str]:
        """Return what is left of the whole network after its end."""
        return stragglers(self.sessions, self.mark)


def can_mount() -> bool:
    """Whether this process may mount: `tests.soak` enters a user namespace of its own for it."""
    return os.environ.get("OPENMINED_SOAK_MOUNTS") == "1"


def enter_namespace() -> None:
    """Start this command anew where it may mount file systems that end with it, if possible."""
    if can_mount() or "OPENMINED_SOAK_MOUNTS" in os.environ or sys.platform != "linux":
        return
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"]
    try:
        possible = subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode
    except FileNotFoundError:
        possible = 1
    os.environ["OPENMINED_SOAK_MOUNTS"] = "1" if possible == 0 else "0"
    if possible == 0:
        again = [sys.executable, "-m", "tests.soak", *sys.argv[1:]]
        os.execvp("unshare", [*unshare, *again])


@contextmanager
def storm_world(folder: Path, seed: int, say: Callable[[str], None]) -> Iterator[World]:
    """Put a network up, and take it down."""
    with World(folder, seed, say) as world:
        yield world


def _disk_mb(party: str) -> int:
    return 10 * _DISK_MB if party == "store" else _DISK_MB


def _answers(url: str, method: str = "GET") -> bool:
    with suppress(httpx.HTTPError):
        return local_client().request(method, url).status_code == httpx.codes.OK
    return False
