"""Progress as server-sent events: the mine's own log, followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

_LOOK_S = 0.25
_HEARTBEAT_S = 15.0
_TAIL_BYTES = 64 << 10
_MAX_LINE = 64 << 10


async def follow(
    path: Path, last_id: int | None, gone: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """Yield the log's lines as events; `id` is the place in the log, to go on after a break.

    Starts with the lines of the last 64 KiB, or after `last_id`.
    """
    place = _start(path, last_id)
    quiet = 0.0
    yield b"retry: 2000\n\n"
    while not await gone():
        data = _read(path, place)
        whole, _, _ = data.rpartition(b"\n")
        if whole:
            for line in whole.split(b"\n"):
                place += len(line) + 1
                yield b"id: %d\nevent: progress\ndata: %s\n\n" % (place, line)
            quiet = 0.0
            continue
        if len(data) > _MAX_LINE or (path.exists() and path.stat().st_size < place):
            # The log was turned over, or holds what is no line: begin at its end.
            place = path.stat().st_size
        await asyncio.sleep(_LOOK_S)
        quiet += _LOOK_S
        if quiet >= _HEARTBEAT_S:
            quiet = 0.0
            yield b": still here\n\n"


def _start(path: Path, last_id: int | None) -> int:
    size = path.stat().st_size if path.exists() else 0
    if last_id is not None and 0 <= last_id <= size:
        return last_id
    if size <= _TAIL_BYTES:
        return 0
    data = _read(path, size - _TAIL_BYTES)
    return size - len(data) + data.find(b"\n") + 1


def _read(path: Path, place: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(place)
            return file.read(_TAIL_BYTES)
    except FileNotFoundError:
        return b""
