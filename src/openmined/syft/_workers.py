"""Forked worker processes for blocks of ciphertext work.

SEAL's binding holds Python's interpreter lock, so threads do not help; forked children inherit
ciphertexts, keys and plaintexts without copying. A child sends frames through its pipe: a length
of eight bytes and a payload; the empty payload reports one block done.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from openmined.syft._errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def run_forked(
    works: Sequence[Callable[[Callable[[], None]], list[bytes]]],
    tick: Callable[[], None],
) -> list[list[bytes]]:
    """Run each work in its own forked process; return what each returned, in order.

    Args:
        works: functions that take a `tick` to call after each block and return byte strings.
        tick: called here whenever a child ticks.

    Raises:
        LimitError: if a child died or failed.
    """
    children: dict[int, int] = {}  # read end of the pipe -> process id
    try:
        for work in works:
            reader, child = _start(work, list(children))
            children[reader] = child
        return _collect(list(children), tick)
    finally:
        for reader, child in children.items():
            os.close(reader)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _start(work: Callable[[Callable[[], None]], list[bytes]], others: list[int]) -> tuple[int, int]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        for descriptor in (reader, *others):
            os.close(descriptor)
        _serve(work, writer)
    os.close(writer)
    return reader, child


def _serve(work: Callable[[Callable[[], None]], list[bytes]], writer: int) -> NoReturn:
    status = 1
    # The child must never return into the parent's code, whatever happens.
    with suppress(BaseException):
        results = work(lambda: _send(writer, b""))
        for result in results:
            _send(writer, result)
        status = 0
    os._exit(status)


def _send(writer: int, payload: bytes) -> None:
    view = memoryview(len(payload).to_bytes(8, "little") + payload)
    while view:
        view = view[os.write(writer, view) :]


def _collect(readers: list[int], tick: Callable[[], None]) -> list[list[bytes]]:
    buffers = {reader: bytearray() for reader in readers}
    results: dict[int, list[bytes]] = {reader: [] for reader in readers}
    waiting = set(readers)
    while waiting:
        for reader in select.select(sorted(waiting), [], [])[0]:
            part = os.read(reader, 1 << 20)
            if not part:
                waiting.discard(reader)
                if buffers[reader] or not results[reader]:
                    raise LimitError("a worker process died: is there enough memory?")
                continue
            buffers[reader] += part
            for payload in _take_frames(buffers[reader]):
                if payload:
                    results[reader].append(payload)
                else:
                    tick()
    return [results[reader] for reader in readers]


def _take_frames(buffer: bytearray) -> list[bytes]:
    frames = []
    while len(buffer) >= 8:
        size = int.from_bytes(buffer[:8], "little")
        if len(buffer) < 8 + size:
            break
        frames.append(bytes(buffer[8 : 8 + size]))
        del buffer[: 8 + size]
    return frames
