"""Statistics add up, and refuse what they cannot use."""

import numpy as np
import pytest

from openmined.syft import DataError, Statistics, accumulate_statistics

X = np.random.default_rng(0).standard_normal((50, 4))
Y = np.random.default_rng(1).standard_normal((50, 2))


def test_batches_do_not_matter():
    whole = accumulate_statistics([(X, Y)])
    parts = accumulate_statistics((X[i : i + 7], Y[i : i + 7]) for i in range(0, 50, 7))
    assert whole.n == parts.n == 50
    np.testing.assert_allclose(parts.gram, X.T @ X)
    np.testing.assert_allclose(parts.cross, whole.cross)
    halves = accumulate_statistics([(X[:20], Y[:20])]) + accumulate_statistics([(X[20:], Y[20:])])
    np.testing.assert_allclose(halves.gram, whole.gram)
    assert halves.n == 50


@pytest.mark.parametrize(
    "batches",
    [
        [],
        [(X[:0], Y[:0])],
        [(X, Y[:49])],
        [(X[:, 0], Y)],
        [(X, Y[:, 0])],
        [(X, Y), (X[:, :3], Y)],
        [(X, Y), (X, Y[:, :1])],
        [(X * np.nan, Y)],
        [(X, Y * np.inf)],
        [(np.zeros((3, 0)), np.zeros((3, 1)))],
    ],
)
def test_bad_batches_are_refused(batches):
    with pytest.raises(DataError):
        accumulate_statistics(batches)


@pytest.mark.parametrize(
    ("n", "gram", "cross"),
    [
        (0, np.eye(2), np.zeros((2, 1))),
        (1, np.zeros((2, 3)), np.zeros((2, 1))),
        (1, np.eye(2), np.zeros((3, 1))),
        (1, np.eye(2), np.zeros(2)),
        (1, np.eye(2) * np.nan, np.zeros((2, 1))),
    ],
)
def test_bad_statistics_are_refused(n, gram, cross):
    with pytest.raises(DataError):
        Statistics(n, gram, cross)
