from __future__ import annotations

import libipld
import pytest

from openmined.protocol import (
    GradientBody,
    ManifestError,
    UnknownFormat,
    decode_gradient_body,
    encode_gradient_body,
)


def body() -> GradientBody:
    return GradientBody.model_validate(
        {
            "chain": {"chain_id": 31337, "sonar": "0x" + "5f" * 20},
            "campaign": 1,
            "version": 2,
            "epoch": 1,
            "miner": "0x" + "ab" * 20,
            "kind": "local-steps",
            "samples": 143,
            "ciphertexts": [b"\x00\x01", b"\xff" * 1000],
        }
    )


def test_a_body_comes_back() -> None:
    assert decode_gradient_body(encode_gradient_body(body())) == body()


def test_the_encoding_is_deterministic() -> None:
    assert encode_gradient_body(body()) == encode_gradient_body(body().model_copy(deep=True))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", ManifestError),
        (b"\x00", ManifestError),
        (b"\xa0", UnknownFormat),
        (encode_gradient_body(body())[:-3], ManifestError),
        (encode_gradient_body(body()) + b"\x00", ManifestError),
        (b"\x9f" * 10_000, ManifestError),
        (b"\x81" * 10_000 + b"\x00", ManifestError),
    ],
    ids=["empty", "number", "no-format", "cut", "swollen", "indefinite", "deep"],
)
def test_hostile_bytes_are_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode_gradient_body(data)


@pytest.mark.parametrize(
    "change",
    [
        {"samples": 0},
        {"samples": -1},
        {"miner": "me"},
        {"kind": "x"},
        {"ciphertexts": []},
        {"x": 1},
    ],
)
def test_a_wrong_value_is_named(change: dict[str, object]) -> None:
    value = body().model_dump(mode="python") | change
    value["ciphertexts"] = list(value["ciphertexts"])
    with pytest.raises(ManifestError, match=next(iter(change))):
        decode_gradient_body(libipld.encode_dag_cbor(value))
