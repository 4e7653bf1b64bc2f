"""Content identifiers: CIDv1, sha2-256, of raw bytes or of a DAG-PB node. Nothing else.

One fixed form (36 bytes; 59 characters of lower-case base32) leaves no room for two
spellings of one content. Source: https://github.com/multiformats/cid.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Self

from openmined.storage._errors import BadCID, BlockMismatch

RAW = 0x55
DAG_PB = 0x70
CID_BYTES = 36

_CODECS = {RAW: "raw", DAG_PB: "dag-pb"}
_VERSION = b"\x01"
_SHA2_256 = b"\x12\x20"
_TEXT_LENGTH = 59


@dataclass(frozen=True, slots=True)
class CID:
    """The address of one block: its codec (`RAW` or `DAG_PB`) and sha2-256 digest (32 bytes)."""

    codec: int
    digest: bytes

    def __post_init__(self) -> None:
        if self.codec not in _CODECS:
            raise BadCID(f"codec 0x{self.codec:x} is not used here: expected raw or dag-pb")
        if len(self.digest) != 32:
            raise BadCID(f"a sha2-256 digest has 32 bytes, not {len(self.digest)}")

    @classmethod
    def of(cls, data: bytes | memoryview, codec: int = RAW) -> Self:
        """Return the address of a block."""
        return cls(codec, hashlib.sha256(data).digest())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a CID from its text form.

        Raises:
            BadCID: unless it is CIDv1, base32, sha2-256, raw or dag-pb, in its one spelling.
        """
        if len(text) != _TEXT_LENGTH or not text.startswith("b"):
            raise BadCID(f"{shown(text)} is no CID of this network: {_hint(text)}")
        try:
            data = base64.b32decode(text[1:].upper() + "======")
        except (binascii.Error, ValueError) as error:
            raise BadCID(f"{shown(text)} is no CID: not lower-case base32") from error
        cid = cls.from_bytes(data)
        if str(cid) != text:
            raise BadCID(f"{shown(text)} is no CID: its one spelling is {cid}")
        return cid

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a CID from its 36 binary bytes."""
        if len(data) != CID_BYTES or data[:1] != _VERSION or data[2:4] != _SHA2_256:
            raise BadCID(
                f"binary CID 0x{data[:40].hex()} is not CIDv1 with sha2-256: "
                "add the content again with CID version 1"
            )
        return cls(data[1], data[4:])

    @property
    def binary(self) -> bytes:
        """The 36 bytes: version, codec, sha2-256, 32, digest."""
        return _VERSION + bytes((self.codec,)) + _SHA2_256 + self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.binary).decode().rstrip("=").lower()

    def matches(self, data: bytes | memoryview) -> bool:
        """Say whether these bytes are the block this CID addresses."""
        return hashlib.sha256(data).digest() == self.digest


def check_block(cid: CID, data: bytes, origin: str) -> bytes:
    """Return `data` if it is the block `cid`; `origin` says in the error who served it.

    Raises:
        BlockMismatch: if it hashes to something else.
    """
    if not cid.matches(data):
        raise BlockMismatch(
            f"{origin} gave {len(data)} bytes for {cid} that hash to {CID.of(data, cid.codec)}: "
            "the bytes were damaged or forged, do not use them"
        )
    return data


def cid_of_digest(digest: bytes) -> str:
    """Return the CID of the manifest whose sha2-256 digest (32 bytes) stands on chain."""
    return str(CID(RAW, bytes(digest)))


def digest_of_cid(cid: str) -> bytes:
    """Return the sha2-256 digest (32 bytes) of a manifest's CID.

    Raises:
        BadCID: if it is malformed, or a dag-pb CID, whose digest is not that of its bytes.
    """
    parsed = CID.parse(cid)
    if parsed.codec != RAW:
        raise BadCID(f"{cid} addresses a file of several blocks: a manifest is one raw block")
    return parsed.digest


def shown(text: str) -> str:
    """Return hostile text fit for an error message: quoted, printable, short."""
    cut = text if len(text) <= 80 else text[:77] + "..."
    return ascii(cut)


def _hint(text: str) -> str:
    if text.startswith("Qm"):
        return "a CID of version 0; add the content again with CID version 1"
    return f"expected {_TEXT_LENGTH} characters that begin with 'b', found {len(text)}"
