"""Files at rest: age (https://age-encryption.org/v1), by pyrage.

A mine has one X25519 identity. Everything of the owner's is encrypted to it; the identity itself is
encrypted under the passphrase. Any age tool reads both, so that no owner depends on this software:

    age --decrypt identity.age > key.txt && age --decrypt -i key.txt datasets/x/part-0001.arrow.age
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from openmined.mine._errors import DatasetDamaged, WrongPassphrase

if TYPE_CHECKING:
    from pyrage.x25519 import Identity  # type: ignore[import-untyped]

WORK_FACTOR = 18
"""log2 of scrypt's N, age's own default: about a second and 256 MB a guess."""

LIGHT_WORK_FACTOR = 12
"""For devnets whose passphrases protect play money: ten mines start at once on two cores."""

_LABEL = b"age-encryption.org/v1/scrypt"


def generate_identity() -> tuple[str, str]:
    """Return a new identity (`AGE-SECRET-KEY-1...`) and its recipient (`age1...`)."""
    from pyrage import x25519  # type: ignore[import-untyped]

    identity = x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def parse_identity(text: str) -> Identity:
    """Read an identity from its text."""
    from pyrage import x25519

    return x25519.Identity.from_str(text.strip())


def wrap_with_passphrase(data: bytes, passphrase: str, work_factor: int = WORK_FACTOR) -> bytes:
    """Encrypt a short text under a passphrase, as age does, with a stated work factor.

    pyrage can only tune the factor by its own clock, and so writes weaker files on a busy machine;
    this fixes it. Source: https://c2sp.org/age, "The scrypt recipient type" and "Payload".
    """
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    if len(data) > 1 << 16:
        raise ValueError(f"{len(data)} bytes are more than one chunk: only identities go here")
    file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    wrapping = hashlib.scrypt(
        passphrase.encode(),
        salt=_LABEL + salt,
        n=1 << work_factor,
        r=8,
        p=1,
        maxmem=(1 << (work_factor + 10)) + (1 << 22),
        dklen=32,
    )
    body = ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None)
    header = (
        f"age-encryption.org/v1\n-> scrypt {_base64(salt)} {work_factor}\n{_base64(body)}\n---"
    ).encode()
    tag = hmac.digest(_hkdf(file_key, b"", b"header"), header, "sha256")
    last_chunk = bytes(11) + b"\x01"
    payload = ChaCha20Poly1305(_hkdf(file_key, nonce, b"payload")).encrypt(last_chunk, data, None)
    return header + b" " + _base64(tag).encode() + b"\n" + nonce + payload


def unwrap_with_passphrase(data: bytes, passphrase: str) -> bytes:
    """Decrypt what `wrap_with_passphrase` or `age --passphrase` wrote.

    Raises:
        WrongPassphrase: if the passphrase does not open it, or the file is damaged.
    """
    import pyrage

    try:
        return bytes(pyrage.passphrase.decrypt(data, passphrase))
    except pyrage.DecryptError as error:
        raise WrongPassphrase(
            "the passphrase does not open the mine's identity: type it again, "
            "or restore identity.age from a backup if the file is damaged"
        ) from error


def encrypt_bytes(data: bytes, recipient: str) -> bytes:
    """Encrypt bytes to the mine's recipient."""
    import pyrage

    return bytes(pyrage.encrypt(data, [pyrage.x25519.Recipient.from_str(recipient)]))


def decrypt_bytes(data: bytes, identity: str, what: str) -> bytes:
    """Decrypt bytes of the mine's own.

    Raises:
        DatasetDamaged: if they were changed, cut short, or are not for this identity.
    """
    import pyrage

    try:
        return bytes(pyrage.decrypt(data, [parse_identity(identity)]))
    except pyrage.DecryptError as error:
        raise DatasetDamaged(f"{what} cannot be decrypted: restore it from a backup") from error


@contextmanager
def encrypting(path: Path, recipient: str) -> Iterator[BinaryIO]:
    """Open a stream whose bytes reach the new file `path` encrypted, never a disk in the clear."""
    import pyrage

    to = [pyrage.x25519.Recipient.from_str(recipient)]
    read_end, write_end = os.pipe()
    with path.open("xb") as sink:

        def pump() -> None:
            with os.fdopen(read_end, "rb") as source:
                pyrage.encrypt_io(source, sink, to)

        with _beside(pump, "age-encrypt"), os.fdopen(write_end, "wb") as stream:
            yield stream
        sink.flush()
        os.fsync(sink.fileno())


@contextmanager
def decrypting(path: Path, identity: str) -> Iterator[BinaryIO]:
    """Open an encrypted file as a stream of its plaintext, a chunk at a time.

    Raises:
        DatasetDamaged: if it was changed or cut short (age authenticates every chunk).
    """
    import pyrage

    key = parse_identity(identity)
    with path.open("rb") as source:
        read_end, write_end = os.pipe()

        def pump() -> None:
            try:
                with os.fdopen(write_end, "wb") as sink:
                    pyrage.decrypt_io(source, sink, [key])
            except BrokenPipeError:
                raise
            except (pyrage.DecryptError, OSError) as error:
                place = f"{path.name} in {path.parent.name}"
                raise DatasetDamaged(
                    f"{place} cannot be decrypted: restore it from a backup"
                ) from error

        with _beside(pump, "age-decrypt"), os.fdopen(read_end, "rb") as stream:
            yield stream


@contextmanager
def _beside(work: Callable[[], None], name: str) -> Iterator[None]:
    """Run `work` in a thread beside the body; what it failed of comes first, for it explains."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            work()
        except BrokenPipeError:
            pass  # the body wanted no more
        except Exception as error:  # noqa: BLE001  (raised again below, in the caller's thread)
            failures.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    except Exception as error:
        thread.join()
        if failures:
            raise failures[0] from error
        raise
    thread.join()
    if failures:
        raise failures[0]


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)


def _base64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")
