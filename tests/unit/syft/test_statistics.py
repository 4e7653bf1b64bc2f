"""Statistics add up, and refuse what they cannot use."""

import numpy as np
import pytest

from openmined.syft import DataError, SpecError, Statistics, accumulate_statistics

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
        None,
        5,
        [X],
        [(X, Y, Y)],
        [(X.astype(str), Y)],
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
        (float("nan"), np.eye(2), np.zeros((2, 1))),
        (1.5, np.eye(2), np.zeros((2, 1))),
        (True, np.eye(2), np.zeros((2, 1))),
        ("x", np.eye(2), np.zeros((2, 1))),
        (1, np.eye(2) * 1j, np.zeros((2, 1))),
        (1, np.array([[1.0, 0.5], [0.0, 1.0]]), np.zeros((2, 1))),
        (1, -np.eye(2), np.zeros((2, 1))),
        (1, np.array([[0.0, 1.0], [1.0, 2.0]]), np.zeros((2, 1))),
        (1, np.zeros((0, 0)), np.zeros((0, 1))),
        (1, np.eye(2), np.zeros((2, 0))),
    ],
)
def test_bad_statistics_are_refused(n, gram, cross):
    with pytest.raises(DataError):
        Statistics(n, gram, cross)


@pytest.mark.parametrize("scale", [1e-150, 1e-9, 1.0, 1e140])
def test_sums_of_few_or_dependent_rows_are_kept(scale):
    """A Z'Z without full rank has eigenvalues that rounding makes negative."""
    dependent = scale * np.hstack([X[:2], 1e6 * X[:2], np.zeros((2, 1)), X[:2]])
    assert accumulate_statistics([(dependent, Y[:2])]).n == 2
    assert accumulate_statistics([(np.zeros((2, 3)), Y[:2])]).n == 2


def test_sums_that_overflow_are_to_be_scaled():
    with pytest.raises(DataError, match="scale the columns"):
        accumulate_statistics([(1e200 * X, Y)])
    large = Statistics(1, 1e308 * np.eye(2), np.ones((2, 1)))
    with pytest.raises(DataError, match="scale the columns"):
        large + large


def test_statistics_of_other_sizes_do_not_add_up():
    one = Statistics(1, np.ones((1, 1)), np.ones((1, 1)))
    with pytest.raises(DataError, match="do not add up"):
        one + accumulate_statistics([(X, Y)])
    with pytest.raises(TypeError, match="unsupported operand"):
        one + 5


def test_an_executor_is_no_name():
    with pytest.raises(SpecError, match="open_executor"):
        accumulate_statistics([(X, Y)], "here")
