"""A wallet: one account's key, from a keystore file.

The file is Web3 Secret Storage, version 3: what geth, MetaMask and eth-account read and write.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, Self

from pydantic_core import from_json

from openmined.sonar._errors import KeystoreError, WalletError, WrongPassphrase

DEVNET_CHAINS = frozenset({1337, 31337})
"""Chain ids that anvil and hardhat give to chains on one machine."""

SCRYPT_N = {"standard": 2**17, "light": 2**12}
"""OWASP's cost (128 MiB, about a third of a second), and geth's light one for tests."""

_MAX_SCRYPT_MEMORY = 512 << 20
_MAX_KEYSTORE_BYTES = 64 << 10
_MAC_BYTES = 32
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HARDENED = 1 << 31
_DEVNET_PATH = (44 | _HARDENED, 60 | _HARDENED, 0 | _HARDENED, 0)
_DEVNET_MNEMONIC = b"test test test test test test test test test test test junk"

Transaction = Mapping[str, int | str | bytes]


class Wallet:
    """One account: signs transactions, never shows its key.

    Make it with `Wallet.from_keystore` or `Wallet.create`.
    """

    __slots__ = ("_key", "address", "devnet")

    def __init__(self, key: bytes, *, devnet: bool = False) -> None:
        """Hold a 32-byte secp256k1 key. Applications use `from_keystore`."""
        from eth_keys.datatypes import PrivateKey

        if len(key) != 32 or not 0 < int.from_bytes(key) < _CURVE_ORDER:
            raise WalletError("a private key is 32 bytes, not zero and below the curve's order")
        self._key = PrivateKey(key)
        self.address: str = self._key.public_key.to_checksum_address()
        self.devnet = devnet

    @classmethod
    def create(
        cls, path: Path | str, passphrase: str, *, cost: Literal["standard", "light"] = "standard"
    ) -> Self:
        """Make a new key and write its keystore, readable by its owner only.

        Raises:
            KeystoreError: if the file exists already, or cannot be written.
            WalletError: if the passphrase is empty.
        """
        wallet = cls(_new_key())
        wallet.save(path, passphrase, cost=cost)
        return wallet

    @classmethod
    def from_keystore(cls, path: Path | str, passphrase: str) -> Self:
        """Open a keystore.

        Raises:
            KeystoreError: if the file is missing, readable by others, or damaged.
            WrongPassphrase: if the passphrase does not open it.
        """
        path = Path(path)
        return cls(_open_keystore(_read_keystore(path), passphrase, path))

    def save(
        self, path: Path | str, passphrase: str, *, cost: Literal["standard", "light"] = "standard"
    ) -> None:
        """Write the key as a keystore. An existing file is never overwritten.

        Raises:
            KeystoreError: if the file exists already, or cannot be written.
            WalletError: if the passphrase is empty.
        """
        if not passphrase:
            raise WalletError("a keystore needs a passphrase that is not empty")
        document = _seal_keystore(self._key.to_bytes(), passphrase, SCRYPT_N[cost])
        write_private(Path(path), json.dumps(document).encode())

    def sign_transaction(self, transaction: Transaction) -> tuple[bytes, str]:
        """Sign a type-2 transaction (EIP-1559, EIP-2718).

        Args:
            transaction: chain_id, nonce, max_priority_fee, max_fee, gas, to (bytes, empty to
                deploy), value, data.

        Returns:
            The raw bytes to send, and the transaction's hash.
        """
        import rlp  # type: ignore[import-untyped]
        from eth_utils.crypto import keccak

        names = ("chain_id", "nonce", "max_priority_fee", "max_fee", "gas", "to", "value", "data")
        fields: list[Any] = [*(transaction[name] for name in names), []]
        signature = self._key.sign_msg_hash(keccak(b"\x02" + rlp.encode(fields)))
        raw = b"\x02" + rlp.encode([*fields, signature.v, signature.r, signature.s])
        return raw, "0x" + keccak(raw).hex()

    def sign_typed_data(self, data: Mapping[str, Any]) -> str:
        """Sign an EIP-712 document: r, s and v as 65 bytes of hexadecimal after 0x."""
        # Imported here: it takes a third of a second, and few wallets sign anything but money.
        from eth_account.messages import encode_typed_data
        from eth_utils.crypto import keccak

        message = encode_typed_data(full_message=dict(data))
        digest = keccak(b"\x19" + message.version + message.header + message.body)
        signature = self._key.sign_msg_hash(digest)
        r, s = int(signature.r), int(signature.s)
        return "0x" + (r.to_bytes(32) + s.to_bytes(32) + bytes([27 + int(signature.v)])).hex()

    def __repr__(self) -> str:
        return f"Wallet({self.address})"

    def __reduce__(self) -> NoReturn:
        raise WalletError("a wallet is not pickled: save it as a keystore")


def devnet_wallet(index: int) -> Wallet:
    """Return account `index` of anvil's and hardhat's public test mnemonic.

    Its key is known to everybody: clients refuse it on every chain that is no devnet.
    """
    seed = hashlib.pbkdf2_hmac("sha512", _DEVNET_MNEMONIC, b"mnemonic", 2048)
    node = hmac.digest(b"Bitcoin seed", seed, "sha512")
    for step in (*_DEVNET_PATH, index):
        node = _derive_child(node, step)
    return Wallet(node[:32], devnet=True)


def devnet_wallets(count: int) -> Sequence[Wallet]:
    """Return the first `count` devnet accounts."""
    return [devnet_wallet(index) for index in range(count)]


def keystore_address(path: Path | str) -> str:
    """Return the address that a keystore says it holds, without opening it.

    Raises:
        KeystoreError: if the file is missing, readable by others, or names no address.
    """
    from eth_utils.address import is_address, to_checksum_address

    path = Path(path)
    address = str(_read_keystore(path).get("address", ""))
    if not is_address("0x" + address.removeprefix("0x")):
        raise KeystoreError(f"{path} names no address: open it with its passphrase")
    return str(to_checksum_address("0x" + address.removeprefix("0x")))


def _derive_child(node: bytes, step: int) -> bytes:
    # BIP-32: a node is 32 bytes of key and 32 of chain code; I = HMAC-SHA512(chain, data || step).
    from eth_keys.datatypes import PrivateKey

    key, chain = node[:32], node[32:]
    data = PrivateKey(key).public_key.to_compressed_bytes()
    if step & _HARDENED:
        data = b"\0" + key
    derived = hmac.digest(chain, data + step.to_bytes(4), "sha512")
    child = (int.from_bytes(derived[:32]) + int.from_bytes(key)) % _CURVE_ORDER
    return child.to_bytes(32) + derived[32:]


def _new_key() -> bytes:
    return (secrets.randbelow(_CURVE_ORDER - 1) + 1).to_bytes(32)


def _read_keystore(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_KEYSTORE_BYTES + 1)
    except OSError as error:
        raise KeystoreError(
            f"no keystore can be read at {path} ({error.strerror}): "
            "give the right file, or make one with `openmined wallet create`"
        ) from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeystoreError(
            f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}): run `chmod 600` on it"
        )
    try:
        document = from_json(data) if len(data) <= _MAX_KEYSTORE_BYTES else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise KeystoreError(f"{path} is no keystore: a JSON object of at most 64 KiB is expected")
    return document


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read.

    Raises:
        KeystoreError: if it exists already, or cannot be written.
    """
    # Written aside and linked into place: the file is whole or absent, and no other is replaced.
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    except FileExistsError as error:
        raise KeystoreError(f"{path} exists already: keys are never overwritten") from error
    except OSError as error:
        raise KeystoreError(f"cannot write {path}: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)


def _seal_keystore(key: bytes, passphrase: str, n: int) -> dict[str, Any]:
    from eth_keyfile import keyfile

    document: dict[str, Any] = keyfile.create_keyfile_json(
        key, passphrase.encode(), version=3, kdf="scrypt", iterations=n, salt_size=32
    )
    return document


def _open_keystore(document: dict[str, Any], passphrase: str, path: Path) -> bytes:
    from eth_keyfile import keyfile

    try:
        crypto = document.get("crypto") or document["Crypto"]
        if document.get("version") != 3 or crypto["cipher"] != "aes-128-ctr":
            raise KeystoreError(f"{path} is no keystore of version 3 with aes-128-ctr")
        _check_derivation(crypto["kdf"], crypto["kdfparams"], path)
        expected_mac = bytes.fromhex(crypto["mac"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise KeystoreError(f"{path} is a damaged keystore ({type(error).__name__})") from error
    try:
        return bytes(keyfile.decode_keyfile_json(document, passphrase.encode()))
    except ValueError as error:
        if str(error) == "MAC mismatch" and len(expected_mac) == _MAC_BYTES:
            raise WrongPassphrase(f"this passphrase does not open {path}: try again") from error
        raise KeystoreError(f"{path} is a damaged keystore ({error})") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise KeystoreError(f"{path} is a damaged keystore ({type(error).__name__})") from error


def _check_derivation(kdf: str, parameters: dict[str, Any], path: Path) -> None:
    """A hostile file must not take all memory or time."""
    bytes.fromhex(parameters["salt"])
    if parameters["dklen"] != 32:
        raise KeystoreError(f"{path} asks for a derived key of another length than 32 bytes")
    if kdf == "scrypt":
        n, r, p = (int(parameters[name]) for name in ("n", "r", "p"))
        # scrypt takes 128 N r bytes, p times.
        if not (n > 1 and r > 0 and 0 < p <= 16 and 128 * n * r <= _MAX_SCRYPT_MEMORY):
            raise KeystoreError(f"{path} asks for scrypt with n={n}, r={r}, p={p}: too much")
        if n >= 2 ** (16 * r):
            raise KeystoreError(f"{path} asks for scrypt with n={n}, r={r}: RFC 7914 forbids it")
    elif kdf == "pbkdf2" and parameters["prf"] == "hmac-sha256":
        rounds = int(parameters["c"])
        if not 0 < rounds <= 10_000_000:
            raise KeystoreError(f"{path} asks for {rounds} rounds of PBKDF2: too many")
    else:
        raise KeystoreError(f"{path} uses the key derivation {kdf!r}; scrypt and pbkdf2 are known")
