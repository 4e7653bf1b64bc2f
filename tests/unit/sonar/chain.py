"""A real EVM node for tests: anvil, on a free port of this machine."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self, TypeVar

from openmined.sonar._rpc import Rpc

T = TypeVar("T")
REPOSITORY = Path(__file__).resolve().parents[3]


def anvil_binary() -> Path:
    found = sorted((REPOSITORY / "node_modules/@foundry-rs").glob("anvil-*/bin/anvil*"))
    assert found, "anvil is missing: run `make test`, or `npm ci`"
    return found[0]


class Anvil:
    """One anvil process; `stop` and `start` again makes a new chain on the same port."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.port = 0
        self.start()

    def start(self) -> None:
        # Into a file: a pipe nobody reads fills up, and anvil stands still.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            [anvil_binary(), "--host", "127.0.0.1", "--port", str(self.port), *self._options],
            stdout=self._log,
        )
        self.port = wait_for(self._read_port)
        self.url = f"http://127.0.0.1:{self.port}"
        self._rpc = Rpc(self.url)

    def _read_port(self) -> int:
        assert self._process.poll() is None, f"anvil ended with {self._process.returncode}"
        # Not `read`: the child writes at the same file offset.
        text = os.pread(self._log.fileno(), 1 << 16, 0).decode()
        found = re.search(r"Listening on 127\.0\.0\.1:(\d+)", text)
        return int(found[1]) if found else 0

    def stop(self) -> None:
        self._rpc.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def call(self, method: str, *params: object) -> Any:
        return self._rpc.call(method, *params)

    def mine(self, blocks: int = 1) -> None:
        self.call("anvil_mine", hex(blocks))

    def travel(self, seconds: int) -> None:
        self.call("evm_increaseTime", seconds)
        self.mine()

    def set_automine(self, on: bool) -> None:
        self.call("evm_setAutomine", on)

    def drop(self, transaction: str) -> None:
        self.call("anvil_dropTransaction", transaction)

    def reorganise(self, depth: int) -> None:
        """Replace the newest `depth` blocks by empty ones."""
        self.call("anvil_reorg", depth, [])

    def pending(self) -> list[str]:
        block = self.call("eth_getBlockByNumber", "pending", False)
        return [] if block is None else block["transactions"]


def wait_for(condition: Callable[[], T], deadline_s: float = 20.0) -> T:
    """Return the first true value of `condition`."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("the condition did not come true in time")


def in_background(call: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
