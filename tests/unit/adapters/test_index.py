"""Re-importing an overlapping export adds only what is new, and keeps what is there twice."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmined.adapters import AdapterError, RowIndex, row_hashes

KEY = b"sixteen or more!"
SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])


def batch(rows: list[tuple[int | None, str | None]]) -> Any:
    columns: list[tuple[Any, ...]] = list(zip(*rows, strict=True)) or [(), ()]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)],
        schema=SCHEMA,
    )


def add(index: RowIndex, rows: list[Any], size: int = 3) -> list[Any]:
    index.start_import()
    added = []
    for start in range(0, len(rows), size):
        found = index.select_new(batch(rows[start : start + size])).to_pylist()
        added += [(row["id"], row["text"]) for row in found]
    return added


def written(index: RowIndex) -> bytes:
    stream = io.BytesIO()
    index.write(stream)
    return stream.getvalue()


ROW = st.tuples(st.none() | st.integers(0, 3), st.none() | st.sampled_from(["", "a", "b"]))
EXPORTS = st.lists(st.lists(ROW, max_size=12), max_size=5)


@given(EXPORTS, st.integers(1, 5))
def test_each_row_is_kept_as_often_as_the_export_that_held_it_most(
    exports: list[Any], size: int
) -> None:
    index, kept, wanted = RowIndex(KEY), Counter[Any](), Counter[Any]()
    for rows in exports:
        kept += Counter(add(index, rows, size))
        wanted |= Counter(rows)
        index = RowIndex.read(io.BytesIO(written(index)), KEY)
    assert kept == wanted
    assert len(index) == len(wanted)


@given(EXPORTS, st.integers(1, 5))
def test_rows_with_an_identity_are_kept_once(exports: list[Any], size: int) -> None:
    index, kept = RowIndex(KEY, ("id",)), []
    for rows in exports:
        kept += add(index, rows, size)
    first: dict[Any, Any] = {}
    for rows in exports:
        for row in rows:
            first.setdefault(row[0], row)
    assert kept == list(first.values())


def test_hashes_depend_on_key_content_and_columns_only() -> None:
    rows = [(1, "a"), (1, None), (None, "a"), (1, ""), (0, "a"), (1, "a")]
    hashes = [bytes(h).ljust(16, b"\0") for h in row_hashes(batch(rows), KEY)]
    assert len(set(hashes)) == 5
    assert hashes[0] == hashes[5]
    one_by_one = [bytes(row_hashes(batch([row]), KEY)[0]).ljust(16, b"\0") for row in rows]
    assert one_by_one == hashes
    other = row_hashes(batch(rows), hashlib.sha256(KEY).digest())
    assert not set(hashes) & {bytes(h).ljust(16, b"\0") for h in other}
    renamed = batch(rows).rename_columns(["id", "words"])
    assert not set(hashes) & {bytes(h).ljust(16, b"\0") for h in row_hashes(renamed, KEY)}


def test_hashes_spread_evenly() -> None:
    many = pa.RecordBatch.from_arrays([pa.array(range(200_000))], names=["n"])
    hashes = row_hashes(many, KEY)
    assert len(set(hashes.tolist())) == 200_000
    first = [int(h[0]) for h in hashes.tolist() if h]
    expected = len(first) / 256
    assert max(Counter(first).values()) < 1.25 * expected


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0.0, -0.0]),
        pa.array([[0.0], [-0.0]], pa.list_(pa.float64(), 1)),
    ],
)
def test_equal_numbers_hash_alike(column: Any) -> None:
    one, two = row_hashes(pa.RecordBatch.from_arrays([column], names=["x"]), KEY)
    assert one == two


@pytest.mark.parametrize(
    "values",
    [
        pa.array([True, False, None]),
        pa.array([0, 1, None], pa.date32()),
        pa.array([0, 1, None], pa.timestamp("us", tz="UTC")),
        pa.array([0.0, 5e-324, None]),
        pa.array([[1.0, 2.0], [2.0, 1.0], None], pa.list_(pa.float64(), 2)),
        pa.array(["", "\0", None]),
    ],
)
def test_every_type_tells_its_values_apart(values: Any) -> None:
    hashes = row_hashes(pa.RecordBatch.from_arrays([values], names=["x"]), KEY)
    assert len(set(hashes.tolist())) == 3


class Drip(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 7) if size > 0 else size)


def test_an_index_comes_back_from_a_stream_however_it_flows() -> None:
    index = RowIndex(KEY)
    rows = [(n % 500, "a") for n in range(700)]
    add(index, rows, 100)
    again = RowIndex.read(cast("BinaryIO", Drip(written(index))), KEY)
    assert len(again) == 500
    assert add(again, rows) == []
    assert written(again) == written(index)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: b"", "no row index"),
        (lambda _: b"x" * 100, "no row index"),
        (lambda good: good + b"1", "in the middle of a row"),
        (lambda good: good[:-3], "in the middle of a row"),
    ],
)
def test_a_damaged_index_is_refused(change: Callable[[bytes], bytes], said: str) -> None:
    index = RowIndex(KEY)
    add(index, [(1, "a")])
    with pytest.raises(AdapterError, match=said):
        RowIndex.read(io.BytesIO(change(written(index))), KEY)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="a key of 3 bytes"):
        row_hashes(batch([(1, "a")]), b"abc")
