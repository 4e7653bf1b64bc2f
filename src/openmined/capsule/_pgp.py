"""OpenPGP: Capsule's identity, sealing to others, opening what was sealed to it.

Certificates are of version 4 (RFC 4880, Curve25519), because GnuPG 2.2 and 2.4 read no others;
the data scientist may bring any that Sequoia reads. Implementation: Sequoia, by pysequoia.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pysequoia
from pysequoia import Cert, CipherSuite, Profile, Tsk

from openmined.capsule._errors import PgpError

MAX_CERTIFICATE_BYTES = 64 * 1024
_BEGIN = b"-----BEGIN PGP PRIVATE KEY BLOCK-----"
_ZBASE32 = "ybndrfg8ejkmcpqxot1uwisza345h769"


@dataclass(frozen=True)
class Identity:
    """An OpenPGP key pair with its history: retired keys still open, only the newest signs.

    Its repr shows the public fingerprint only.
    """

    secret: Tsk = field(repr=False)
    retired: tuple[Tsk, ...] = field(default=(), repr=False)

    @classmethod
    def generate(cls, user_id: str) -> Identity:
        """Make a new identity.

        Args:
            user_id: name and address, `Capsule of X <capsule@example.org>`.
        """
        return cls(_generate(user_id))

    @property
    def certificate(self) -> Cert:
        """The public certificate of the key in use."""
        return self.secret.extract_certificate()

    @property
    def armored(self) -> str:
        """The public certificate in ASCII armour, as manifests carry it."""
        return str(self.certificate)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the key in use, lower-case hexadecimal."""
        return str(self.certificate.fingerprint)

    def rotated(self, user_id: str) -> Identity:
        """Return an identity with a new key, the present one retired."""
        return Identity(_generate(user_id), (self.secret, *self.retired))

    def revocation(self) -> bytes:
        """Return a revocation of the key in use, to be published when it is lost or stolen."""
        return bytes(self.certificate.revoke(self.secret.certifier()))

    def revoked_certificates(self) -> tuple[str, ...]:
        """Return the retired keys' certificates, each with its revocation, in ASCII armour."""
        return tuple(_revoked(old) for old in self.retired)

    def open(self, message: bytes) -> bytes:
        """Decrypt a message sealed to this identity, or to a key it retired.

        Hostile messages may take much memory and time: call it in a limited child process.

        Raises:
            PgpError: if it is no OpenPGP message, damaged, or sealed to someone else.
        """
        for key in (self.secret, *self.retired):
            try:
                opened = pysequoia.decrypt(message, decryptor=key.decryptor()).bytes
            except Exception as error:  # noqa: BLE001 -- pysequoia raises its own untyped errors
                last = error
                continue
            if opened is not None:
                return bytes(opened)
        raise PgpError(f"the message does not open with this Capsule's key: {_cause(last)}")

    def seal_to(self, certificate: Cert, data: bytes) -> bytes:
        """Encrypt data to a certificate and sign it with this identity; binary, not armoured.

        Raises:
            PgpError: if the certificate cannot receive.
        """
        try:
            return bytes(
                pysequoia.encrypt(
                    data, recipients=[certificate], signer=self.secret.signer(), armor=False
                )
            )
        except Exception as error:  # noqa: BLE001 -- pysequoia raises its own untyped errors
            raise PgpError(
                f"nothing can be encrypted to the certificate: {_cause(error)}"
            ) from None

    def to_bytes(self) -> bytes:
        """Return the secret keys, newest first, in ASCII armour: `gpg --import` reads them too."""
        return "\n".join(str(key) for key in (self.secret, *self.retired)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Identity:
        """Read what `to_bytes` wrote.

        Raises:
            PgpError: if these are no secret keys.
        """
        blocks = data.split(_BEGIN)[1:]
        try:
            keys = tuple(Tsk.from_bytes(_BEGIN + block) for block in blocks)
        except Exception as error:  # noqa: BLE001 -- pysequoia raises its own untyped errors
            raise PgpError(f"the identity cannot be read: {_cause(error)}") from None
        if not keys:
            raise PgpError("the identity holds no secret key: restore it from a backup")
        return cls(keys[0], keys[1:])


def parse_certificate(text: str | bytes, *, until: datetime | None = None) -> Cert:
    """Read a foreign certificate and make sure that something can be encrypted to it.

    Args:
        text: armoured or binary.
        until: when it must still be valid; now, if not given.

    Raises:
        PgpError: if it is none, is revoked, expired or not valid yet, or cannot receive.
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise PgpError(f"a certificate of {len(data)} bytes is above {MAX_CERTIFICATE_BYTES}")
    try:
        certificate = Cert.from_bytes(data)
    except Exception as error:  # noqa: BLE001 -- pysequoia raises its own untyped errors
        raise PgpError(f"no OpenPGP certificate: {_cause(error)}") from None
    try:
        revoked, expiration = certificate.is_revoked, certificate.expiration
    except Exception as error:  # noqa: BLE001 -- pysequoia raises its own untyped errors
        # Without the time that the cause ends with: who waits says one thing once.
        cause = _cause(error).partition(" at time ")[0]
        raise PgpError(f"it is not valid now: {cause} ({certificate.fingerprint})") from None
    if revoked:
        raise PgpError(f"it is revoked ({certificate.fingerprint})")
    if expiration is not None and expiration <= (until or datetime.now(UTC)):
        wanted = f", {until:%Y-%m-%d} or later is needed" if until else ""
        raise PgpError(f"it expires on {expiration:%Y-%m-%d}{wanted} ({certificate.fingerprint})")
    try:
        pysequoia.encrypt(b"", recipients=[certificate], armor=False)
    except Exception as error:  # noqa: BLE001 -- pysequoia raises its own untyped errors
        raise PgpError(f"the certificate cannot receive messages: {_cause(error)}") from None
    return certificate


def open_and_verify(message: bytes, secret: Tsk, signer: Cert) -> bytes:
    """Decrypt a message and demand a valid signature of `signer`: what a data scientist does.

    Raises:
        PgpError: if it does not open, or is not signed by `signer`.
    """

    def known(_ids: Any) -> list[Cert]:
        return [signer]

    try:
        opened = pysequoia.decrypt(message, decryptor=secret.decryptor(), store=known)
    except Exception as error:  # noqa: BLE001 -- pysequoia raises its own untyped errors
        raise PgpError(f"the message does not open: {_cause(error)}") from None
    signers = {str(sig.certificate) for sig in opened.valid_sigs}
    if str(signer.fingerprint) not in signers or opened.bytes is None:
        raise PgpError(f"the message is not signed by {signer.fingerprint}")
    return bytes(opened.bytes)


def wkd_hash(local_part: str) -> str:
    """Return the Web Key Directory name of a mail address's local part.

    z-base-32 of the sha1 of the lower-cased local part; source: draft-koch-openpgp-webkey-service,
    section 3.1.
    """
    number = int.from_bytes(hashlib.sha1(local_part.lower().encode()).digest())  # noqa: S324 -- fixed by the draft
    return "".join(_ZBASE32[number >> shift & 31] for shift in range(155, -1, -5))


def _generate(user_id: str) -> Tsk:
    return Tsk.generate(user_id=user_id, profile=Profile.RFC4880, cipher_suite=CipherSuite.Cv25519)


def _revoked(key: Tsk) -> str:
    certificate = key.extract_certificate()
    return str(Cert.from_bytes(bytes(certificate) + bytes(certificate.revoke(key.certifier()))))


def _cause(error: BaseException) -> str:
    # Sequoia's texts are one cause a line; the first says enough, and bytes never appear in it.
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
