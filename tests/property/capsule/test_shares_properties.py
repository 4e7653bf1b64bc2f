"""What holds for every batch: nobody is paid for pointing away, and shares sum to the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from openmined.capsule._shares import divide_gain, to_shares_ppm
from openmined.protocol import PPM

Array = np.ndarray[Any, np.dtype[np.float64]]

numbers = st.integers(-1000, 1000).map(lambda whole: whole / 100.0)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Array, Array]:
    updates = draw(st.integers(1, 6))
    return draw(arrays(float, (updates, 8), elements=numbers)), draw(
        arrays(float, 8, elements=numbers)
    )


@given(batches())
def test_the_sum_is_no_more_than_there_is_to_explain(batch: tuple[Array, Array]) -> None:
    moves, left = batch
    values = divide_gain(moves @ moves.T, moves @ left)
    assert np.isfinite(values).all()
    assert -1e-6 <= values.sum() <= left @ left * (1.0 + 1e-9) + 1e-6


@given(batches())
def test_who_points_away_from_what_is_left_is_owed_nothing_alone(
    batch: tuple[Array, Array],
) -> None:
    moves, left = batch
    value = divide_gain(moves[:1] @ moves[:1].T, moves[:1] @ left)
    assert (value[0] > 0.0) == (moves[0] @ left > 0.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=64))
def test_shares_always_sum_to_one_million(values: list[float]) -> None:
    shares = to_shares_ppm(values, [1.0] * len(values))
    assert sum(shares) == PPM
    assert min(shares) >= 0
    if max(values) > 0:
        assert all(share == 0 for share, value in zip(shares, values, strict=True) if value <= 0)
