"""Reads the committed artifact. Needs no compiler."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from openmined.protocol import OpenMinedError

FORMAT: Final = "openmined/contract@1"

EMPTY_TOKEN: Final = "0x0000000000000000000000000000000000000000"  # noqa: S105 - an address
"""The token address that stands for ETH."""

MAX_BATCH: Final = 64
"""Most gradients that one call may score or reclaim, as in the contract."""

MAX_GRACE_S: Final = 30 * 24 * 60 * 60
"""Longest grace that the contract allows, in seconds."""


class ArtifactError(OpenMinedError):
    """The compiled contract is missing, damaged, of an unknown format, or out of date."""


@dataclass(frozen=True)
class Artifact:
    """The compiled contract.

    There are no immutables: a deployed Sonar's code is `deployed_bytecode`, byte for byte.

    Attributes:
        abi: the JSON ABI, as Ethereum libraries take it.
        bytecode: what a deployment sends; the constructor takes no argument and no ETH.
        deployed_bytecode: what then stands on the chain.
        compiler_version: of Vyper.
        evm_version: the oldest hard fork that runs it.
        source_sha256: of `Sonar.vy`, hexadecimal.
    """

    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    deployed_bytecode: bytes
    compiler_version: str
    evm_version: str
    source_sha256: str


def artifact_text() -> str:
    """Return the text of the committed `Sonar.json`.

    Raises:
        ArtifactError: if the file is missing.
    """
    try:
        return resources.files(__package__).joinpath("Sonar.json").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ArtifactError(
            "Sonar.json is missing; rebuild it with `python -m openmined.sonar.contract`"
        ) from error


@cache
def load_artifact() -> Artifact:
    """Load the compiled contract that this version of the package was made with.

    Raises:
        ArtifactError: if the file is missing or of an unknown format.
    """
    return parse_artifact(artifact_text())


def parse_artifact(text: str) -> Artifact:
    """Parse an artifact as `_build` writes it.

    Raises:
        ArtifactError: if it is not JSON, of an unknown format, or a field is missing.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ArtifactError(
                f"the contract artifact has format {document['format']!r}, not {FORMAT!r}; "
                "rebuild it with `python -m openmined.sonar.contract`"
            )
        compiler = document["compiler"]
        return Artifact(
            abi=tuple(document["abi"]),
            bytecode=_parse_hex(document["bytecode"]),
            deployed_bytecode=_parse_hex(document["deployed_bytecode"]),
            compiler_version=compiler["version"],
            evm_version=compiler["evm_version"],
            source_sha256=document["source_sha256"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"the contract artifact is damaged ({type(error).__name__}: {error}); "
            "rebuild it with `python -m openmined.sonar.contract`"
        ) from error


def _parse_hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
