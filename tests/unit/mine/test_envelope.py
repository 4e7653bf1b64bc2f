"""The envelope vectors: the same body to the byte, whichever mine sealed it."""

from __future__ import annotations

from pathlib import Path

import pysequoia
import pytest
from tests.vectors.envelopes.record import read_body

from openmined.mine import BadDownload
from openmined.mine._envelope import seal_gradient
from openmined.protocol import decode_gradient_body, encode_gradient_body

VECTORS = Path(__file__).parents[2] / "vectors" / "envelopes"
BODY = (VECTORS / "body.cbor").read_bytes()


def opened(sealed: bytes) -> bytes:
    key = pysequoia.Tsk.from_file(str(VECTORS / "capsule.secret.asc"))
    return bytes(pysequoia.decrypt(sealed, decryptor=key.decryptor()).bytes)


def test_a_body_is_the_vectors_bytes() -> None:
    body = read_body()
    assert encode_gradient_body(body) == BODY
    assert decode_gradient_body(BODY) == body


@pytest.mark.parametrize("mine", ["python", "node"])
def test_what_either_mine_sealed_opens_to_it(mine: str) -> None:
    assert opened((VECTORS / f"sealed-by-{mine}.pgp").read_bytes()) == BODY


def test_what_is_sealed_opens_to_it() -> None:
    certificate = (VECTORS / "capsule.certificate.asc").read_text()
    assert opened(seal_gradient(read_body(), certificate)) == BODY


def test_a_certificate_that_is_none_is_told_without_the_stack_below_it() -> None:
    broken = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabcd\n"
    with pytest.raises(BadDownload, match="Capsule's certificate cannot be used: ") as refused:
        seal_gradient(read_body(), broken)
    assert "\n" not in str(refused.value)
