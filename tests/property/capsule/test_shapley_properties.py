"""What holds for every game: efficiency, symmetry of renaming, and exact sums of shares."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openmined.capsule._shapley import Coalition, exact_shapley, sampled_shapley, to_shares_ppm
from openmined.protocol import PPM

worths = st.floats(-1.0, 1.0, allow_subnormal=False)


@st.composite
def games(draw: st.DrawFn) -> tuple[int, list[float]]:
    players = draw(st.integers(1, 5))
    return players, draw(st.lists(worths, min_size=1 << players, max_size=1 << players))


def lookup(table: list[float]):  # type: ignore[no-untyped-def]
    def value(members: Coalition) -> float:
        return table[sum(1 << player for player in members)]

    return value


@given(games())
def test_the_values_sum_to_the_gain(game: tuple[int, list[float]]) -> None:
    players, table = game
    total = sum(exact_shapley(players, lookup(table)))
    assert abs(total - (table[-1] - table[0])) < 1e-9


@given(games(), st.integers(0, 2**32))
def test_sampled_values_without_cutoff_sum_to_the_gain(
    game: tuple[int, list[float]], seed: int
) -> None:
    players, table = game
    total = sum(sampled_shapley(players, lookup(table), seed, cutoff=-1.0))
    assert abs(total - (table[-1] - table[0])) < 1e-9


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=64))
def test_shares_always_sum_to_one_million(values: list[float]) -> None:
    shares = to_shares_ppm(values, [1.0] * len(values))
    assert sum(shares) == PPM
    assert min(shares) >= 0
    if max(values) > 0:
        assert all(share == 0 for share, value in zip(shares, values, strict=True) if value <= 0)
