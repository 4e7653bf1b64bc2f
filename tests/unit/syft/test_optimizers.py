"""Optimizers on a quadratic whose minimum is known."""

import numpy as np
import pytest

from openmined.syft import (
    SGD,
    Adam,
    AdamState,
    Anderson,
    AndersonState,
    DataError,
    SGDState,
    SpecError,
)

generator = np.random.default_rng(0)
ROOT = generator.standard_normal((12, 12))
G = ROOT @ ROOT.T / 12 + 0.05 * np.eye(12)
C = generator.standard_normal((12, 2))
OPTIMUM = np.linalg.solve(G, C)
LARGEST = np.linalg.eigvalsh(G)[-1]


def run(optimizer, rounds, noise=0.0):
    weights = np.zeros((12, 2))
    state = optimizer.start(weights)
    for _ in range(rounds):
        gradient = G @ weights - C + noise * generator.standard_normal(C.shape)
        weights, state = optimizer.step(weights, gradient, state)
    return np.abs(weights - OPTIMUM).max()


def test_sgd_by_hand():
    weights, state = SGD(0.5, momentum=0.5).step(
        np.ones(2), np.array([2.0, 0.0]), SGD(1).start(np.ones(2))
    )
    np.testing.assert_array_equal(weights, [0.0, 1.0])
    weights, _ = SGD(0.5, momentum=0.5).step(weights, np.zeros(2), state)
    np.testing.assert_array_equal(weights, [-0.5, 1.0])


def test_adam_takes_steps_of_its_rate_at_first():
    optimizer = Adam(0.1)
    weights, state = optimizer.step(
        np.zeros(3), np.array([5.0, -0.01, 0.0]), optimizer.start(np.zeros(3))
    )
    np.testing.assert_allclose(weights, [-0.1, 0.1, 0.0], rtol=1e-5)
    assert state.steps == 1


def test_all_descend():
    assert run(SGD(1.0 / LARGEST), 500) < 1e-2
    assert run(SGD(1.0 / LARGEST, momentum=0.8), 200) < 1e-2
    assert run(Adam(0.05), 2000) < 0.05


def test_anderson_beats_plain_steps():
    """With memory of the dimension it ends like GMRES does; with noise it still converges."""
    plain = run(SGD(1.0 / LARGEST), 14)
    alone = Anderson(1.0 / LARGEST, memory=14, ridge=0, share=False)
    assert run(alone, 14) < 1e-5 < 1e-2 < plain
    assert run(Anderson(1.0 / LARGEST, memory=20, ridge=1e-6), 30, noise=1e-5) < 1e-2


def test_shared_columns_converge_in_fewer_rounds():
    """Two columns give two directions a round: half the rounds."""
    shared = Anderson(1.0 / LARGEST, memory=14, ridge=0)
    alone = Anderson(1.0 / LARGEST, memory=14, ridge=0, share=False)
    assert run(shared, 8) < 1e-6 < 1e-3 < run(alone, 8)


def test_anderson_forgets_beyond_its_memory():
    optimizer = Anderson(0.1, memory=3)
    weights, state = np.zeros((12, 2)), optimizer.start(np.zeros((12, 2)))
    for _ in range(5):
        weights, state = optimizer.step(weights, G @ weights - C, state)
    assert len(state.weights) == len(state.gradients) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(0),
        lambda: SGD(1, momentum=1),
        lambda: Adam(-1),
        lambda: Adam(1, beta1=1),
        lambda: Anderson(0),
        lambda: Anderson(1, memory=0),
        lambda: Anderson(float("nan")),
        lambda: Anderson(1, memory=1.5),
        lambda: Anderson(1, ridge=float("inf")),
        lambda: SGD("x"),
        lambda: SGD(None),
        lambda: SGD(1, momentum="x"),
        lambda: Adam(beta2="x"),
        lambda: Adam(10**400),
    ],
)
def test_senseless_settings_are_refused(make):
    with pytest.raises(SpecError):
        make()


W = np.ones((3, 2))
BAD_STATES = {
    SGD(0.1, 0.9): [
        None,
        Adam().start(W),
        SGDState(W * np.nan),
        SGDState(W * np.inf),
        SGDState(W * 1j),
        SGDState(W[:1]),
        SGDState([[1]]),
        SGDState("x"),
    ],
    Adam(): [
        None,
        SGD(1).start(W),
        AdamState(W * np.nan, W, 1),
        AdamState(W, -W, 1),
        AdamState(W, W, -1),
        AdamState(W, W, -5),
        AdamState(W, W, "x"),
        AdamState(W, W, float("nan")),
    ],
    Anderson(0.1): [
        None,
        AndersonState((W, 2 * W), (W,)),
        AndersonState((W * np.nan,), (2 * W,)),
        AndersonState((W,), (W * np.inf,)),
        AndersonState((W[:1],), (W[:1],)),
        AndersonState((W,), (-1e308 * W,)),
    ],
}


@pytest.mark.parametrize(
    ("optimizer", "state"),
    [(optimizer, state) for optimizer, states in BAD_STATES.items() for state in states],
)
def test_states_that_no_step_returned_are_refused(optimizer, state):
    with pytest.raises(DataError):
        optimizer.step(W, W, state)


@pytest.mark.parametrize("optimizer", [SGD(1e10), Adam(), Anderson(1e10)])
def test_steps_that_overflow_are_refused(optimizer):
    with pytest.raises(DataError, match="too large"):
        optimizer.step(W, 1e305 * W, optimizer.start(W))


@pytest.mark.parametrize("optimizer", [SGD(1), Adam(), Anderson(1)])
@pytest.mark.parametrize("weights", [None, "x", W * np.nan, W * 1j, [[1], [1, 2]]])
def test_nothing_starts_at_what_are_no_weights(optimizer, weights):
    with pytest.raises(DataError):
        optimizer.start(weights)
