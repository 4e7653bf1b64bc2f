"""Anderson acceleration of plain gradients: the optimizer Capsule runs between rounds.

With f_j = -g_j the combined negative gradient at W_j, a plain step is W + beta f. Anderson's
type-II step over the last m rounds takes

    gamma = argmin | f - dF gamma |,    W' = W + beta f - (dX + beta dF) gamma,

where dX and dF hold the differences of successive W and f. On quadratic losses this is GMRES:
a handful of rounds do the work of hundreds of plain steps.
Source: Anderson 1965; Walker and Ni, SIAM J. Numer. Anal. 49 (2011), eq. 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MEMORY = 8
"""Rounds remembered beside the present one."""

_RELATIVE_CUTOFF = 1e-6
"""Directions of dF below this share of the largest are noise of CKKS and are ignored."""


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """W' = start + beta * direction, for any beta; `mixing` is gamma, newest difference last."""

    start: Array
    direction: Array
    mixing: Array


@dataclass(frozen=True, slots=True)
class AndersonMemory:
    """The last rounds: weights and combined negative gradients, each (inputs, outputs)."""

    weights: tuple[Array, ...] = field(default=())
    residuals: tuple[Array, ...] = field(default=())

    def remember(self, weights: Array, residual: Array) -> AndersonMemory:
        """Return a memory with this round added and the oldest beyond eight dropped."""
        return AndersonMemory(
            (*self.weights, weights)[-(MEMORY + 1) :],
            (*self.residuals, residual)[-(MEMORY + 1) :],
        )

    def extrapolate(self, weights: Array, residual: Array) -> Extrapolation:
        """Compute where the next step starts and points; an empty memory gives the plain step."""
        moved = np.array([*self.weights, weights]).reshape(len(self.weights) + 1, -1)
        pulled = np.array([*self.residuals, residual]).reshape(len(moved), -1)
        steps, changes = np.diff(moved, axis=0).T, np.diff(pulled, axis=0).T
        mixing = _least_squares(changes, residual.ravel())
        return Extrapolation(
            weights - (steps @ mixing).reshape(weights.shape),
            residual - (changes @ mixing).reshape(weights.shape),
            mixing,
        )


def _least_squares(columns: Array, target: Array) -> Array:
    if columns.shape[1] == 0:
        return np.zeros(0)
    solution = np.linalg.lstsq(columns, target, rcond=_RELATIVE_CUTOFF)[0]
    return np.asarray(solution, dtype=np.float64)
