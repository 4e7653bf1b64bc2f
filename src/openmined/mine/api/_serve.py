"""The API's process: a fork of the mine that ends with it, and holds no wallet."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import suppress
from typing import NoReturn

from openmined.mine._errors import ApiError
from openmined.mine._folder import MineFolder
from openmined.mine._progress import ProgressLog
from openmined.mine._settings import ApiSettings


class ApiProcess:
    """A running API. Made before the mine opens connections, so that none is shared."""

    def __init__(self, folder: MineFolder, identity: str, address: str, log: ProgressLog) -> None:
        """Start it.

        Raises:
            ApiError: if its address cannot be listened on.
        """
        settings = folder.settings()
        listener = _listen(settings.api)
        host, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        lifeline, held = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(held)
            _run(folder, identity, address, log, listener, lifeline)
        os.close(lifeline)
        listener.close()
        self._held = held

    def died(self) -> bool:
        """Tell whether it ended by itself."""
        with suppress(ChildProcessError):
            return os.waitpid(self.pid, os.WNOHANG) != (0, 0)
        return True

    def stop(self) -> None:
        """End it."""
        os.close(self._held)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _listen(settings: ApiSettings) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except (OSError, OverflowError) as error:
        raise ApiError(
            f"the local API cannot listen on {settings.host} port {settings.port}: {error}; "
            "choose another port in mine.toml ([api])"
        ) from error
    return listener


def _run(
    folder: MineFolder,
    identity: str,
    address: str,
    log: ProgressLog,
    listener: socket.socket,
    lifeline: int,
) -> NoReturn:
    code = 1
    try:
        import uvicorn

        from openmined.mine.api._app import create_app, protected
        from openmined.mine.api._make import make_context

        settings = folder.settings()
        context = make_context(folder, identity, address, log, settings.api)
        app = protected(create_app(context), settings.api.allowed_hosts)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="off",
                limit_concurrency=256,
                timeout_graceful_shutdown=2,
            )
        )

        def end_with_the_mine() -> None:
            os.read(lifeline, 1)
            server.should_exit = True

        threading.Thread(target=end_with_the_mine, name="lifeline", daemon=True).start()
        try:
            server.run(sockets=[listener])
            code = 0
        finally:
            context.uploads.close()
    finally:
        os._exit(code)
