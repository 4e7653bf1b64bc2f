"""Unsealing a waiting Capsule over its Unix socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.capsule.conftest import Sealed
from tests.unit.sonar.chain import wait_for

from openmined.capsule import SealError, Unlock, WrongPassphrase, _control
from openmined.capsule._control import SOCKET_NAME, send_unlock, wait_for_unlock
from openmined.capsule._keyring import open_keyring


@contextmanager
def waiting(sealed: Sealed, stop: Callable[[], bool]) -> Iterator[list[Unlock | None]]:
    found: list[Unlock | None] = []

    def wait() -> None:
        found.append(
            wait_for_unlock(sealed.folder, lambda u: open_keyring(sealed.folder, u) and None, stop)
        )

    # A daemon: where a test fails it waits for ever, and must not keep the run from ending.
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        wait_for(lambda: (sealed.folder / SOCKET_NAME).exists())
        yield found
    finally:
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_the_right_key_unseals_and_the_socket_is_gone(sealed: Sealed) -> None:
    with waiting(sealed, lambda: False) as found:
        assert (sealed.folder / SOCKET_NAME).stat().st_mode & 0o777 == 0o600
        send_unlock(sealed.folder, sealed.unlock)
    assert found[0] is not None
    assert not (sealed.folder / SOCKET_NAME).exists()


def test_wrong_passphrases_are_answered_slower_and_slower(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(_control, "_pause", lambda seconds, stop: pauses.append(seconds))
    with waiting(sealed, lambda: False) as found:
        for _ in range(3):
            with pytest.raises(WrongPassphrase, match="does not open"):
                send_unlock(sealed.folder, Unlock(passphrase="wrong"))
        send_unlock(sealed.folder, sealed.unlock)
    assert found[0] is not None
    assert pauses == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("request_", [b"", b"{}\n", b"nonsense\n", b"[1]\n", b'{"key": "x"}\n'])
def test_nonsense_unseals_nothing(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch, request_: bytes
) -> None:
    monkeypatch.setattr(_control, "_pause", lambda seconds, stop: None)
    with waiting(sealed, lambda: False) as found:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(sealed.folder / SOCKET_NAME))
            connection.sendall(request_)
            connection.shutdown(socket.SHUT_WR)
            assert json.loads(connection.recv(4096))["ok"] is False
        assert found == []
        send_unlock(sealed.folder, sealed.unlock)


def test_stopping_ends_the_wait(sealed: Sealed) -> None:
    stopped: list[bool] = []
    with waiting(sealed, lambda: bool(stopped)) as found:
        stopped.append(True)
    assert found == [None]


def test_there_is_nothing_to_unseal(sealed: Sealed) -> None:
    with pytest.raises(SealError, match="no sealed Capsule waits"):
        send_unlock(sealed.folder, sealed.unlock)


def test_a_deep_folder_is_no_obstacle(sealed: Sealed, tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a" * 40] * 4)
    deep.mkdir(parents=True)
    target = deep / "capsule"
    sealed.folder.rename(target)
    moved = Sealed(target, sealed.key_file, sealed.address, sealed.fingerprint)
    with waiting(moved, lambda: False) as found:
        send_unlock(target, moved.unlock)
    assert found[0] is not None
