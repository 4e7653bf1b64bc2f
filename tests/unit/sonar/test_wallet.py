from __future__ import annotations

import json
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest

from openmined.sonar import (
    KeystoreError,
    Wallet,
    WalletError,
    WrongPassphrase,
    devnet_wallet,
    keystore_address,
)

PASSPHRASE = "correct horse battery staple"

# The test vectors of the Web3 Secret Storage definition, version 3. The one for scrypt has
# N >= 2**(16 r), which RFC 7914 forbids and OpenSSL refuses; real keystores have r = 8.
PUBLISHED = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
PUBLISHED_PBKDF2 = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
PUBLISHED_KEY = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"


def write(path: Path, document: Any, mode: int = 0o600) -> Path:
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    path.chmod(mode)
    return path


def test_a_keystore_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key.json"
    wallet = Wallet.create(path, PASSPHRASE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    assert Wallet.from_keystore(path, PASSPHRASE).address == wallet.address
    assert keystore_address(path) == wallet.address
    assert json.loads(path.read_text())["crypto"]["kdfparams"]["n"] == 2**17
    with pytest.raises(WrongPassphrase) as caught:
        Wallet.from_keystore(path, PASSPHRASE + " ")
    assert PASSPHRASE not in str(caught.value)
    assert [one.name for one in path.parent.iterdir()] == ["key.json"]


def test_the_published_vector_opens(tmp_path: Path) -> None:
    path = write(tmp_path / "key.json", PUBLISHED_PBKDF2)
    wallet = Wallet.from_keystore(path, "testpassword")
    assert wallet.address == Wallet(bytes.fromhex(PUBLISHED_KEY)).address


def test_eth_account_reads_ours_and_we_read_its(tmp_path: Path) -> None:
    from eth_account import Account

    path = tmp_path / "ours.json"
    wallet = Wallet.create(path, PASSPHRASE, cost="light")
    key = Account.decrypt(json.loads(path.read_text()), PASSPHRASE)
    assert Account.from_key(key).address == wallet.address

    theirs = write(tmp_path / "theirs.json", Account.encrypt(key, PASSPHRASE, iterations=4096))
    assert Wallet.from_keystore(theirs, PASSPHRASE).address == wallet.address


def test_signatures_are_those_of_eth_account() -> None:
    from eth_account import Account

    key = bytes(range(1, 33))
    for to, data, value in ((bytes(range(20)), b"\0\1", 5), (b"", b"\x60\0", 0)):
        raw, hash_ = Wallet(key).sign_transaction(
            {
                "chain_id": 31337,
                "nonce": 7,
                "max_priority_fee": 10**9,
                "max_fee": 3 * 10**9,
                "gas": 21_000,
                "to": to,
                "value": value,
                "data": data,
            }
        )
        expected = Account.from_key(key).sign_transaction(
            {
                "type": 2,
                "chainId": 31337,
                "nonce": 7,
                "maxPriorityFeePerGas": 10**9,
                "maxFeePerGas": 3 * 10**9,
                "gas": 21_000,
                "to": to,
                "value": value,
                "data": data,
            }
        )
        assert raw == bytes(expected.raw_transaction)
        assert bytes.fromhex(hash_[2:]) == bytes(expected.hash)


def test_typed_data_is_signed_as_eth_account_does() -> None:
    from eth_account import Account

    key = bytes(range(1, 33))
    document = {
        "types": {
            "EIP712Domain": [{"name": "name", "type": "string"}],
            "Report": [{"name": "count", "type": "uint256"}],
        },
        "primaryType": "Report",
        "domain": {"name": "openmined"},
        "message": {"count": 17},
    }
    expected = Account.from_key(key).sign_typed_data(full_message=document).signature
    assert Wallet(key).sign_typed_data(document) == "0x" + bytes(expected).hex()


def test_devnet_accounts_are_anvils() -> None:
    # As anvil prints them.
    assert devnet_wallet(0).address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert devnet_wallet(9).address == "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
    assert devnet_wallet(0).devnet
    assert not Wallet(b"\1" * 32).devnet


def test_a_wallet_shows_no_key() -> None:
    wallet = Wallet(bytes.fromhex(PUBLISHED_KEY))
    assert repr(wallet) == f"Wallet({wallet.address})"
    with pytest.raises(WalletError, match="not pickled"):
        pickle.dumps(wallet)
    with pytest.raises(AttributeError):
        wallet.__dict__  # noqa: B018


@pytest.mark.parametrize("key", [b"", bytes(32), b"\xff" * 32, b"\1" * 31])
def test_what_is_no_key(key: bytes) -> None:
    with pytest.raises(WalletError, match="32 bytes"):
        Wallet(key)


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    Wallet.create(path, PASSPHRASE, cost="light")
    before = path.read_bytes()
    with pytest.raises(KeystoreError, match="never overwritten"):
        Wallet.create(path, PASSPHRASE, cost="light")
    assert path.read_bytes() == before


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WalletError, match="not empty"):
        Wallet.create(tmp_path / "key.json", "")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_keystore_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "key.json", PUBLISHED, mode)
    with pytest.raises(KeystoreError, match="chmod 600"):
        Wallet.from_keystore(path, "testpassword")


def test_a_missing_keystore_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="openmined wallet create"):
        Wallet.from_keystore(tmp_path / "none.json", PASSPHRASE)


def changed(*path: str, to: Any) -> dict[str, Any]:
    document = json.loads(json.dumps(PUBLISHED))
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return document


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 60_000,
        b" " * 70_000,
        {},
        {"version": 3},
        changed("version", to=4),
        changed("crypto", to=None),
        changed("crypto", "cipher", to="aes-256-gcm"),
        changed("crypto", "kdf", to="argon2"),
        changed("crypto", "kdfparams", to=[]),
        PUBLISHED,
        changed("crypto", "kdfparams", "n", to=2**40),
        changed("crypto", "kdfparams", "r", to=2**40),
        changed("crypto", "kdfparams", "n", to=3),
        changed("crypto", "kdfparams", "p", to=10**6),
        changed("crypto", "kdfparams", "n", to="many"),
        changed("crypto", "kdfparams", "dklen", to=16),
        changed("crypto", "kdfparams", "salt", to="xyz"),
        changed("crypto", "ciphertext", to=7),
        changed("crypto", "cipherparams", to={}),
    ],
)
def test_a_damaged_or_hostile_keystore_is_refused(tmp_path: Path, document: Any) -> None:
    path = write(tmp_path / "key.json", document)
    with pytest.raises(KeystoreError, match=r"key\.json"):
        Wallet.from_keystore(path, "testpassword")
