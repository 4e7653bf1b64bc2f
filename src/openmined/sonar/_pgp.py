"""OpenPGP for the data scientist: her key, sealing to Capsule, opening what Capsule delivered.

Her secret key stands in a file sealed with a passphrase by age; an OpenPGP secret key exported by
other software (GnuPG) is read too.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Self

import pysequoia
from pysequoia import Cert, CipherSuite, Profile, Tsk

from openmined.sonar._errors import DeliveryRefused, KeystoreError, SonarError, WrongPassphrase
from openmined.sonar._wallet import write_private

MAX_CERTIFICATE_BYTES = 64 << 10
_MAX_KEY_BYTES = 1 << 20
_AGE = b"age-encryption.org/v1"
_OPEN_MEMORY_MB = 2048
_OPEN_SECONDS = 120.0
_UNSIGNED = b"-the delivered message is not signed by the campaign's Capsule: do not use it"


class PgpKey:
    """A data scientist's OpenPGP key: the final model is encrypted to it.

    Keep the file and its passphrase: without them a delivered model cannot be read, by anybody.
    """

    def __init__(self, secret: Tsk, password: str | None = None) -> None:
        """Hold a secret key. Applications use `create`, `load` or `open_or_create`."""
        self._secret = secret
        self._password = password
        self._certificate = secret.extract_certificate()

    @classmethod
    def create(
        cls, path: Path | str, passphrase: str, user_id: str = "OpenMined data scientist"
    ) -> Self:
        """Make a new key and write it, sealed with the passphrase. No file is overwritten.

        Raises:
            KeystoreError: if the file exists, or cannot be written.
        """
        import pyrage  # type: ignore[import-untyped]

        if not passphrase:
            raise KeystoreError("a PGP key needs a passphrase that is not empty")
        # Version 4 with Curve25519: GnuPG reads no newer ones.
        secret = Tsk.generate(
            user_id=user_id, profile=Profile.RFC4880, cipher_suite=CipherSuite.Cv25519
        )
        write_private(Path(path), pyrage.passphrase.encrypt(bytes(secret), passphrase))
        return cls(secret)

    @classmethod
    def load(cls, path: Path | str, passphrase: str | None = None) -> Self:
        """Read a key that `create` wrote, or an OpenPGP secret key of other software.

        Raises:
            KeystoreError: if the file is missing, readable by others, or holds no secret key.
            WrongPassphrase: if the passphrase does not open it.
        """
        path = Path(path)
        data = _read_private(path)
        password = passphrase
        if data.startswith(_AGE):
            data, password = _unseal(data, passphrase or "", path), None
        try:
            key = cls(Tsk.from_bytes(data), password)
            key._decryptor()
        except KeystoreError:
            raise
        except Exception as error:
            raise KeystoreError(f"{path} holds no usable OpenPGP secret key") from error
        return key

    @classmethod
    def open_or_create(cls, path: Path | str, passphrase: str) -> Self:
        """Read the key in a file, or make one there if there is none."""
        path = Path(path)
        return cls.load(path, passphrase) if path.exists() else cls.create(path, passphrase)

    @property
    def certificate(self) -> str:
        """The public certificate in ASCII armour."""
        return str(self._certificate)

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint, lower-case hexadecimal."""
        return str(self._certificate.fingerprint).lower()

    def __repr__(self) -> str:
        return f"PgpKey({self.fingerprint})"

    def open_signed(self, message: bytes, signer: str) -> bytes:
        """Decrypt a message and demand a valid signature by the certificate `signer`.

        Done in a child process of limited time and memory: what a stranger sends may expand.

        Raises:
            DeliveryRefused: if it does not open with this key, or is not signed by `signer`.
        """
        from openmined.syft import LimitError, run_limited

        certificate = parse_certificate(signer)
        try:
            answer = run_limited(
                _open,
                message,
                self._decryptor(),
                certificate,
                memory_mb=_OPEN_MEMORY_MB,
                seconds=_OPEN_SECONDS,
            )
        except LimitError as error:
            raise DeliveryRefused(f"opening the delivered message fails: {error}") from error
        if not answer.startswith(b"+"):
            raise DeliveryRefused(answer[1:].decode())
        return answer[1:]

    def _decryptor(self) -> Any:
        try:
            return self._secret.decryptor(self._password)
        except Exception as error:
            raise WrongPassphrase("this passphrase does not open the OpenPGP key") from error


def parse_certificate(text: str) -> Cert:
    """Read a certificate that something can be encrypted to.

    Raises:
        SonarError: if it is none, is revoked, or cannot receive.
    """
    if len(text) > MAX_CERTIFICATE_BYTES:
        raise SonarError("a certificate above 64 KiB is refused")
    try:
        certificate = Cert.from_bytes(text.encode())
        revoked = certificate.is_revoked
        pysequoia.encrypt(b"", recipients=[certificate], armor=False)
    except Exception as error:
        raise SonarError(
            "this is no OpenPGP certificate that can receive messages (none at all, or expired): "
            "ask its owner for a new one"
        ) from error
    if revoked:
        raise SonarError(f"certificate {certificate.fingerprint} is revoked: ask for the new one")
    return certificate


def seal(data: bytes, certificate: str) -> bytes:
    """Encrypt to a certificate; binary, not armoured."""
    recipient = parse_certificate(certificate)
    return bytes(pysequoia.encrypt(data, recipients=[recipient], armor=False))


def _open(message: bytes, decryptor: Any, signer: Cert) -> bytes:
    try:
        opened = pysequoia.decrypt(message, decryptor=decryptor, store=lambda _ids: [signer])
    except Exception:  # noqa: BLE001 - pysequoia's own errors have no common class
        return _why_closed(message, decryptor)
    signers = {str(signature.certificate).lower() for signature in opened.valid_sigs}
    if str(signer.fingerprint).lower() not in signers or opened.bytes is None:
        return _UNSIGNED
    return b"+" + bytes(opened.bytes)


def _why_closed(message: bytes, decryptor: Any) -> bytes:
    # Without a store of certificates no signature is checked: does it open at all?
    try:
        pysequoia.decrypt(message, decryptor=decryptor)
    except Exception:  # noqa: BLE001 - pysequoia's own errors have no common class
        return (
            b"-the delivered message does not open with this PGP key: "
            b"use the key whose certificate the campaign names"
        )
    return _UNSIGNED


def _unseal(data: bytes, passphrase: str, path: Path) -> bytes:
    import pyrage

    try:
        return bytes(pyrage.passphrase.decrypt(data, passphrase))
    except pyrage.DecryptError as error:
        raise WrongPassphrase(f"this passphrase does not open {path}: try again") from error


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_KEY_BYTES + 1)
    except OSError as error:
        raise KeystoreError(f"no PGP key can be read at {path}: {error.strerror}") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeystoreError(
            f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}): run `chmod 600` on it"
        )
    if len(data) > _MAX_KEY_BYTES:
        raise KeystoreError(f"{path} is too large for a PGP key")
    return data
