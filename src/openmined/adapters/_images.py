"""Folders of images with labels.

A raw sample:

    photos/
      cat/IMG_0001.jpg        the folder says what the image shows,
      dog/IMG_0002.png
    or
    photos/
      labels.csv              file,label
      IMG_0001.jpg            IMG_0001.jpg,cat

Every image becomes grey, upright, of one size; pixels go row by row from 0 (black) to 1 (white).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from openmined.adapters._csv import csv_table
from openmined.adapters._errors import MappingError, SourceError
from openmined.adapters._limits import Limits
from openmined.adapters._mapping import ImageSize, TableMapping
from openmined.adapters._rows import Place, Row, RowError, Rows, shown
from openmined.adapters._schemas import published_schema
from openmined.adapters._source import Entry, Source
from openmined.protocol import FieldConstraints, SchemaField, TableSchema

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "PPM")
_PATTERNS = ("*.png", "*.jpg", "*.jpeg", "*.gif", "*.bmp", "*.webp", "*.pgm", "*.ppm")
_LABELS = "labels.csv"
_MNIST = ImageSize(width=28, height=28)


def image_schema(size: ImageSize) -> TableSchema:
    """Return the schema of grey images of one size: published for 28 x 28, like it for others."""
    published = published_schema("openmined/images-28x28@1")
    if size == _MNIST:
        return published
    count = size.width * size.height
    pixels = SchemaField(
        name="pixels",
        type="array",
        description=published.field("pixels").description,
        constraints=FieldConstraints(required=True, minLength=count, maxLength=count),
    )
    others = tuple(field for field in published.fields if field.name != "pixels")
    return TableSchema(title=f"Images of {size.width} x {size.height}", fields=(*others, pixels))


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Images in folders named after what they show, or beside a labels.csv."""

    name: str = "images"
    title: str = "Folder of images"

    def detect(self, source: Source) -> float:
        """Sure when most of the source is images."""
        share = len(source.find(*_PATTERNS)) / max(1, len(source.entries))
        return 0.6 if share > 0.5 else 0.2 if share > 0.1 else 0.0

    def bind(self, source: Source, mapping: TableMapping | None) -> ImageAdapter:
        """Bind to the size that the mapping's `[image]` table asks for; 28 x 28 without."""
        size = (mapping.image if mapping else None) or _MNIST
        if not source.find(*_PATTERNS):
            raise MappingError(f"{source.name}: no image of {', '.join(_FORMATS)} in it")
        return ImageAdapter(self.name, self.title, image_schema(size), size)


@dataclass(frozen=True, slots=True)
class ImageAdapter:
    """Images bound to a size; satisfies `Adapter`."""

    name: str
    title: str
    schema: TableSchema
    size: ImageSize
    identity: tuple[str, ...] = ()

    def detect(self, source: Source) -> float:
        """It was bound to this source already."""
        return float(bool(source.entries))

    def read(self, source: Source) -> Rows:
        """Yield a row for every image, in the order of their names."""
        labels = yield from _label_table(source)
        for entry in source.find(*_PATTERNS):
            yield self._row(source, entry, labels)

    def _row(
        self, source: Source, entry: Entry, labels: Mapping[str, str] | None
    ) -> Row | RowError:
        label = entry.folder.rpartition("/")[2] or None
        if labels is not None:
            label = labels.get(entry.name)
        try:
            pixels = read_image(source.read_whole(entry), self.size, source.limits)
        except (ValueError, SourceError) as error:
            return RowError(Place(entry.name), f"no readable image: {error}")
        return Row({"file": entry.name, "label": label, "pixels": pixels}, Place(entry.name))


def read_image(data: bytes, size: ImageSize, limits: Limits) -> Any:
    """Decode an image and return its grey pixels, float64 of shape (height * width,), 0 to 1.

    Raises:
        ValueError: if it is no image, damaged, or has more pixels than the limits allow.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                if image.width * image.height > limits.pixels:
                    raise ValueError(
                        f"{image.width} x {image.height} pixels are more than {limits.pixels:,}"
                    )
                image.draft("L", (size.width, size.height))
                upright = ImageOps.exif_transpose(image)
                grey = _grey(upright)
                scaled = grey.resize((size.width, size.height), Image.Resampling.BOX)
                return np.asarray(scaled, np.float64).ravel() / 255.0
    except Exception as error:  # noqa: BLE001 (decoders raise anything on hostile bytes)
        raise ValueError(shown(str(error), 120)) from None


def _grey(image: Any) -> Any:
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits a pixel
        wide = np.asarray(image, np.float64)
        return Image.fromarray((wide / 257.0).clip(0, 255).astype(np.uint8))
    if "A" in image.mode or "transparency" in image.info:
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, image.convert("RGBA")).convert("L")
    return image.convert("L")


def _label_table(source: Source) -> Any:
    """Read labels.csv, if there is one, into file -> label; yields the errors in it."""
    found = [entry for entry in source.entries if entry.base.lower() == _LABELS]
    if not found:
        return None
    labels: dict[str, str] = {}
    table = csv_table(source, found[0], TableMapping())
    if not {"file", "label"} <= set(table.columns):
        raise MappingError(f"{found[0].name}: the columns file and label are needed")
    folder = found[0].folder
    for record in table.records():
        if isinstance(record, RowError):
            yield record
        elif record[1]["file"] and record[1]["label"]:
            name = str(record[1]["file"]).removeprefix("./")
            labels[f"{folder}/{name}" if folder else name] = str(record[1]["label"])
    present = {entry.name for entry in source.entries}
    for name in labels.keys() - present:
        yield RowError(Place(found[0].name), f"there is no image {shown(name)}")
    return labels
