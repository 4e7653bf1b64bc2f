"""What can be added to a store: bytes, a path, or an open binary file."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from openmined.storage._car import car_section_head, encode_car_header
from openmined.storage._dagpb import Block, Link
from openmined.storage._errors import SourceChanged
from openmined.storage._unixfs import FileBuilder

Source = bytes | bytearray | memoryview | Path | BinaryIO

_PIECE_BYTES = 1 << 20
_SPOOL_BYTES = 8 << 20


@contextmanager
def replayable(source: Source) -> Iterator[Source]:
    """Give a source that can be read more than once; a pipe is spooled to a temporary file."""
    if isinstance(source, bytes | bytearray | memoryview | Path) or source.seekable():
        yield source
        return
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
        while piece := source.read(_PIECE_BYTES):
            spool.write(piece)
        spool.seek(0)
        yield spool  # type: ignore[misc]  # a BinaryIO in all but name


def file_blocks(source: Source) -> Iterator[Block | Link]:
    """Yield the blocks of a file as they are made, then the link to its root.

    A seekable file is read from where it stands, and is left at that place again.
    """
    builder = FileBuilder()
    for piece in _pieces(source):
        yield from builder.feed(piece)
    blocks, root = builder.finish()
    yield from blocks
    yield root


@dataclass(frozen=True, slots=True)
class Plan:
    """What an upload will be: its root, its count of blocks, the size of its archive."""

    root: Link
    blocks: int
    car_bytes: int


def plan_upload(source: Source) -> Plan:
    """Read a source once to learn its root and what its archive will measure."""
    car_bytes = 0
    for blocks, item in enumerate(file_blocks(source)):
        if isinstance(item, Link):
            return Plan(item, blocks, len(encode_car_header(item.cid)) + car_bytes)
        car_bytes += len(car_section_head(item)) + len(item.data)
    raise AssertionError("a file ends with the link to its root")


def car_pieces(source: Source, plan: Plan) -> Iterator[bytes]:
    """Yield the archive of a file planned before. Raises SourceChanged as `blocks_of` does."""
    yield encode_car_header(plan.root.cid)
    for block in blocks_of(source, plan):
        yield car_section_head(block)
        yield block.data


def blocks_of(source: Source, plan: Plan) -> Iterator[Block]:
    """Yield the blocks of a file planned before.

    Raises:
        SourceChanged: if they are no longer the same; at the end, or when they become more.
    """
    left = plan.car_bytes - len(encode_car_header(plan.root.cid))
    for item in file_blocks(source):
        if isinstance(item, Link):
            if item.cid != plan.root.cid:
                raise _changed(plan)
            return
        left -= len(car_section_head(item)) + len(item.data)
        if left < 0:
            raise _changed(plan)
        yield item


def _changed(plan: Plan) -> SourceChanged:
    return SourceChanged(
        f"the source changed while it was added: it is no longer {plan.root.cid}; add it again "
        "when nothing writes to it"
    )


def cid_of_bytes(data: bytes | bytearray | memoryview) -> str:
    """Return the CID that these bytes have as a file, by profile unixfs-v1-2025."""
    return str(plan_upload(data).root.cid)


def cid_of_file(file: Path | BinaryIO) -> str:
    """Return the CID of a file of any size, in constant memory."""
    return str(plan_upload(file).root.cid)


def _pieces(source: Source) -> Iterator[bytes | memoryview]:
    if isinstance(source, bytes | bytearray | memoryview):
        yield memoryview(source).cast("B")
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield from _read(file)
    elif source.seekable():
        start = source.tell()
        yield from _read(source)
        source.seek(start)
    else:
        yield from _read(source)


def _read(file: BinaryIO | io.BufferedIOBase) -> Iterator[bytes]:
    while piece := file.read(_PIECE_BYTES):
        yield piece
