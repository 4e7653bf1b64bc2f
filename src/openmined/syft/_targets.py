"""What a task learns to predict, as numbers: labels one-hot, targets centred and scaled."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from openmined.syft._columns import finite_result, real_array, require_finite
from openmined.syft._errors import DataError
from openmined.syft._specs import LearningSpec, LinearRegression, label_text, require_spec

Floats = NDArray[np.float64]


def encode_targets(spec: LearningSpec, column: Any) -> Floats:
    """Encode labels one-hot, or scale targets; shape (rows, outputs).

    Args:
        spec: what is learned.
        column: labels (text, or numbers whose text is a class), or numbers, or a list of columns
            of numbers for a regression of several targets.

    Raises:
        SpecError: if `spec` is none.
        DataError: on labels outside the classes, non-finite targets, or a wrong shape.
    """
    require_spec(spec)
    if isinstance(spec, LinearRegression):
        return _encode_numbers(spec, column)
    labels = _plain_list(column)
    index = {label: position for position, label in enumerate(spec.classes)}
    encoded = np.zeros((len(labels), spec.outputs))
    for row, label in enumerate(labels):
        position = index.get(label_text(label))
        if position is None:
            raise DataError(
                f"row {row}: label {str(label)[:80]!r} is none of the classes "
                f"{', '.join(spec.classes[:12])}: drop or rename it"
            )
        encoded[row, position] = 1.0
    return encoded


def _encode_numbers(spec: LinearRegression, column: Any) -> Floats:
    several = isinstance(column, list | tuple) and len(column) and not np.isscalar(column[0])
    parts = list(column) if several and spec.outputs > 1 else [column]
    arrays = [real_array(_plain_array(part), "the targets") for part in parts]
    if len({array.shape[:1] for array in arrays}) > 1:
        raise DataError(f"columns of targets differ in length: {[part.shape for part in arrays]}")
    values = np.column_stack(arrays)
    if values.ndim != 2 or values.shape[1] != spec.outputs:
        raise DataError(
            f"targets of shape {values.shape} do not fit {spec.outputs} outputs: give a column "
            "for each"
        )
    require_finite(values, "the target")
    centre, scale = np.asarray(spec.target_centre), np.asarray(spec.target_scale)
    return finite_result(lambda: (values - centre) / scale, "the scaled targets")


def _plain_array(column: Any) -> Any:
    if hasattr(column, "to_pylist"):
        return column.to_pylist()
    return column


def _plain_list(column: Any) -> list[Any]:
    if hasattr(column, "to_pylist"):
        return cast("list[Any]", column.to_pylist())
    if isinstance(column, list | tuple):  # NumPy would cut a label at its last NUL
        return list(column)
    array = np.asarray(column)
    if array.ndim != 1 or np.ma.is_masked(column):
        raise DataError(f"labels of shape {array.shape} must be one per row, and none masked")
    return cast("list[Any]", array.tolist())
