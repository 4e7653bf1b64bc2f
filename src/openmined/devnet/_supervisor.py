"""Run processes so that none is ever left behind.

Each child leads a session of its own, so that Ctrl-C reaches only the supervisor, which ends them
in the reverse order of their start; with the supervisor killed, the kernel ends them (Linux).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from openmined.devnet._errors import ProcessFailed

_POLL_S = 0.02
_GRACE_S = 8.0
_PR_SET_PDEATHSIG = 1
_SHARED_CORES = {"OPENBLAS_NUM_THREADS": "1"}
"""Each process with NumPy takes every core otherwise, and they wait for one another."""


@dataclass(frozen=True)
class Command:
    """A process to run.

    Attributes:
        name: for people, and of its log.
        arguments: program and arguments; never a secret, for everybody can read them.
        restarts: how often it may be started again after a crash.
        environment: what it gets beside the supervisor's own.
    """

    name: str
    arguments: Sequence[str]
    restarts: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Running:
    command: Command
    process: subprocess.Popen[bytes]
    log: Path
    restarts: int = 0


@dataclass
class Supervisor:
    """Start, watch and end a set of processes; a context manager that leaves nothing running."""

    logs: Path
    on_event: Callable[[str], None] = lambda _: None
    _running: list[_Running] = field(default_factory=list)

    def start(self, command: Command) -> None:
        """Start a process; its output goes to `<logs>/<name>.log`."""
        log = self.logs / f"{command.name.replace(' ', '-')}.log"
        self._running.append(_Running(command, _spawn(command, log), log))

    def wait_until(
        self, name: str, ready: Callable[[], bool], *, timeout_s: float, what: str
    ) -> None:
        """Wait for a condition on a process, failing at once if it, or another, dies.

        Raises:
            ProcessFailed: if a process died, or the time ran out.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                log = self._find(name).log
                raise ProcessFailed(name, f"was not {what} within {timeout_s:g} s", log)
            time.sleep(_POLL_S)

    def check(self) -> None:
        """Restart what died and may be restarted.

        Raises:
            ProcessFailed: for the first dead process that may not.
        """
        for running in self._running:
            code = running.process.poll()
            if code is None:
                continue
            what = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            if running.restarts >= running.command.restarts:
                raise ProcessFailed(running.command.name, what, running.log)
            running.restarts += 1
            self.on_event(
                f"{running.command.name} {what}; restarted "
                f"({running.restarts} of {running.command.restarts}), log: {running.log}"
            )
            running.process = _spawn(running.command, running.log)

    def process_id(self, name: str) -> int:
        """Return the process id under which `name` runs now."""
        return self._find(name).process.pid

    def log_of(self, name: str) -> Path:
        """Return where `name` writes its log."""
        return self._find(name).log

    def stop(self) -> None:
        """End every process, the last started first: politely, then for good."""
        for running in reversed(self._running):
            _signal_group(running.process, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        for running in reversed(self._running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(max(0.0, deadline - time.monotonic()))
        for running in self._running:
            _signal_group(running.process, signal.SIGKILL)
            running.process.wait()
        self._running.clear()

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _find(self, name: str) -> _Running:
        return next(running for running in self._running if running.command.name == name)


def openmined_command(*arguments: str) -> list[str]:
    """Return the `openmined` command under the interpreter that runs now."""
    return [sys.executable, "-m", "openmined", *arguments]


def _spawn(command: Command, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - arguments are our own, no shell
            list(command.arguments),
            env={**_SHARED_CORES, **os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The group outlives its leader while a child of it runs: end those too.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
