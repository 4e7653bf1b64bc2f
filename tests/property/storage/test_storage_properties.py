"""What holds for any bytes, in any pieces, from anybody."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmined.storage import (
    CID,
    BadCID,
    BlobTooLarge,
    MalformedBlock,
    MalformedCAR,
    MemoryStore,
    StorageError,
    cid_of_bytes,
)
from openmined.storage._archive import ArchiveFetcher
from openmined.storage._car import CarParser, encode_car_header, encode_car_section
from openmined.storage._cid import DAG_PB
from openmined.storage._dagpb import Block, Link, decode_file_block, encode_file_node, linked_cids
from openmined.storage._multipart import MalformedUpload, PartEnd, PartStart, Upload, UploadReader
from openmined.storage._source import file_blocks
from openmined.storage._unixfs import FileBuilder, read_file
from openmined.storage._wire import decode_varint, encode_varint

CIDS = st.builds(CID, st.sampled_from([0x55, DAG_PB]), st.binary(min_size=32, max_size=32))


def cut(data: bytes, points: list[int]) -> list[bytes]:
    """Cut data at points taken modulo its length."""
    places = sorted({point % (len(data) + 1) for point in points} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


def build(data: bytes, points: list[int], chunk: int, width: int) -> tuple[list[Block], Link]:
    builder = FileBuilder(chunk, width)
    blocks = [block for piece in cut(data, points) for block in builder.feed(piece)]
    rest, root = builder.finish()
    return blocks + rest, root


FILES = {
    "data": st.binary(max_size=600),
    "points": st.lists(st.integers(0, 600), max_size=8),
    "chunk": st.integers(1, 64),
    "width": st.integers(4, 8),
}


@given(**FILES)
def test_file_comes_back_from_its_blocks(
    data: bytes, points: list[int], chunk: int, width: int
) -> None:
    blocks, root = build(data, points, chunk, width)
    shelf = {block.cid: block.data for block in blocks}
    assert all(cid.matches(block) for cid, block in shelf.items())
    assert blocks[-1].cid == root.cid
    assert root.file_bytes == len(data)
    assert b"".join(read_file(root.cid, shelf.__getitem__, len(data))) == data
    if data:
        with pytest.raises(BlobTooLarge):
            list(read_file(root.cid, shelf.__getitem__, len(data) - 1))


@given(**FILES)
def test_pieces_do_not_matter(data: bytes, points: list[int], chunk: int, width: int) -> None:
    assert build(data, points, chunk, width)[1] == build(data, [], chunk, width)[1]


@given(st.binary(max_size=300), st.integers(1, 16))
def test_total_size_of_the_tree_is_the_sum_of_its_blocks(data: bytes, chunk: int) -> None:
    """DAG-PB's Tsize counts a block as often as it is linked to."""
    blocks, root = build(data, [], chunk, 4)
    shelf = {block.cid: block for block in blocks}

    def total(block: Block) -> int:
        return len(block.data) + sum(total(shelf[cid]) for cid in linked_cids(block))

    assert root.total_bytes == total(shelf[root.cid])


@given(CIDS)
def test_cid_has_one_text(cid: CID) -> None:
    assert CID.parse(str(cid)) == cid
    assert CID.from_bytes(cid.binary) == cid
    assert len(str(cid)) == 59


@given(CIDS, st.integers(0, 58), st.characters())
def test_every_changed_text_is_another_cid_or_none(cid: CID, place: int, char: str) -> None:
    text = str(cid)[:place] + char + str(cid)[place + 1 :]
    try:
        parsed = CID.parse(text)
    except BadCID:
        return
    assert str(parsed) == text
    assert (parsed == cid) == (text == str(cid))


@given(st.text(max_size=80))
def test_any_text_is_a_cid_or_refused(text: str) -> None:
    with pytest.raises(BadCID):
        CID.parse(text)


@given(st.integers(0, 2**63 - 1), st.binary(max_size=5))
def test_varints_come_back(value: int, after: bytes) -> None:
    encoded = encode_varint(value)
    assert decode_varint(encoded + after, 0) == (value, len(encoded))
    assert all(decode_varint(encoded[:n], 0) is None for n in range(len(encoded)))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_node_or_refused(data: bytes) -> None:
    block = Block(CID.of(data, DAG_PB), data)
    try:
        node = decode_file_block(block)
    except MalformedBlock:
        return
    assert node.size == len(node.data) + sum(link.file_bytes for link in node.links)
    assert not (node.data and node.links)


