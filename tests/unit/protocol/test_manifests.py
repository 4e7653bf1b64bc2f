from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from openmined.protocol import (
    MANIFESTS,
    CampaignManifest,
    GradientManifest,
    ManifestError,
    ModelManifest,
    UnknownFormat,
    decode_manifest,
    encode_canonical,
    encode_manifest,
    manifest_digest,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "manifests"
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def gradient() -> GradientManifest:
    return GradientManifest.model_validate(
        {"envelope": {"cid": CID, "size": 9, "purpose": "envelope"}}
    )


def campaign(**changes: object) -> dict[str, object]:
    return json.loads((VECTORS / "campaign-1.json").read_bytes()) | changes


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_vectors_are_read_and_written_alike(path: Path) -> None:
    kinds = {kind.model_fields["format"].default: kind for kind in MANIFESTS}
    data = path.read_bytes()
    manifest = decode_manifest(data, kinds[json.loads(data)["format"]])
    assert encode_manifest(manifest) == data
    assert manifest_digest(manifest).hex() == path.with_suffix(".sha256").read_text().strip()


def test_every_kind_has_a_vector() -> None:
    found = {json.loads(path.read_bytes())["format"] for path in VECTORS.glob("*.json")}
    assert found == {kind.model_fields["format"].default for kind in MANIFESTS}


def test_unknown_format_and_version_are_refused() -> None:
    for found in ("openmined/gradient@2", "someone/else@1", None, 7):
        data = encode_canonical({"format": found, "envelope": {}})
        with pytest.raises(UnknownFormat, match=r"openmined/gradient@1.*update openmined"):
            decode_manifest(data, GradientManifest)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"format":"openmined/gradient@1"',
        b'{"format":"a","format":"b"}',
        b"[" * 100_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b" " * ((1 << 20) + 1),
    ],
    ids=["empty", "binary", "list", "null", "cut", "twice", "deep", "deep-object", "large"],
)
def test_bytes_that_are_no_manifest_are_refused(data: bytes) -> None:
    with pytest.raises(ManifestError):
        decode_manifest(data, GradientManifest)


def test_another_spelling_of_the_same_manifest_is_refused() -> None:
    data = encode_manifest(gradient())
    with pytest.raises(ManifestError, match="canonical"):
        decode_manifest(json.dumps(json.loads(data), indent=1).encode(), GradientManifest)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"target_ppm": 100_000}, "target"),
        ({"metric": "r2"}, "metric"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"features": []}, "features"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"certificate": "no PGP"}, "certificate"),
        ({"output": {"fields": [{"name": "digit", "type": "string"}]}}, "enum"),
        ({"output": {"fields": [{"name": "pixels", "type": "number"}]}}, "output"),
        ({"algorithm": {"kind": "oracle"}}, "algorithm"),
        ({"update": {"kind": "local-steps", "steps": 0}}, "steps"),
    ],
)
def test_a_campaign_that_makes_no_sense_is_refused(change: dict[str, object], named: str) -> None:
    data = encode_canonical(campaign(**change))
    with pytest.raises(ManifestError, match=named):
        decode_manifest(data, CampaignManifest)


def test_numbers_that_are_none_cannot_be_written() -> None:
    with pytest.raises(ManifestError, match="canonical"):
        encode_canonical({"x": float("nan")})


def test_a_manifest_above_one_mebibyte_is_refused_when_written() -> None:
    blob = {"cid": "b" + "a" * 119, "size": 1, "purpose": "ciphertext"}
    model = json.loads((VECTORS / "model-1.json").read_bytes()) | {"ciphertexts": [blob] * 4096}
    huge = ModelManifest.model_validate(model)
    assert len(encode_manifest(huge)) < 1 << 20  # the schema's own limits keep it inside


def test_manifests_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        gradient().format = "x"  # type: ignore[misc]
