"""A data scientist's validation rows: from arrays, a data frame or a table to schema and CSV.

The CSV is RFC 4180 and UTF-8, with a header of all field names; `array` fields are JSON text.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from openmined.protocol import FieldConstraints, SchemaField, TableSchema
from openmined.sonar._errors import LaunchRefused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_CLASSES = 100
"""Whole numbers with at most this many different values are taken for classes."""

Task = Literal["classification", "regression"]
_NUMBERS = "biuf"


@dataclass(frozen=True)
class ValidationTable:
    """Checked rows with their schemas.

    Attributes:
        columns: arrays by field name: (rows,), or (rows, length) for `array` fields; labels as
            text.
        input: schema of what the model sees.
        output: schema of what it predicts.
        task: by the kind of the output.
    """

    columns: Mapping[str, NDArray[Any]]
    input: TableSchema
    output: TableSchema
    task: Task

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.columns.values())))

    @property
    def targets(self) -> Any:
        """The output column, or a list of them."""
        columns = [self.columns[name] for name in self.output.names]
        return columns[0] if len(columns) == 1 else columns

    def to_csv(self) -> bytes:
        """Write the rows as CSV."""
        fields = [*self.input.fields, *self.output.fields]
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow([field.name for field in fields])
        columns = [[_cell(value, field) for value in self.columns[field.name]] for field in fields]
        writer.writerows(zip(*columns, strict=True))
        return text.getvalue().encode()


def read_table(
    X: Any,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    input_schema: TableSchema | None = None,
    output_schema: TableSchema | None = None,
) -> ValidationTable:
    """Read validation rows.

    Args:
        X: an array (rows, numbers); or a data frame, Arrow table or mapping of columns.
        y: labels or targets, one per row; or None when `target` names columns of X.
        target: names the output column, or columns.
        input_schema: the published schema that mines' data have; inferred when not given. Columns
            that it does not name are left out.
        output_schema: likewise.

    Raises:
        LaunchRefused: naming column and row, if something does not fit.
    """
    columns = _read_columns(X, input_schema)
    names = _output_names(columns, y, target, output_schema)
    if y is not None:
        columns |= _read_targets(y, names)
    missing = [name for name in names if name not in columns]
    if missing:
        raise LaunchRefused(f"no column {missing[0]!r}; there are {', '.join(columns)}")
    inputs = input_schema.names if input_schema else [n for n in columns if n not in names]
    absent = [name for name in inputs if name not in columns]
    if absent:
        raise LaunchRefused(f"no column {absent[0]!r}, which the input schema names")
    _check_lengths({name: columns[name] for name in (*inputs, *names)})
    if input_schema is None:
        fields = tuple(_infer_field(name, columns[name]) for name in inputs)
        input_schema = TableSchema(fields=fields)
    if output_schema is None:
        output_schema = TableSchema(
            fields=tuple(_infer_output(name, columns[name]) for name in names)
        )
    kept = {name: columns[name] for name in (*input_schema.names, *output_schema.names)}
    for field in (*input_schema.fields, *output_schema.fields):
        kept[field.name] = _check_column(kept[field.name], field)
    classes = len(output_schema.fields) == 1 and output_schema.fields[0].classes
    task: Task = "classification" if classes else "regression"
    return ValidationTable(kept, input_schema, output_schema, task)


def clean_name(name: object) -> str:
    """Turn a column's name into a field's: letters, digits, `_`, `.`, `-`."""
    text = re.sub(r"[^\w.\-]+", "_", str(name), flags=re.ASCII).strip("_")
    return text if re.match(r"[A-Za-z_]", text) else f"c{text}"


def _read_columns(X: Any, schema: TableSchema | None) -> dict[str, NDArray[Any]]:
    import numpy as np

    if hasattr(X, "column_names"):  # pyarrow.Table
        found = {name: X[name].to_pylist() for name in X.column_names}
    elif isinstance(X, Mapping):
        found = dict(X)
    elif hasattr(X, "columns") and hasattr(X, "iloc"):  # pandas
        found = {name: X[name].to_numpy() for name in X.columns}
    else:
        return _read_matrix(np.asarray(X), schema)
    names = [clean_name(name) for name in found]
    if len(set(names)) != len(names):
        raise LaunchRefused("two columns have the same name once it is cleaned: rename one")
    return {
        name: _as_array(name, column) for name, column in zip(names, found.values(), strict=True)
    }


def _read_matrix(matrix: NDArray[Any], schema: TableSchema | None) -> dict[str, NDArray[Any]]:
    if matrix.ndim != 2 or matrix.dtype.kind not in _NUMBERS:
        raise LaunchRefused(
            f"X of shape {matrix.shape} and type {matrix.dtype} is no matrix of numbers: give "
            "(rows, numbers), or a data frame"
        )
    if schema is None:
        return {"x": matrix.astype(float)}
    columns, start = {}, 0
    for field in schema.fields:
        part = matrix[:, start : start + field.array_length]
        columns[field.name] = part if field.type == "array" else part[:, 0]
        start += field.array_length
    if start != matrix.shape[1]:
        raise LaunchRefused(f"X has {matrix.shape[1]} columns, the input schema {start} numbers")
    return columns


def _as_array(name: str, column: Any) -> NDArray[Any]:
    import numpy as np

    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return column
    values = list(column)
    if not any(isinstance(value, str) or value is None for value in values):
        with contextlib.suppress(ValueError):  # arrays of several lengths
            array = np.asarray(values)
            if array.dtype.kind != "O":
                return array
    if any(
        value is None or value != value for value in values if np.isscalar(value) or value is None
    ):
        row = next(i for i, v in enumerate(values) if v is None or (np.isscalar(v) and v != v))
        raise LaunchRefused(f"column {name!r}, row {row}: no value; fill it in or drop the row")
    if all(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)
    try:
        return np.stack([np.asarray(value, dtype=float) for value in values])
    except (TypeError, ValueError) as error:
        raise LaunchRefused(
            f"column {name!r} mixes kinds of values, or arrays of several lengths"
        ) from error


def _output_names(
    columns: Mapping[str, Any],
    y: Any,
    target: str | Sequence[str] | None,
    schema: TableSchema | None,
) -> list[str]:
    if schema is not None:
        return list(schema.names)
    if target is not None:
        return [clean_name(name) for name in ([target] if isinstance(target, str) else target)]
    if y is None:
        raise LaunchRefused("what is to be predicted? Give y, or name the column with target=...")
    name = clean_name(getattr(y, "name", None) or "y")
    return [name if name not in columns else f"{name}_target"]


def _read_targets(y: Any, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    import numpy as np

    values = y.to_pylist() if hasattr(y, "to_pylist") else y
    array = _as_array(names[0], values if hasattr(values, "__len__") else list(values))
    if array.ndim == 2 and array.shape[1] == len(names):
        return {name: array[:, index] for index, name in enumerate(names)}
    if len(names) != 1:
        raise LaunchRefused(f"y of shape {array.shape} does not fit the outputs {list(names)}")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    return {names[0]: np.asarray(array)}


def _check_lengths(columns: Mapping[str, Any]) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        shown = ", ".join(f"{name}: {length}" for name, length in list(lengths.items())[:5])
        raise LaunchRefused(f"the columns have different lengths ({shown})")
    if next(iter(lengths.values())) < 2:
        raise LaunchRefused("a validation set needs at least two rows, better hundreds")


def _infer_field(name: str, column: NDArray[Any]) -> SchemaField:
    kind = column.dtype.kind
    if column.ndim == 2 and kind in _NUMBERS:
        length = int(column.shape[1])
        return SchemaField(
            name=name,
            type="array",
            constraints=FieldConstraints(minLength=length, maxLength=length),
        )
    if kind == "b":
        return SchemaField(name=name, type="boolean")
    if kind in _NUMBERS:
        return SchemaField(name=name, type="number")
    if kind in "OUS":
        return SchemaField(name=name, type="string")
    raise LaunchRefused(f"column {name!r} is of type {column.dtype}: numbers or text are wanted")


def _infer_output(name: str, column: NDArray[Any]) -> SchemaField:
    import numpy as np

    kind = column.dtype.kind
    if kind in "OUS" or (kind in "biu" and len(np.unique(column)) <= MOST_CLASSES):
        classes = sorted({label_text(label) for label in column.tolist()}, key=_natural)
        if len(classes) < 2:
            raise LaunchRefused(f"all rows have the same {name!r}: there is nothing to learn")
        return SchemaField(
            name=name,
            type="string" if kind in "OUS" else "integer",
            constraints=FieldConstraints(enum=tuple(classes)),
        )
    field = _infer_field(name, column)
    if field.type != "number":
        return field
    # Targets are scaled to about one by these. Mines' may lie beyond what she has seen.
    low, high = float(np.min(column)), float(np.max(column))
    if not low < high:
        raise LaunchRefused(f"all rows have the same {name!r}, or one has no number: R2 is nothing")
    margin = (high - low) / 2
    limits = FieldConstraints(minimum=_rounded(low - margin), maximum=_rounded(high + margin))
    return field.model_copy(update={"constraints": limits})


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def label_text(label: object) -> str:
    """Write a label as its class: whole numbers without a point, truth as 0 and 1."""
    if isinstance(label, bool):
        return str(int(label))
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)


def _natural(label: str) -> tuple[int, float, str]:
    try:
        return (0, float(label), label)
    except ValueError:
        return (1, 0.0, label)


def _check_column(column: NDArray[Any], field: SchemaField) -> NDArray[Any]:
    import numpy as np

    if field.classes:
        labels = [label_text(label) for label in column.tolist()]
        foreign = next((i for i, label in enumerate(labels) if label not in field.classes), None)
        if foreign is not None:
            raise LaunchRefused(
                f"column {field.name!r}, row {foreign}: {labels[foreign][:80]!r} is none of the "
                f"classes {', '.join(field.classes[:12])}"
            )
        return np.array(labels, dtype=object)
    if field.type in ("string", "date", "datetime"):
        return np.array([str(value) for value in column.tolist()], dtype=object)
    try:
        numbers = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise LaunchRefused(
            f"column {field.name!r} is {field.type}, and has other values"
        ) from error
    return _check_numbers(numbers, field)


def _check_numbers(numbers: NDArray[np.float64], field: SchemaField) -> NDArray[np.float64]:
    import numpy as np

    shape = (len(numbers), field.array_length) if field.type == "array" else (len(numbers),)
    if numbers.shape != shape:
        raise LaunchRefused(f"column {field.name!r} has shape {numbers.shape}, not {shape}")
    if not np.isfinite(numbers).all():
        row = int(np.argwhere(~np.isfinite(numbers))[0][0])
        raise LaunchRefused(
            f"column {field.name!r}, row {row}: missing or infinite; fill it in or drop the row"
        )
    limits = field.constraints
    for bound, beyond in (
        (limits.minimum if limits else None, np.less),
        (limits.maximum if limits else None, np.greater),
    ):
        if bound is not None and beyond(numbers, bound).any():
            row = int(np.argwhere(beyond(numbers, bound))[0][0])
            raise LaunchRefused(f"column {field.name!r}, row {row}: beyond {bound}, its limit")
    return numbers


def _cell(value: Any, field: SchemaField) -> str:
    if field.classes or field.type in ("string", "date", "datetime"):
        return str(value)
    if field.type == "array":
        return json.dumps([float(number) for number in value])
    if field.type == "boolean":
        return "true" if value else "false"
    if field.type == "integer":
        return str(int(value))
    return repr(float(value))
