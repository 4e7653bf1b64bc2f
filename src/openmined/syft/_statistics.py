"""Sufficient statistics of least squares: all that an update needs of a mine's rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openmined.syft._columns import require_finite
from openmined.syft._errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sums over n rows: gram = Z'Z (p, p) and cross = Z'Y (p, k). Plaintext, private to the mine.

    Two are added with `+`: statistics of the union of their rows.
    """

    n: int
    gram: Floats
    cross: Floats

    def __post_init__(self) -> None:
        inputs = self.gram.shape[0] if self.gram.ndim == 2 else -1
        if self.gram.shape != (inputs, inputs) or self.cross.ndim != 2:
            raise DataError(f"gram {self.gram.shape} and cross {self.cross.shape} do not fit")
        if self.cross.shape[0] != inputs:
            raise DataError(f"cross {self.cross.shape} does not have {inputs} rows")
        if self.n < 1:
            raise DataError("statistics need at least one row")
        require_finite(self.gram, "gram")
        require_finite(self.cross, "cross")

    def __add__(self, other: Statistics) -> Statistics:
        """Join the statistics of two sets of rows."""
        return Statistics(self.n + other.n, self.gram + other.gram, self.cross + other.cross)


def accumulate_statistics(batches: Iterable[tuple[Any, Any]]) -> Statistics:
    """Sum Z'Z and Z'Y over batches of rows; memory is that of one batch and the sums.

    Args:
        batches: pairs (Z, Y) of shapes (rows, inputs) and (rows, outputs).

    Raises:
        DataError: if there are no rows, shapes differ or a value is not finite.
    """
    gram: Floats | None = None
    cross: Floats | None = None
    n = 0
    for rows, targets in batches:
        Z, Y = _check_batch(rows, targets)
        if gram is None or cross is None:
            gram, cross = np.zeros((Z.shape[1],) * 2), np.zeros((Z.shape[1], Y.shape[1]))
        if Z.shape[1] != gram.shape[0] or Y.shape[1] != cross.shape[1]:
            raise DataError(f"a batch of {Z.shape[1]} x {Y.shape[1]} columns differs from others")
        gram += Z.T @ Z
        cross += Z.T @ Y
        n += len(Z)
    if gram is None or cross is None or n == 0:
        raise DataError("there are no rows: an update needs at least one")
    return Statistics(n, gram, cross)


def _check_batch(rows: Any, targets: Any) -> tuple[Floats, Floats]:
    Z, Y = np.asarray(rows, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if Z.ndim != 2 or Y.ndim != 2 or len(Z) != len(Y) or not Z.shape[1] or not Y.shape[1]:
        raise DataError(f"rows of shape {Z.shape} and targets of shape {Y.shape} do not fit")
    return require_finite(Z, "the rows"), require_finite(Y, "the targets")
