"""Arrow in, Arrow out: whole columns to the types of a schema, without a Python object a value.

A batch in which every value fits goes this way. One that holds a misfit goes the way of rows, where
each value is judged on its own and the error can name its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from openmined.adapters._batches import arrow_schema, arrow_type
from openmined.adapters._rows import Place, RowError, shown
from openmined.protocol import FieldConstraints, SchemaField, TableSchema


class _Misfit(Exception):
    """Some value of a column does not fit its field as it is."""


def convert_batch(batch: Any, schema: TableSchema, columns: Mapping[str, str]) -> Any:
    """Return the batch in the types of the schema, or None if any value does not fit.

    Args:
        batch: a `pyarrow.RecordBatch` as the file has it.
        schema: what the result is to have.
        columns: field -> column; a field whose column is absent stays empty.
    """
    names = set(batch.schema.names)
    try:
        arrays = [
            _column(batch.column(columns[field.name]), field)
            if columns[field.name] in names
            else _nothing(batch.num_rows, field)
            for field in schema.fields
        ]
    except (_Misfit, pa.ArrowException):
        return None
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(schema))


def _nothing(rows: int, field: SchemaField) -> Any:
    if field.constraints and field.constraints.required:
        raise _Misfit
    return pa.nulls(rows, arrow_type(field))


def _column(column: Any, field: SchemaField) -> Any:
    column.validate(full=True)  # a file may claim that any bytes are UTF-8
    converted = _CONVERSIONS[field.type](column, field)
    _check(converted, field, field.constraints or FieldConstraints())
    return converted


def _string(column: Any, _: SchemaField) -> Any:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise _Misfit
    return column.cast(pa.string())


def _number(column: Any, _: SchemaField) -> Any:
    if pa.types.is_integer(column.type):
        return column.cast(pa.float64())
    if not pa.types.is_floating(column.type):
        raise _Misfit
    converted = column.cast(pa.float64())
    if not pc.all(pc.is_finite(converted), min_count=0).as_py():
        raise _Misfit
    return converted


def _integer(column: Any, _: SchemaField) -> Any:
    if not pa.types.is_integer(column.type):
        raise _Misfit
    return column.cast(pa.int64())


def _boolean(column: Any, _: SchemaField) -> Any:
    if not pa.types.is_boolean(column.type):
        raise _Misfit
    return column


def _date(column: Any, _: SchemaField) -> Any:
    if not pa.types.is_date(column.type):
        raise _Misfit
    return column.cast(pa.date32())


def _datetime(column: Any, _: SchemaField) -> Any:
    if not pa.types.is_timestamp(column.type):
        raise _Misfit
    micro = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    return micro.cast(pa.timestamp("us", tz="UTC"))


def _array(column: Any, field: SchemaField) -> Any:
    length = field.array_length
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    is_fixed = pa.types.is_fixed_size_list(column.type) and column.type.list_size == length
    if not (is_list or is_fixed) or column.null_count:
        raise _Misfit
    if is_list and not pc.all(pc.equal(pc.list_value_length(column), length), min_count=0).as_py():
        raise _Misfit
    numbers = _number(column.flatten(), field)
    if numbers.null_count:
        raise _Misfit
    return pa.FixedSizeListArray.from_arrays(numbers, type=arrow_type(field))


_CONVERSIONS: dict[str, Callable[[Any, SchemaField], Any]] = {
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "array": _array,
}


def _check(column: Any, field: SchemaField, limits: FieldConstraints) -> None:
    if limits.required and column.null_count:
        raise _Misfit
    if limits.enum is not None:
        known = pc.is_in(column.cast(pa.string()), pa.array(limits.enum), skip_nulls=False)
        _demand(pc.or_(known, column.is_null()))
    if field.type in ("number", "integer"):
        if limits.minimum is not None:
            _demand(pc.greater_equal(column, limits.minimum))
        if limits.maximum is not None:
            _demand(pc.less_equal(column, limits.maximum))
    if field.type == "string" and (limits.minLength or limits.maxLength is not None):
        length = pc.utf8_length(column)
        _demand(pc.greater_equal(length, limits.minLength or 0))
        if limits.maxLength is not None:
            _demand(pc.less_equal(length, limits.maxLength))


def _demand(condition: Any) -> None:
    if not pc.all(condition, min_count=0).as_py():
        raise _Misfit


def batch_records(
    batch: Any, name: str, done: int
) -> Iterator[tuple[Place, Mapping[str, Any]] | RowError]:
    """Yield the rows of a batch as records; `done` rows came before it."""
    batch = _micro(batch)
    for number in range(batch.num_rows):
        place = Place(name, record=done + number + 1)
        try:
            (values,) = batch.slice(number, 1).to_pylist()
        except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
            yield RowError(place, f"a value that cannot be read: {shown(str(error), 120)}")
        else:
            yield place, values


def _micro(batch: Any) -> Any:
    """Bring nanoseconds to microseconds, the finest that a schema's times have."""
    for at, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            kind = pa.timestamp("us", tz=field.type.tz)
            column = batch.column(at).cast(kind, safe=False)
            batch = batch.set_column(at, pa.field(field.name, kind), column)
    return batch
