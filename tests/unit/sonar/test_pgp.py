from __future__ import annotations

import stat
from pathlib import Path

import pysequoia
import pytest
from pysequoia import Cert
from tests.unit.sonar.played import generate_pgp

from openmined.sonar import DeliveryRefused, KeystoreError, PgpKey, WrongPassphrase

PASSPHRASE = "correct horse battery staple"


def test_a_key_is_sealed_and_opens_again(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "me.pgp"
    made = PgpKey.open_or_create(path, PASSPHRASE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"age-encryption.org/v1")
    again = PgpKey.open_or_create(path, PASSPHRASE)
    assert again.fingerprint == made.fingerprint
    assert made.certificate.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    assert repr(made) == f"PgpKey({made.fingerprint})"
    with pytest.raises(WrongPassphrase) as caught:
        PgpKey.load(path, "wrong " + PASSPHRASE)
    assert PASSPHRASE not in str(caught.value)
    with pytest.raises(KeystoreError, match="never overwritten"):
        PgpKey.create(path, PASSPHRASE)


def test_a_key_of_other_software_is_read(tmp_path: Path) -> None:
    path = tmp_path / "exported.pgp"
    secret = generate_pgp("Other software")
    path.write_bytes(bytes(secret))
    path.chmod(0o600)
    assert PgpKey.load(path).fingerprint == str(secret.extract_certificate().fingerprint).lower()


def test_files_that_are_no_private_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(KeystoreError, match="no PGP key can be read"):
        PgpKey.load(path)
    path.write_bytes(b"nonsense")
    path.chmod(0o644)
    with pytest.raises(KeystoreError, match="chmod 600"):
        PgpKey.load(path)
    path.chmod(0o600)
    with pytest.raises(KeystoreError, match="no usable OpenPGP secret key"):
        PgpKey.load(path)
    path.write_bytes(str(generate_pgp("x").extract_certificate()).encode())
    with pytest.raises(KeystoreError, match="no usable OpenPGP secret key"):
        PgpKey.load(path)
    with pytest.raises(KeystoreError, match="not empty"):
        PgpKey.create(tmp_path / "other", "")


def test_only_signed_messages_open() -> None:
    key, capsule = PgpKey(generate_pgp("me")), generate_pgp("Capsule")
    signer = str(capsule.extract_certificate())
    mine = Cert.from_bytes(key.certificate.encode())

    def seal(**options: object) -> bytes:
        return bytes(pysequoia.encrypt(b"model", recipients=[mine], armor=False, **options))

    assert key.open_signed(seal(signer=capsule.signer()), signer) == b"model"
    for message in (seal(), seal(signer=generate_pgp("Stranger").signer())):
        with pytest.raises(DeliveryRefused, match="not signed by the campaign's Capsule"):
            key.open_signed(message, signer)
    tampered = bytearray(seal(signer=capsule.signer()))
    tampered[-20] ^= 1
    with pytest.raises(DeliveryRefused):
        key.open_signed(bytes(tampered), signer)
