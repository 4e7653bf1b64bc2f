"""Canonical bytes: one object, one encoding, one digest (RFC 8785; DAG-CBOR for binary bodies)."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeVar

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from openmined.protocol._errors import ManifestError, UnknownFormat

MAX_MANIFEST_BYTES = 1 << 20
"""A manifest is one raw block, and a block is at most 1 MiB."""

_MAX_DEPTH = 32


class Frozen(BaseModel):
    """The base of everything that travels: immutable, strict about unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Manifest(Frozen):
    """A canonical JSON document whose `format` names its kind and version."""

    format: str


M = TypeVar("M", bound=Manifest)


def digest(data: bytes) -> bytes:
    """Return the sha2-256 digest, 32 bytes: what stands on chain for a manifest."""
    return hashlib.sha256(data).digest()


def encode_canonical(value: Any) -> bytes:
    """Encode plain JSON values as RFC 8785 bytes.

    Raises:
        ManifestError: on NaN, infinities and integers beyond 2**53.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise ManifestError(f"not canonical JSON: {error}") from error


def encode_manifest(manifest: Manifest) -> bytes:
    """Encode a manifest canonically.

    Raises:
        ManifestError: if it is above 1 MiB.
    """
    data = encode_canonical(manifest.model_dump(mode="json", by_alias=True, exclude_none=True))
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestError(
            f"a {manifest.format} manifest of {len(data)} bytes is above 1 MiB: "
            "move its large parts into blobs"
        )
    return data


def manifest_digest(manifest: Manifest) -> bytes:
    """Return the digest under which a manifest is published."""
    return digest(encode_manifest(manifest))


def decode_manifest(data: bytes, expected: type[M]) -> M:
    """Read a manifest of a known kind from untrusted bytes.

    Raises:
        UnknownFormat: if its `format` is not the expected one.
        ManifestError: if it is too large, no canonical JSON, or breaks the schema.
    """
    wanted = expected.model_fields["format"].default
    value = _parse(data, wanted)
    found = value.get("format")
    if found != wanted:
        raise UnknownFormat(
            f"expected a manifest of format {wanted!r}, found {_short(found)}: "
            "update openmined, or check the CID it was read from"
        )
    try:
        manifest = expected.model_validate(value)
    except ValidationError as error:
        raise ManifestError(f"{wanted} manifest refused: {_first(error)}") from error
    if encode_manifest(manifest) != data:
        raise ManifestError(f"{wanted} manifest is not in canonical form (RFC 8785): re-encode it")
    return manifest


def _parse(data: bytes, wanted: str) -> dict[str, Any]:
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{len(data)} bytes are too many for a {wanted} manifest (1 MiB)")
    if _nesting(data) > _MAX_DEPTH:
        raise ManifestError(f"a {wanted} manifest nested deeper than {_MAX_DEPTH} is refused")
    try:
        value = json.loads(data, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"these bytes are no {wanted} manifest: {error}") from error
    if not isinstance(value, dict):
        raise ManifestError(f"a {wanted} manifest is a JSON object, not {type(value).__name__}")
    return value


def _nesting(data: bytes) -> int:
    deepest = depth = 0
    for byte in data:
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names the same key twice")
    return found


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=True)[0]
    place = ".".join(str(part) for part in problem["loc"]) or "document"
    return f"{place}: {problem['msg']} (found {_short(problem.get('input'))})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def json_schema(model: type[Manifest]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a manifest kind."""
    return model.model_json_schema(mode="serialization", by_alias=True)
