"""Tables from Parquet and Arrow files to the types of a schema, a batch at a time.

Strict: a value that does not fit is named with its row and column, never bent or dropped. This is
the fast road for columnar files; everything else comes through `openmined.adapters`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openmined.adapters import arrow_schema, arrow_type
from openmined.mine._errors import ImportRefused
from openmined.protocol import SchemaField, TableSchema

TABLE_SUFFIXES = (".parquet", ".arrow", ".feather")
_BATCH_ROWS = 65_536


def read_batches(path: Path, schema: TableSchema) -> Iterator[Any]:
    """Yield record batches of `arrow_schema(schema)` from a file.

    Raises:
        ImportRefused: if the file cannot be read, lacks a column, or a row does not fit.
    """
    row = 0
    try:
        for batch in _open(path, schema):
            yield conform(batch, schema, first_row=row)
            row += batch.num_rows
    except pa.ArrowException as error:
        raise ImportRefused(f"{path.name} cannot be read: {_line(error)}") from error
    except OSError as error:
        raise ImportRefused(f"{path} cannot be read: {error.strerror or _line(error)}") from error


def conform(batch: Any, schema: TableSchema, first_row: int = 0) -> Any:
    """Return a batch in the types of a schema.

    Raises:
        ImportRefused: if a column is missing or a value does not fit.
    """
    columns = []
    for field in schema.fields:
        if field.name not in batch.schema.names:
            found = ", ".join(batch.schema.names[:12])
            raise ImportRefused(
                f"there is no column {field.name!r}; there are {found}: rename it in the file, "
                "or import with a mapping (docs/adapters.md)"
            )
        column = batch.column(batch.schema.names.index(field.name))
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        columns.append(_column(column, field, first_row))
    return pa.RecordBatch.from_arrays(columns, schema=arrow_schema(schema))


def _open(path: Path, schema: TableSchema) -> Iterator[Any]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        yield from _parquet(path, schema)
    elif suffix in (".arrow", ".feather"):
        yield from _arrow(path)
    else:
        raise ImportRefused(
            f"{path.name} is none of {', '.join(TABLE_SUFFIXES)}: name the adapter that reads it "
            "with --adapter (see `openmined adapters list`)"
        )


def _parquet(path: Path, schema: TableSchema) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        wanted = [name for name in schema.names if name in file.schema_arrow.names]
        yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted or None)


def _arrow(path: Path) -> Iterator[Any]:
    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_file(source)
            batches: Iterator[Any] = (reader.get_batch(i) for i in range(reader.num_record_batches))
        except pa.ArrowInvalid:
            source.seek(0)
            batches = iter(pa.ipc.open_stream(source))
        for batch in batches:
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                yield batch.slice(start, _BATCH_ROWS)


def _column(column: Any, field: SchemaField, first_row: int) -> Any:
    wanted = arrow_type(field)
    limits = field.constraints
    if field.type == "array":
        typed = _array(column, field, first_row)
    else:
        typed = _cast(column, wanted, field, first_row)
    if typed.null_count and limits is not None and limits.required:
        _refuse(pc.is_null(typed), field, first_row, "is missing")
    if field.type == "number":
        _refuse(pc.invert(pc.is_finite(typed)), field, first_row, "is infinite or not a number")
    if limits is None:
        return typed
    if limits.enum is not None:
        known = pc.is_in(typed.cast(pa.string()), pa.array(limits.enum))
        allowed = pc.or_(known, pc.is_null(typed))
        _refuse(pc.invert(allowed), field, first_row, "is none of the schema's classes")
    if field.type in ("number", "integer"):
        if limits.minimum is not None:
            _refuse(pc.less(typed, limits.minimum), field, first_row, f"is below {limits.minimum}")
        if limits.maximum is not None:
            _refuse(
                pc.greater(typed, limits.maximum), field, first_row, f"is above {limits.maximum}"
            )
    if field.type == "string":
        length = pc.utf8_length(typed)
        if limits.minLength is not None:
            _refuse(pc.less(length, limits.minLength), field, first_row, "is too short")
        if limits.maxLength is not None:
            _refuse(pc.greater(length, limits.maxLength), field, first_row, "is too long")
    return typed


def _cast(column: Any, wanted: Any, field: SchemaField, first_row: int) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(column.type) and not pa.types.is_boolean(wanted):
        raise ImportRefused(f"column {field.name!r} holds booleans, not {field.type}s")
    try:
        return column.cast(wanted)
    except pa.ArrowException as error:
        raise ImportRefused(
            f"column {field.name!r}, in or after row {first_row + 1}: {_line(error)}"
        ) from error


def _array(column: Any, field: SchemaField, first_row: int) -> Any:
    kind = column.type
    is_list = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    if not is_list:
        raise ImportRefused(f"column {field.name!r} holds {kind}, not lists of numbers")
    length = field.array_length
    if pa.types.is_fixed_size_list(kind):
        if kind.list_size != length:
            raise ImportRefused(
                f"column {field.name!r} holds lists of {kind.list_size}, not of {length} numbers"
            )
    else:
        other = pc.not_equal(pc.list_value_length(column), length)
        _refuse(other, field, first_row, f"has not {length} numbers")
    typed = column.cast(pa.list_(pa.float64(), length))
    values = typed.flatten()
    if values.null_count or not np.isfinite(values.to_numpy(zero_copy_only=False)).all():
        raise ImportRefused(
            f"column {field.name!r}, in or after row {first_row + 1}: an array holds a number "
            "that is missing, infinite or none"
        )
    return typed


def _refuse(mask: Any, field: SchemaField, first_row: int, problem: str) -> None:
    at = pc.index(pc.fill_null(mask, False), True).as_py()
    if at >= 0:
        raise ImportRefused(f"row {first_row + at + 1}: {field.name} {problem}")


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
