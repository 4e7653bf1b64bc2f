"""Files that only their owner may read, written whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from openmined.capsule._errors import FolderBusy, NotWritten, SealError, SettingsError

_MAX_SECRET_FILE_BYTES = 64 * 1024


def write_private(path: Path, data: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file of mode 0600: afterwards it holds `data`, or what it held before.

    Args:
        path: of the file.
        data: bytes, or a function that writes them to a file.

    Raises:
        NotWritten: if it cannot be written: the disk is full, say.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = path.with_name(f".{path.name}.partial")
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            if isinstance(data, bytes):
                file.write(data)
            else:
                data(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise NotWritten(
            f"{path} cannot be written ({error.strerror}): make room, or check its folder's mode"
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_private(path: Path) -> None:
    """Refuse a file or folder that others may read.

    Raises:
        SettingsError: if it is missing, or its mode lets others in.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror})") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        wanted = "700" if stat.S_ISDIR(mode) else "600"
        raise SettingsError(
            f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}): "
            f"run `chmod {wanted}` on it"
        )


def read_secret_file(path: Path) -> str:
    """Read a passphrase or key file: mode 0600, one text, surrounding line ends removed.

    Raises:
        SealError: if it is open to others, too large, empty or no text.
    """
    try:
        check_private(path)
    except SettingsError as error:
        raise SealError(str(error)) from error
    data = path.read_bytes()
    if len(data) > _MAX_SECRET_FILE_BYTES:
        raise SealError(f"{path} has {len(data)} bytes: no passphrase or key file is so large")
    try:
        text = data.decode().strip("\r\n")
    except UnicodeDecodeError:
        raise SealError(f"{path} is no UTF-8 text") from None
    if not text.strip():
        raise SealError(f"{path} is empty: write the passphrase into it")
    return text


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel frees it however the process ends.

    Raises:
        FolderBusy: if another process holds it.
    """
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderBusy(
                f"a Capsule already works, or waits sealed, in {folder}: stop it first, or use "
                "another folder"
            ) from None
        yield
