"""The tangent of a model: against differences, its transpose, and gradients that are followed."""

from __future__ import annotations

import numpy as np
import pytest

from openmined.capsule import _tangent
from openmined.capsule._evaluation import ValidationSet
from openmined.capsule._tangent import Tangent
from openmined.syft import MLPClassifier, initial_weights

NETWORK = MLPClassifier(inputs=7, classes=("a", "b", "c"), hidden=5)


def tangent(network: MLPClassifier | None, rows: int = 60) -> Tangent:
    random = np.random.default_rng(0)
    features = np.c_[random.normal(size=(rows, 6)), np.ones(rows)]
    targets = np.eye(3)[random.integers(0, 3, rows)]
    weights = random.normal(size=(7, 3)) if network is None else initial_weights(network)
    return Tangent(ValidationSet(features, targets, "accuracy", "00" * 32, network), weights)


BOTH = pytest.mark.parametrize("network", [None, NETWORK], ids=["linear", "network"])


@BOTH
def test_forward_is_the_derivative_of_the_outputs(network: MLPClassifier | None) -> None:
    here = tangent(network)
    direction = np.random.default_rng(1).normal(size=here.weights.shape)
    step = 1e-5
    there, back = (
        here.validation.outputs(here.weights + sign * step * direction) for sign in (1, -1)
    )
    assert here.forward(direction) == pytest.approx((there - back) / (2 * step), rel=1e-6, abs=1e-8)


@BOTH
def test_backward_is_its_transpose(network: MLPClassifier | None) -> None:
    here, random = tangent(network), np.random.default_rng(2)
    direction, outputs = random.normal(size=here.weights.shape), random.normal(size=(60, 3))
    one, other = (
        (here.forward(direction) * outputs).sum(),
        (here.backward(outputs) * direction).sum(),
    )
    assert one == pytest.approx(other)


@BOTH
def test_a_gradient_is_followed_to_where_damped_least_squares_lead(
    network: MLPClassifier | None,
) -> None:
    here = tangent(network)
    size = here.weights.size
    J = np.array(
        [here.forward(unit.reshape(here.weights.shape)).ravel() for unit in np.eye(size)]
    ).T
    curvature = J.T @ J / 60
    damping = np.linalg.eigvalsh(curvature).max() / 1000.0
    gradient = np.random.default_rng(3).normal(size=here.weights.shape)
    led = np.linalg.solve(curvature + damping * np.eye(size), gradient.ravel())
    (move,) = here.moves([gradient], followed=True)
    assert move.ravel() == pytest.approx(J @ led, rel=2e-2, abs=1e-2 * np.abs(J @ led).max())


def test_of_many_rows_a_network_takes_some_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tangent, "_NETWORK_ROWS", 25)
    here = tangent(NETWORK)
    assert here.left.shape == (20, 3)
    assert here.moves([here.weights]).shape == (1, 20, 3)


def test_where_nothing_moves_the_outputs_nothing_is_followed() -> None:
    here = tangent(NETWORK)
    still = Tangent(here.validation, np.zeros_like(here.weights))
    gradient = np.ones_like(here.weights)
    (move,) = still.moves([gradient], followed=True)
    assert not move.any()
