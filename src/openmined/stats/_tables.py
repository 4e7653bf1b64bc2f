"""The tables as data: Arrow batches, CSV and Parquet streams, one column schema for all of them.

Amounts are decimal text, because no number type of every reader holds a uint256. Text that
strangers wrote is given as it is in Arrow and Parquet; in CSV a cell that a spreadsheet would take
for a formula is led by an apostrophe (OWASP, CSV injection).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Select, String, Table, Text, select
from sqlalchemy.sql.expression import ColumnElement, literal, tuple_

from openmined.protocol import GradientStatus, Phase
from openmined.stats import _schema as schema
from openmined.stats._types import Wei

BATCH_ROWS = 10_000

_c, _m = schema.campaigns.c, schema.manifests.c
_PHASES = {int(phase): phase.name.lower() for phase in Phase}
_STATUSES = {int(status): status.name.lower() for status in GradientStatus}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Dataset:
    """One downloadable table.

    Attributes:
        about: what a row is.
        key: the columns it is ordered and paged by.
    """

    name: str
    about: str
    query: Select[Any]
    key: tuple[ColumnElement[Any], ...]
    key_places: tuple[int, ...]
    fields: tuple[pa.Field, ...]
    strangers: frozenset[str]

    @property
    def arrow_schema(self) -> pa.Schema:
        """Its columns."""
        return pa.schema(self.fields, metadata={"about": self.about})


def _field(column: ColumnElement[Any]) -> pa.Field:
    name = str(getattr(column, "key", ""))
    if name in ("phase", "status"):
        return pa.field(name, pa.string())
    if isinstance(column.type, (Wei, String, Text)):
        return pa.field(name, pa.string())
    return pa.field(name, pa.int64())


def _dataset(table: Table, about: str, *more: ColumnElement[Any]) -> Dataset:
    columns = [*table.columns, *more]
    query = select(*columns)
    if more:
        query = query.select_from(
            table.outerjoin(schema.manifests, _m.digest == schema.campaigns.c.spec)
        )
    strangers = {
        str(column.key)
        for column in columns
        if isinstance(column.type, Text) or column.key in ("name", "software")
    }
    fields = tuple(_field(column) for column in columns)
    key = tuple(table.primary_key.columns)
    places = tuple(columns.index(column) for column in key)
    return Dataset(table.name, about, query, key, places, fields, frozenset(strangers))


DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        _dataset(
            schema.campaigns,
            "A campaign as it stands; titles and schemas from its manifest.",
            _m.title,
            _m.description,
            _m.metric,
            _m.algorithm,
            _m.schema.label("input_schema"),
        ),
        _dataset(schema.gradients, "A submitted gradient and what became of it."),
        _dataset(schema.batches, "A scored batch: accuracy before and after, and spend."),
        _dataset(schema.participations, "What one mine did in one campaign."),
        _dataset(schema.mines, "A mine, by its address."),
        _dataset(schema.data_scientists, "A data scientist, by her address."),
        _dataset(schema.capsules, "A Capsule, by its address; latencies are sums."),
        _dataset(schema.purses, "An account's money in one token."),
        _dataset(schema.buckets, "Counts by hour, day and week; width 0 is all time."),
        _dataset(schema.bucket_money, "Money by hour, day and week, and token."),
        _dataset(schema.events, "An event of the contract; its arguments are a JSON object."),
        _dataset(schema.blocks, "A block with events."),
    )
}


def read_batches(
    connection: Connection, dataset: Dataset, rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Read a table in parts, by its key: memory does not grow with the table."""
    last: tuple[Any, ...] | None = None
    while True:
        query = dataset.query
        if dataset.name == "blocks":
            query = query.where(schema.blocks.c.events > 0)
        if last is not None:
            there = (literal(v, c.type) for v, c in zip(last, dataset.key, strict=True))
            query = query.where(tuple_(*dataset.key) > tuple_(*there))
        found = connection.execute(query.order_by(*dataset.key).limit(rows)).all()
        if not found:
            return
        yield _batch(dataset, list(zip(*found, strict=True)))
        if len(found) < rows:
            return
        last = tuple(found[-1][place] for place in dataset.key_places)


def _batch(dataset: Dataset, columns: list[tuple[Any, ...]]) -> pa.RecordBatch:
    arrays = []
    for field, values in zip(dataset.fields, columns, strict=True):
        if field.name == "phase":
            plain: Any = [_PHASES[value] for value in values]
        elif field.name == "status":
            plain = [_STATUSES[value] for value in values]
        elif field.type == pa.string():
            plain = [None if value is None else str(value) for value in values]
        else:
            plain = values
        arrays.append(pa.array(plain, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=dataset.arrow_schema)


def read_table(connection: Connection, name: str) -> pa.Table:
    """Return a whole table."""
    dataset = DATASETS[name]
    return pa.Table.from_batches(read_batches(connection, dataset), dataset.arrow_schema)


def csv_stream(connection: Connection, dataset: Dataset, rows: int = BATCH_ROWS) -> Iterator[bytes]:
    """Yield a table as CSV (RFC 4180, UTF-8, with a header)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([field.name for field in dataset.fields])
    wary = [field.name in dataset.strangers for field in dataset.fields]
    for batch in read_batches(connection, dataset, rows):
        columns = [
            [_defused(value) for value in column.to_pylist()] if careful else column.to_pylist()
            for column, careful in zip(batch.columns, wary, strict=True)
        ]
        writer.writerows(zip(*columns, strict=True))
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()
    if out.getvalue():
        yield out.getvalue().encode()


def _defused(value: str | None) -> str | None:
    return f"'{value}" if value is not None and value.startswith(_FORMULA) else value


def parquet_stream(
    connection: Connection, dataset: Dataset, rows: int = BATCH_ROWS
) -> Iterator[bytes]:
    """Yield a table as Parquet, a row group a batch."""
    sink = _Sink()
    with pq.ParquetWriter(sink, dataset.arrow_schema, compression="zstd") as writer:
        for batch in read_batches(connection, dataset, rows):
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """A file that hands over what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._place += len(part)
        return len(part)

    def tell(self) -> int:
        return self._place

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
