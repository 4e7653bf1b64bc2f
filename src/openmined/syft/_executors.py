"""Where work is done: in this process, in forked ones, or on a cluster (see `_ray`).

A piece of work can be done `here`, with the objects of this process, which forked children inherit
without copying; or as a `Call`, a function of ours by name with plain arguments, which another
machine can do as well. Its result is a list of byte strings either way.

SEAL's binding holds Python's interpreter lock, so threads do not help. A forked child sends frames
through its pipe: a length of eight bytes, a letter that says what follows, and a payload.
"""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from openmined.protocol import OpenMinedError
from openmined.syft import _errors
from openmined.syft._errors import LimitError, SpecError
from openmined.syft._parents import end_with_parent
from openmined.syft._settings import require_whole

Tick = Callable[[], None]

_TICK, _RESULT, _ERROR, _DONE = b"tred"[0], b"tred"[1], b"tred"[2], b"tred"[3]
_HEAD_BYTES = 9

MAX_PROCESSES = 512
"""At a time: `select` waits for at most 1,024 descriptors, of which others hold some."""


class Work(Protocol):
    """A piece of work that this process, a forked child or another machine can do."""

    def here(self, tick: Tick) -> list[bytes]:
        """Do it with the objects of this process, calling `tick` after each block."""

    def call(self) -> Call:
        """Describe it in a way that another machine can do it."""


@dataclass(frozen=True, eq=False)
class Call:
    """A function by name, with plain arguments: bytes, arrays, tables, manifests.

    Attributes:
        function: of a module, called as `function(tick, *shared, *arguments)`.
        arguments: of this piece of work alone.
        shared: the same objects in every piece of one run: a cluster gets them once.
    """

    function: Callable[..., list[bytes]]
    arguments: tuple[Any, ...]
    shared: tuple[Any, ...] = ()

    def here(self, tick: Tick) -> list[bytes]:
        """Do it in this process."""
        return self.function(tick, *self.shared, *self.arguments)

    def call(self) -> Call:
        """Return this."""
        return self


class Executor(Protocol):
    """Does pieces of work, several at a time."""

    @property
    def workers(self) -> int:
        """How many pieces are done at a time."""

    def run(self, works: Iterable[Work], tick: Tick) -> Iterator[list[bytes]]:
        """Yield the result of each piece in the order given.

        Pieces are drawn when there is room for them, so that a stream larger than memory passes.

        Raises:
            LimitError: if a worker died.
            OpenMinedError: what a piece of work itself raised, of the same class and text.
        """


def silent() -> None:
    """Report to nobody."""


def count_ticks(progress: Callable[[int, int], None] | None, total: int) -> Tick:
    """Return a tick that reports (done, total)."""
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return tick


@dataclass(frozen=True)
class ForkExecutor:
    """Forked processes on this machine; they inherit keys and ciphertexts without copying.

    Attributes:
        workers: processes at a time.
    """

    workers: int

    def __post_init__(self) -> None:
        require_whole(self.workers, "processes", MAX_PROCESSES)

    def run(self, works: Iterable[Work], tick: Tick = silent) -> Iterator[list[bytes]]:
        """Yield the result of each piece in the order given; see `Executor`."""
        waiting = iter(works)
        children: deque[_Child] = deque()
        more = True
        try:
            while True:
                while more and self._has_room(children):
                    work = next(waiting, None)
                    more = work is not None
                    if work is not None:
                        readers = [child.reader for child in children if child.running]
                        children.append(_start(work, readers))
                if not children:
                    return
                if children[0].running:
                    _receive([child for child in children if child.running], tick)
                else:
                    yield children.popleft().results
        finally:
            for child in children:
                child.stop()

    def _has_room(self, children: deque[_Child]) -> bool:
        running = sum(child.running for child in children)
        return running < self.workers and len(children) < 2 * self.workers


@dataclass(eq=False)
class _Child:
    process: int
    reader: int
    running: bool = True
    results: list[bytes] = field(default_factory=list)
    _buffer: bytearray = field(default_factory=bytearray)

    def receive(self, tick: Tick) -> None:
        part = os.read(self.reader, 1 << 20)
        if not part:
            status = self.stop()
            raise LimitError(
                f"a worker process died (status {os.waitstatus_to_exitcode(status)}): "
                "is there enough memory?"
            )
        self._buffer += part
        while len(self._buffer) >= _HEAD_BYTES:
            end = _HEAD_BYTES + int.from_bytes(self._buffer[:8], "little")
            if len(self._buffer) < end:
                return
            kind, payload = self._buffer[8], bytes(self._buffer[_HEAD_BYTES:end])
            del self._buffer[:end]
            self._take(kind, payload, tick)

    def _take(self, kind: int, payload: bytes, tick: Tick) -> None:
        if kind == _TICK:
            tick()
        elif kind == _RESULT:
            self.results.append(payload)
        elif kind == _DONE:
            self.stop()
        else:
            raise rebuild_error(payload)

    def stop(self) -> int:
        """End the process if it still runs; return how it ended."""
        if not self.running:
            return 0
        self.running = False
        os.close(self.reader)
        # One that has sent all it had ends by itself.
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        return os.waitpid(self.process, 0)[1]


