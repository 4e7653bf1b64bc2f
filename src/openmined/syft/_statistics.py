"""Sufficient statistics of least squares: all that an update needs of a mine's rows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openmined.syft._columns import real_array, require_finite
from openmined.syft._errors import DataError
from openmined.syft._executors import Call, choose_executor, silent
from openmined.syft._settings import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from openmined.syft._executors import Executor, Tick

Floats = NDArray[np.float64]

NO_ROWS = "there are no rows: an update needs at least one"
_ROUNDING = 1e-9
_SUMS_OVERFLOW = "the sums are too large: centre and scale the columns"


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sums over n rows: gram = Z'Z (p, p) and cross = Z'Y (p, k). Plaintext, private to the mine.

    Two are added with `+`: statistics of the union of their rows.
    """

    n: int
    gram: Floats
    cross: Floats

    def __post_init__(self) -> None:
        if not is_whole(self.n) or self.n < 1:
            raise DataError(f"n = {self.n!r:.40} rows: statistics need a whole number, one or more")
        gram, cross = real_array(self.gram, "gram"), real_array(self.cross, "cross")
        inputs = len(gram) if gram.ndim == 2 else 0
        if gram.shape != (inputs, inputs) or cross.ndim != 2 or len(cross) != inputs:
            raise DataError(
                f"gram {gram.shape} and cross {cross.shape} are not of shapes (inputs, inputs) and "
                "(inputs, outputs)"
            )
        if not cross.size:
            raise DataError(f"cross {cross.shape} is empty: there are no inputs or no targets")
        require_finite(gram, "gram", _SUMS_OVERFLOW)
        require_finite(cross, "cross", _SUMS_OVERFLOW)
        _check_squares(gram)
        object.__setattr__(self, "gram", gram)
        object.__setattr__(self, "cross", cross)

    def __add__(self, other: Statistics) -> Statistics:
        """Join the statistics of two sets of rows.

        Raises:
            DataError: if they are of other sizes, or overflow.
        """
        if not isinstance(other, Statistics):
            return NotImplemented
        if self.cross.shape != other.cross.shape:
            raise DataError(
                f"statistics of {self.cross.shape} and {other.cross.shape} inputs and outputs do "
                "not add up: they belong to different tasks"
            )
        with np.errstate(over="ignore"):  # Statistics refuses what is infinite
            gram, cross = self.gram + other.gram, self.cross + other.cross
        return Statistics(self.n + other.n, gram, cross)


def _check_squares(gram: Floats) -> None:
    """Refuse what is no Z'Z of any Z: it is symmetric, and has no negative eigenvalue.

    By a Cholesky factor of the matrix scaled to a diagonal of at most one, with room for rounding.
    """
    largest = float(gram.diagonal().max())
    scaled = gram / largest if largest > 0 else gram
    if np.abs(scaled - scaled.T).max() <= _ROUNDING:
        with suppress(np.linalg.LinAlgError):
            np.linalg.cholesky(scaled + _ROUNDING * np.eye(len(gram)))
            return
    raise DataError(
        "gram is no Z'Z: it is not symmetric, or has a negative eigenvalue; make statistics with "
        "accumulate_statistics"
    )


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
    executor = choose_executor(executor)
    sums = Sums()
    if executor is None:
        for rows, targets in pairs(batches):
            sums.add_rows(rows, targets)
    else:
        for saved in executor.run((Call(_sum_there, pair) for pair in pairs(batches)), silent):
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
        Z, Y = check_batch(rows, targets)
        self._make_room(Z.shape[1], Y.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):  # Statistics refuses what overflowed
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
        with np.errstate(over="ignore", invalid="ignore"):
            self.gram += np.frombuffer(saved[1]).reshape(inputs, inputs)
            self.cross += np.frombuffer(saved[2]).reshape(inputs, outputs)
        self.n += int(n)

    def _make_room(self, inputs: int, outputs: int) -> None:
        if not self.cross.size:
            self.gram, self.cross = np.zeros((inputs, inputs)), np.zeros((inputs, outputs))
        if self.cross.shape != (inputs, outputs):
            raise DataError(
                f"a batch of {inputs} x {outputs} columns differs from others, of "
                f"{self.cross.shape[0]} x {self.cross.shape[1]}: use one feature map for all"
            )

    def statistics(self) -> Statistics:
        """Return the sums.

        Raises:
            DataError: if there are no rows.
        """
        if self.n == 0:
            raise DataError(NO_ROWS)
        return Statistics(self.n, self.gram, self.cross)


def pairs(batches: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each batch, seen to be a pair.

    Raises:
        DataError: if one is none, or they are nothing to iterate over.
    """
    if not hasattr(batches, "__iter__"):
        raise DataError(f"batches are {type(batches).__name__}: give pairs (rows, targets)")
    for batch in batches:
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise DataError(f"a batch is {type(batch).__name__}: give a pair (rows, targets)")
        yield batch[0], batch[1]


def check_batch(rows: Any, targets: Any) -> tuple[Floats, Floats]:
    """Return Z (rows, inputs) and Y (rows, outputs) of one batch as finite arrays.

    Raises:
        DataError: if a shape is wrong, or a value is not finite.
    """
    Z, Y = real_array(rows, "the rows"), real_array(targets, "the targets")
    if Z.ndim != 2 or Y.ndim != 2 or len(Z) != len(Y) or not Z.shape[1] or not Y.shape[1]:
        raise DataError(
            f"rows of shape {Z.shape} and targets of shape {Y.shape} are not (rows, inputs) and "
            "(rows, outputs)"
        )
    return require_finite(Z, "the rows"), require_finite(Y, "the targets")
