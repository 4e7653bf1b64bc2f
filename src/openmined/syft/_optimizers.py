"""What the key holder does with decrypted gradients: pure steps from state to state.

Each optimizer has `start(weights) -> state` and `step(weights, gradient, state) -> (weights,
state)`, for arrays of one shape, whatever it is. States hold arrays and numbers only, so that their
owner can store them. What does not fit, or is not finite, or overflows, is a `DataError`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openmined.syft._columns import finite_result, real_array, require_finite
from openmined.syft._errors import DataError
from openmined.syft._settings import is_whole, require_fraction, require_number, require_whole

Floats = NDArray[np.float64]


def _check(weights: Any, gradient: Any, state: Any, kind: type) -> tuple[Floats, Floats]:
    """Return both as finite arrays of one shape, that of the state's; NumPy would broadcast."""
    moved, slope = _finite(weights, "the weights"), _finite(gradient, "the gradient")
    if not isinstance(state, kind):
        raise DataError(
            f"state is {type(state).__name__}, not {kind.__name__}: begin with this optimizer's "
            "start, and go on with what its step returned"
        )
    for other in (slope, *_arrays(state)):
        if other.shape != moved.shape:
            raise DataError(
                f"a gradient or state of shape {other.shape} for weights of shape {moved.shape}: "
                "they belong to another model"
            )
    return moved, slope


def _arrays(state: Any) -> list[Floats]:
    """Return the arrays that a state holds, checked to be finite."""
    held = [getattr(state, item.name) for item in fields(state)]
    several = [one for value in held for one in (value if isinstance(value, tuple) else (value,))]
    return [_finite(one, "the state") for one in several if not is_whole(one)]


def _finite(values: Any, what: str) -> Floats:
    return require_finite(real_array(values, what), what, "begin again at the last finite one")


@dataclass(frozen=True, eq=False)
class SGDState:
    """Velocity so far."""

    velocity: Floats


@dataclass(frozen=True)
class SGD:
    """v <- momentum v + g,  w <- w - rate v (Polyak, 1964)."""

    rate: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        require_number(self.rate, "rate")
        require_fraction(self.momentum, "momentum")

    def start(self, weights: Floats) -> SGDState:
        """Return the state before the first step."""
        return SGDState(np.zeros_like(_finite(weights, "the weights")))

    def step(self, weights: Floats, gradient: Floats, state: SGDState) -> tuple[Floats, SGDState]:
        """Take one step."""
        weights, gradient = _check(weights, gradient, state, SGDState)
        velocity = finite_result(
            lambda: self.momentum * np.asarray(state.velocity) + gradient, "the velocity"
        )
        moved = finite_result(lambda: weights - self.rate * velocity, "the new weights")
        return moved, SGDState(velocity)