def _start(work: Work, others: list[int]) -> _Child:
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        end_with_parent(parent)
        for descriptor in (reader, *others):
            os.close(descriptor)
        _serve(work, writer)
    os.close(writer)
    return _Child(child, reader)


def _serve(work: Work, writer: int) -> NoReturn:
    # The child must never return into the parent's code, whatever happens.
    with suppress(BaseException):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        try:
            for result in work.here(lambda: _send(writer, _TICK, b"")):
                _send(writer, _RESULT, result)
            _send(writer, _DONE, b"")
        except OpenMinedError as error:
            _send(writer, _ERROR, describe_error(error))
        except Exception as error:  # noqa: BLE001 - its text could hold rows
            _send(writer, _ERROR, _describe_defect(error))
    os._exit(0)


def _send(writer: int, kind: int, payload: bytes) -> None:
    view = memoryview(len(payload).to_bytes(8, "little") + bytes([kind]) + payload)
    while view:
        view = view[os.write(writer, view) :]


def _receive(children: list[_Child], tick: Tick) -> None:
    by_reader = {child.reader: child for child in children}
    for reader in select.select(sorted(by_reader), [], [])[0]:
        by_reader[reader].receive(tick)


def describe_error(error: OpenMinedError) -> bytes:
    """Write an error down for another process."""
    return f"{type(error).__name__}\n{error}".encode()


def _describe_defect(error: Exception) -> bytes:
    return f"LimitError\na worker process failed ({type(error).__name__})".encode()


def rebuild_error(described: bytes) -> OpenMinedError:
    """Undo `describe_error`, as the same class if it is one of ours."""
    name, _, text = described.decode(errors="replace").partition("\n")
    kind = getattr(_errors, name, None) or getattr(sys.modules["openmined.protocol"], name, None)
    if isinstance(kind, type) and issubclass(kind, OpenMinedError):
        return kind(text)
    return LimitError(f"{name}: {text}")


def choose_executor(executor: Executor | None, processes: int = 1) -> Executor | None:
    """Return the executor given, or forked processes when there is to be more than one.

    Raises:
        SpecError: if the executor is none, or `processes` no number of them.
    """
    require_whole(processes, "processes", MAX_PROCESSES)
    if executor is not None and not hasattr(executor, "run"):
        raise SpecError(
            f"executor {executor!r:.80} is a {type(executor).__name__}: use open_executor(name)"
        )
    if executor is None and processes > 1:
        return ForkExecutor(processes)
    return executor


def open_executor(name: str) -> Executor | None:
    """Return the executor that a setting names.

    Args:
        name: `here`; `processes:4` for forked processes of this machine; `ray` for a Ray cluster
            started on this machine; `ray:ADDRESS` for one that runs (`ray:auto` finds this
            machine's).

    Returns:
        An executor; None for `here`, which every function takes for this process.

    Raises:
        SpecError: if it is none of these.
        MissingExtra: if Ray is not installed.
        LimitError: if the cluster does not answer.
    """
    kind, _, rest = name.partition(":") if isinstance(name, str) else ("", "", "")
    if name == "here":
        return None
    if kind == "processes" and rest.isdecimal() and len(rest) < 10 and int(rest):
        return ForkExecutor(int(rest))
    if kind == "ray":
        from openmined.syft._ray import RayExecutor

        return RayExecutor(rest or None)
    raise SpecError(
        f"executor {str(name)[:80]!r} is unknown: use here, processes:4, ray or ray:ADDRESS"
    )


def map_arrays(
    function: Callable[..., Any],
    items: Iterable[tuple[Any, ...]],
    executor: Executor | None = None,
    *,
    shared: tuple[Any, ...] = (),
    tick: Tick = silent,
) -> Iterator[NDArray[Any]]:
    """Yield `function(*shared, *item)`, an array, for each item in order.

    Args:
        function: of a module, so that another machine finds it by name.
        items: tuples of plain arguments; drawn as workers get free.
        executor: where; None for this process.
        shared: arguments that all calls have in common: a cluster gets them once.
        tick: called after each.

    Raises:
        LimitError: if a worker died.
        OpenMinedError: what the function raised.
    """
    executor = choose_executor(executor)
    if executor is None:
        for item in items:
            yield np.asarray(function(*shared, *item))
            tick()
        return
    works = (Call(_call_for_array, item, (function, *shared)) for item in items)
    for (data,) in executor.run(works, tick):
        yield np.load(io.BytesIO(data), allow_pickle=False)


def _call_for_array(tick: Tick, function: Callable[..., Any], *arguments: Any) -> list[bytes]:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(function(*arguments)), allow_pickle=False)
    tick()
    return [buffer.getvalue()]
