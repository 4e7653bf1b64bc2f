"""`openmined doctor`: what works and what does not, each with what to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from openmined.protocol import OpenMinedError, format_wei
from openmined.sonar._certificates import find_certificate
from openmined.sonar._cli_common import read_passphrase
from openmined.sonar._contract import SonarContract, connect_sonar
from openmined.sonar._errors import SonarError
from openmined.sonar._networks import Network, load_network
from openmined.sonar._pgp import PgpKey, parse_certificate
from openmined.sonar._wallet import DEVNET_CHAINS, keystore_address
from openmined.storage import cid_of_digest, connect_store

_LEAST_PYTHON = (3, 11)
_PACKAGES = ("openmined", "tenseal", "pysequoia", "httpx", "eth-abi", "eth-keys", "pydantic")
_MOST_SKEW_S = 120
_PROBE = b'{"openmined": "doctor"}'


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return the check as plain JSON values."""
        return {"name": self.name, "ok": self.ok, "text": self.text}


def examine(
    network: str,
    keystore: Path | None = None,
    pgp: Path | None = None,
    passphrase_file: Path | None = None,
) -> list[Check]:
    """Look at everything; a failure ends only what depends on it."""
    return list(_examine(network, keystore, pgp, passphrase_file))


def _examine(
    network: str, keystore: Path | None, pgp: Path | None, passphrase_file: Path | None
) -> Iterator[Check]:
    yield _check("python", _python)
    yield _check("packages", _packages)
    if pgp is not None:
        yield _check("PGP key", lambda: _pgp(pgp, passphrase_file))
    found: list[Network] = []
    yield _check("network", lambda: _network(network, found))
    contracts: list[SonarContract] = []
    if found:
        yield _check("chain and contract", lambda: _contract(found[0], contracts))
        yield _check("store", lambda: _store(found[0]))
    if contracts:
        with contracts[0] as contract:
            yield _check("clock", lambda: _clock(contract))
            if found[0].capsule is not None:
                yield _check("Capsule", lambda: _capsule(found[0], contract))
            if keystore is not None:
                yield _check("keystore", lambda: _keystore(keystore, contract))
    elif keystore is not None:
        yield _check("keystore", lambda: f"{keystore_address(keystore)}, balance unknown")


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except OpenMinedError as error:
        return Check(name, False, str(error))


def _python() -> str:
    if sys.version_info < _LEAST_PYTHON:
        raise SonarError("Python 3.11 or newer is needed: install it")
    return ".".join(str(part) for part in sys.version_info[:3])


def _packages() -> str:
    try:
        return ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    except PackageNotFoundError as error:
        raise SonarError(f"{error.name} is not installed: run `pip install openmined`") from error


def _network(name: str, found: list[Network]) -> str:
    found.append(load_network(name))
    return f"{name}, chain {found[0].chain_id}, Sonar {found[0].sonar}"


def _contract(network: Network, contracts: list[SonarContract]) -> str:
    contract = connect_sonar(network.rpc_url, network.sonar, chain_id=network.chain_id, retry_s=2.0)
    contracts.append(contract)
    return (
        f"block {contract.block_number()}, the code is this version's, "
        f"{contract.campaign_count()} campaigns"
    )


def _clock(contract: SonarContract) -> str:
    skew = contract.now() - int(time.time())
    if contract.chain_id not in DEVNET_CHAINS and abs(skew) > _MOST_SKEW_S:
        raise SonarError(
            f"the newest block is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} this "
            "machine's clock: set the clock, or wait until the node has caught up"
        )
    return f"the newest block is {skew:+d} s from this machine's clock"


def _store(network: Network) -> str:
    # Write and read by content: what comes back is what was written, or the client refuses it.
    with connect_store(network.store_url, network.gateway_url, timeout_s=5.0) as store:
        digest = store.put_manifest_bytes(_PROBE)
        store.get_manifest_bytes(digest)
    return f"wrote and read {cid_of_digest(digest)}"


def _capsule(network: Network, contract: SonarContract) -> str:
    assert network.capsule is not None
    with connect_store(network.store_url, network.gateway_url, timeout_s=5.0) as store:
        text = find_certificate(
            contract,
            store,
            network.capsule.address,
            url=network.capsule.url,
            fingerprint=network.capsule.fingerprint,
            first_block=network.first_block,
        )
    fingerprint = parse_certificate(text).fingerprint
    return f"{network.capsule.address}, certificate {str(fingerprint).lower()}"


def _keystore(path: Path, contract: SonarContract) -> str:
    address = keystore_address(path)
    balance = contract.balance(address)
    if balance == 0:
        raise SonarError(f"{address} has no ETH on chain {contract.chain_id}: send it some for gas")
    return f"{address} has {format_wei(balance)}"


def _pgp(path: Path, passphrase_file: Path | None) -> str:
    key = PgpKey.load(path, read_passphrase(passphrase_file, str(path)))
    parse_certificate(key.certificate)
    return f"{key.fingerprint} opens, and can receive"
