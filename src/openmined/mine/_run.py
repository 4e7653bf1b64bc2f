"""Put a mine together and run it: the one place where chain, store and folder are wired."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from openmined.mine._folder import FolderLock, MineFolder, Secrets
from openmined.mine._loop import MineLoop
from openmined.mine._progress import Listener, ProgressLog
from openmined.mine._settings import MineSettings
from openmined.mine._steps import Step

if TYPE_CHECKING:
    from openmined.sonar import SonarContract

_GAS_OF_A_CALL = 500_000
"""Generous: submitting takes about 120,000."""


def run_mine(
    folder: MineFolder,
    secrets: Secrets,
    *,
    listener: Listener | None = None,
    once: bool = False,
    at_step: Callable[[Step], None] = lambda _step: None,
) -> None:
    """Run a mine until it is told to stop (SIGINT or SIGTERM), or for one pass.

    Raises:
        MineLocked: if another mine runs on the folder.
        SonarError, StorageError: if chain or contract are not what the settings say.
    """
    _harden()
    settings = folder.settings()
    stopping = threading.Event()
    log = ProgressLog(folder.log_path, settings.name, listener)
    with FolderLock(folder.path), _stop_on_signals(stopping):
        log.say("started", address=secrets.wallet.address, pid=os.getpid())
        try:
            with (
                _api(folder, secrets, settings, log),
                _loop(folder, secrets, settings, log, at_step) as loop,
            ):
                if once:
                    loop.run_once()
                else:
                    loop.run(stopping.is_set, stopping.wait)
        finally:
            log.say("stopped")
            log.close()


@contextmanager
def _api(
    folder: MineFolder, secrets: Secrets, settings: MineSettings, log: ProgressLog
) -> Iterator[None]:
    if not settings.api.enabled:
        yield
        return
    from openmined.mine.api._serve import ApiProcess

    api = ApiProcess(folder, secrets.identity, secrets.wallet.address, log)
    log.say("serving", url=api.url)
    try:
        yield
    finally:
        api.stop()


@contextmanager
def _loop(
    folder: MineFolder,
    secrets: Secrets,
    settings: MineSettings,
    log: ProgressLog,
    at_step: Callable[[Step], None],
) -> Iterator[MineLoop]:
    loop = build_loop(folder, secrets, settings, log, at_step=at_step)
    try:
        yield loop
    finally:
        loop.close()


def build_loop(
    folder: MineFolder,
    secrets: Secrets,
    settings: MineSettings,
    log: ProgressLog,
    *,
    at_step: Callable[[Step], None] = lambda _step: None,
) -> MineLoop:
    """Connect a folder to its chain and store."""
    from openmined.storage import connect_store

    network = settings.network
    contract = connect_contract(settings, secrets)
    store = connect_store(network.store_url, network.gateway_url)
    return MineLoop(folder, secrets, contract, store, log, at_step=at_step)


def connect_contract(settings: MineSettings, secrets: Secrets) -> SonarContract:
    """Connect to the contract that the settings name."""
    from openmined.sonar import connect_sonar

    network = settings.network
    return connect_sonar(
        network.rpc_url,
        network.sonar,
        secrets.wallet,
        chain_id=network.chain_id,
        max_fee_wei=int(settings.loop.max_fee_gwei * 1e9) * _GAS_OF_A_CALL,
    )


def _harden() -> None:
    # A core file would hold keys and, from the training process, rows.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)


class _stop_on_signals:  # noqa: N801  (a context manager, named for what it does)
    """Set an event on SIGINT and SIGTERM, where signals can be had (the main thread)."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._stop)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._event.set()
