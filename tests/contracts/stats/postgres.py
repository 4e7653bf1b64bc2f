"""A real PostgreSQL server of this machine, in a folder of its own, on a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def _account() -> str | None:
    # PostgreSQL refuses to run as root.
    if os.getuid() != 0:
        return None
    pwd.getpwnam("postgres")
    return "postgres"


@contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """Yield the URL of a fresh server."""
    # Not below pytest's folder, which other accounts may not pass.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        account, data = _account(), Path(folder)
        if account is not None:
            shutil.chown(data, account)
        yield from _serve(data, account, programs)


def _serve(data: Path, account: str | None, programs: Path) -> Iterator[str]:
    user = {"user": account} if account else {}
    initdb = [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8"]
    subprocess.run(
        [*initdb, "--locale=C.UTF-8", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=data,
        **user,
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            *(programs / "postgres", "-D", data, "-p", str(port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            *("-c", "fsync=off", "-c", "synchronous_commit=off"),
        ],
        cwd=data,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **user,
    )
    ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-q", "-t", "30"]
    try:
        while subprocess.run(ready, check=False).returncode != 0:
            assert server.poll() is None, "PostgreSQL ended while starting"
        yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # ends connections that a failed test left
        server.wait(30)
