"""DAG-PB nodes and the UnixFS message inside them, as far as files need them.

    PBNode { repeated PBLink Links = 2; optional bytes Data = 1 }     (links are written first)
    PBLink { bytes Hash = 1; string Name = 2; uint64 Tsize = 3 }
    UnixFS { Type = 1; bytes Data = 2; filesize = 3; repeated blocksizes = 4; ... }

Sources: https://ipld.io/specs/codecs/dag-pb/spec/ and https://specs.ipfs.tech/unixfs/.
"""

from __future__ import annotations

from dataclasses import dataclass

from openmined.storage._cid import CID, DAG_PB, RAW
from openmined.storage._errors import BadCID, MalformedBlock
from openmined.storage._wire import (
    decode_fields,
    encode_bytes_field,
    encode_varint_field,
)

MAX_BLOCK_BYTES = 2 << 20
"""The largest block that IPFS nodes exchange; our own are at most 1 MiB."""

MAX_LINKS = 8192
_UNIXFS_RAW = 0
_UNIXFS_FILE = 2


@dataclass(frozen=True, slots=True)
class Block:
    """A content address and the bytes under it. Whoever makes one vouches that they match."""

    cid: CID
    data: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A part of a file: where it is, how many bytes of the file it holds, and of the DAG.

    `total_bytes` is DAG-PB's Tsize: the encoded size of the block and of all below it.
    """

    cid: CID
    file_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class FileNode:
    """One block of a file, decoded: either some bytes of it, or links to its parts."""

    data: bytes
    size: int
    links: tuple[Link, ...]


def encode_file_node(links: list[Link]) -> tuple[Block, Link]:
    """Encode an inner node of a file; return its block, and the link its parent holds."""
    encoded_links = [
        encode_bytes_field(
            2,
            encode_bytes_field(1, link.cid.binary)
            + encode_bytes_field(2, b"")
            + encode_varint_field(3, link.total_bytes),
        )
        for link in links
    ]
    size = sum(link.file_bytes for link in links)
    unixfs = encode_varint_field(1, _UNIXFS_FILE) + encode_varint_field(3, size)
    unixfs += b"".join(encode_varint_field(4, link.file_bytes) for link in links)
    data = b"".join(encoded_links) + encode_bytes_field(1, unixfs)
    block = Block(CID.of(data, DAG_PB), data)
    total = len(data) + sum(link.total_bytes for link in links)
    return block, Link(block.cid, size, total)


def decode_file_block(block: Block) -> FileNode:
    """Read one block of a file: a raw leaf, or a UnixFS file node.

    Raises:
        MalformedBlock: if it is neither, or contradicts itself.
    """
    if block.cid.codec == RAW:
        return FileNode(block.data, len(block.data), ())
    links, unixfs = _decode_node(block)
    if unixfs is None:
        raise MalformedBlock(f"{block.cid} is a DAG-PB node without UnixFS data: no file")
    data, size, sizes = _decode_unixfs(block.cid, unixfs)
    if len(links) != len(sizes):
        raise MalformedBlock(f"{block.cid} has {len(links)} links but {len(sizes)} sizes")
    if links and data:
        raise MalformedBlock(f"{block.cid} mixes file bytes with links")
    if size != len(data) + sum(sizes):
        raise MalformedBlock(
            f"{block.cid} says it holds {size} bytes; its parts make {len(data) + sum(sizes)}"
        )
    parts = tuple(
        _checked_link(block.cid, Link(cid, part, size_below if size_below is not None else part))
        for (cid, size_below), part in zip(links, sizes, strict=True)
    )
    return FileNode(data, size, parts)


def linked_cids(block: Block) -> list[CID]:
    """Return what a block links to, in order, whatever kind of DAG-PB node it is.

    Raises:
        MalformedBlock: if it is no DAG-PB node, or links to something that is not used here.
    """
    if block.cid.codec == RAW:
        return []
    return [cid for cid, _ in _decode_node(block)[0]]


def _checked_link(parent: CID, link: Link) -> Link:
    # A part without bytes would let a small tree cost a reader an endless walk.
    if link.file_bytes == 0:
        raise MalformedBlock(f"{parent} links to an empty part {link.cid}")
    whole = link.total_bytes == link.file_bytes
    if not (whole if link.cid.codec == RAW else link.total_bytes >= link.file_bytes):
        raise MalformedBlock(
            f"{parent} gives its part {link.cid} {link.file_bytes} bytes of file "
            f"but {link.total_bytes} bytes in all"
        )
    return link


def _decode_node(block: Block) -> tuple[list[tuple[CID, int | None]], bytes | None]:
    links: list[tuple[CID, int | None]] = []
    data: bytes | None = None
    for number, value in decode_fields(block.data):
        if data is not None:
            raise MalformedBlock(f"{block.cid} has fields after its data: not canonical DAG-PB")
        if not isinstance(value, bytes):
            raise MalformedBlock(f"{block.cid} has a number in field {number}: no DAG-PB node")
        if number == 2:
            links.append(_decode_link(block.cid, value))
        elif number == 1:
            data = value
        else:
            raise MalformedBlock(f"{block.cid} has an unknown field {number}: no DAG-PB node")
        if len(links) > MAX_LINKS:
            raise MalformedBlock(f"{block.cid} has more than {MAX_LINKS} links")
    return links, data


def _decode_link(parent: CID, data: bytes) -> tuple[CID, int | None]:
    fields = list(decode_fields(data))
    numbers = [number for number, _ in fields]
    if numbers != sorted(set(numbers)) or not set(numbers) <= {1, 2, 3}:
        raise MalformedBlock(f"{parent} has a link with fields {numbers[:8]}: not canonical DAG-PB")
    found = dict(fields)
    target, size = found.get(1), found.get(3)
    if not isinstance(target, bytes) or isinstance(size, bytes):
        raise MalformedBlock(f"{parent} has a link without an address")
    try:
        return CID.from_bytes(target), size
    except BadCID as error:
        raise MalformedBlock(f"{parent} has a link that cannot be followed: {error}") from error


def _decode_unixfs(parent: CID, data: bytes) -> tuple[bytes, int, list[int]]:
    kind: int | bytes | None = None
    content: bytes = b""
    size: int | None = None
    sizes: list[int] = []
    for number, value in decode_fields(data):
        if number == 1 and kind is None:
            kind = value
        elif number == 2 and not content and isinstance(value, bytes):
            content = value
        elif number == 3 and size is None and isinstance(value, int):
            size = value
        elif number == 4 and isinstance(value, int):
            sizes.append(value)
        elif number not in (7, 8):  # mode and modification time say nothing about the bytes
            raise MalformedBlock(f"{parent} has UnixFS field {number} where no file has one")
    if kind not in (_UNIXFS_RAW, _UNIXFS_FILE):
        raise MalformedBlock(f"{parent} is UnixFS of type {kind!r}: only files are read here")
    return content, len(content) + sum(sizes) if size is None else size, sizes
