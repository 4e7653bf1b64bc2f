"""The seal: every secret at rest is an age file to one X25519 identity, the keyring's.

The keyring itself is an age file under the operator's passphrase (scrypt), or to an age key file
of hers. Sealing needs only the public recipient; opening needs the unsealed keyring.
Source: https://age-encryption.org/v1; implementation pyrage (rage, in Rust).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pyrage  # type: ignore[import-untyped,unused-ignore]

from openmined.capsule._errors import SealError, WrongPassphrase
from openmined.capsule._files import read_secret_file, write_private

KEYRING_FILE = "keyring.age"
_FORMAT = "openmined/keyring@1"
_NOT_THIS_ONE = ("Decryption failed", "No matching keys found")
"""How age says that a passphrase, or a key, is not the right one."""


@dataclass(frozen=True)
class Keyring:
    """What unseals everything else. Its repr shows the public recipient only."""

    identity: pyrage.x25519.Identity = field(repr=False)
    wallet_passphrase: str = field(repr=False)

    @classmethod
    def generate(cls) -> Keyring:
        """Make a new keyring."""
        return cls(pyrage.x25519.Identity.generate(), secrets.token_urlsafe(32))

    @property
    def recipient(self) -> str:
        """The public half, `age1...`: whoever has it can seal for this Capsule."""
        return str(self.identity.to_public())

    def seal(self, data: bytes) -> bytes:
        """Encrypt bytes for this keyring."""
        return bytes(pyrage.encrypt(data, [self.identity.to_public()]))

    def seal_file(self, source: BinaryIO, target: BinaryIO) -> None:
        """Encrypt a file for this keyring, a piece at a time."""
        pyrage.encrypt_io(source, target, [self.identity.to_public()])

    def open_file(self, source: BinaryIO, target: BinaryIO, what: str) -> None:
        """Decrypt a file that `seal_file` or `seal` made.

        Raises:
            SealError: if it was changed, cut, or sealed for another keyring.
        """
        try:
            pyrage.decrypt_io(source, target, [self.identity])
        except (pyrage.DecryptError, OSError) as error:
            raise _not_ours(what) from error

    def open(self, data: bytes, what: str) -> bytes:
        """Decrypt bytes that `seal` made.

        Raises:
            SealError: if they were changed, cut, or sealed for another keyring.
        """
        try:
            return bytes(pyrage.decrypt(data, [self.identity]))
        except pyrage.DecryptError as error:
            raise _not_ours(what) from error


def _not_ours(what: str) -> SealError:
    return SealError(
        f"{what} cannot be opened with this Capsule's keyring: "
        "it is damaged or another Capsule's; restore it from a backup"
    )


class Unlock:
    """How the operator opens the keyring: a passphrase, or an age identity from a key file."""

    __slots__ = ("_key", "_passphrase")

    def __init__(
        self, passphrase: str | None = None, key: pyrage.x25519.Identity | None = None
    ) -> None:
        if (passphrase is None) == (key is None):
            raise SealError("give either a passphrase or a key file")
        if passphrase is not None and not passphrase:
            raise SealError("the passphrase is empty: choose one that is not")
        self._passphrase, self._key = passphrase, key

    @classmethod
    def from_passphrase_file(cls, path: Path) -> Unlock:
        """Read the passphrase from a file of mode 0600."""
        return cls(passphrase=read_secret_file(path))

    @classmethod
    def from_key_file(cls, path: Path) -> Unlock:
        """Read an age identity, as `age-keygen` writes it, from a file of mode 0600."""
        lines = [line.strip() for line in read_secret_file(path).splitlines()]
        keys = [line for line in lines if line.startswith("AGE-SECRET-KEY-1")]
        if len(keys) != 1:
            raise SealError(
                f"{path} holds {len(keys)} age identities, one is expected: make it with "
                "`age-keygen -o FILE`"
            )
        try:
            return cls(key=pyrage.x25519.Identity.from_str(keys[0]))
        except pyrage.IdentityError:
            raise SealError(f"{path} holds an age identity that cannot be read") from None

    def to_request(self) -> dict[str, str]:
        """Return this as the control socket carries it, inside this machine and user only."""
        if self._key is not None:
            return {"key": str(self._key)}
        assert self._passphrase is not None
        return {"passphrase": self._passphrase}

    @classmethod
    def from_request(cls, request: object) -> Unlock:
        """Read what `to_request` made.

        Raises:
            SealError: if it is something else.
        """
        if not isinstance(request, dict) or len(request) != 1:
            raise SealError("the request names neither a passphrase nor a key")
        passphrase, key = request.get("passphrase"), request.get("key")
        if isinstance(passphrase, str):
            return cls(passphrase=passphrase)
        try:
            return cls(key=pyrage.x25519.Identity.from_str(str(key)))
        except pyrage.IdentityError:
            raise SealError("the request's key is no age identity") from None

    def wrap(self, data: bytes) -> bytes:
        """Encrypt the keyring."""
        if self._key is not None:
            return bytes(pyrage.encrypt(data, [self._key.to_public()]))
        return bytes(pyrage.passphrase.encrypt(data, self._passphrase))

    def unwrap(self, data: bytes) -> bytes:
        """Decrypt the keyring.

        Raises:
            WrongPassphrase: if it does not open.
            SealError: if the bytes are damaged.
        """
        try:
            if self._key is not None:
                return bytes(pyrage.decrypt(data, [self._key]))
            return bytes(pyrage.passphrase.decrypt(data, self._passphrase))
        except pyrage.DecryptError as error:
            if str(error) not in _NOT_THIS_ONE:
                raise SealError(
                    f"it is no age file, or damaged or cut short ({error}): use a backup"
                ) from None
            what = "key file" if self._key is not None else "passphrase"
            raise WrongPassphrase(
                f"this {what} does not open the Capsule: try again "
                "(a lost one cannot be recovered, only a backup's can be used)"
            ) from None


def generate_key_file(path: Path) -> None:
    """Write a new age identity for unsealing, mode 0600, as `age-keygen` would."""
    identity = pyrage.x25519.Identity.generate()
    text = f"# public key: {identity.to_public()}\n{identity}\n"
    write_private(path, text.encode())


def save_keyring(folder: Path, keyring: Keyring, unlock: Unlock) -> None:
    """Write the keyring file of a folder."""
    document = {
        "format": _FORMAT,
        "identity": str(keyring.identity),
        "wallet_passphrase": keyring.wallet_passphrase,
    }
    write_private(folder / KEYRING_FILE, unlock.wrap(json.dumps(document).encode()))


def open_keyring(folder: Path, unlock: Unlock) -> Keyring:
    """Unseal a folder.

    Raises:
        WrongPassphrase: if passphrase or key file is not the right one.
        SealError: if the keyring is missing or damaged.
    """
    path = folder / KEYRING_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SealError(
            f"{folder} holds no Capsule ({path.name}: {error.strerror}): "
            "make one with `openmined capsule init`"
        ) from error
    opened = unlock.unwrap(data)
    try:
        document = json.loads(opened)
        if document["format"] != _FORMAT:
            raise SealError(f"{path} is of another format than {_FORMAT!r}")
        identity = pyrage.x25519.Identity.from_str(document["identity"])
        return Keyring(identity, document["wallet_passphrase"])
    except (ValueError, KeyError, TypeError, pyrage.IdentityError):
        raise SealError(f"{path} opens, but what is in it cannot be read") from None
