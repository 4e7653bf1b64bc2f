"""Files as trees of blocks, by the IPFS profile `unixfs-v1-2025`.

sha2-256, chunks of 1 MiB, raw leaves, balanced tree of width 1024. A file of at most one
chunk is that one raw block, the empty file too. Source: IPIP-499,
https://specs.ipfs.tech/ipips/ipip-0499/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from openmined.storage._cid import CID
from openmined.storage._dagpb import (
    Block,
    FileNode,
    Link,
    decode_file_block,
    encode_file_node,
)
from openmined.storage._errors import BlobTooLarge, MalformedBlock

PROFILE = "unixfs-v1-2025"
CHUNK_BYTES = 1 << 20
WIDTH = 1024

_MAX_DEPTH = 8
_SMALLEST_CHUNK = 4096  # on average; smaller ones would make a blob cost its reader millions


class FileBuilder:
    """Turns bytes, pushed in pieces of any size, into the blocks of a file.

    Holds at most one chunk and one path of links, whatever the size of the file. Blocks come
    leaves first; the last block that `finish` returns is the root.
    """

    def __init__(self, chunk_bytes: int = CHUNK_BYTES, width: int = WIDTH) -> None:
        self._chunk_bytes = chunk_bytes
        self._width = width
        self._buffer = bytearray()
        self._levels: list[list[Link]] = [[]]

    def feed(self, data: bytes | memoryview) -> list[Block]:
        """Take more of the file; return the blocks that are now complete."""
        blocks: list[Block] = []
        rest = memoryview(data)
        while len(self._buffer) + len(rest) >= self._chunk_bytes:
            missing = self._chunk_bytes - len(self._buffer)
            chunk = bytes(self._buffer) + bytes(rest[:missing])
            self._buffer.clear()
            rest = rest[missing:]
            blocks += self._add_leaf(chunk)
        self._buffer += rest
        return blocks

    def finish(self) -> tuple[list[Block], Link]:
        """End the file; return the remaining blocks, and the root with the file's size."""
        blocks: list[Block] = []
        if self._buffer or self._levels == [[]]:
            blocks += self._add_leaf(bytes(self._buffer))
        level = 0
        while len(self._levels) > level + 1 or len(self._levels[level]) > 1:
            blocks += self._close(level)
            level += 1
        return blocks, self._levels[level][0]

    def _add_leaf(self, chunk: bytes) -> list[Block]:
        leaf = Block(CID.of(chunk), chunk)
        blocks = [leaf]
        level = 0
        while level < len(self._levels) and len(self._levels[level]) == self._width:
            blocks += self._close(level)
            level += 1
        self._levels[0].append(Link(leaf.cid, len(chunk), len(chunk)))
        return blocks

    def _close(self, level: int) -> list[Block]:
        block, link = encode_file_node(self._levels[level])
        self._levels[level] = []
        if level + 1 == len(self._levels):
            self._levels.append([])
        self._levels[level + 1].append(link)
        return [block]


@dataclass(frozen=True, slots=True)
class _Part:
    cid: CID
    size: int | None  # None for the root, of which nothing is known yet
    depth: int


def read_file(root: CID, fetch: Callable[[CID], bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield the bytes of a file in order, block by block, depth first.

    `fetch` returns verified bytes. Every size that a node claims is checked against what is
    found, and the size of the whole against `max_bytes` before any part is fetched.

    Raises:
        BlobTooLarge: if the file is above `max_bytes`.
        MalformedBlock: if the tree contradicts itself, is too deep or too finely cut.
    """
    pending = [_Part(root, None, 0)]
    blocks_left = 1024
    while pending:
        part = pending.pop()
        node = decode_file_block(Block(part.cid, fetch(part.cid)))
        if part.size is None:
            _check_size(root, node.size, max_bytes)
            blocks_left += 2 * (node.size // _SMALLEST_CHUNK)
        elif node.size != part.size:
            raise MalformedBlock(
                f"part {part.cid} of {root} holds {node.size} bytes, its parent says {part.size}"
            )
        blocks_left -= 1
        if node.data:
            yield node.data
        pending.extend(reversed(_children(root, part, node, blocks_left - len(pending))))


def _children(root: CID, part: _Part, node: FileNode, allowed: int) -> list[_Part]:
    if node.links and part.depth == _MAX_DEPTH:
        raise MalformedBlock(f"the tree of {root} is deeper than {_MAX_DEPTH} levels: refused")
    if len(node.links) > allowed:
        raise MalformedBlock(f"{root} is cut into parts far smaller than 4 KiB: refused")
    return [_Part(link.cid, link.file_bytes, part.depth + 1) for link in node.links]


def _check_size(root: CID, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise BlobTooLarge(f"{root} holds {size} bytes, at most {max_bytes} were allowed for it")
