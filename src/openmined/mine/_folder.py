"""The mine's folder: what lies where, who may open it, and the lock that keeps it to one mine.

    mine.toml                     settings and permissions (docs/mine-folder.md)
    wallet.json                   Ethereum keystore, Web3 Secret Storage version 3
    identity.age                  the age identity, under the same passphrase
    recipient.txt                 the identity's public side: enough to add data, not to read it
    ledger.sqlite                 what was seen, decided, sent and earned
    datasets/NAME/                dataset.json and encrypted parts
    cache/                        encrypted statistics, a campaign's public keys; can be deleted
    releases/                     encrypted noisy releases, one a campaign; part of every backup
    outbox/                       sealed envelopes that are not yet on chain
    logs/mine.jsonl               progress, one JSON object a line
    lock.sqlite, running.json     held by the mine that runs

Only the owner can read any of it (mode 0700), and what matters is encrypted besides.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from openmined.mine._age import (
    LIGHT_WORK_FACTOR,
    WORK_FACTOR,
    generate_identity,
    unwrap_with_passphrase,
    wrap_with_passphrase,
)
from openmined.mine._errors import (
    DiskFull,
    FolderError,
    MineExists,
    MineLocked,
    NotAMine,
    WrongPassphrase,
)
from openmined.mine._ledger import Ledger, now_text
from openmined.mine._settings import SETTINGS_FILE, MineSettings, load_settings, save_settings

if TYPE_CHECKING:
    from openmined.sonar import Wallet

Cost = Literal["standard", "light"]

_LOOKS_PASS_S = 2.0
"""How long who wants the folder waits for others to finish looking whether it is taken."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the passphrase opens. It is never written, logged or printed."""

    identity: str
    wallet: Wallet

    def __repr__(self) -> str:
        return f"Secrets({self.wallet.address})"


class MineFolder:
    """A folder that holds a mine."""

    def __init__(self, path: Path) -> None:
        """Look at a folder.

        Raises:
            NotAMine: if there is no mine in it.
        """
        self.path = path
        if not (path / SETTINGS_FILE).is_file():
            raise NotAMine(f"{path} holds no mine: make one with `openmined mine init {path}`")

    @property
    def wallet_path(self) -> Path:
        """The keystore."""
        return self.path / "wallet.json"

    @property
    def ledger_path(self) -> Path:
        """The ledger's file."""
        return self.path / "ledger.sqlite"

    @property
    def datasets(self) -> Path:
        """Where the datasets lie."""
        return self.path / "datasets"

    @property
    def cache(self) -> Path:
        """What can be computed or fetched again."""
        return self.path / "cache"

    @property
    def releases(self) -> Path:
        """Statistics with noise that campaigns are answered from: made once, never again."""
        return self.path / "releases"

    @property
    def outbox(self) -> Path:
        """Sealed envelopes on their way."""
        return self.path / "outbox"

    @property
    def log_path(self) -> Path:
        """The progress log."""
        return self.path / "logs" / "mine.jsonl"

    @property
    def recipient(self) -> str:
        """The age recipient to whom everything is encrypted."""
        try:
            return (self.path / "recipient.txt").read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise FolderError(
                f"{self.path}/recipient.txt cannot be read: restore it from a backup"
            ) from error

    @property
    def address(self) -> str:
        """The wallet's address, without the passphrase."""
        from openmined.sonar import keystore_address

        return keystore_address(self.wallet_path)

    def settings(self) -> MineSettings:
        """Read mine.toml."""
        return load_settings(self.path)

    def ledger(self) -> Ledger:
        """Open the ledger."""
        return Ledger(self.ledger_path)

    def unlock(self, passphrase: str) -> Secrets:
        """Open identity and wallet.

        Raises:
            WrongPassphrase: if the passphrase opens one or both of them not.
        """
        from openmined.sonar import Wallet
        from openmined.sonar import WrongPassphrase as WrongForWallet

        try:
            wallet = Wallet.from_keystore(self.wallet_path, passphrase)
        except WrongForWallet as error:
            raise WrongPassphrase(
                "the passphrase does not open the mine's wallet: type it again"
            ) from error
        try:
            wrapped = (self.path / "identity.age").read_bytes()
        except OSError as error:
            raise FolderError(
                f"{self.path}/identity.age cannot be read ({error.strerror}): "
                "restore it from a backup"
            ) from error
        identity = unwrap_with_passphrase(wrapped, passphrase).decode("ascii")
        return Secrets(identity=identity, wallet=wallet)


