"""What updates do to a model's outputs at first: its tangent at the weights where it stands.

With J the derivative of the outputs on the validation set by the weights, a direction D moves the
outputs by J D, and J'R is where descent is steepest when R is left to explain. A linear model's J
is the feature matrix, and J D is all that D does; a network's is taken at the standing weights.

A gradient says where to go, not how far in which direction: its steep directions drown the others,
in which mines differ. `followed` makes it what local steps with the validation set's curvature
would make of it, D -> (J'J / n + mu)^-1 D with mu a thousandth of the largest curvature (about a
thousand steps), so that a gradient is judged like the training run that it stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from openmined.capsule._evaluation import Array, ValidationSet
from openmined.syft import Executor, map_arrays, mlp_pullback, mlp_tangent

_FOLLOWED_STEPS = 1000.0
_POWER_STEPS = 30
_NETWORK_ROWS = 1000
"""Of a larger validation set a network's tangent takes as many rows, evenly spaced."""
_SOLVER_STEPS = 60
_SOLVER_ERROR = 1e-3


@dataclass(frozen=True, eq=False)
class Tangent:
    """The derivative of the outputs on a validation set, at some weights."""

    validation: ValidationSet
    weights: Array

    @cached_property
    def _features(self) -> Array:
        features = self.validation.features
        return features if self.validation.linear else features[:: self._stride]

    @property
    def _stride(self) -> int:
        return -(-self.validation.rows // _NETWORK_ROWS)

    @cached_property
    def left(self) -> Array:
        """R, what is left to explain, (rows, outputs): about its mean for classifiers."""
        validation = self.validation
        left = validation.targets - validation.outputs(self.weights)
        return validation.about_mean(left if validation.linear else left[:: self._stride])

    def forward(self, direction: Array) -> Array:
        """Return J D, shape (rows, outputs)."""
        if self.validation.linear:
            return np.asarray(self._features @ direction)
        return mlp_tangent(self.weights, direction, self._features)

    def backward(self, outputs: Array) -> Array:
        """Return J'R, shaped like the weights."""
        if self.validation.linear:
            return np.asarray(self._features.T @ outputs)
        return mlp_pullback(self.weights, outputs, self._features)

    def moves(
        self,
        directions: Sequence[Array],
        *,
        followed: bool = False,
        executor: Executor | None = None,
    ) -> Array:
        """Return what each direction does to the outputs, (directions, rows, outputs).

        Args:
            directions: shaped like the weights.
            followed: whether they are gradients, to be followed to where they lead.
            executor: takes a network's gradients, one at a time; the moves are the same.
        """
        if self.validation.linear:
            there = self._follow_together(directions) if followed else directions
            return self.validation.outputs_of(there)
        items = [(direction, followed) for direction in directions]
        moves = map_arrays(_move, items, executor, shared=(self.validation, self.weights))
        return np.array(list(moves))

    def follow(self, gradient: Array) -> Array:
        """Return (J'J / n + mu)^-1 D of a network's gradient, by conjugate gradients."""
        from scipy.sparse.linalg import LinearOperator, cg  # slow to import: see `load_solver`

        shape, size = gradient.shape, gradient.size
        ridge = self._ridge
        operator = LinearOperator(
            (size, size),
            matvec=lambda flat: (
                self._curve(flat.reshape(shape)).ravel() + ridge * np.asarray(flat).ravel()
            ),
            dtype=np.float64,
        )
        found, _ = cg(operator, gradient.ravel(), rtol=_SOLVER_ERROR, maxiter=_SOLVER_STEPS)
        return np.asarray(found).reshape(shape)

    def _follow_together(self, gradients: Sequence[Array]) -> list[Array]:
        X = self._features
        curvature = X.T @ X / len(X) + self._ridge * np.eye(X.shape[1])
        solved = np.linalg.solve(curvature, np.concatenate(gradients, axis=1))
        return np.split(solved, len(gradients), axis=1)

    def _curve(self, direction: Array) -> Array:
        return self.backward(self.forward(direction)) / len(self._features)

    @cached_property
    def _ridge(self) -> float:
        vector, largest = np.ones_like(self.weights), 0.0
        for _ in range(_POWER_STEPS):
            vector = self._curve(vector)
            largest = float(np.linalg.norm(vector))
            if not largest > 0.0:
                return 1.0  # nothing moves the outputs, and nothing is worth anything
            vector /= largest
        return largest / _FOLLOWED_STEPS


def _move(validation: ValidationSet, weights: Array, direction: Array, followed: bool) -> Array:
    tangent = Tangent(validation, weights)
    return tangent.forward(tangent.follow(direction) if followed else direction)
