"""The process of the HTTP interface: started by Capsule, ended with it, however that ends."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from openmined.capsule._errors import SettingsError
from openmined.capsule._log import Log

if TYPE_CHECKING:
    from fastapi import FastAPI

_BIND_S = 10.0
"""How long an address may still be held by the interface of a Capsule that was killed."""

_END_S = 5.0


@contextlib.contextmanager
def interface(folder: Path, log: Log, *, enabled: bool) -> Iterator[None]:
    """Run the HTTP interface as a process of its own for the time of the block.

    It reads from a pipe that nothing is written to: when Capsule dies, the pipe closes, and the
    interface ends.
    """
    if not enabled:
        yield
        return
    command = [sys.executable, "-m", "openmined.capsule", "serve", str(folder), "--with-parent"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 -- our own program
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process, ended, log), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        watcher.join()


def _watch(process: subprocess.Popen[bytes], ended: threading.Event, log: Log) -> None:
    code = process.wait()
    if not ended.is_set():
        log.write("interface-down", code=code, what="the HTTP interface ended; Capsule works on")


def serve_api(api: FastAPI, host: str, port: int, *, with_parent: bool) -> None:
    """Serve until interrupted, or until standard input closes.

    Raises:
        SettingsError: if the address cannot be had.
    """
    import uvicorn

    listener = _bind(host, port)
    config = uvicorn.Config(
        api, log_level="warning", access_log=False, server_header=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    if with_parent:
        threading.Thread(target=_end_with_input, args=(server,), daemon=True).start()
    with listener:
        server.run(sockets=[listener])


def _end_with_input(server: object) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdin.buffer.read()
    server.should_exit = True  # type: ignore[attr-defined]


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    until = time.monotonic() + _BIND_S
    while True:
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            return listener
        except OSError as error:
            listener.close()
            if time.monotonic() >= until:
                raise SettingsError(
                    f"the HTTP interface cannot listen on {host} port {port} ({error.strerror}): "
                    "set another api.port"
                ) from error
            time.sleep(0.2)