def create_mine(
    path: Path, settings: dict[str, Any], passphrase: str, *, cost: Cost = "standard"
) -> tuple[MineFolder, Secrets]:
    """Make a mine: keys, ledger, settings. mine.toml is written last: with it the mine exists.

    A keystore that lies in the folder already is taken as the mine's, if the passphrase opens it.

    Raises:
        MineExists: if there is one already.
        WrongPassphrase: if the passphrase is too short.
        SettingsError: if a setting is not valid.
    """
    from openmined.sonar import Wallet

    if (path / SETTINGS_FILE).exists():
        raise MineExists(f"{path} holds a mine already; choose another folder")
    if len(passphrase) < 8:
        raise WrongPassphrase("a passphrase of fewer than 8 characters is refused: choose a longer")
    for folder in (
        path,
        *(path / name for name in ("datasets", "cache", "releases", "outbox", "logs")),
    ):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    keystore = path / "wallet.json"
    if keystore.exists():
        wallet = Wallet.from_keystore(keystore, passphrase)
    else:
        wallet = Wallet.create(keystore, passphrase, cost=cost)
    factor = WORK_FACTOR if cost == "standard" else LIGHT_WORK_FACTOR
    identity, recipient = generate_identity()
    wrapped = wrap_with_passphrase(identity.encode(), passphrase, factor)
    write_private(path / "identity.age", wrapped)
    write_private(path / "recipient.txt", recipient.encode() + b"\n")
    (path / "ledger.sqlite").unlink(missing_ok=True)
    Ledger(path / "ledger.sqlite", create=True).close()
    (path / "ledger.sqlite").chmod(0o600)
    save_settings(path, settings)
    return MineFolder(path), Secrets(identity=identity, wallet=wallet)


def write_private(path: Path, data: bytes) -> None:
    """Write a file whole and atomically, readable by its owner only.

    Raises:
        DiskFull: if there is no room; what was there before stays.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise_if_full(error, path.parent)
        raise


def raise_if_full(error: OSError, folder: Path) -> None:
    """Turn "no space left" and "quota exceeded" into our own error.

    Raises:
        DiskFull: if it is one of these.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise DiskFull(
            f"the disk of {folder} is full: free some space; nothing is lost, and the mine goes "
            "on where it stood"
        ) from error


class FolderLock:
    """Keeps a folder to one mine: an exclusive transaction on lock.sqlite, held while it runs.

    The kernel lets go of it when the process ends, however it ends; every language with SQLite can
    take it, which `flock` does not give Node.js.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            MineLocked: if another process holds it.
        """
        self._about = folder / "running.json"
        (folder / "lock.sqlite").touch(mode=0o600)
        self._db = sqlite3.connect(
            folder / "lock.sqlite", timeout=_LOOKS_PASS_S, isolation_level=None
        )
        try:
            self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._db.close()
            raise MineLocked(
                f"{folder} is in use by another mine{_holder(self._about)}: stop that one first"
            ) from error
        about = {"pid": os.getpid(), "program": "openmined mine (Python)", "since": now_text()}
        write_private(self._about, json.dumps(about).encode())

    def release(self) -> None:
        """Let go of it."""
        self._about.unlink(missing_ok=True)
        self._db.close()

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_running(folder: Path) -> bool:
    """Tell whether a mine runs on the folder."""
    try:
        db = sqlite3.connect(folder / "lock.sqlite", timeout=0, isolation_level=None)
        # A reader's lock: two who look at the same time do not take each other for the mine.
        db.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.OperationalError:
        return True
    else:
        return False
    finally:
        db.close()


def _holder(about: Path) -> str:
    try:
        value = json.loads(about.read_bytes())
        return f" ({str(value['program'])[:60]}, process {int(value['pid'])})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def delete_tree(path: Path) -> None:
    """Delete a folder of ours; a link in its place is removed, never followed."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
