"""A child process with limits, for reading what strangers wrote.

The child is forked, so that arguments need no serialization; it may use so much more memory and so
much time; and it answers through a pipe: bytes, an array (NumPy's own format, pickles refused), or
one of our errors. Whatever else happens to it is a `LimitError` here. It ends when its parent does.
"""

from __future__ import annotations

import io
import os
import resource
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

import numpy as np

from openmined.protocol import OpenMinedError
from openmined.syft._errors import LimitError, OutOfMemory, OutOfTime
from openmined.syft._executors import describe_error, rebuild_error
from openmined.syft._parents import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

_MAX_RESULT_BYTES = 1 << 30
_FEW_DESCRIPTORS = 256
_PARENTS_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_OWN_SIGNALS = (
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
)
_BYTES, _ARRAY, _NONE, _ERROR, _MEMORY, _BROKEN = b"b", b"a", b"n", b"e", b"m", b"x"


def run_limited(function: Callable[..., R], *args: object, memory_mb: int, seconds: float) -> R:
    """Run `function(*args)` in a forked child with limits and return its result.

    Args:
        function: must return bytes, an array or None.
        *args: handed over by the fork, not serialized.
        memory_mb: address space beyond what this process already has.
        seconds: of wall time and, rounded up, of processor time.

    Raises:
        OutOfTime: if it did not finish.
        OutOfMemory: if it wanted more memory.
        LimitError: if it died, or returned something else.
        SyftError: what the function itself raised, of the same class, with the same text.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        end_with_parent(parent)
        os.close(reader)
        _run_child(writer, function, args, memory_mb, seconds)
    os.close(writer)
    try:
        answer = _read_answer(reader, time.monotonic() + seconds)
    finally:
        os.close(reader)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if answer is None:
        raise OutOfTime(f"{_name(function)} did not finish within {seconds:g} s: the input is bad")
    return cast("R", _open_answer(answer, status, function))


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__qualname__", "the function")


def _run_child(
    writer: int,
    function: Callable[..., R],
    args: tuple[object, ...],
    memory_mb: int,
    seconds: float,
) -> NoReturn:
    # Nothing of the parent may run here after the fork: no handlers, no exit hooks, no buffers.
    try:
        for number in _PARENTS_SIGNALS:  # sent to the group: the parent ends the child, or waits
            signal.signal(number, signal.SIG_IGN)
        for number in _OWN_SIGNALS:  # a parent's crash reporter included
            signal.signal(number, signal.SIG_DFL)
        _set_limits(memory_mb, seconds)
        answer = _call(function, args)
    except MemoryError:
        answer = _MEMORY
    except BaseException as error:  # noqa: BLE001 - the child must answer and never return
        answer = _BROKEN + type(error).__name__.encode()
    with suppress(BaseException):
        view = memoryview(answer)
        while view:
            view = view[os.write(writer, view) :]
    os._exit(0)


def _set_limits(memory_mb: int, seconds: float) -> None:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no imports after fork
        present = int(file.read().split()[0]) * resource.getpagesize()
    ceiling = present + (memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    processor_s = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (processor_s, processor_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = _FEW_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _FEW_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))


def _call(function: Callable[..., R], args: tuple[object, ...]) -> bytes:
    try:
        result = function(*args)
    except OpenMinedError as error:
        return _ERROR + describe_error(error)
    if result is None:
        return _NONE
    if isinstance(result, bytes | bytearray):
        return _BYTES + bytes(result)
    if isinstance(result, np.ndarray):
        buffer = io.BytesIO()
        np.save(buffer, result, allow_pickle=False)
        return _ARRAY + buffer.getvalue()
    return _BROKEN + f"a result of type {type(result).__name__}".encode()


def _read_answer(reader: int, deadline: float) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while size <= _MAX_RESULT_BYTES:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not select.select([reader], [], [], remaining)[0]:
            return None
        part = os.read(reader, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
    return _BROKEN + f"a result above {_MAX_RESULT_BYTES} bytes".encode()


def _open_answer(answer: bytes, status: int, function: Callable[..., object]) -> object:
    kind, rest = answer[:1], answer[1:]
    name = _name(function)
    if kind == _BYTES:
        return rest
    if kind == _ARRAY:
        return np.load(io.BytesIO(rest), allow_pickle=False)
    if kind == _NONE:
        return None
    if kind == _ERROR:
        raise rebuild_error(rest)
    if kind == _MEMORY:
        raise OutOfMemory(
            f"{name} wanted more memory than its limit: the input is bad or too large"
        )
    if kind == _BROKEN:
        raise LimitError(f"{name} failed in its child process: {rest.decode(errors='replace')}")
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        raise OutOfTime(f"{name} used up its processor time: the input is bad")
    code = os.waitstatus_to_exitcode(status)
    raise LimitError(f"{name} died in its child process (status {code}): the input is bad")
