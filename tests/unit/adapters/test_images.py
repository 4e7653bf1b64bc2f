"""Images from folders, label files and IDX pairs."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openmined.adapters import MappingError, Row, RowError, open_export, parse_mapping

MNIST = Path(__file__).parents[4] / "shared" / "data" / "mnist"


def image(pixels: np.ndarray, path: Path, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def rows_of(path: Path, **options: object) -> list[Row | RowError]:
    with open_export(path, **options) as export:
        return list(export.rows())


def test_the_folder_says_what_the_image_shows(tmp_path: Path) -> None:
    pixels = np.arange(784, dtype=np.uint8).reshape(28, 28)
    image(pixels, tmp_path / "cat" / "1.png")
    image(255 - pixels, tmp_path / "dog" / "2.png")
    first, second = rows_of(tmp_path)
    assert (first.values["file"], first.values["label"]) == ("cat/1.png", "cat")
    assert np.array_equal(first.values["pixels"], pixels.ravel() / 255)
    assert np.array_equal(second.values["pixels"], (255 - pixels).ravel() / 255)


def test_a_label_file_goes_first_and_its_misfits_are_said(tmp_path: Path) -> None:
    image(np.zeros((28, 28), np.uint8), tmp_path / "p" / "1.png")
    image(np.zeros((28, 28), np.uint8), tmp_path / "p" / "2.png")
    (tmp_path / "p" / "labels.csv").write_text("file,label\n1.png,cat\nabsent.png,dog\n")
    error, first, second = rows_of(tmp_path)
    assert isinstance(error, RowError)
    assert "absent.png" in error.reason
    assert (first.values["label"], second.values["label"]) == ("cat", None)
    (tmp_path / "p" / "labels.csv").write_text("name\n1.png\n")
    with pytest.raises(MappingError, match="file and label"):
        list(open_export(tmp_path).adapter.read(open_export(tmp_path).source))


@pytest.mark.parametrize(
    ("mode", "colour", "grey"),
    [
        ("RGB", (255, 0, 0), 76 / 255),
        ("RGBA", (0, 0, 0, 0), 1.0),
        ("L", 51, 0.2),
        ("1", 1, 1.0),
        ("I;16", 65535, 1.0),
        ("P", 0, 0.0),
        ("LA", (0, 255), 0.0),
    ],
)
def test_every_mode_becomes_grey(tmp_path: Path, mode: str, colour: object, grey: float) -> None:
    (tmp_path / "a").mkdir()
    Image.new(mode, (40, 30), colour).save(tmp_path / "a" / "1.png")
    (row,) = rows_of(tmp_path, mapping=parse_mapping({"image": {"width": 4, "height": 3}}))
    assert isinstance(row, Row), row
    assert row.values["pixels"] == pytest.approx([grey] * 12, abs=2e-3)


def test_photos_are_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[:14] = 255
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    image(pixels, tmp_path / "a" / "1.jpg", exif=turned, quality=95)
    (row,) = rows_of(tmp_path)
    upright = np.asarray(row.values["pixels"]).reshape(28, 28)
    assert upright[:14].mean() < 0.05 < 0.95 < upright[14:].mean()


def idx(images: np.ndarray, labels: list[int]) -> tuple[bytes, bytes]:
    head = struct.pack(">4I", 0x803, *images.shape)
    return head + images.tobytes(), struct.pack(">2I", 0x801, len(labels)) + bytes(labels)


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_pairs(tmp_path: Path, zipped: bool) -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    for name, data in zip(("images-idx3", "labels-idx1"), idx(pixels, [7, 2]), strict=True):
        end = ".gz" if zipped else ""
        (tmp_path / f"t-{name}-ubyte{end}").write_bytes(gzip.compress(data) if zipped else data)
    with open_export(tmp_path) as export:
        assert export.schema.id is None
        (batch,) = export.batches(pytest.fail)
    assert batch.column("label").to_pylist() == ["7", "2"]
    assert np.array_equal(np.array(batch.column("pixels").to_pylist()), pixels.reshape(2, 12) / 255)


def test_an_idx_file_cut_short_ends_in_an_error_value(tmp_path: Path) -> None:
    data, _ = idx(np.zeros((5, 3, 3), np.uint8), [])
    (tmp_path / "a-images-idx3-ubyte").write_bytes(data[:-10])
    *rows, last = rows_of(tmp_path)
    assert len(rows) == 3
    assert isinstance(last, RowError)
    assert last.stops


def test_mnist_itself() -> None:
    if not MNIST.exists():
        pytest.skip("the MNIST files are not in shared/data/mnist")
    with open_export(MNIST) as export:
        assert export.schema.id == "openmined/images-28x28@1"
        batches = list(export.batches(pytest.fail))
    labels = [label for batch in batches for label in batch.column("label").to_pylist()]
    assert len(labels) == 10_000
    assert labels[:5] == ["7", "2", "1", "0", "4"]


def test_what_is_no_image_is_an_error_value(tmp_path: Path) -> None:
    image(np.zeros((28, 28), np.uint8), tmp_path / "a" / "1.png")
    out = io.BytesIO()
    Image.new("L", (28, 28)).save(out, "TIFF")
    (tmp_path / "a" / "2.png").write_bytes(out.getvalue())  # a format that is not read
    items = rows_of(tmp_path)
    assert [isinstance(item, Row) for item in items] == [True, False]
