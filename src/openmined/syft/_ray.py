"""The same work on a Ray cluster: for data, or gradients, that outgrow one machine.

The cluster belongs to whoever runs it and sees what the work sees: a mine's rows, or the scores of
a Capsule; never a secret key. Ray moves arguments by pickle and keeps them in shared memory, so it
must be in the same hands as this process. Every node needs this package in the same version.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from openmined.protocol import OpenMinedError
from openmined.syft._errors import LimitError, MissingExtra
from openmined.syft._executors import describe_error, rebuild_error, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from openmined.syft._executors import Tick, Work

_REACH_SECONDS = 10.0


class RayExecutor:
    """Work on a Ray cluster.

    Args:
        address: of a running cluster (`auto` finds this machine's); None starts one here, which
            `close` ends. Where this process is connected already, that cluster is used.
        workers: pieces of work at a time; as many as the cluster has processors when not given.

    Raises:
        MissingExtra: if Ray is not installed.
        LimitError: if the cluster does not answer, or it has no processors.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        self._ray = _import_ray()
        self._connected = not self._ray.is_initialized()
        if self._connected:
            _connect(self._ray, address, workers)
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        self.workers = workers or cores
        if not cores:
            raise LimitError("the Ray cluster has no processors: add nodes to it")

    def run(self, works: Iterable[Work], tick: Tick = silent) -> Iterator[list[bytes]]:
        """Yield the result of each piece in the order given; see `Executor`.

        Ticks of a piece are reported when it ends. A piece whose node died is done again elsewhere.
        """
        perform = self._ray.remote(num_cpus=1, max_retries=2)(_perform)
        shared = _Shared(self._ray)
        pending: deque[Any] = deque()
        waiting = iter(works)
        try:
            while True:
                while len(pending) < 2 * self.workers and (work := next(waiting, None)) is not None:
                    call = work.call()
                    arguments = [*map(shared.put, call.shared), *call.arguments]
                    pending.append(perform.remote(call.function, *arguments))
                if not pending:
                    return
                ticks, results = self._get(pending[0])
                pending.popleft()
                for _ in range(ticks):
                    tick()
                yield results
        finally:
            for reference in pending:
                self._ray.cancel(reference, force=True)

    def _get(self, reference: Any) -> tuple[int, list[bytes]]:
        try:
            ticks, results, error = self._ray.get(reference)
        except self._ray.exceptions.RayError as failure:
            kind = type(failure).__name__
            raise LimitError(
                f"a worker on the Ray cluster failed ({kind}): see that every node has memory and "
                "the same version of openmined"
            ) from None  # the whole could quote rows
        if error is not None:
            raise rebuild_error(error)
        return ticks, results

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here; one that was in use stays so."""
        if self._connected:
            self._ray.shutdown()
            self._connected = False

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _import_ray() -> Any:
    # Nothing about a mine's work is anybody's business; strangers must not submit work.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    try:
        import ray
    except ImportError:
        raise MissingExtra("Ray is not installed: pip install 'openmined[ray]'") from None
    return ray


def _connect(ray: Any, address: str | None, workers: int | None) -> None:
    if address is None:
        where: dict[str, Any] = {
            "address": "local",
            "num_cpus": workers,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
            # Spilled objects would be rows in the clear on a disk. Ray's workers are otherwise so
            # nice (15) that beside other programs they stand still.
            "_system_config": {"automatic_object_spilling_enabled": False, "worker_niceness": 0},
        }
    else:
        where = {"address": address}
    try:
        if address is not None and ":" in address:
            _reach(address)  # Ray itself would try for minutes
        ray.init(**where, log_to_driver=False, configure_logging=False)
    except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
        place = "on this machine" if address is None else f"at {address}"
        raise LimitError(f"no Ray cluster {place}: {error}") from error


def _reach(address: str) -> None:
    host, _, port = address.rpartition("/")[2].rpartition(":")
    socket.create_connection((host, int(port)), _REACH_SECONDS).close()


class _Shared:
    """Puts what several calls have in common into the cluster's memory once."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._known: dict[int, tuple[Any, Any]] = {}  # the object is kept: its id stays its own

    def put(self, item: Any) -> Any:
        if id(item) not in self._known:
            self._known[id(item)] = (item, self._ray.put(item))
        return self._known[id(item)][1]


def _perform(
    function: Callable[..., list[bytes]], *arguments: Any
) -> tuple[int, list[bytes], bytes | None]:
    """Do a call at a worker; return its ticks, its results, and the error it raised."""
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    try:
        results = function(tick, *arguments)
    except OpenMinedError as error:
        return ticks, [], describe_error(error)
    return ticks, results, None
