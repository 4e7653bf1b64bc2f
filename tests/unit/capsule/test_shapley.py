"""Shapley values: the axioms, known games, and the sampled estimate against the exact one."""

from __future__ import annotations

import math

import pytest

from openmined.capsule import _shapley
from openmined.capsule._shapley import (
    Coalition,
    attribute_gain,
    exact_shapley,
    sampled_shapley,
    to_shares_ppm,
)
from openmined.protocol import PPM


def glove(members: Coalition) -> float:
    """Player 0 has a left glove, 1 and 2 right ones; a pair is worth one."""
    return 1.0 if 0 in members and (1 in members or 2 in members) else 0.0


def test_the_glove_game() -> None:
    assert exact_shapley(3, glove) == pytest.approx((4 / 6, 1 / 6, 1 / 6))


def test_an_additive_game_gives_each_what_it_adds() -> None:
    worth = (0.5, -0.2, 0.1, 0.0)
    values = exact_shapley(4, lambda members: sum(worth[i] for i in members))
    assert values == pytest.approx(worth)


def test_values_sum_to_the_gain_from_where_it_stands() -> None:
    values = exact_shapley(5, lambda members: 0.3 + math.sqrt(len(members)) / 10)
    assert sum(values) == pytest.approx(math.sqrt(5) / 10)


def test_sampling_agrees_with_the_exact_values() -> None:
    def value(members: Coalition) -> float:
        return 1.0 - math.prod(1.0 - 0.1 * (i + 1) for i in members)

    exact = exact_shapley(8, value)
    sampled = sampled_shapley(8, value, seed=5, cutoff=1e-9)
    assert sum(sampled) == pytest.approx(value(Coalition(range(8))))
    assert max(abs(a - b) for a, b in zip(exact, sampled, strict=True)) < 0.06


def test_more_rounds_come_closer(monkeypatch: pytest.MonkeyPatch) -> None:
    def value(members: Coalition) -> float:
        return 1.0 - math.prod(1.0 - 0.1 * (i + 1) for i in members)

    monkeypatch.setattr(_shapley, "_STANDARD_ERROR", 0.0)
    exact = exact_shapley(8, value)
    sampled = sampled_shapley(8, value, seed=5, cutoff=0.0, rounds=400)
    assert max(abs(a - b) for a, b in zip(exact, sampled, strict=True)) < 0.012


def test_sampling_can_be_repeated_and_is_seeded() -> None:
    def value(members: Coalition) -> float:
        return float(max(members, default=-1) + 1) ** 0.5

    first, again, other = (
        attribute_gain(9, value, seed=seed, cutoff=0.0).values for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_who_brings_nothing_is_owed_nothing_and_equals_are_paid_alike() -> None:
    def value(members: Coalition) -> float:
        return min(2, len(members - {3})) / 2

    values = exact_shapley(4, value)
    assert values[3] == 0.0
    assert len({round(v, 12) for v in values[:3]}) == 1


@pytest.mark.parametrize(
    ("players", "kind"),
    [
        (0, "none"),
        (1, "single"),
        (2, "shapley-exact"),
        (6, "shapley-exact"),
        (7, "shapley-sampled"),
    ],
)
def test_the_kind_of_attribution(players: int, kind: str) -> None:
    assert attribute_gain(players, lambda m: float(len(m)), seed=0, cutoff=0.0).kind == kind


def test_each_coalition_is_valued_once() -> None:
    seen: list[Coalition] = []

    def value(members: Coalition) -> float:
        seen.append(members)
        return float(len(members))

    attribute_gain(6, value, seed=0, cutoff=0.0)
    assert len(seen) == len(set(seen)) == 64


def test_shares_are_whole_and_sum_to_one_million() -> None:
    assert to_shares_ppm([1.0, 1.0, 1.0], [1.0] * 3) == (333_334, 333_333, 333_333)
    assert to_shares_ppm([0.75, -5.0, 0.25], [1.0] * 3) == (750_000, 0, 250_000)


def test_when_nobody_has_a_positive_value_the_fallback_decides() -> None:
    assert to_shares_ppm([-1.0, 0.0], [1.0, 3.0]) == (250_000, 750_000)
    with pytest.raises(ValueError, match="nobody to share among"):
        to_shares_ppm([0.0], [0.0])


def test_a_share_is_never_above_one() -> None:
    assert to_shares_ppm([1e-300, 0.0], [1.0, 1.0]) == (PPM, 0)