@dataclass(frozen=True, eq=False)
class AdamState:
    """Moments so far and the number of steps."""

    mean: Floats
    square: Floats
    steps: int


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba, ICLR 2015, algorithm 1)."""

    rate: float = 0.02
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        require_number(self.rate, "rate")
        require_number(self.epsilon, "epsilon")
        require_fraction(self.beta1, "beta1")
        require_fraction(self.beta2, "beta2")

    def start(self, weights: Floats) -> AdamState:
        """Return the state before the first step."""
        zeros = np.zeros_like(_finite(weights, "the weights"))
        return AdamState(zeros, zeros, 0)

    def step(self, weights: Floats, gradient: Floats, state: AdamState) -> tuple[Floats, AdamState]:
        """Take one step."""
        weights, gradient = _check(weights, gradient, state, AdamState)
        if not is_whole(state.steps) or state.steps < 0 or np.min(state.square, initial=0.0) < 0:
            raise DataError(
                f"an Adam state of {state.steps!r:.40} steps, or with negative squares, is none "
                "that `step` returned: begin with `start`"
            )
        steps = state.steps + 1
        mean = self.beta1 * np.asarray(state.mean) + (1 - self.beta1) * gradient
        square = finite_result(
            lambda: self.beta2 * np.asarray(state.square) + (1 - self.beta2) * gradient**2,
            "the squared gradient",
        )
        corrected = mean / (1 - self.beta1**steps)
        spread = np.sqrt(square / (1 - self.beta2**steps)) + self.epsilon
        moved = finite_result(lambda: weights - self.rate * corrected / spread, "the new weights")
        return moved, AdamState(mean, square, steps)


@dataclass(frozen=True, eq=False)
class AndersonState:
    """The last weights and gradients, newest last."""

    weights: tuple[Floats, ...] = ()
    gradients: tuple[Floats, ...] = ()


@dataclass(frozen=True)
class Anderson:
    """Anderson acceleration, type II (Walker and Ni, SIAM J. Numer. Anal. 2011), in blocks.

    Meant for averaged plain gradients of the linear family, g = G W - C, affine in W with the same
    G for every column. Differences of remembered weights to the newest, D, have images E = G D:
    the differences of their gradients. For each column of W the combination b of *all* columns of
    D that makes |g + E b| smallest is taken, then a step along what remains:

        W <- W + D b - rate (g + E b)

    With k outputs a round adds k directions, so that m rounds search what m k rounds of one column
    would: a block Krylov space, as GMRES does for several right-hand sides.

    Attributes:
        rate: of the step along the remainder; 1 / lambda_max of the averaged G is safe.
        memory: rounds remembered.
        ridge: weight of |b|^2 for directions scaled to images of length one; it damps the noise
            of protected updates.
        share: combine the directions of all columns; else each round is one direction.
    """

    rate: float
    memory: int = 16
    ridge: float = 1e-6
    share: bool = True

    def __post_init__(self) -> None:
        require_number(self.rate, "rate")
        require_whole(self.memory, "memory")
        require_number(self.ridge, "ridge", least=0)

    def start(self, weights: Floats) -> AndersonState:
        """Return the state before the first step."""
        _finite(weights, "the weights")
        return AndersonState()

    def step(
        self, weights: Floats, gradient: Floats, state: AndersonState
    ) -> tuple[Floats, AndersonState]:
        """Take one step."""
        weights, gradient = _check(weights, gradient, state, AndersonState)
        if len(state.weights) != len(state.gradients):
            raise DataError(
                f"an Anderson state of {len(state.weights)} weights and {len(state.gradients)} "
                "gradients is none that `step` returned: begin with `start`"
            )
        kept = AndersonState(
            (*state.weights, weights)[-self.memory :], (*state.gradients, gradient)[-self.memory :]
        )
        return finite_result(
            lambda: self._accelerate(weights, gradient, state), "the new weights"
        ), kept

    def _accelerate(self, weights: Floats, gradient: Floats, state: AndersonState) -> Floats:
        steps = [self._flat(np.asarray(one) - weights) for one in state.weights]
        images = [self._flat(np.asarray(one) - gradient) for one in state.gradients]
        moved, rest = self._flat(weights), self._flat(gradient)
        if steps:
            D, E = np.hstack(steps), np.hstack(images)
            b = self._combine(E, rest)
            moved, rest = moved + D @ b, rest + E @ b
        return np.asarray(moved - self.rate * rest).reshape(weights.shape)

    def _flat(self, matrix: Floats) -> Floats:
        return matrix if self.share and matrix.ndim == 2 else matrix.reshape(-1, 1)

    def _combine(self, E: Floats, gradient: Floats) -> Floats:
        lengths = np.maximum(np.linalg.norm(E, axis=0), np.finfo(np.float64).tiny)
        require_finite(lengths, "the memory", "begin again without it")
        U, values, V = np.linalg.svd(E / lengths, full_matrices=False)
        floor = np.finfo(np.float64).eps * len(E)
        damped = values / (values**2 + max(self.ridge, floor**2))
        solved = -(V.T * damped) @ (U.T @ gradient)
        return np.asarray(solved / lengths[:, None])
