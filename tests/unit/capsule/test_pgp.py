"""OpenPGP, with the real GnuPG and Sequoia `sq` of this machine on the other side."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pysequoia
import pytest

from openmined.capsule import Identity, PgpError, open_and_verify, parse_certificate
from openmined.capsule._pgp import wkd_hash

USER = "Capsule <capsule@example.org>"
MODEL = os.urandom(100_000)
FROM_2099 = Path(__file__).parents[2] / "vectors" / "certificates" / "from-2099.asc"


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.generate(USER)


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install gnupg sq")
    return found


@pytest.fixture
def gpg(tmp_path: Path) -> Iterator[Callable[..., bytes]]:
    binary = program("gpg")
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)

    def run(*arguments: str, data: bytes = b"") -> bytes:
        command = [binary, "--homedir", str(home), "--batch", "--quiet", "--trust-model", "always"]
        done = subprocess.run(
            [*command, "--pinentry-mode", "loopback", "--passphrase", "", *arguments],
            input=data,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    yield run
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def test_what_is_sealed_to_it_opens_and_nothing_else(identity: Identity) -> None:
    sealed = pysequoia.encrypt(MODEL, recipients=[identity.certificate], armor=False)
    assert identity.open(sealed) == MODEL
    foreign = pysequoia.encrypt(MODEL, recipients=[Identity.generate("x").certificate], armor=False)
    with pytest.raises(PgpError, match="does not open with this Capsule's key"):
        identity.open(foreign)
    for damaged in (b"", b"garbage", sealed[: len(sealed) // 2], sealed[:-20] + os.urandom(20)):
        with pytest.raises(PgpError):
            identity.open(damaged)


def test_a_rotated_identity_still_opens_what_was_sealed_to_the_old_key(identity: Identity) -> None:
    sealed = pysequoia.encrypt(MODEL, recipients=[identity.certificate], armor=False)
    rotated = identity.rotated(USER)
    assert rotated.fingerprint != identity.fingerprint
    again = Identity.from_bytes(rotated.to_bytes())
    assert again.open(sealed) == MODEL
    (old,) = again.revoked_certificates()
    with pytest.raises(PgpError, match="is revoked"):
        parse_certificate(old)
    parse_certificate(again.armored)


def test_the_revocation_revokes(identity: Identity) -> None:
    both = bytes(identity.certificate) + identity.revocation()
    assert pysequoia.Cert.from_bytes(both).is_revoked


def test_a_delivery_must_be_signed_by_the_capsule(identity: Identity) -> None:
    scientist = pysequoia.Tsk.generate(user_id="data scientist")
    sealed = identity.seal_to(scientist.extract_certificate(), MODEL)
    assert open_and_verify(sealed, scientist, identity.certificate) == MODEL
    impostor = Identity.generate(USER)
    with pytest.raises(PgpError):
        open_and_verify(sealed, scientist, impostor.certificate)
    unsigned = pysequoia.encrypt(MODEL, recipients=[scientist.extract_certificate()], armor=False)
    with pytest.raises(PgpError):
        open_and_verify(unsigned, scientist, identity.certificate)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnonsense\n", "no OpenPGP certificate"),
        ("x" * 70_000, "above 65536"),
        ("", "no OpenPGP certificate"),
    ],
)
def test_bad_certificates_are_refused(text: str, why: str) -> None:
    with pytest.raises(PgpError, match=why):
        parse_certificate(text)


def test_a_certificate_from_a_time_to_come_is_refused() -> None:
    # By `gpg --faked-system-time 20990101T000000!`: ed25519, and a cv25519 subkey.
    with pytest.raises(PgpError, match=r"not valid now: No binding signature .68353e"):
        parse_certificate(FROM_2099.read_text())


def test_an_expired_certificate_is_refused() -> None:
    expired = pysequoia.Tsk.generate(user_id="x", validity_seconds=1)
    certificate = expired.extract_certificate()
    assert certificate.expiration is not None
    text = str(certificate)
    until = certificate.expiration
    from openmined.capsule import _pgp

    class Later(_pgp.datetime):  # the clock, two seconds on
        @classmethod
        def now(cls, tz=None):  # type: ignore[no-untyped-def]
            return until

    original, _pgp.datetime = _pgp.datetime, Later
    try:
        with pytest.raises(PgpError, match="expires on"):
            parse_certificate(text)
    finally:
        _pgp.datetime = original


def test_gnupg_imports_the_certificate_and_seals_to_it(
    identity: Identity, gpg: Callable[..., bytes]
) -> None:
    gpg("--import", data=identity.armored.encode())
    listed = gpg("--with-colons", "--list-keys").decode()
    assert identity.fingerprint.upper() in listed
    sealed = gpg("--encrypt", "--recipient", identity.fingerprint, data=MODEL)
    assert identity.open(sealed) == MODEL


@pytest.mark.parametrize("kind", ["rsa3072", "future-default"])
def test_a_gnupg_user_decrypts_and_verifies_her_delivery(
    identity: Identity, gpg: Callable[..., bytes], tmp_path: Path, kind: str
) -> None:
    gpg("--quick-generate-key", "data scientist <ds@example.org>", kind, "default", "never")
    if kind == "rsa3072":
        listed = gpg("--with-colons", "--list-keys").decode().splitlines()
        fingerprint = next(line for line in listed if line.startswith("fpr:")).split(":")[9]
        gpg("--quick-add-key", fingerprint, "rsa3072", "encr", "never")
    certificate = parse_certificate(gpg("--armor", "--export").decode())
    gpg("--import", data=identity.armored.encode())
    sealed = identity.seal_to(certificate, MODEL)
    status = tmp_path / "status"
    assert gpg("--status-file", str(status), "--decrypt", data=sealed) == MODEL
    said = status.read_text(errors="replace")
    assert "[GNUPG:] GOODSIG " in said
    assert f"[GNUPG:] VALIDSIG {signing_fingerprints(said)[0]}" in said
    assert identity.fingerprint.upper() in said


def signing_fingerprints(status: str) -> list[str]:
    return [line.split()[2] for line in status.splitlines() if " VALIDSIG " in line]


def test_a_sequoia_user_decrypts_and_verifies_her_delivery(
    identity: Identity, tmp_path: Path
) -> None:
    sq = program("sq")

    def run(*arguments: str) -> None:
        done = subprocess.run([sq, *arguments], capture_output=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    run("key", "generate", "--userid", "data scientist", "--export", "secret.pgp")
    run("key", "extract-cert", "--output", "certificate.pgp", "secret.pgp")
    certificate = parse_certificate((tmp_path / "certificate.pgp").read_text())
    (tmp_path / "capsule.pgp").write_text(identity.armored)
    (tmp_path / "delivery.pgp").write_bytes(identity.seal_to(certificate, MODEL))
    # Debian 12 has sq 0.27, Debian 13 sq 1.3: the same command under other option names.
    old = (
        "--recipient-key"
        in subprocess.run(
            [sq, "decrypt", "--help"], capture_output=True, check=True, text=True
        ).stdout
    )
    secret, signer = (
        ("--recipient-key", "--signer-cert") if old else ("--recipient-file", "--signer-file")
    )
    decrypt = ["decrypt", secret, "secret.pgp", signer, "capsule.pgp"]
    run(*decrypt, "--signatures", "1", "--output", "model", "delivery.pgp")
    assert (tmp_path / "model").read_bytes() == MODEL
    # Not without the Capsule's signature.
    other = Identity.generate("someone else")
    (tmp_path / "delivery.pgp").write_bytes(other.seal_to(certificate, MODEL))
    with pytest.raises(AssertionError):
        run(*decrypt, "--signatures", "1", "--output", "forged", "delivery.pgp")


def test_web_key_directory_names() -> None:
    # The draft's own example.
    assert wkd_hash("Joe.Doe") == "iy9q119eutrkn8s1mk4r39qejnbu3n5q"
