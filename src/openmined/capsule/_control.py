"""How a sealed Capsule is unsealed while it runs: a Unix socket in its folder, for its owner only.

One JSON object each way. The socket exists only while Capsule is sealed; the peer's user is asked
of the kernel; wrong passphrases are answered ever more slowly.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from openmined.capsule._errors import SealError, WrongPassphrase
from openmined.capsule._keyring import Unlock

SOCKET_NAME = "control.sock"
_MAX_REQUEST_BYTES = 64 * 1024
_TURN_S = 0.2
_REQUEST_S = 5.0
_MAX_DELAY_S = 30.0


def wait_for_unlock(
    folder: Path, try_unlock: Callable[[Unlock], None], stop: Callable[[], bool]
) -> Unlock | None:
    """Wait until somebody unseals the folder; return with what, or None when stopped.

    Args:
        folder: the Capsule's.
        try_unlock: raises SealError if it does not open.
        stop: asked several times a second.
    """
    failures = 0
    with _listening(folder) as listener:
        while not stop():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection, contextlib.suppress(OSError):
                unlock, answer = _answer(connection, try_unlock)
                if unlock is None:
                    failures += 1
                    answer["error"] += f" ({failures} refused: each answer takes longer)"
                    _pause(min(_MAX_DELAY_S, 0.5 * 2.0 ** (failures - 1)), stop)
                _send(connection, answer)
                if unlock is not None:
                    return unlock
    return None


def send_unlock(folder: Path, unlock: Unlock, timeout_s: float = 60.0) -> None:
    """Unseal the Capsule that waits in a folder.

    Raises:
        WrongPassphrase: if it does not open.
        SealError: if no sealed Capsule waits there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _short(folder) as place:
        connection.settimeout(timeout_s)
        try:
            connection.connect(place)
            _send(connection, unlock.to_request())
            answer = json.loads(_receive(connection))
        except (OSError, ValueError) as error:
            raise SealError(
                f"no sealed Capsule waits in {folder} ({type(error).__name__}): start it with "
                "`openmined capsule start --sealed`; one that works needs no unsealing"
            ) from None
    if answer.get("ok") is not True:
        raise WrongPassphrase(str(answer.get("error", "refused"))[:300])


def _answer(
    connection: socket.socket, try_unlock: Callable[[Unlock], None]
) -> tuple[Unlock | None, dict[str, Any]]:
    connection.settimeout(_REQUEST_S)
    try:
        if _peer_user(connection) != os.getuid():
            raise SealError("only the owner of the folder may unseal it")
        unlock = Unlock.from_request(json.loads(_receive(connection)))
        try_unlock(unlock)
    except SealError as error:
        return None, {"ok": False, "error": str(error)}
    except (OSError, ValueError):
        # No text of the parser: it may quote the passphrase.
        return None, {"ok": False, "error": "the request cannot be read"}
    return unlock, {"ok": True}


def _peer_user(connection: socket.socket) -> int:
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, user, _ = struct.unpack("3i", credentials)
    return int(user)


def _receive(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) <= _MAX_REQUEST_BYTES:
        part = connection.recv(4096)
        if not part:
            break
        data += part
    return data


def _send(connection: socket.socket, value: dict[str, Any]) -> None:
    connection.sendall(json.dumps(value).encode() + b"\n")


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[socket.socket]:
    path = folder / SOCKET_NAME
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, _short(folder) as place:
        os.fchmod(listener.fileno(), 0o600)  # before it has a name: it is never open to others
        listener.bind(place)
        path.chmod(0o600)  # for systems where a socket's own mode does not count
        listener.listen(4)
        listener.settimeout(_TURN_S)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    # A socket's path may have 107 bytes; through a descriptor of the folder it always fits.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET_NAME}"
    finally:
        os.close(handle)


def _pause(seconds: float, stop: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not stop() and time.monotonic() < until:
        time.sleep(_TURN_S)
