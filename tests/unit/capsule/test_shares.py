"""Shares: the closed form against the Shapley value's definition, and what splitting brings."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from openmined.capsule._shares import EVEN, divide_gain, nonnegative_fit, to_shares_ppm
from openmined.protocol import PPM

Array = np.ndarray[Any, np.dtype[np.float64]]


def game(moves: Array, left: Array) -> tuple[Array, Array]:
    return moves @ moves.T, moves @ left


def mean_over_arrivals(gram: Array, pull: Array) -> Array:
    """The Shapley value by its definition, of what the parts of the common fit explain."""
    players = len(pull)
    fitted = nonnegative_fit(gram + EVEN * np.diag(np.diag(gram)), pull)

    def worth(members: list[int]) -> float:
        part = np.zeros(players)
        part[members] = fitted[members]
        return float(2.0 * part @ pull - part @ gram @ part)

    values, orders = np.zeros(players), list(permutations(range(players)))
    for order in orders:
        for place, player in enumerate(order):
            arrived = list(order[:place])
            values[player] += worth([*arrived, player]) - worth(arrived)
    return np.asarray(values / len(orders))


@pytest.mark.parametrize("seed", range(5))
def test_the_closed_form_is_the_shapley_value(seed: int) -> None:
    random = np.random.default_rng(seed)
    common = random.normal(size=40)
    moves = common + random.normal(size=(5, 40))
    gram, pull = game(moves, common + 0.3 * random.normal(size=40))
    assert divide_gain(gram, pull) == pytest.approx(mean_over_arrivals(gram, pull))


def test_the_values_sum_to_what_the_fit_explains() -> None:
    random = np.random.default_rng(1)
    moves, left = random.normal(size=(6, 50)), random.normal(size=50)
    gram, pull = game(moves, left)
    fitted = nonnegative_fit(gram + EVEN * np.diag(np.diag(gram)), pull)
    explained = left @ left - np.square(left - fitted @ moves).sum()
    assert divide_gain(gram, pull).sum() == pytest.approx(explained)


def test_who_points_away_or_nowhere_is_owed_nothing_and_equals_are_paid_alike() -> None:
    left = np.array([1.0, 1.0, 0.0, 0.0])
    moves = np.array(
        [[1, 1, 0, 0], [1, 1, 0, 0], [-1, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], float
    )
    values = divide_gain(*game(moves, left))
    assert values[0] == pytest.approx(values[1])
    assert values[0] > 0.4
    assert values[2:] == pytest.approx([0.0] * 3, abs=1e-12)


def test_pay_does_not_depend_on_the_size_of_an_update() -> None:
    random = np.random.default_rng(2)
    left = random.normal(size=30)
    moves = left + random.normal(size=(4, 30))
    sizes = np.array([1.0, 7.0, 0.01, 3.0])
    assert divide_gain(*game(sizes[:, None] * moves, left)) == pytest.approx(
        divide_gain(*game(moves, left)), rel=1e-9
    )


def pay_of_the_split(names: int, seed: int) -> float:
    """Ten mines estimate the same thing from a hundred rows each; one comes under several names."""
    random = np.random.default_rng(seed)
    truth, rows = random.normal(size=400), random.normal(0, 40.0, (10, 100, 400))
    honest = truth + rows[:9].mean(axis=1)
    parts = [truth + own.mean(axis=0) for own in np.array_split(rows[9], names)]
    values = np.maximum(0.0, divide_gain(*game(np.array([*honest, *parts]), truth)))
    return float(values[9:].sum() / values.sum())


def test_many_names_with_the_same_rows_are_paid_what_one_is() -> None:
    one, five = (np.mean([pay_of_the_split(names, s) for s in range(8)]) for names in (1, 5))
    assert one == pytest.approx(0.1, abs=0.02)
    assert five < 1.15 * one


def test_shares_are_whole_and_sum_to_one_million() -> None:
    assert to_shares_ppm([1.0, 1.0, 1.0], [1.0] * 3) == (333_334, 333_333, 333_333)
    assert to_shares_ppm([0.75, -5.0, 0.25], [1.0] * 3) == (750_000, 0, 250_000)


def test_when_nobody_has_a_positive_value_the_fallback_decides() -> None:
    assert to_shares_ppm([-1.0, 0.0], [1.0, 3.0]) == (250_000, 750_000)
    with pytest.raises(ValueError, match="nobody to share among"):
        to_shares_ppm([0.0], [0.0])


def test_a_share_is_never_above_one() -> None:
    assert to_shares_ppm([1e-300, 0.0], [1.0, 1.0]) == (PPM, 0)
