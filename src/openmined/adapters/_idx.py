"""MNIST's IDX files: images and labels of Fashion-MNIST, EMNIST, KMNIST and MNIST itself.

A raw sample, the head of t10k-images-idx3-ubyte and of t10k-labels-idx1-ubyte:

    00 00 08 03  00 00 27 10  00 00 00 1c  00 00 00 1c   three dimensions: 10000 x 28 x 28
    00 00 08 01  00 00 27 10  07 02 01 00 ...            one dimension: 10000 labels

Pixels go row by row from 0 (black) to 1 (white). Files may be gzipped, as they are published.
Source: LeCun, Cortes and Burges, "The MNIST database", section "file formats".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from openmined.adapters._errors import MappingError
from openmined.adapters._images import image_schema
from openmined.adapters._mapping import ImageSize, TableMapping
from openmined.adapters._open import gunzip
from openmined.adapters._rows import Place, Row, RowError, Rows
from openmined.adapters._source import Entry, Source
from openmined.protocol import TableSchema

_IMAGES, _LABELS = 0x00000803, 0x00000801


@dataclass(frozen=True, slots=True)
class IDXFiles:
    """Pairs of an image file and a label file whose names differ in `images` and `labels`."""

    name: str = "idx"
    title: str = "IDX images (MNIST)"

    def detect(self, source: Source) -> float:
        """Sure when a file of the right name begins as IDX image files do."""
        return 0.95 if any(_magic(source, entry) == _IMAGES for entry in _images(source)) else 0.0

    def bind(self, source: Source, mapping: TableMapping | None) -> IDXAdapter:  # noqa: ARG002
        """Bind to the size of the first image file; a mapping has nothing to add."""
        found = [entry for entry in _images(source) if _magic(source, entry) == _IMAGES]
        if not found:
            raise MappingError(f"{source.name}: no IDX image file in it")
        with _open(source, found[0]) as stream:
            _, _, height, width = struct.unpack(">4I", _exactly(stream, 16, found[0]))
        if not (1 <= height <= 512 and 1 <= width <= 512):
            raise MappingError(f"{found[0].name}: images of {width} x {height} pixels are not read")
        size = ImageSize(width=width, height=height)
        return IDXAdapter(self.name, self.title, image_schema(size), size)


@dataclass(frozen=True, slots=True)
class IDXAdapter:
    """IDX files bound to a size; satisfies `Adapter`."""

    name: str
    title: str
    schema: TableSchema
    size: ImageSize
    identity: tuple[str, ...] = ()

    def detect(self, source: Source) -> float:
        """It was bound to this source already."""
        return float(bool(source.entries))

    def read(self, source: Source) -> Rows:
        """Yield a row for every image of every pair."""
        labels = {entry.name: entry for entry in source.find("*labels*idx1*")}
        for entry in _images(source):
            if _magic(source, entry) != _IMAGES:
                continue
            name = entry.name.replace("images", "labels").replace("idx3", "idx1")
            yield from self._pair(source, entry, labels.get(name))

    def _pair(self, source: Source, images: Entry, labels: Entry | None) -> Rows:
        with _open(source, images) as pixels, _open_labels(source, labels) as names:
            count, height, width = struct.unpack(">4I", _exactly(pixels, 16, images))[1:]
            if (width, height) != (self.size.width, self.size.height):
                yield RowError(
                    Place(images.name),
                    f"images of {width} x {height} among those of {self.size.width} x "
                    f"{self.size.height}: import them on their own",
                )
                return
            for number in range(1, count + 1):
                place = Place(images.name, record=number)
                data = pixels.read(width * height)
                label = names.read(1) if names else None
                if len(data) < width * height or label == b"":
                    yield RowError(place, f"the file ends before its {count:,} images", stops=True)
                    return
                yield Row(
                    {
                        "file": f"{images.base}#{number}",
                        "label": None if label is None else str(label[0]),
                        "pixels": np.frombuffer(data, np.uint8) / 255.0,
                    },
                    place,
                )


def _images(source: Source) -> tuple[Entry, ...]:
    return source.find("*images*idx3*")


def _magic(source: Source, entry: Entry) -> int:
    with _open(source, entry) as stream:
        head = stream.read(4)
    return int.from_bytes(head, "big") if len(head) == 4 else 0


@contextmanager
def _open(source: Source, entry: Entry) -> Iterator[BinaryIO]:
    with source.open(entry) as stream:
        if not entry.name.lower().endswith(".gz"):
            yield stream
            return
        with gunzip(stream, entry.name, entry.size, source.limits) as unpacked:
            yield unpacked


@contextmanager
def _open_labels(source: Source, entry: Entry | None) -> Iterator[BinaryIO | None]:
    with nullcontext() if entry is None else _open(source, entry) as stream:
        if stream is not None and entry is not None:
            magic, _ = struct.unpack(">2I", _exactly(stream, 8, entry))
            if magic != _LABELS:
                raise MappingError(f"{entry.name}: no IDX label file")
        yield stream


def _exactly(stream: BinaryIO, size: int, entry: Entry) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise MappingError(f"{entry.name}: an IDX file cut short")
    return data
