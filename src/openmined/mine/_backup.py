"""Backup and restore: one file that needs nothing but the passphrase.

The file is a tar of two entries, so that any age tool and tar can open it without this software:

    identity.age        the identity, under the passphrase, as in the folder
    content.tar.age     everything else of the folder, encrypted to that identity

Left out: caches (computed again) and logs. The ledger is copied by SQLite's own backup, so that a
running mine can be backed up.
"""

from __future__ import annotations

import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from openmined.mine._age import decrypting, encrypting, unwrap_with_passphrase
from openmined.mine._datasets import list_datasets, part_digest
from openmined.mine._errors import DatasetDamaged, FolderError, MineExists, WrongPassphrase
from openmined.mine._folder import MineFolder, delete_tree, raise_if_full
from openmined.mine._ledger import Ledger
from openmined.mine._settings import SETTINGS_FILE

_FILES = (SETTINGS_FILE, "wallet.json", "recipient.txt")
_FOLDERS = ("datasets", "releases", "outbox")
_IDENTITY, _CONTENT = "identity.age", "content.tar.age"


def back_up(folder: MineFolder, target: Path) -> int:
    """Write a backup; return its size in bytes. Needs no passphrase.

    Raises:
        FolderError: if the target exists, or cannot be written.
    """
    if target.exists():
        raise FolderError(f"{target} exists already: backups are never overwritten")
    partial = target.with_name(f".{target.name}.partial")
    try:
        with tempfile.TemporaryDirectory(dir=folder.path, prefix=".backup-") as scratch:
            ledger = _copy_ledger(folder.ledger_path, Path(scratch) / "ledger.sqlite")
            content = Path(scratch) / _CONTENT
            with (
                encrypting(content, folder.recipient) as stream,
                tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive,
            ):
                archive.add(ledger, "ledger.sqlite")
                for path in _contents(folder.path):
                    archive.add(path, str(path.relative_to(folder.path)), recursive=False)
            with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as outer:
                outer.add(folder.path / _IDENTITY, _IDENTITY)
                outer.add(content, _CONTENT)
        partial.chmod(0o600)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise_if_full(error, target.parent)
        raise FolderError(f"the backup cannot be written to {target}: {error}") from error
    return target.stat().st_size


def restore(source: Path, target: Path, passphrase: str) -> MineFolder:
    """Make a mine from a backup. Everything in it is checked before the mine exists.

    Stop the mine that the backup was made of for good: two with one wallet spend each other's
    nonces. What happened since the backup is learned from the chain.

    Raises:
        MineExists: if the target holds something.
        WrongPassphrase: if the passphrase does not open the backup.
        FolderError, DatasetDamaged: if it is none, or damaged.
    """
    if target.exists() and any(target.iterdir()):
        raise MineExists(f"{target} is not empty: restore into a new folder")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        _unpack(source, target, passphrase)
        folder = MineFolder(target)
        folder.settings()
        ledger = folder.ledger()
        ledger.check()
        ledger.close()
        _check_datasets(folder)
        folder.unlock(passphrase)
    except BaseException:
        for entry in target.iterdir():
            delete_tree(entry) if entry.is_dir() else entry.unlink()
        raise
    return folder


def _check_member(member: tarfile.TarInfo) -> None:
    # What tarfile's own "data" filter refuses; Python before 3.11.4 does not have it.
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isreg() or member.isdir()):
        raise tarfile.ExtractError(f"{member.name!r} is not a file below its folder")


def _unpack(source: Path, target: Path, passphrase: str) -> None:
    try:
        with tarfile.open(source, "r:") as outer:
            wrapped = outer.extractfile(_IDENTITY)
            content = outer.extractfile(_CONTENT)
            if wrapped is None or content is None:
                raise FolderError(f"{source} is no backup of a mine")
            data = wrapped.read(1 << 16)
            identity = unwrap_with_passphrase(data, passphrase).decode("ascii")
            inner = target / f".{_CONTENT}"
            with inner.open("wb") as file:
                while piece := content.read(1 << 20):
                    file.write(piece)
        with decrypting(inner, identity) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                if hasattr(tarfile, "data_filter"):
                    archive.extraction_filter = tarfile.data_filter
                for member in archive:
                    _check_member(member)
                    archive.extract(member, target, set_attrs=False)
            while stream.read(1 << 20):
                pass
        inner.unlink()
        (target / _IDENTITY).write_bytes(data)
        for name in ("datasets", "cache", "releases", "outbox", "logs"):
            (target / name).mkdir(mode=0o700, exist_ok=True)
        for path in target.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
    except WrongPassphrase as error:
        raise WrongPassphrase(
            f"the passphrase does not open {source}: it is the one the mine had at that time"
        ) from error
    except (tarfile.TarError, KeyError, UnicodeDecodeError, DatasetDamaged) as error:
        raise FolderError(f"{source} is no backup of a mine, or damaged: {error}") from error
    except OSError as error:
        raise_if_full(error, target)
        raise FolderError(f"{source} cannot be restored: {error}") from error


def _check_datasets(folder: MineFolder) -> None:
    for dataset in list_datasets(folder):
        for part in dataset.parts:
            path = folder.datasets / dataset.name / part.file
            if not path.is_file() or part_digest(path) != part.sha256:
                raise DatasetDamaged(f"{dataset.name}/{part.file} is damaged in the backup")


def _copy_ledger(source: Path, target: Path) -> Path:
    Ledger(source).close()
    before = sqlite3.connect(source)
    after = sqlite3.connect(target)
    try:
        before.backup(after)
    finally:
        before.close()
        after.close()
    return target


def _contents(folder: Path) -> Iterator[Path]:
    for name in _FILES:
        yield folder / name
    for name in _FOLDERS:
        yield from (path for path in sorted((folder / name).rglob("*")) if not path.is_symlink())
