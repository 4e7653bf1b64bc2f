"""Foreign values to the types of a schema, strictly: what does not fit is said, never bent.

Source: Frictionless Table Schema 1, "Types and Formats" and "Constraints".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from openmined.adapters._rows import Row, RowError, Rows, Value, shown
from openmined.protocol import FieldConstraints, SchemaField, TableSchema

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_INT64 = range(-(1 << 63), 1 << 63)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_NO_LIMITS = FieldConstraints()


def cast(value: Any, field: SchemaField) -> Value:
    """Return `value` as the Python type of the field.

    None stays None; an empty text is None unless the field is a string.

    Raises:
        ValueError: if the value is of another type, out of range, or breaks a constraint.
    """
    return caster(field)(value)


def caster(field: SchemaField) -> Callable[[Any], Value]:
    """Return `cast` for one field, with everything decided that does not depend on the value."""
    convert, limits = _CASTS[field.type], field.constraints or _NO_LIMITS
    is_required, is_text = bool(limits.required), field.type == "string"
    is_bounded = limits != FieldConstraints(required=limits.required)

    def run(value: Any) -> Value:
        if value is None or (value.__class__ is str and not value and not is_text):
            if is_required:
                raise ValueError(f"{field.name} is missing")
            return None
        try:
            typed = convert(value)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            reason = f" ({error})" if isinstance(error, _Reason) else ""
            raise ValueError(f"{field.name} = {shown(value)} is no {field.type}{reason}") from None
        if is_bounded:
            _check(typed, field, limits)
        return typed

    return run


class _Reason(ValueError):
    """A reason worth telling, beyond "is no number"."""


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Reason("half a character: the text was cut in the middle of it") from None
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise _Reason("infinite or not a number")
    return number


def _integer(value: Any) -> int:
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value.strip()):
            raise ValueError
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    if value not in _INT64:
        raise _Reason("beyond 64 bits")
    return value


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _BOOLEANS:
        return _BOOLEANS[value.strip().lower()]
    raise TypeError


def _date(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise TypeError
    return date.fromisoformat(value.strip())


def _datetime(value: Any) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if not isinstance(value, datetime):
        raise TypeError
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value.astimezone(UTC)


def _array(value: Any) -> Sequence[float] | npt.NDArray[np.float64]:
    if isinstance(value, str):
        value = json.loads(value)
    if isinstance(value, np.ndarray):
        return _vector(value)
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(_number(item) for item in value)


def _vector(value: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    if value.ndim != 1 or value.dtype.kind not in "iuf":
        raise TypeError
    if not np.isfinite(value).all():
        raise _Reason("infinite or not a number")
    return value.astype(np.float64, copy=False)


_CASTS: dict[str, Callable[[Any], Value]] = {
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "array": _array,
}


def _check(value: Value, field: SchemaField, limits: FieldConstraints) -> None:
    if limits.enum is not None and str(value) not in limits.enum:
        raise ValueError(f"{field.name} = {shown(value)} is none of {', '.join(limits.enum[:8])}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if limits.minimum is not None and value < limits.minimum:
            raise ValueError(f"{field.name} = {value} is below {limits.minimum:g}")
        if limits.maximum is not None and value > limits.maximum:
            raise ValueError(f"{field.name} = {value} is above {limits.maximum:g}")
    if isinstance(value, Sequence | np.ndarray):
        _check_length(len(value), field, limits)


def _check_length(length: int, field: SchemaField, limits: FieldConstraints) -> None:
    least, most = limits.minLength or 0, limits.maxLength
    if length < least or (most is not None and length > most):
        wanted = f"{least}" if least == most else f"{least} to {'any' if most is None else most}"
        kind = "numbers" if field.type == "array" else "characters"
        raise ValueError(f"{field.name} has {length} {kind}, not {wanted}")


def checked(rows: Rows, schema: TableSchema) -> Rows:
    """Pass rows through in the types of the schema; a row that does not fit becomes a `RowError`.

    Every field of the schema is present in what comes out, None where the row had none.
    """
    names = frozenset(schema.names)
    casters = [(field.name, caster(field)) for field in schema.fields]
    for row in rows:
        if isinstance(row, RowError):
            yield row
            continue
        given = row.values
        try:
            if not given.keys() <= names:
                foreign = sorted(given.keys() - names)[0]
                raise ValueError(f"no field {shown(foreign)} in the schema")
            values = {name: run(given.get(name)) for name, run in casters}
        except ValueError as error:
            yield RowError(row.place, str(error))
        else:
            yield Row(values, row.place)
