"""Reading trees of blocks that are authentic and still wrong."""

from __future__ import annotations

import pytest

from openmined.storage import CID, BlobTooLarge, BlockNotFound, MalformedBlock
from openmined.storage._cid import DAG_PB
from openmined.storage._dagpb import (
    Block,
    Link,
    decode_file_block,
    encode_file_node,
    linked_cids,
)
from openmined.storage._unixfs import FileBuilder, read_file
from openmined.storage._wire import encode_bytes_field, encode_varint, encode_varint_field


class Shelf:
    """Blocks by CID, and a count of how often one was asked for."""

    def __init__(self) -> None:
        self.blocks: dict[CID, bytes] = {}
        self.fetched = 0

    def fetch(self, cid: CID) -> bytes:
        self.fetched += 1
        if cid not in self.blocks:
            raise BlockNotFound(str(cid))
        return self.blocks[cid]

    def leaf(self, data: bytes) -> Link:
        cid = CID.of(data)
        self.blocks[cid] = data
        return Link(cid, len(data), len(data))

    def node(self, links: list[Link]) -> Link:
        block, link = encode_file_node(links)
        self.blocks[block.cid] = block.data
        return link

    def pb(self, data: bytes) -> CID:
        cid = CID.of(data, DAG_PB)
        self.blocks[cid] = data
        return cid

    def read(self, cid: CID, max_bytes: int = 1 << 30) -> bytes:
        return b"".join(read_file(cid, self.fetch, max_bytes))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def pb_link(link: Link, *, size: int | None = None) -> bytes:
    fields = encode_bytes_field(1, link.cid.binary) + encode_bytes_field(2, b"")
    return encode_bytes_field(
        2, fields + encode_varint_field(3, link.total_bytes if size is None else size)
    )


def unixfs(*fields: bytes, kind: int = 2) -> bytes:
    return encode_bytes_field(1, encode_varint_field(1, kind) + b"".join(fields))


def test_size_is_checked_before_any_part_is_fetched(shelf: Shelf) -> None:
    root = shelf.node([shelf.leaf(b"a" * 100), shelf.leaf(b"b" * 100)])
    with pytest.raises(BlobTooLarge, match="holds 200 bytes, at most 199"):
        shelf.read(root.cid, 199)
    assert shelf.fetched == 1


def test_part_of_another_size_than_stated_is_refused(shelf: Shelf) -> None:
    leaf = shelf.leaf(b"12345")
    for lie in (4, 6):
        root = shelf.node([shelf.leaf(b"ok"), Link(leaf.cid, lie, lie)])
        with pytest.raises(MalformedBlock, match=f"holds 5 bytes, its parent says {lie}"):
            shelf.read(root.cid)


def test_inner_node_of_another_size_than_stated_is_refused(shelf: Shelf) -> None:
    inner = shelf.node([shelf.leaf(b"12345")])
    root = shelf.node([Link(inner.cid, 6, inner.total_bytes + 1)])
    with pytest.raises(MalformedBlock, match="holds 5 bytes, its parent says 6"):
        shelf.read(root.cid)


def test_total_that_cannot_be_is_refused(shelf: Shelf) -> None:
    leaf = shelf.leaf(b"12345")
    for total in (4, 6):
        root = shelf.node([Link(leaf.cid, 5, total)])
        with pytest.raises(MalformedBlock, match=f"5 bytes of file but {total} bytes in all"):
            shelf.read(root.cid)


def test_empty_parts_are_refused(shelf: Shelf) -> None:
    """1024 links of no bytes, eight layers deep, would be walked for ever."""
    root = shelf.node([shelf.leaf(b"")])
    with pytest.raises(MalformedBlock, match="an empty part"):
        shelf.read(root.cid)


def test_trees_are_at_most_eight_layers_deep(shelf: Shelf) -> None:
    link = shelf.leaf(b"x")
    for _ in range(8):
        link = shelf.node([link])
    assert shelf.read(link.cid) == b"x"
    with pytest.raises(MalformedBlock, match="deeper than 8 levels"):
        shelf.read(shelf.node([link]).cid)


