"""What the key holder does with decrypted gradients: pure steps from state to state.

Each optimizer has `start(weights) -> state` and `step(weights, gradient, state) -> (weights,
state)`, for arrays of one shape, whatever it is. States hold arrays and numbers only, so that their
owner can store them. What does not fit, or is not finite, is a `DataError`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openmined.syft._columns import real_array, require_finite
from openmined.syft._errors import DataError, SpecError

Floats = NDArray[np.float64]


def _check(weights: Floats, gradient: Floats, *state: Floats) -> tuple[Floats, Floats]:
    """Return both as finite arrays of one shape, that of the state; NumPy would broadcast."""
    moved, slope = real_array(weights, "the weights"), real_array(gradient, "the gradient")
    for other in (slope, *state):
        if other.shape != moved.shape:
            raise DataError(f"a gradient or state of shape {other.shape} for {moved.shape} weights")
    return require_finite(moved, "the weights"), require_finite(slope, "the gradient")


def _positive(value: float, name: str) -> None:
    if not (np.isfinite(value) and value > 0):
        raise SpecError(f"{name} = {value} must be positive")


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
        _positive(self.rate, "rate")
        if not 0 <= self.momentum < 1:
            raise SpecError(f"momentum = {self.momentum} must be in [0, 1)")

    def start(self, weights: Floats) -> SGDState:
        """Return the state before the first step."""
        return SGDState(np.zeros_like(weights))

    def step(self, weights: Floats, gradient: Floats, state: SGDState) -> tuple[Floats, SGDState]:
        """Take one step."""
        weights, gradient = _check(weights, gradient, state.velocity)
        velocity = self.momentum * state.velocity + gradient
        return weights - self.rate * velocity, SGDState(velocity)


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
        _positive(self.rate, "rate")
        _positive(self.epsilon, "epsilon")
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise SpecError(f"beta1 {self.beta1} and beta2 {self.beta2} must be in [0, 1)")

    def start(self, weights: Floats) -> AdamState:
        """Return the state before the first step."""
        return AdamState(np.zeros_like(weights), np.zeros_like(weights), 0)

    def step(self, weights: Floats, gradient: Floats, state: AdamState) -> tuple[Floats, AdamState]:
        """Take one step."""
        weights, gradient = _check(weights, gradient, state.mean, state.square)
        steps = state.steps + 1
        mean = self.beta1 * state.mean + (1 - self.beta1) * gradient
        square = self.beta2 * state.square + (1 - self.beta2) * gradient**2
        corrected = mean / (1 - self.beta1**steps)
        spread = np.sqrt(square / (1 - self.beta2**steps)) + self.epsilon
        return weights - self.rate * corrected / spread, AdamState(mean, square, steps)


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
        _positive(self.rate, "rate")
        if self.memory < 1 or not self.ridge >= 0:
            raise SpecError(f"memory {self.memory} and ridge {self.ridge} must be 1 or more, and 0")

    def start(self, weights: Floats) -> AndersonState:  # noqa: ARG002 - the protocol of optimizers
        """Return the state before the first step."""
        return AndersonState()

    def step(
        self, weights: Floats, gradient: Floats, state: AndersonState
    ) -> tuple[Floats, AndersonState]:
        """Take one step."""
        weights, gradient = _check(weights, gradient, *state.weights, *state.gradients)
        steps = [self._flat(one - weights) for one in state.weights]
        images = [self._flat(one - gradient) for one in state.gradients]
        moved, rest = self._flat(weights), self._flat(gradient)
        if steps:
            D, E = np.hstack(steps), np.hstack(images)
            b = self._combine(E, rest)
            moved, rest = moved + D @ b, rest + E @ b
        kept = AndersonState(
            (*state.weights, weights)[-self.memory :], (*state.gradients, gradient)[-self.memory :]
        )
        return np.asarray(moved - self.rate * rest).reshape(weights.shape), kept

    def _flat(self, matrix: Floats) -> Floats:
        return matrix if self.share and matrix.ndim == 2 else matrix.reshape(-1, 1)

    def _combine(self, E: Floats, gradient: Floats) -> Floats:
        lengths = np.maximum(np.linalg.norm(E, axis=0), np.finfo(np.float64).tiny)
        U, values, V = np.linalg.svd(E / lengths, full_matrices=False)
        floor = np.finfo(np.float64).eps * len(E)
        damped = values / (values**2 + max(self.ridge, floor**2))
        solved = -(V.T * damped) @ (U.T @ gradient)
        return np.asarray(solved / lengths[:, None])
