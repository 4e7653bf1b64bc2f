"""CARv1: many blocks in one stream.

CAR     = section(header) section(block) section(block) ...
section = varint(length) bytes
header  = DAG-CBOR {"roots": [CID], "version": 1};  block = CID bytes

Source: https://ipld.io/specs/transport/car/carv1/.
"""

from __future__ import annotations

from collections.abc import Iterator

from openmined.storage._cid import CID, CID_BYTES
from openmined.storage._dagpb import MAX_BLOCK_BYTES, Block
from openmined.storage._errors import BadCID, MalformedBlock, MalformedCAR
from openmined.storage._wire import decode_varint, encode_varint

CAR_TYPE = "application/vnd.ipld.car"

_MAX_HEADER_BYTES = 4096
_HEAD = b"\xa2\x65roots"  # a map of two; the key "roots"
_LINK = b"\xd8\x2a\x58\x25\x00"  # tag 42 on 37 bytes: zero, then the CID
_TAIL = b"\x67version\x01"


def encode_car_header(root: CID) -> bytes:
    """Encode the first section: what this archive is about."""
    return _section(_HEAD + b"\x81" + _LINK + root.binary + _TAIL)


def encode_car_section(block: Block) -> bytes:
    """Encode one block."""
    return car_section_head(block) + block.data


def car_section_head(block: Block) -> bytes:
    """Return what stands before a block's bytes, for writers that do not want to copy them."""
    return encode_varint(CID_BYTES + len(block.data)) + block.cid.binary


class CarParser:
    """Reads an archive pushed in pieces of any size; blocks come out as yet unverified.

    Holds at most one block. No length is believed before it is checked against the limits.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._buffer = bytearray()
        self._needed: int | None = None
        self.roots: tuple[CID, ...] | None = None

    def feed(self, data: bytes | memoryview) -> Iterator[Block]:
        """Take more of the archive; yield the blocks that are now complete, unverified.

        Raises:
            MalformedCAR: if this is no CARv1, or a section is above 2 MiB.
        """
        self._buffer += data
        while (section := self._next_section()) is not None:
            if self.roots is None:
                self.roots = self._read_header(section)
            else:
                yield self._read_block(section)

    def finish(self) -> None:
        """End the archive.

        Raises:
            MalformedCAR: if it ends within a section, or before its header.
        """
        if self._buffer or self._needed is not None or self.roots is None:
            raise MalformedCAR(f"the archive from {self._origin} was cut short: ask again")

    def _next_section(self) -> bytes | None:
        if self._needed is None:
            self._needed = self._read_length()
        if self._needed is None or len(self._buffer) < self._needed:
            return None
        with memoryview(self._buffer) as view:
            section = bytes(view[: self._needed])
        del self._buffer[: self._needed]
        self._needed = None
        return section

    def _read_length(self) -> int | None:
        try:
            found = decode_varint(self._buffer, 0)
        except MalformedBlock as error:
            raise self._bad(str(error)) from error
        if found is None:
            return None
        length, used = found
        limit = _MAX_HEADER_BYTES if self.roots is None else MAX_BLOCK_BYTES + CID_BYTES
        if not 0 < length <= limit:
            raise self._bad(f"a section claims {length} bytes, allowed are 1 to {limit}")
        del self._buffer[:used]
        return length

    def _read_header(self, header: bytes) -> tuple[CID, ...]:
        count = header[len(_HEAD)] - 0x80 if len(header) > len(_HEAD) else -1
        if not 0 <= count <= 23 or not header.startswith(_HEAD) or not header.endswith(_TAIL):
            raise self._bad("its header is not that of a CARv1 with at most 23 roots")
        body = header[len(_HEAD) + 1 : -len(_TAIL)]
        step = len(_LINK) + CID_BYTES
        if len(body) != count * step:
            raise self._bad(f"its header names {count} roots in {len(body)} bytes")
        links = [body[start : start + step] for start in range(0, len(body), step)]
        if any(not link.startswith(_LINK) for link in links):
            raise self._bad("its header names a root that is no CIDv1 with sha2-256")
        try:
            return tuple(CID.from_bytes(link[len(_LINK) :]) for link in links)
        except BadCID as error:
            raise self._bad(str(error)) from error

    def _read_block(self, section: bytes) -> Block:
        try:
            return Block(CID.from_bytes(section[:CID_BYTES]), section[CID_BYTES:])
        except BadCID as error:
            raise self._bad(str(error)) from error

    def _bad(self, reason: str) -> MalformedCAR:
        return MalformedCAR(f"the archive from {self._origin} is malformed: {reason}")


def _section(data: bytes) -> bytes:
    return encode_varint(len(data)) + data
