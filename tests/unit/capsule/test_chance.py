"""Where honest updates point, where guesses do, and what a shift of all rows counts for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.capsule.test_scoring import Digits, direction

from openmined.capsule._chance import ALONE, TOGETHER, Descent
from openmined.capsule._evaluation import ValidationSet
from openmined.syft import MLPClassifier, initial_weights

Array = np.ndarray[Any, np.dtype[np.float64]]


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


@pytest.fixture(scope="module")
def descent(digits: Digits) -> Descent:
    return Descent.at(digits.validation, digits.start)


def test_the_descent_lowers_the_loss_and_moves_no_output_for_all_rows_alike(
    digits: Digits, descent: Descent
) -> None:
    validation = digits.validation
    moved = validation.outputs(0.1 * descent.towards)
    assert validation.unexplained(moved) < validation.unexplained(0.0 * moved)
    assert np.abs(moved.mean(axis=0)).max() < 1e-12
    assert descent.left == 1.0


def test_a_shift_of_all_rows_neither_helps_nor_harms(descent: Descent) -> None:
    shape = descent.towards.shape
    shift = descent.shifts[0].reshape(shape)
    assert descent.cosine(shift) == pytest.approx(0.0, abs=1e-9)
    assert descent.cosine(descent.towards + 5.0 * shift) == pytest.approx(1.0)


def test_for_r2_the_mean_is_something_to_learn(digits: Digits) -> None:
    validation = ValidationSet(
        digits.validation.features, digits.validation.targets, "r2", digits.validation.sha256
    )
    shift = np.zeros((512, 10))
    shift[-1] = 1.0
    assert Descent.at(validation, digits.start).cosine(shift) > 0.5


@pytest.mark.parametrize("kind", ["local-steps", "gradient"])
def test_honest_updates_point_right_also_those_of_a_single_class(
    digits: Digits, descent: Descent, kind: str
) -> None:
    mixed = [descent.cosine(direction(kind, mine, digits.start)) for mine in digits.mines(50)]
    assert min(mixed) > 2 * TOGETHER
    classes = [np.flatnonzero(digits.labels == label) for label in range(10)]
    moves = [direction(kind, digits.statistics(rows), digits.start) for rows in classes]
    assert min(map(descent.cosine, moves)) > ALONE
    assert descent.drop_chance(moves) == list(range(10))


def test_what_each_reaches_by_chance_is_not_enough_together(descent: Descent) -> None:
    random = np.random.default_rng(0)
    towards = descent.towards

    def lucky() -> Array:
        noise = random.normal(size=towards.shape)
        noise -= (noise * towards).sum() * towards
        return np.asarray(0.1 * towards + noise / np.linalg.norm(noise))

    assert descent.leads(lucky())
    assert descent.drop_chance([lucky(), lucky()]) == []
    assert descent.drop_chance([lucky(), towards]) == [0, 1], "an honest one vouches for it"
    assert descent.drop_chance([-towards, 0.0 * towards]) == []
    assert descent.drop_chance([]) == []


def test_less_is_asked_of_a_gradient_when_little_is_left_and_not_of_local_steps(
    descent: Descent,
) -> None:
    late = replace(descent, left=0.25)
    aside = descent.shifts[0].reshape(descent.towards.shape)
    other = np.roll(descent.towards, 1, axis=1)
    other = other - descent.cosine(other) * descent.towards
    other = other - float((other * aside).sum()) * aside
    move = 0.15 * descent.towards + other / np.linalg.norm(other)
    assert not descent.leads_on_average(move)
    assert late.leads_on_average(move)
    assert late.drop_chance([move]) == []


def test_a_network_has_a_descent_too() -> None:
    random = np.random.default_rng(1)
    rows = np.c_[random.normal(size=(40, 4)), np.ones(40)]
    spec = MLPClassifier(inputs=5, classes=("a", "b"), hidden=3)
    targets = np.eye(2)[(rows[:, 0] > 0).astype(int)]
    validation = ValidationSet(rows, targets, "accuracy", "00" * 32, spec)
    descent = Descent.at(validation, initial_weights(spec))
    assert np.linalg.norm(descent.towards) == pytest.approx(1.0)
    gram = descent.shifts @ descent.shifts.T
    assert gram == pytest.approx(np.eye(len(gram)), abs=1e-9)
