"""Columns of a table as finite arrays: the edge where a mine's rows enter mathematics."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from openmined.syft._errors import DataError, SpecError
from openmined.syft._settings import is_real

if TYPE_CHECKING:
    from collections.abc import Callable

    from openmined.protocol import SchemaField, TableSchema

Table = Any
"""A `pyarrow.Table` or `RecordBatch`, or a mapping from column name to array."""

Floats = NDArray[np.float64]

_NUMERIC = ("number", "integer", "boolean", "array")


_AXES = ("row", "column")
_TOO_LARGE = "the numbers are too large to compute with: centre and scale them"
_FOUND = {"c": "complex numbers", "U": "text", "S": "bytes", "M": "dates", "m": "durations"}


def real_array(values: Any, what: str) -> Floats:
    """Return an array of float64, whatever the shape.

    Booleans count as 0 and 1. Complex numbers, text, dates, ragged rows and masked values are
    refused: NumPy would convert some of them, and drop a part, without a word.

    Raises:
        DataError: if it is no array of real numbers.
    """
    if type(values) is np.ndarray and values.dtype == np.float64:
        return values
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:  # ragged rows, for instance
        raise DataError(f"{what}: no array of real numbers: {str(error)[:80]}") from error
    found = _unreal(values, array)
    if found:
        raise DataError(f"{what}: no array of real numbers: {found} must be converted before")
    try:
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused as such
            return array.astype(np.float64, copy=False)
    except OverflowError as error:
        raise DataError(f"{what}: {_TOO_LARGE}") from error


def _unreal(values: Any, array: NDArray[Any]) -> str | None:
    """Say what is no real number in an array, if anything."""
    if np.ma.is_masked(values):
        return "masked values"
    kind = array.dtype.kind
    if kind in "biuf":
        return None
    if kind != "O":
        return _FOUND.get(kind, f"values of type {array.dtype}")
    others = (type(item).__name__ for item in array.flat if not _is_number(item))
    return next((f"a value of type {name}" for name in others), None)


def _is_number(value: Any) -> bool:
    return is_real(value) or isinstance(value, Decimal)


def require_finite(
    values: Floats, what: str, remedy: str = "fill in or drop rows without a number"
) -> Floats:
    """Return `values`, all finite.

    Raises:
        DataError: if a value is NaN or infinite; it names the first, and the remedy.
    """
    if not np.isfinite(values).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(values))[0])
        where = ", ".join(f"{name} {index}" for name, index in zip(_AXES, place, strict=False))
        raise DataError(f"{what}: {float(values[place])} in {where or 'it'}: {remedy}")
    return values


def finite_result(compute: Callable[[], Any], what: str) -> Floats:
    """Return what `compute` returns, an array of finite numbers.

    Raises:
        DataError: if numbers overflowed on the way.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        result = np.asarray(compute(), dtype=np.float64)
    return require_finite(result, what, _TOO_LARGE)


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
        DataError: if it is no table, or has no such column, or several of that name.
    """
    if isinstance(table, Mapping):
        names = list(table)
    elif hasattr(table, "column_names"):
        names = list(table.column_names)
    else:
        raise DataError(
            f"rows are no table but {type(table).__name__}: give a pyarrow.Table or a mapping from "
            "column name to array, of a pandas DataFrame dict(frame)"
        )
    if name not in names:
        raise DataError(f"no column {name!r}; there are {', '.join(map(str, names))}: rename one")
    if names.count(name) > 1:
        raise DataError(f"{names.count(name)} columns are named {name!r}: rename or drop them")
    return table[name]


def read_numbers(table: Table, field: SchemaField) -> Floats:
    """Read a numeric column, shape (rows, numbers per row), finite.

    Raises:
        DataError: on missing, non-numeric or non-finite values, or arrays of another length.
    """
    what = f"column {field.name!r}"
    column = _to_array(read_raw(table, field.name), field, what)
    if column.ndim == 0:
        raise DataError(f"{what} is a single number: give a list of one per row")
    wide = column.reshape(len(column), -1) if column.size else column.reshape(len(column), 0)
    if len(column) and wide.shape[1] != field.array_length:
        raise DataError(
            f"{what} has {wide.shape[1]} numbers a row, not {field.array_length} as in the schema"
        )
    return require_finite(wide.reshape(len(column), field.array_length), what)


def _to_array(column: Any, field: SchemaField, what: str) -> Floats:
    if hasattr(column, "null_count") and hasattr(column, "type"):
        return _from_arrow(column, field, what)
    # A data frame keeps arrays as objects, one a row.
    rows = field.type == "array" and hasattr(column, "dtype") and column.dtype == object
    return real_array(list(column) if rows else column, what)


def _from_arrow(column: Any, field: SchemaField, what: str) -> Floats:
    import pyarrow as pa

    if column.null_count:
        raise DataError(f"{what} lacks {column.null_count} values: fill them or drop the rows")
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(chunk, pa.ChunkedArray):  # pyarrow keeps an empty column chunked
        chunk = pa.concat_arrays(chunk.chunks) if chunk.num_chunks else pa.array([], chunk.type)
    if not isinstance(chunk, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        return _plain_numbers(chunk, what)
    lengths = set(chunk.value_lengths().unique().to_pylist()) if len(chunk) else set()
    if isinstance(chunk, pa.FixedSizeListArray):
        lengths = {chunk.type.list_size}
    if lengths - {field.array_length}:
        raise DataError(
            f"{what} has arrays of {lengths}, not {field.array_length} as in the schema"
        )
    flat = chunk.flatten()
    if flat.null_count:
        raise DataError(f"{what} has missing numbers inside its arrays: fill them")
    return _plain_numbers(flat, what).reshape(len(chunk), field.array_length)


def _plain_numbers(chunk: Any, what: str) -> Floats:
    import pyarrow as pa

    if pa.types.is_dictionary(chunk.type):
        chunk = chunk.dictionary_decode()
    kinds = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    if not any(is_kind(chunk.type) for is_kind in kinds):
        raise DataError(f"{what} is of type {chunk.type}: cast it to numbers")
    return real_array(chunk.to_numpy(zero_copy_only=False), what)


def read_texts(table: Table, name: str) -> list[str]:
    """Read a text column.

    Raises:
        DataError: on missing values and values that are no text.
    """
    column = read_raw(table, name)
    if isinstance(column, str) or not hasattr(column, "__iter__"):
        raise DataError(f"column {name!r} is a single value: give a list of one text per row")
    values = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
    for row, value in enumerate(values):
        if not isinstance(value, str):
            kind = type(value).__name__
            raise DataError(f"column {name!r}, row {row}: a text is wanted, found {kind}: fill it")
    return cast("list[str]", [str(value) for value in values])
