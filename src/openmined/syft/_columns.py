"""Columns of a table as finite arrays: the edge where a mine's rows enter mathematics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from openmined.syft._errors import DataError, SpecError

if TYPE_CHECKING:
    from openmined.protocol import SchemaField, TableSchema

Table = Any
"""A `pyarrow.Table` or `RecordBatch`, or a mapping from column name to array."""

Floats = NDArray[np.float64]

_NUMERIC = ("number", "integer", "boolean", "array")


_AXES = ("row", "column")


def real_array(values: Any, what: str) -> Floats:
    """Return an array of float64, whatever the shape; what is complex, ragged or text is refused.

    Raises:
        DataError: if it is no array of real numbers.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind != "c":
            return array.astype(np.float64, copy=False)
        problem = "complex numbers"
    except (TypeError, ValueError) as error:
        problem = str(error)[:80]
    raise DataError(f"{what} are no array of real numbers: {problem}")


def require_finite(values: Floats, what: str) -> Floats:
    """Return `values`, all finite.

    Raises:
        DataError: if a value is NaN or infinite; it names the first.
    """
    if not np.isfinite(values).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(values))[0])
        where = ", ".join(f"{name} {index}" for name, index in zip(_AXES, place, strict=False))
        raise DataError(
            f"{what}: {float(values[place])} in {where}: fill in or drop rows without a number"
        )
    return values


def field_of(schema: TableSchema, name: str) -> SchemaField:
    """Return a field of the schema.

    Raises:
        SpecError: if there is none.
    """
    try:
        return schema.field(name)
    except KeyError as error:
        raise SpecError(f"a feature step wants {error.args[0]}") from error


def numeric_width(field: SchemaField) -> int:
    """Return how many numbers the field contributes.

    Raises:
        SpecError: if the field is not numeric.
    """
    if field.type not in _NUMERIC:
        raise SpecError(f"field {field.name!r} is {field.type}, not numeric: use a text step")
    return field.array_length


def read_raw(table: Table, name: str) -> Any:
    """Return one column as it is.

    Raises:
        DataError: if there is no such column.
    """
    names: list[str] = list(table) if isinstance(table, Mapping) else table.column_names
    if name not in names:
        raise DataError(f"no column {name!r}; there are {', '.join(map(str, names))}")
    return table[name]


def read_numbers(table: Table, field: SchemaField) -> Floats:
    """Read a numeric column, shape (rows, numbers per row), finite.

    Raises:
        DataError: on missing, non-numeric or non-finite values, or arrays of another length.
    """
    column = _to_array(read_raw(table, field.name), field)
    wide = column.reshape(len(column), -1) if column.size else column.reshape(len(column), 0)
    if len(column) and wide.shape[1] != field.array_length:
        raise DataError(
            f"column {field.name!r} has {wide.shape[1]} numbers a row, not {field.array_length}"
        )
    return require_finite(wide.reshape(len(column), field.array_length), f"column {field.name!r}")


def _to_array(column: Any, field: SchemaField) -> Floats:
    try:
        if hasattr(column, "to_numpy") and hasattr(column, "null_count"):
            return _from_arrow(column, field)
        if field.type == "array" and not isinstance(column, np.ndarray):
            column = [np.asarray(row, dtype=np.float64) for row in column]
            lengths = {row.shape for row in column}
            if len(lengths) > 1:
                raise DataError(f"column {field.name!r} has arrays of several lengths: {lengths}")
        return np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"column {field.name!r} holds values that are no numbers: {error}"
        ) from error


def _from_arrow(column: Any, field: SchemaField) -> Floats:
    import pyarrow as pa

    if column.null_count:
        missing = column.null_count
        raise DataError(f"column {field.name!r} lacks {missing} values: fill them or drop the rows")
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(chunk, pa.ChunkedArray):  # pyarrow keeps an empty column chunked
        chunk = pa.concat_arrays(chunk.chunks) if chunk.num_chunks else pa.array([], chunk.type)
    if not pa.types.is_nested(chunk.type):
        return np.asarray(chunk.to_numpy(zero_copy_only=False), dtype=np.float64)
    lengths = set(chunk.value_lengths().unique().to_pylist()) if len(chunk) else set()
    if isinstance(chunk, pa.FixedSizeListArray):
        lengths = {chunk.type.list_size}
    if lengths - {field.array_length}:
        raise DataError(f"column {field.name!r} has arrays of {lengths}, not {field.array_length}")
    flat = chunk.flatten()
    if flat.null_count:
        raise DataError(f"column {field.name!r} has missing numbers inside its arrays: fill them")
    numbers = np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.float64)
    return numbers.reshape(len(chunk), field.array_length)


def read_texts(table: Table, name: str) -> list[str]:
    """Read a text column.

    Raises:
        DataError: on missing values and values that are no text.
    """
    column = read_raw(table, name)
    values = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
    for row, value in enumerate(values):
        if not isinstance(value, str):
            kind = type(value).__name__
            raise DataError(f"column {name!r}, row {row}: a text is wanted, found {kind}")
    return cast("list[str]", [str(value) for value in values])