LINKS = st.lists(
    st.builds(lambda cid, size: Link(cid, size, size), CIDS, st.integers(1, 2**40)),
    min_size=1,
    max_size=5,
)


@given(LINKS, st.data())
def test_any_change_to_a_node_is_refused_or_still_sound(
    links: list[Link], draw: st.DataObject
) -> None:
    block, _ = encode_file_node(links)
    assert decode_file_block(block).links == tuple(links)
    place = draw.draw(st.integers(0, len(block.data) - 1))
    value = draw.draw(st.integers(0, 255))
    data = block.data[:place] + bytes([value]) + block.data[place + 1 :]
    try:
        node = decode_file_block(Block(CID.of(data, DAG_PB), data))
    except MalformedBlock:
        return
    assert node.size == len(node.data) + sum(link.file_bytes for link in node.links)


BLOCKS = st.lists(st.binary(max_size=50).map(lambda data: Block(CID.of(data), data)), max_size=6)


@given(BLOCKS, st.lists(st.integers(0, 400), max_size=8))
def test_archive_comes_back_from_any_pieces(blocks: list[Block], points: list[int]) -> None:
    archive = encode_car_header(CID.of(b"root")) + b"".join(map(encode_car_section, blocks))
    parser = CarParser("a test")
    assert [b for piece in cut(archive, points) for b in parser.feed(piece)] == blocks
    parser.finish()


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_an_archive_or_refused(data: bytes, headed: bool) -> None:
    parser = CarParser("a test")
    try:
        blocks = list(parser.feed((encode_car_header(CID.of(b"")) if headed else b"") + data))
        parser.finish()
    except MalformedCAR:
        return
    assert parser.roots is not None
    assert all(isinstance(block, Block) for block in blocks)


@given(
    st.binary(min_size=1, max_size=400),
    st.integers(1, 40),
    st.permutations(range(64)),
    st.integers(0, 64),
)
def test_archive_in_any_order_and_cut_anywhere_gives_the_file(
    data: bytes, chunk: int, order: list[int], kept: int
) -> None:
    blocks, root = build(data, [], chunk, 4)
    shelf = {block.cid: block.data for block in blocks}
    shuffled = [blocks[n] for n in order if n < len(blocks)][:kept]
    fetcher = ArchiveFetcher(iter(shuffled), shelf.__getitem__)
    assert b"".join(read_file(root.cid, fetcher.fetch, len(data))) == data


@given(st.binary(max_size=300), st.lists(st.integers(0, 900), max_size=8))
def test_upload_comes_back_from_any_pieces(data: bytes, points: list[int]) -> None:
    upload = Upload.of(len(data))
    body = b"".join(upload.body([data]))
    assert int(upload.headers["Content-Length"]) == len(body)
    reader = UploadReader(upload.headers["Content-Type"])
    events = [event for piece in cut(body, points) for event in reader.feed(piece)]
    reader.finish()
    assert events[0] == PartStart("blob", "application/octet-stream")
    assert events[-1] == PartEnd()
    assert b"".join(event for event in events if isinstance(event, bytes)) == data


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_an_upload_or_refused(data: bytes, begun: bool) -> None:
    reader = UploadReader("multipart/form-data; boundary=b")
    head = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    try:
        reader.feed((head if begun else b"") + data)
        reader.finish()
    except MalformedUpload:
        return
    assert b"--b--" in data


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 3 << 20), st.integers(0, 255), st.integers(1, 1 << 20))
def test_store_gives_back_what_it_was_given(size: int, fill: int, period: int) -> None:
    data = (bytes([fill]) * (period - 1) + b"!") * (size // period + 1)
    data = data[:size]
    store = MemoryStore()
    assert store.put_blob(io.BytesIO(data)) == (cid_of_bytes(data), size)
    assert store.get_blob(cid_of_bytes(data), size) == data


@given(st.binary(max_size=100), st.binary(min_size=1, max_size=100))
def test_no_store_returns_other_bytes(data: bytes, other: bytes) -> None:
    store = MemoryStore()
    *_, root = file_blocks(data)
    assert isinstance(root, Link)
    if other == data:
        return
    store.blocks.put([Block(root.cid, other)])  # a store whose memory was tampered with
    with pytest.raises(StorageError):
        store.get_blob(str(root.cid), 1000)
