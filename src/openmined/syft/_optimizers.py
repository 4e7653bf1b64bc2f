"""What the key holder does with decrypted gradients: pure steps from state to state.

Each optimizer has `start(weights) -> state` and `step(weights, gradient, state) -> (weights,
state)`. States hold arrays and numbers only, so that their owner can store them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openmined.syft._errors import SpecError

Floats = NDArray[np.float64]


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
    """Anderson acceleration, type II (Walker and Ni, SIAM J. Numer. Anal. 2011).

    For gradients g_i at weights w_i, affine in the weights, the combination with coefficients a
    that sum to one and make sum a_i g_i smallest gives w <- sum a_i (w_i - rate g_i). Meant for
    averaged plain gradients of the linear family: with memory m it is about as good as GMRES
    restarted every m rounds.

    Attributes:
        rate: of the underlying gradient step; 2 / (lambda_min + lambda_max) where known.
        memory: rounds remembered.
        ridge: weight of |a - a_0|^2 (a_0 the newest alone) against the newest gradient's length;
            it damps the noise of protected updates.
    """

    rate: float
    memory: int = 8
    ridge: float = 1e-10

    def __post_init__(self) -> None:
        _positive(self.rate, "rate")
        if self.memory < 1 or self.ridge < 0:
            raise SpecError(f"memory {self.memory} and ridge {self.ridge} must be 1 or more, and 0")

    def start(self, weights: Floats) -> AndersonState:  # noqa: ARG002 - the protocol of optimizers
        """Return the state before the first step."""
        return AndersonState()

    def step(
        self, weights: Floats, gradient: Floats, state: AndersonState
    ) -> tuple[Floats, AndersonState]:
        """Take one step."""
        points = (*state.weights, weights)[-self.memory :]
        gradients = (*state.gradients, gradient)[-self.memory :]
        coefficients = self._combine(gradients) if len(points) > 1 else np.ones(1)
        new = sum(
            (
                a * (w - self.rate * g)
                for a, w, g in zip(coefficients, points, gradients, strict=True)
            ),
            start=np.zeros_like(weights),
        )
        return np.asarray(new), AndersonState(points, gradients)

    def _combine(self, gradients: tuple[Floats, ...]) -> Floats:
        newest = gradients[-1].ravel()
        older = np.stack([gradient.ravel() - newest for gradient in gradients[:-1]], axis=1)
        count = older.shape[1]
        damping = np.sqrt(self.ridge) * np.linalg.norm(newest) * np.eye(count)
        system = np.vstack([older, damping])
        wanted = np.concatenate([-newest, np.zeros(count)])
        others = np.linalg.lstsq(system, wanted, rcond=None)[0]
        return np.append(others, 1.0 - others.sum())
