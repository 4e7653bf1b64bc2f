"""Rows to Arrow record batches, typed by the schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from openmined.adapters._cast import checked
from openmined.adapters._rows import Row, RowError
from openmined.protocol import SchemaField, TableSchema

_TYPES = {
    "string": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", tz="UTC"),
}
_BATCH_BYTES = 8 << 20


def arrow_type(field: SchemaField) -> Any:
    """Return the Arrow type of a field; an array is a fixed-size list of float64."""
    if field.type == "array":
        return pa.list_(pa.float64(), field.array_length)
    return _TYPES[field.type]


def arrow_schema(schema: TableSchema) -> Any:
    """Return the Arrow schema of a table schema; the latter rides along as metadata."""
    fields = [pa.field(field.name, arrow_type(field)) for field in schema.fields]
    text = schema.model_dump_json(exclude_none=True)
    return pa.schema(fields, metadata={b"openmined.schema": text.encode()})


def to_record_batches(
    rows: Iterable[Row | RowError],
    schema: TableSchema,
    *,
    on_error: Callable[[RowError], None],
    batch_rows: int = 8192,
) -> Iterator[Any]:
    """Turn a stream of rows into `pyarrow.RecordBatch`es of `arrow_schema(schema)`.

    Rows are checked against the schema. Each error among them goes to `on_error`, once, in its
    order. A batch holds at most `batch_rows` rows, fewer when they are large.
    """
    wanted = arrow_schema(schema)
    large = [field.name for field in schema.fields if field.type in ("string", "array")]
    pending: list[Row] = []
    size = 0
    for row in checked(iter(rows), schema):
        if isinstance(row, RowError):
            on_error(row)
            continue
        pending.append(row)
        size += 32 * len(schema.fields) + sum(_weight(row.values[name]) for name in large)
        if len(pending) >= batch_rows or size >= _BATCH_BYTES:
            yield _batch(pending, wanted)
            pending, size = [], 0
    if pending:
        yield _batch(pending, wanted)


def _weight(value: Any) -> int:
    """Estimate the bytes that a text or an array takes in memory."""
    if value is None:
        return 0
    if isinstance(value, str):
        return 50 + len(value)
    return int(value.nbytes) if isinstance(value, np.ndarray) else 32 * len(value)


def _batch(rows: list[Row], wanted: Any) -> Any:
    columns = [_column([row.values[field.name] for row in rows], field.type) for field in wanted]
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def _column(values: list[Any], kind: Any) -> Any:
    if not pa.types.is_fixed_size_list(kind):
        return pa.array(values, type=kind)
    blank = np.zeros(kind.list_size)
    numbers = np.stack([blank if value is None else value for value in values]).astype(np.float64)
    missing = pa.array([value is None for value in values])
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), type=kind, mask=missing)
