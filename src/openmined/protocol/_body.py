"""What is inside a gradient's envelope: a header that binds it, and the ciphertexts, as DAG-CBOR.

The binding names chain, contract, campaign, model version and the mine's own address, all under
Capsule's PGP key: who copies the envelope cannot re-bind it to an address of his own.
"""

from __future__ import annotations

from typing import Annotated, Literal

import libipld
from pydantic import Field, ValidationError

from openmined.protocol._canonical import Frozen
from openmined.protocol._errors import ManifestError, UnknownFormat
from openmined.protocol._manifests import Address, Count, SonarRef

MAX_BODY_BYTES = 512 << 20
_FORMAT = "openmined/gradient-body@1"


class GradientBody(Frozen):
    """One encrypted gradient and what binds it to its mine."""

    format: Literal["openmined/gradient-body@1"] = "openmined/gradient-body@1"
    chain: SonarRef
    campaign: Count
    version: Count
    epoch: Count
    miner: Address
    kind: Literal["gradient", "local-steps", "mlp-gradient"]
    samples: int = Field(ge=1, le=10**12)
    """Rows it was computed on: its weight in a combination."""
    ciphertexts: tuple[Annotated[bytes, Field(max_length=64 << 20)], ...] = Field(
        min_length=1, max_length=4096
    )


def encode_gradient_body(body: GradientBody) -> bytes:
    """Encode a body deterministically (DAG-CBOR)."""
    value = body.model_dump(mode="python")
    value["ciphertexts"] = list(value["ciphertexts"])
    return bytes(libipld.encode_dag_cbor(value))


def decode_gradient_body(data: bytes) -> GradientBody:
    """Read a body from untrusted bytes.

    Raises:
        UnknownFormat: if its format is not ours.
        ManifestError: if it is no DAG-CBOR map of the right shape.
    """
    if len(data) > MAX_BODY_BYTES:
        raise ManifestError(f"a gradient body of {len(data)} bytes is above {MAX_BODY_BYTES}")
    try:
        value = libipld.decode_dag_cbor(data)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"a gradient body is no DAG-CBOR: {error}") from error
    if not isinstance(value, dict):
        raise ManifestError(f"a gradient body is a map, not {type(value).__name__}")
    if value.get("format") != _FORMAT:
        raise UnknownFormat(f"expected {_FORMAT!r}, found {str(value.get('format'))[:80]!r}")
    try:
        return GradientBody.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise ManifestError(f"gradient body refused: {place}: {problem['msg']}") from error
