"""A child process with limits, for reading what strangers wrote.

The child is forked, so that arguments need no serialization; it may use so much more memory and so
much time; and it answers through a pipe: bytes, an array of numbers, or one of our errors. Whatever
else happens to it is a `LimitError` here. It ends when its parent does.

What strangers wrote may have taken the child over, so the answer is a stranger's too: a length of
eight bytes, a letter that says what follows, and a payload, of which nothing may lack or be left
over; and the child must have ended by itself, with status 0. An array is NumPy's own format, whose
header is held against the bytes that are there before anything is made of it.
"""

from __future__ import annotations

import io
import math
import os
import resource
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import numpy as np
from numpy.lib import format as array_format

from openmined.protocol import OpenMinedError
from openmined.syft._errors import LimitError, OutOfMemory, OutOfTime
from openmined.syft._executors import describe_error, rebuild_error
from openmined.syft._parents import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

R = TypeVar("R")

_MAX_MEMORY_MB = 1 << 20
_MAX_SECONDS = 366 * 86_400
_MAX_RESULT_BYTES = 1 << 30
_MAX_TEXT_BYTES = 1 << 16
_MAX_ARRAY_HEAD = 2048  # NumPy's own limit is what Python's parser survives; ours are far shorter
_HEAD_BYTES = 9
_FEW_DESCRIPTORS = 256
_NUMBERS = "biufc"  # kinds of dtype
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
        function: must return bytes, an array of numbers or None.
        *args: handed over by the fork, not serialized.
        memory_mb: address space beyond what this process already has; an answer is no larger.
        seconds: of wall time and, rounded up, of processor time.

    Raises:
        OutOfTime: if it did not finish.
        OutOfMemory: if it wanted more memory.
        LimitError: if a limit is none, or if it died, or returned something else.
        OpenMinedError: what the function itself raised, of the same class, with the same text.
    """
    _check_limits(memory_mb, seconds)
    most_bytes = min(_MAX_RESULT_BYTES, memory_mb << 20)
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        end_with_parent(parent)
        os.close(reader)
        _run_child(writer, function, args, memory_mb, seconds)
    os.close(writer)
    try:
        answer = _read_answer(reader, time.monotonic() + seconds, most_bytes)
    finally:
        os.close(reader)
        # One that closed its end of the pipe by ending has its status already.
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    name = getattr(function, "__qualname__", "the function")
    if answer is None:
        raise OutOfTime(f"{name} did not finish within {seconds:g} s: the input is bad")
    _check_end(status, name)
    return cast("R", _open_answer(answer, name))


def _check_limits(memory_mb: object, seconds: object) -> None:
    if not (isinstance(memory_mb, int) and 1 <= memory_mb <= _MAX_MEMORY_MB):
        raise LimitError(
            f"memory_mb={_show(memory_mb)} is no limit: give whole megabytes, "
            f"from 1 to {_MAX_MEMORY_MB}"
        )
    if not (isinstance(seconds, int | float) and 0 < seconds <= _MAX_SECONDS):
        raise LimitError(
            f"seconds={_show(seconds)} is no limit: give a number above 0, "
            f"{_MAX_SECONDS} (a year) at most"
        )


def _show(value: object) -> str:
    try:
        return repr(value)[:40]
    except ValueError:  # Python prints no whole numbers of thousands of digits
        return f"(a huge {type(value).__name__})"


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
        kind, payload = _call(function, args)
    except MemoryError:
        kind, payload = _MEMORY, b""
    except BaseException as error:  # noqa: BLE001 - the child must answer and never return
        kind, payload = _BROKEN, type(error).__name__.encode()
    with suppress(BaseException):
        for part in (len(payload).to_bytes(8, "little") + kind, payload):
            view = memoryview(part)
            while view:
                view = view[os.write(writer, view) :]
        os._exit(0)
    os._exit(1)


def _set_limits(memory_mb: int, seconds: float) -> None:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no imports after fork
        present = int(file.read().split()[0]) * resource.getpagesize()
    ceiling = present + (memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    processor_s = int(seconds) + 1
    # Linux kills at the hard limit without a word: SIGXCPU, at the soft one, says what it was.
    resource.setrlimit(resource.RLIMIT_CPU, (processor_s, processor_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = _FEW_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _FEW_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))


def _call(function: Callable[..., R], args: tuple[object, ...]) -> tuple[bytes, bytes]:
    try:
        result = function(*args)
    except OpenMinedError as error:
        return _ERROR, describe_error(error)
    if result is None:
        return _NONE, b""
    if isinstance(result, bytes | bytearray):
        return _BYTES, bytes(result)
    if not isinstance(result, np.ndarray):
        return _BROKEN, f"a result of type {type(result).__name__}".encode()
    if result.dtype.kind not in _NUMBERS:
        return _BROKEN, f"an array of {result.dtype}, not of numbers".encode()
    buffer = io.BytesIO()
    np.save(buffer, result, allow_pickle=False)
    return _ARRAY, buffer.getvalue()


def _read_answer(reader: int, deadline: float, most_bytes: int) -> bytearray | None:
    answer = bytearray()
    while len(answer) <= _HEAD_BYTES + most_bytes:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not select.select([reader], [], [], remaining)[0]:
            return None
        part = os.read(reader, 1 << 20)
        if not part:
            return answer
        answer += part
    raise LimitError(f"an answer of more than {most_bytes} bytes from a child process is refused")


def _check_end(status: int, name: str) -> None:
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        raise OutOfTime(f"{name} used up its processor time: the input is bad")
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise LimitError(f"{name} died in its child process (status {code}): the input is bad")


def _open_answer(answer: bytearray, name: str) -> object:
    kind, payload = bytes(answer[8:_HEAD_BYTES]), memoryview(answer)[_HEAD_BYTES:]
    wanted = int.from_bytes(answer[:8], "little")
    if not kind or len(payload) != wanted:
        raise LimitError(f"{name} gave {len(payload)} bytes of an answer of {wanted}")
    if kind == _BYTES:
        return bytes(payload)
    if kind == _ARRAY:
        return _open_array(payload, name)
    if kind == _NONE:
        return None
    text = bytes(payload[:_MAX_TEXT_BYTES])
    if kind == _ERROR:
        raise rebuild_error(text)
    if kind == _MEMORY:
        raise OutOfMemory(
            f"{name} wanted more memory than its limit: the input is bad or too large"
        )
    raise LimitError(f"{name} failed in its child process: {text.decode(errors='replace')}")


def _open_array(payload: memoryview, name: str) -> NDArray[Any]:
    try:
        file = io.BytesIO(payload)
        if array_format.read_magic(file) != (1, 0):
            raise ValueError("another version")
        shape, fortran, dtype = array_format.read_array_header_1_0(file, _MAX_ARRAY_HEAD)
        if dtype.kind not in _NUMBERS or min(shape, default=0) < 0:
            raise ValueError("no array of numbers")
        if math.prod(shape) * dtype.itemsize != len(payload) - file.tell():
            raise ValueError("another size")
        order: Any = "F" if fortran else "C"
        return np.ndarray(shape, dtype, payload[file.tell() :], order=order).copy("K")
    except Exception as error:
        kind = type(error).__name__
        raise LimitError(f"{name} gave {len(payload)} bytes that are no array ({kind})") from error
