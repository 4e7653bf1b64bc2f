"""Running the node: in the foreground for `openmined store serve`, or inside a program."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from openmined.storage._errors import StoreError
from openmined.storage._folder import FolderBlocks
from openmined.storage._settings import NodeSettings

if TYPE_CHECKING:
    from starlette.applications import Starlette


class StoreNode:
    """A node that listens from the moment it is made.

    Port 0 takes a free one; `url` says where. Use as a context manager to run it in a thread,
    or call `run` to serve in this one until it is interrupted.

    Raises:
        StoreError: if the address is taken or not ours.
    """

    def __init__(self, application: Starlette, host: str = "127.0.0.1", port: int = 0) -> None:
        import uvicorn  # here, so that a mine that never serves does not load it

        self._socket = _listen(host, port)
        bound_host, bound_port = self._socket.getsockname()[:2]
        self.url = f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="off",
                limit_concurrency=512,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=5,
            )
        )
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serve until interrupted (SIGINT or SIGTERM in the main thread) or stopped."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End the service after the answers under way."""
        self._server.should_exit = True

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.run, name="openmined-store", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()


def open_node(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    quota_bytes: int | None = None,
    settings: NodeSettings | None = None,
) -> StoreNode:
    """Return a node over a folder, already listening.

    Raises:
        FolderError: if the folder cannot serve.
        StoreError: if the address is taken.
    """
    from openmined.storage._node import create_node

    return StoreNode(create_node(FolderBlocks(folder, quota_bytes), settings), host, port)


def serve_store(
    folder: Path, host: str = "127.0.0.1", port: int = 5001, quota_bytes: int | None = None
) -> None:
    """Serve a folder until interrupted. Raises as `open_node`."""
    open_node(folder, host, port, quota_bytes=quota_bytes).run()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # asyncio turns Nagle's delay off only where it sees the protocol spelt out: without
        # that, each small answer takes 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (OSError, OverflowError) as error:
        raise StoreError(f"{host!r} port {port} is no address here: {error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise StoreError(
            f"cannot listen on {host} port {port}: {error}; choose another with --port"
        ) from error
    return listener
