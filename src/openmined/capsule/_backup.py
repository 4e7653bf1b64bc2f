"""Backups: the whole folder as one age file, under the same passphrase or key file.

Taken while Capsule works or not: the state file is copied by SQLite's own backup, all other files
are written once and whole. Restored on another machine, Capsule reads from the chain what happened
since, and replays what it had scored meanwhile. What a backup must hold are keys: take one after
each opening and rotation (`openmined capsule backup` from cron does).
"""

from __future__ import annotations

import io
import re
import sqlite3
import tarfile
from pathlib import Path

from openmined.capsule._errors import BackupError, SettingsError
from openmined.capsule._files import write_private
from openmined.capsule._folder import (
    CERTIFICATE_FILE,
    IDENTITY_FILE,
    REVOCATION_FILE,
    WALLET_FILE,
    check_folder,
)
from openmined.capsule._keyring import KEYRING_FILE, Unlock, open_keyring
from openmined.capsule._settings import SETTINGS_FILE
from openmined.capsule._state import STATE_FILE, State

_FILES = (
    SETTINGS_FILE,
    KEYRING_FILE,
    IDENTITY_FILE,
    REVOCATION_FILE,
    CERTIFICATE_FILE,
    WALLET_FILE,
    STATE_FILE,
)
_KEYS = re.compile(r"campaigns/[1-9]\d*/keys-[1-9]\d*\.age")
_MAX_BYTES = 16 << 30


def write_backup(folder: Path, target: Path, unlock: Unlock) -> int:
    """Write an encrypted backup of a folder; return its size in bytes.

    Raises:
        BackupError: if the target exists.
        WrongPassphrase: if `unlock` does not open the folder: nobody could restore the backup.
    """
    check_folder(folder)
    if target.exists():
        raise BackupError(f"{target} exists already: backups are never overwritten")
    open_keyring(folder, unlock)
    sealed = unlock.wrap(_pack(folder))
    write_private(target, sealed)
    return len(sealed)


def _pack(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        # The state first: keys that it names are on disk before it names them.
        _add(archive, STATE_FILE, _copy_state(folder))
        for name in _FILES:
            if name != STATE_FILE:
                _add(archive, name, (folder / name).read_bytes())
        for path in sorted((folder / "campaigns").glob("*/keys-*.age")):
            _add(archive, path.relative_to(folder).as_posix(), path.read_bytes())
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o600
    archive.addfile(entry, io.BytesIO(data))


def _copy_state(folder: Path) -> bytes:
    source = sqlite3.connect(folder / STATE_FILE, timeout=10.0)
    copy = sqlite3.connect(":memory:")
    try:
        source.backup(copy)
        return copy.serialize()
    finally:
        copy.close()
        source.close()


def restore_backup(source: Path, folder: Path, unlock: Unlock) -> None:
    """Make a folder from a backup.

    Raises:
        BackupError: if the file is no backup, or the folder is in use.
        WrongPassphrase: if `unlock` does not open it.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty: restore into a new folder")
    try:
        sealed = source.read_bytes()
    except OSError as error:
        raise BackupError(f"{source} cannot be read ({error.strerror})") from error
    files = _unpack(unlock.unwrap(sealed), source)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    for name, data in files.items():
        write_private(folder / name, data)
    try:
        check_folder(folder)
        open_keyring(folder, unlock)
        State.open(folder).close()
    except SettingsError as error:
        raise BackupError(f"{source} holds no usable Capsule: {error}") from error


def _unpack(data: bytes, source: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for entry in archive:
                known = entry.name in _FILES or _KEYS.fullmatch(entry.name)
                if not entry.isreg() or not known or entry.size > _MAX_BYTES:
                    raise BackupError(
                        f"{source} holds {entry.name[:80]!r}: it is no backup of ours"
                    )
                content = archive.extractfile(entry)
                assert content is not None
                files[entry.name] = content.read()
    except tarfile.TarError as error:
        raise BackupError(f"{source} is no backup: {error}") from error
    missing = [name for name in _FILES if name not in files]
    if missing:
        raise BackupError(f"{source} lacks {', '.join(missing)}: it is no whole backup")
    return files
