"""Updates from streams of rows."""

import numpy as np
import pytest

from openmined.syft import DataError, SpecError, draw_rows


def test_drawn_rows_are_uniform_and_stay_paired():
    X = np.arange(60.0).reshape(60, 1)
    counts = np.zeros(60)
    for _ in range(300):
        rows, targets = draw_rows(((X[i : i + 7], 2 * X[i : i + 7]) for i in range(0, 60, 7)), 20)
        assert len(set(rows[:, 0])) == 20
        np.testing.assert_array_equal(targets, 2 * rows)
        counts[rows[:, 0].astype(int)] += 1
    assert 60 < counts.min() <= counts.max() < 145  # 100 expected, deviation 8.2


def test_fewer_rows_than_wanted_are_all_drawn():
    rows, _ = draw_rows([(np.ones((3, 2)), np.zeros((3, 1)))], 10)
    assert rows.shape == (3, 2)


@pytest.mark.parametrize(
    "batches",
    [
        [],
        [(np.zeros((0, 2)), np.zeros((0, 1)))],
        [(np.zeros((3, 2)), np.zeros((2, 1)))],
        [(np.zeros((3, 2)), np.zeros((3, 1))), (np.zeros((3, 1)), np.zeros((3, 1)))],
        [(np.full((3, 2), np.nan), np.zeros((3, 1)))],
        [np.zeros((3, 2))],
        None,
    ],
)
def test_bad_batches_are_refused(batches):
    with pytest.raises(DataError):
        draw_rows(batches, 5)


@pytest.mark.parametrize("count", [0, -1, 2.5, "x", None, True])
def test_a_senseless_count_is_refused(count):
    with pytest.raises(SpecError, match="count"):
        draw_rows([(np.ones((3, 2)), np.zeros((3, 1)))], count)
