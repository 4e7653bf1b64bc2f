"""Networks by name: which chain, which contract, which store, which Capsule.

They stand in ~/.openmined/networks.json (or below OPENMINED_HOME), readable by its owner only,
because addresses of nodes often hold an access key.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from openmined.protocol import Address, Count, Frozen
from openmined.sonar._errors import NetworksFileError, UnknownNetwork
from openmined.sonar._home import openmined_home

Url = Annotated[str, Field(pattern=r"^https?://\S+$", max_length=2048)]
NetworkName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9\-]{0,62}$")]
_MAX_FILE_BYTES = 1 << 20


class CapsuleRef(Frozen):
    """A Capsule that campaigns of this network may name."""

    address: Address
    url: Url | None = None
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")] | None = None
    """Of its OpenPGP certificate; when given, no other certificate is accepted."""


class Network(Frozen):
    """One network: everything a client needs to take part."""

    name: NetworkName
    chain_id: Count
    rpc_url: Url
    sonar: Address
    store_url: Url
    gateway_url: Url | None = None
    capsule: CapsuleRef | None = None
    first_block: Count = 0
    """The contract's deployment block: events are read from there."""


class _NetworksFile(Frozen):
    format: str = "openmined/networks@1"
    networks: tuple[Network, ...] = ()


def networks_path() -> Path:
    """Return where the networks file is."""
    return openmined_home() / "networks.json"


def load_networks(path: Path | None = None) -> dict[str, Network]:
    """Return the known networks by name; none if the file does not exist.

    Raises:
        NetworksFileError: if the file cannot be read.
    """
    path = path or networks_path()
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise NetworksFileError(f"cannot read {path}: {error.strerror}") from error
    try:
        if len(data) > _MAX_FILE_BYTES:
            raise ValueError("above 1 MiB")
        found = _NetworksFile.model_validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise NetworksFileError(
            f"{path} is damaged: {place}: {problem['msg']}. Mend it, or remove it and add the "
            "networks again"
        ) from error
    except ValueError as error:
        raise NetworksFileError(f"{path} is damaged: {error}. Mend or remove it") from error
    return {network.name: network for network in found.networks}


def load_network(name: str, path: Path | None = None) -> Network:
    """Return one network.

    Raises:
        UnknownNetwork: if there is none of that name.
    """
    networks = load_networks(path)
    if name not in networks:
        known = ", ".join(sorted(networks)) or "none"
        advice = "start it with `openmined up`" if name == "devnet" else "add it"
        raise UnknownNetwork(
            f"no network {name!r} in {path or networks_path()} (known: {known}): {advice}, "
            "see `openmined network add --help`"
        )
    return networks[name]


def save_network(network: Network, path: Path | None = None) -> None:
    """Add a network, or replace the one of its name. The file is written whole or not at all.

    Raises:
        NetworksFileError: if the file cannot be read or written.
    """
    path = path or networks_path()
    networks = load_networks(path) | {network.name: network}
    ordered = tuple(networks[name] for name in sorted(networks))
    document = _NetworksFile(networks=ordered).model_dump(mode="json", exclude_none=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".networks-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
        Path(aside).replace(path)
    except OSError as error:
        raise NetworksFileError(f"cannot write {path}: {error.strerror}") from error
