"""The seal: what opens it, what does not, and what never appears in the clear."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.unit.capsule.conftest import Sealed

from openmined.capsule import SealError, Unlock, WrongPassphrase, generate_key_file
from openmined.capsule._errors import FolderBusy, SettingsError
from openmined.capsule._files import only_one, read_secret_file, write_private
from openmined.capsule._folder import change_unlock, check_folder, open_wallet, read_identity
from openmined.capsule._keyring import Keyring, open_keyring, save_keyring


def test_a_passphrase_opens_what_it_sealed_and_another_does_not(tmp_path: Path) -> None:
    keyring = Keyring.generate()
    save_keyring(tmp_path, keyring, Unlock(passphrase="correct horse"))
    opened = open_keyring(tmp_path, Unlock(passphrase="correct horse"))
    assert opened.recipient == keyring.recipient
    assert opened.wallet_passphrase == keyring.wallet_passphrase
    with pytest.raises(WrongPassphrase, match="this passphrase does not open the Capsule"):
        open_keyring(tmp_path, Unlock(passphrase="battery staple"))


def test_a_key_file_opens_what_it_sealed_and_another_does_not(tmp_path: Path) -> None:
    generate_key_file(tmp_path / "key")
    generate_key_file(tmp_path / "other")
    keyring = Keyring.generate()
    save_keyring(tmp_path, keyring, Unlock.from_key_file(tmp_path / "key"))
    assert open_keyring(tmp_path, Unlock.from_key_file(tmp_path / "key")) is not None
    with pytest.raises(WrongPassphrase, match="this key file does not open"):
        open_keyring(tmp_path, Unlock.from_key_file(tmp_path / "other"))


def test_a_damaged_keyring_is_said_to_be_one(tmp_path: Path) -> None:
    unlock = Unlock(passphrase="x")
    (tmp_path / "keyring.age").write_bytes(unlock.wrap(b'{"format": "something else"}'))
    with pytest.raises(SealError, match="another format"):
        open_keyring(tmp_path, unlock)
    (tmp_path / "keyring.age").write_bytes(b"age-encryption.org/v1\n-> nonsense")
    with pytest.raises(SealError, match="damaged or cut short") as caught:
        open_keyring(tmp_path, unlock)
    assert not isinstance(caught.value, WrongPassphrase), "trying again does not help"
    with pytest.raises(SealError, match="openmined capsule init"):
        open_keyring(tmp_path / "nowhere", unlock)


def test_sealed_bytes_open_only_for_their_keyring() -> None:
    keyring = Keyring.generate()
    data = keyring.seal(b"weights")
    assert b"weights" not in data
    assert keyring.open(data, "it") == b"weights"
    with pytest.raises(SealError, match="it cannot be opened"):
        Keyring.generate().open(data, "it")
    with pytest.raises(SealError):
        keyring.open(data[:-1], "it")


def test_secret_files_must_be_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text("secret\n")
    path.chmod(0o644)
    with pytest.raises(SealError, match="chmod 600"):
        Unlock.from_passphrase_file(path)
    path.chmod(0o600)
    assert read_secret_file(path) == "secret"
    path.write_text("\n")
    with pytest.raises(SealError, match="is empty"):
        read_secret_file(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SealError, match="UTF-8"):
        read_secret_file(path)
    with pytest.raises(SealError, match="No such file"):
        read_secret_file(tmp_path / "missing")


def test_a_key_file_holds_one_identity(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, b"nothing here\n")
    with pytest.raises(SealError, match="holds 0 age identities"):
        Unlock.from_key_file(path)
    write_private(path, b"AGE-SECRET-KEY-1BROKEN\n")
    with pytest.raises(SealError, match="cannot be read"):
        Unlock.from_key_file(path)


def test_reprs_show_no_secret(sealed: Sealed) -> None:
    keyring = open_keyring(sealed.folder, sealed.unlock)
    identity = read_identity(sealed.folder, keyring)
    shown = repr(keyring) + repr(identity) + repr(sealed.unlock)
    assert "AGE-SECRET-KEY" not in shown
    assert keyring.wallet_passphrase not in shown
    assert "PRIVATE" not in shown


def test_every_file_of_a_new_folder_is_private_and_no_secret_is_in_the_clear(
    sealed: Sealed,
) -> None:
    keyring = open_keyring(sealed.folder, sealed.unlock)
    secrets = [str(keyring.identity).encode(), keyring.wallet_passphrase.encode(), b"PRIVATE KEY"]
    files = [path for path in sealed.folder.rglob("*") if path.is_file()]
    assert len(files) >= 7
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
        assert not any(secret in path.read_bytes() for secret in secrets), path.name
    assert stat.S_IMODE(sealed.folder.stat().st_mode) == 0o700
    assert open_wallet(sealed.folder, keyring).address == sealed.address


def test_an_open_folder_is_refused(sealed: Sealed) -> None:
    sealed.folder.chmod(0o755)
    with pytest.raises(SettingsError, match="chmod 700"):
        check_folder(sealed.folder)
    sealed.folder.chmod(0o700)
    (sealed.folder / "capsule.toml").chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        check_folder(sealed.folder)


def test_the_passphrase_can_be_changed(sealed: Sealed) -> None:
    new = Unlock(passphrase="new one")
    change_unlock(sealed.folder, sealed.unlock, new)
    with pytest.raises(WrongPassphrase):
        open_keyring(sealed.folder, sealed.unlock)
    keyring = open_keyring(sealed.folder, new)
    assert read_identity(sealed.folder, keyring).fingerprint == sealed.fingerprint


def test_one_folder_is_for_one_process(sealed: Sealed) -> None:
    with (
        only_one(sealed.folder),
        pytest.raises(FolderBusy, match="already works"),
        only_one(sealed.folder),
    ):
        raise AssertionError("the second got the lock")
    with only_one(sealed.folder):
        assert (sealed.folder / "lock").exists()
