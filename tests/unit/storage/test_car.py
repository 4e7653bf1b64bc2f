from __future__ import annotations

import pytest

from openmined.storage import CID, MalformedCAR
from openmined.storage._car import (
    CarParser,
    car_section_head,
    encode_car_header,
    encode_car_section,
)
from openmined.storage._dagpb import MAX_BLOCK_BYTES, Block
from openmined.storage._wire import encode_varint

ROOT = CID.of(b"root")
HEADER = encode_car_header(ROOT)


def block(data: bytes) -> Block:
    return Block(CID.of(data), data)


def parse(data: bytes) -> tuple[list[Block], CarParser]:
    parser = CarParser("a test")
    return list(parser.feed(data)), parser


def test_archive_comes_back_whatever_the_pieces() -> None:
    blocks = [block(bytes([n]) * n) for n in range(1, 5)]
    archive = HEADER + b"".join(map(encode_car_section, blocks))
    for size in (1, 7, 1000):
        parser = CarParser("a test")
        found: list[Block] = []
        for start in range(0, len(archive), size):
            found += parser.feed(archive[start : start + size])
        parser.finish()
        assert found == blocks
        assert parser.roots == (ROOT,)


def test_header_is_the_one_that_others_write() -> None:
    # Written by @ipld/car 5.4.7 for one root.
    assert HEADER.hex() == (
        "3aa265726f6f747381d82a58250001551220" + ROOT.digest.hex() + "6776657273696f6e01"
    )


def test_archive_without_roots_is_read() -> None:
    header = b"\xa2\x65roots\x80\x67version\x01"
    blocks, parser = parse(encode_varint(len(header)) + header + encode_car_section(block(b"x")))
    assert blocks == [block(b"x")]
    assert parser.roots == ()


@pytest.mark.parametrize("kept", [0, 1, 30, len(HEADER), len(HEADER) + 1, len(HEADER) + 40])
def test_archive_cut_short_says_so(kept: int) -> None:
    archive = HEADER + encode_car_section(block(b"payload"))
    _, parser = parse(archive[:kept])
    if kept == len(HEADER):
        parser.finish()  # cut between two sections, which only the reader of the DAG can notice
    else:
        with pytest.raises(MalformedCAR, match="cut short"):
            parser.finish()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00", "a section claims 0 bytes"),
        (encode_varint(4097), "claims 4097 bytes"),
        (HEADER + encode_varint(MAX_BLOCK_BYTES + 37), "claims 2097189 bytes"),
        (HEADER + encode_varint(2**62), "allowed are 1 to 2097188"),
        (HEADER + b"\xff" * 9, "longer than 63 bits"),
        (HEADER + b"\x80\x00", "padded with a zero"),
        (HEADER + b"\x05hello", "not CIDv1"),
        (HEADER + b"\x24" + b"\x01\x71" + ROOT.binary[2:], "codec 0x71"),
        (b"\x0a\xa1\x67version\x02", "not that of a CARv1"),
        (b"\x01\xa2", "not that of a CARv1"),
        (HEADER.replace(b"roots\x81", b"roots\x82"), "names 2 roots in 41 bytes"),
        (HEADER.replace(b"\xd8\x2a", b"\xd8\x2b"), "no CIDv1"),
        (HEADER.replace(b"\x00\x01\x55\x12", b"\x00\x01\x56\x12"), "codec 0x56"),
    ],
)
def test_hostile_archives_are_refused_at_once(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedCAR, match=reason):
        parse(data)


def test_no_length_is_believed_before_it_is_checked() -> None:
    parser = CarParser("a test")
    assert list(parser.feed(HEADER + encode_varint(MAX_BLOCK_BYTES))) == []
    assert len(parser._buffer) == 0


def test_sections_can_be_written_without_copying() -> None:
    one = block(b"data")
    assert car_section_head(one) + one.data == encode_car_section(one)
