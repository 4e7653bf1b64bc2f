"""Running: the indexer and the manifest reader in threads, the web service in the foreground."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from openmined.protocol import OpenMinedError
from openmined.stats._errors import StatsError
from openmined.stats._indexer import Indexer, Progress
from openmined.stats._manifests import ManifestReader
from openmined.stats._metrics import Metrics

_log = logging.getLogger("openmined.stats")

_JOIN_S = 10.0


@dataclass
class Workers:
    """What runs beside the web service, and how it ended."""

    stop: threading.Event
    failure: OpenMinedError | None = None


@contextmanager
def working(
    indexer: Indexer | None,
    reader: ManifestReader | None,
    *,
    metrics: Metrics,
    poll_s: float,
    on_progress: Callable[[Progress], None],
    on_failure: Callable[[], None],
) -> Iterator[Workers]:
    """Run the workers while the context is open; `on_failure` is called when one gives up."""
    workers = Workers(threading.Event())

    def note(progress: Progress) -> None:
        metrics.head = progress.head
        if progress.outcome == "advanced":
            metrics.indexed_events += progress.events
        elif progress.outcome == "rolled back":
            metrics.rolled_back_events += progress.events
        on_progress(progress)

    def guard(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except OpenMinedError as error:
                workers.failure = error
            except Exception as error:  # noqa: BLE001
                # A service whose indexer has died would go on serving an index that stands still.
                _log.exception("a worker failed")
                workers.failure = StatsError(f"{type(error).__name__}: {error}")
            if workers.failure is not None:
                workers.stop.set()
                on_failure()

        return run

    threads = []
    if indexer is not None:
        follow = indexer.run
        threads.append(
            threading.Thread(
                name="indexer",
                target=guard(
                    lambda: follow(
                        workers.stop,
                        poll_s=poll_s,
                        on_progress=note,
                        on_trouble=lambda error: _log.warning("%s", error),
                    )
                ),
            )
        )
    if reader is not None:
        metrics.manifests = reader.outcomes
        read = reader.run
        threads.append(
            threading.Thread(
                name="manifests", target=guard(lambda: read(workers.stop, poll_s=poll_s))
            )
        )
    for thread in threads:
        thread.start()
    try:
        yield workers
    finally:
        workers.stop.set()
        for thread in threads:
            thread.join(_JOIN_S)


def listen_on(host: str, port: int) -> socket.socket:
    """Open the socket to serve on; port 0 takes a free one.

    Raises:
        StatsError: if the address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise StatsError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    # asyncio sets it only on sockets that name their protocol; accepted ones inherit it. Without
    # it an answer's second packet waits for the client's delayed acknowledgement, 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def make_server(app: ASGIApp) -> uvicorn.Server:
    """Make the web server; it ends itself on SIGINT and SIGTERM."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
        limit_concurrency=1000,
        h11_max_incomplete_event_size=64 << 10,
    )
    return uvicorn.Server(config)


def end_on_signals(stop: threading.Event) -> None:
    """Set `stop` on SIGINT and SIGTERM, instead of dying of them.

    The web server ends itself on both, and then sends them again to whoever listened before it.
    """

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