def test_dust_is_refused_before_it_is_fetched(shelf: Shelf) -> None:
    """One byte a block, the same block a thousand times in each node."""
    inner = shelf.node([shelf.leaf(b"x")] * 1000)
    root = shelf.node([inner] * 1000)
    with pytest.raises(MalformedBlock, match="far smaller than 4 KiB"):
        shelf.read(root.cid)
    assert shelf.fetched < 2000


def test_small_files_may_be_cut_small(shelf: Shelf) -> None:
    builder = FileBuilder(chunk_bytes=16, width=4)
    data = bytes(range(256)) * 16
    blocks = builder.feed(data)
    rest, root = builder.finish()
    shelf.blocks |= {block.cid: block.data for block in blocks + rest}
    assert shelf.read(root.cid) == data


def test_files_of_other_writers_are_read(shelf: Shelf) -> None:
    """Kubo's old default wraps leaves in UnixFS, with and without a size or a mode."""
    for kind in (0, 2):
        data = encode_bytes_field(2, b"hello")
        plain = shelf.pb(unixfs(data, encode_varint_field(3, 5), kind=kind))
        sizeless = shelf.pb(unixfs(data, kind=kind))
        dated = shelf.pb(unixfs(data, encode_varint_field(7, 0o644), kind=kind))
        assert [shelf.read(cid) for cid in (plain, sizeless, dated)] == [b"hello"] * 3


LEAF = Link(CID.of(b"12345"), 5, 5)
SIZE = encode_varint_field(3, 5)
PART = encode_varint_field(4, 5)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "without UnixFS data"),
        (b"\xff", "ends within a varint"),
        (b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "longer than 63 bits"),
        (b"\x8a\x00\x00", "padded with a zero byte"),
        (b"\x0a\x7fxx", "ends beyond its block"),
        (b"\x0d\x00\x00\x00\x00", "wire type 5"),
        (b"\x08\x01", "a number in field 1"),
        (encode_bytes_field(9, b""), "an unknown field 9"),
        (unixfs() + pb_link(LEAF), "after its data"),
        (unixfs() + unixfs(), "after its data"),
        (unixfs(kind=1), "UnixFS of type 1"),
        (unixfs(kind=5), "UnixFS of type 5"),
        (encode_bytes_field(1, b""), "UnixFS of type None"),
        (unixfs(encode_varint_field(1, 2)), "UnixFS field 1"),
        (unixfs(encode_varint_field(5, 1)), "UnixFS field 5"),
        (unixfs(SIZE, SIZE), "UnixFS field 3"),
        (unixfs(SIZE), "says it holds 5 bytes; its parts make 0"),
        (unixfs(SIZE, PART), "has 0 links but 1 sizes"),
        (pb_link(LEAF) + unixfs(SIZE), "has 1 links but 0 sizes"),
        (pb_link(LEAF) + unixfs(encode_bytes_field(2, b"x"), PART), "mixes file bytes"),
        (encode_bytes_field(2, b"") + unixfs(), "without an address"),
        (encode_bytes_field(2, b"\x0a\x01x") + unixfs(), "cannot be followed"),
        (encode_bytes_field(2, b"\x08\x01") + unixfs(), "without an address"),
        (encode_bytes_field(2, b"\x18\x01\x0a\x00") + unixfs(), "not canonical"),
        (encode_bytes_field(2, b"\x20\x01") + unixfs(), "not canonical"),
        (pb_link(LEAF, size=2**40) + unixfs(SIZE, PART), "1099511627776 bytes in all"),
    ],
)
def test_malformed_nodes_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedBlock, match=reason):
        decode_file_block(Block(CID.of(data, DAG_PB), data))


def test_links_have_a_limit() -> None:
    data = pb_link(LEAF) * 8193
    with pytest.raises(MalformedBlock, match="more than 8192 links"):
        linked_cids(Block(CID.of(data, DAG_PB), data))


def test_varints_are_seven_bits_a_byte() -> None:
    assert encode_varint(0) == b"\x00"
    assert encode_varint(127) == b"\x7f"
    assert encode_varint(128) == b"\x80\x01"
    assert encode_varint(300) == b"\xac\x02"
