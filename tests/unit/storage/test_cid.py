from __future__ import annotations

import hashlib

import pytest

from openmined.storage import (
    CID,
    BadCID,
    BlockMismatch,
    cid_of_bytes,
    cid_of_digest,
    digest_of_cid,
)
from openmined.storage._cid import DAG_PB, RAW, check_block

EMPTY = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def test_empty_file_has_the_cid_everybody_knows() -> None:
    assert cid_of_bytes(b"") == EMPTY
    assert CID.parse(EMPTY) == CID(RAW, hashlib.sha256(b"").digest())


def test_digest_and_cid_are_two_spellings_of_one_thing() -> None:
    digest = hashlib.sha256(b"manifest").digest()
    assert digest_of_cid(cid_of_digest(digest)) == digest
    assert cid_of_digest(digest) == cid_of_bytes(b"manifest")


def test_a_file_of_several_blocks_is_no_manifest() -> None:
    with pytest.raises(BadCID, match="a manifest is one raw block"):
        digest_of_cid(cid_of_bytes(bytes(2**20 + 1)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "found 0"),
        ("b", "found 1"),
        (EMPTY[:-1], "found 58"),
        (EMPTY + "a", "found 60"),
        (EMPTY.upper(), "expected 59 characters"),
        ("B" + EMPTY[1:].upper(), "expected 59 characters"),
        (EMPTY[:-1] + "v", "its one spelling is"),  # stray bits after the last byte
        (EMPTY[:-1] + "1", "not lower-case base32"),
        (EMPTY[:-1] + "U", "its one spelling is"),
        (EMPTY[:-1] + "=", "not lower-case base32"),
        (EMPTY[:-1] + "\n", "not lower-case base32"),
        (EMPTY[:-1] + "é", "not lower-case base32"),
        ("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", "version 0"),
        ("../../../../etc/passwd", "expected 59 characters"),
    ],
)
def test_other_spellings_are_refused(text: str, reason: str) -> None:
    with pytest.raises(BadCID, match=reason):
        CID.parse(text)


def with_byte(position: int, value: int) -> bytes:
    binary = bytearray(CID.parse(EMPTY).binary)
    binary[position] = value
    return bytes(binary)


@pytest.mark.parametrize(
    "binary",
    [
        b"",
        CID.parse(EMPTY).binary[:-1],
        CID.parse(EMPTY).binary + b"\0",
        with_byte(0, 2),  # a version to come
        with_byte(1, 0x71),  # DAG-CBOR
        with_byte(2, 0x13),  # sha2-512
        with_byte(3, 0x1F),  # a digest cut short
    ],
)
def test_other_kinds_are_refused(binary: bytes) -> None:
    with pytest.raises(BadCID):
        CID.from_bytes(binary)


def test_hostile_text_is_quoted_and_cut_in_the_message() -> None:
    with pytest.raises(BadCID) as caught:
        CID.parse("\x1b[31m" + "x" * 5000)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_binary_form_comes_back() -> None:
    for codec in (RAW, DAG_PB):
        cid = CID.of(b"block", codec)
        assert CID.from_bytes(cid.binary) == CID.parse(str(cid)) == cid


def test_other_bytes_do_not_pass_as_the_block() -> None:
    cid = CID.of(b"right")
    assert check_block(cid, b"right", "a test") == b"right"
    with pytest.raises(BlockMismatch, match=f"a test gave 5 bytes for {cid}"):
        check_block(cid, b"wrong", "a test")
