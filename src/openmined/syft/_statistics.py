"""Sufficient statistics of least squares: all that an update needs of a mine's rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openmined.syft._columns import real_array, require_finite
from openmined.syft._errors import DataError
from openmined.syft._executors import Call, silent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openmined.syft._executors import Executor, Tick

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


def accumulate_statistics(
    batches: Iterable[tuple[Any, Any]], executor: Executor | None = None
) -> Statistics:
    """Sum Z'Z and Z'Y over batches of rows; memory is that of a batch a worker and the sums.

    Args:
        batches: pairs (Z, Y) of shapes (rows, inputs) and (rows, outputs).
        executor: shares the batches among workers; None does all here.

    Raises:
        DataError: if there are no rows, shapes differ or a value is not finite.
        LimitError: if a worker died.
    """
    sums = Sums()
    if executor is None:
        for rows, targets in batches:
            sums.add_rows(rows, targets)
    else:
        for saved in executor.run((Call(_sum_there, batch) for batch in batches), silent):
            sums.add_saved(saved)
    return sums.statistics()


def _sum_there(_tick: Tick, rows: Any, targets: Any) -> list[bytes]:
    sums = Sums()
    sums.add_rows(rows, targets)
    return sums.save()


class Sums:
    """Sums that grow in place."""

    def __init__(self) -> None:
        self.n = 0
        self.gram: Floats = np.zeros((0, 0))
        self.cross: Floats = np.zeros((0, 0))

    def add_rows(self, rows: Any, targets: Any) -> None:
        """Add a batch of rows."""
        Z, Y = _check_batch(rows, targets)
        self._make_room(Z.shape[1], Y.shape[1])
        self.gram += Z.T @ Z
        self.cross += Z.T @ Y
        self.n += len(Z)

    def save(self) -> list[bytes]:
        """Return count and shape, gram, cross as bytes."""
        head = np.array([self.n, *self.cross.shape], np.int64)
        return [part.tobytes() for part in (head, self.gram, self.cross)]

    def add_saved(self, saved: list[bytes]) -> None:
        """Add what `save` wrote."""
        n, inputs, outputs = np.frombuffer(saved[0], np.int64)
        if not n:
            return
        self._make_room(int(inputs), int(outputs))
        self.gram += np.frombuffer(saved[1]).reshape(inputs, inputs)
        self.cross += np.frombuffer(saved[2]).reshape(inputs, outputs)
        self.n += int(n)

    def _make_room(self, inputs: int, outputs: int) -> None:
        if not self.cross.size:
            self.gram, self.cross = np.zeros((inputs, inputs)), np.zeros((inputs, outputs))
        if self.cross.shape != (inputs, outputs):
            raise DataError(f"a batch of {inputs} x {outputs} columns differs from others")

    def statistics(self) -> Statistics:
        """Return the sums.

        Raises:
            DataError: if there are no rows.
        """
        if self.n == 0:
            raise DataError("there are no rows: an update needs at least one")
        return Statistics(self.n, self.gram, self.cross)


def _check_batch(rows: Any, targets: Any) -> tuple[Floats, Floats]:
    Z, Y = real_array(rows, "the rows"), real_array(targets, "the targets")
    if Z.ndim != 2 or Y.ndim != 2 or len(Z) != len(Y) or not Z.shape[1] or not Y.shape[1]:
        raise DataError(f"rows of shape {Z.shape} and targets of shape {Y.shape} do not fit")
    return require_finite(Z, "the rows"), require_finite(Y, "the targets")
