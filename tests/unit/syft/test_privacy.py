"""Differential privacy: the accounting is exact, the noise as large as it says."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from openmined.syft import (
    DataError,
    LinearClassifier,
    LinearRegression,
    MLPClassifier,
    Statistics,
    accumulate_statistics,
    clip_targets,
    evaluate,
    privatise_statistics,
)
from openmined.syft._privacy import gaussian_mu, target_length
from openmined.syft._updates import affine_map


def delta_of(mu, epsilon):
    """Phi(-epsilon/mu + mu/2) - e^epsilon Phi(-epsilon/mu - mu/2), in logarithms."""
    upper = norm.logcdf(-epsilon / mu + mu / 2)
    lower = epsilon + norm.logcdf(-epsilon / mu - mu / 2)
    return np.exp(upper) * -np.expm1(lower - upper)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("delta", [1e-5, 1e-9])
def test_noise_is_the_least_that_gives_epsilon_and_delta(epsilon, delta):
    mu = gaussian_mu(epsilon, delta)
    assert delta_of(mu, epsilon) <= delta * (1 + 1e-3)
    assert delta_of(1.001 * mu, epsilon) > delta


def test_the_formula_is_the_definition_integrated():
    """delta = sup over events of P - e^epsilon Q, for two Gaussians at a distance of mu."""
    mu, epsilon = 1.3, 0.7
    x = np.linspace(-20, 20, 400_001)
    excess = np.maximum(norm.pdf(x - mu) - np.exp(epsilon) * norm.pdf(x), 0)
    assert delta_of(mu, epsilon) == pytest.approx(excess.sum() * (x[1] - x[0]), rel=1e-6)


def test_noise_is_as_large_as_the_sensitivity_asks():
    spec = LinearRegression(inputs=30, radius=1.0)
    zero = Statistics(10_000, np.zeros((30, 30)), np.zeros((30, 1)))
    mu = gaussian_mu(1.0, 1e-5)
    crosses = [privatise_statistics(zero, spec, 1.0, 1e-5).cross for _ in range(40)]
    wanted = 2.0 / (mu * np.sqrt(0.45))
    assert np.std(crosses) == pytest.approx(wanted, rel=0.1)


def test_release_is_possible_and_useful(rows, classifier):
    """Many rows: the private model is nearly as good; the Gram matrix is a possible one."""
    X, labels = rows
    Y = np.eye(3)[np.array(labels, dtype=int)]
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    X = X * np.minimum(1.0, classifier.radius / lengths)
    exact = accumulate_statistics([(X, Y)] * 700)
    private = privatise_statistics(exact, classifier, 3.0, 1e-6)
    assert private.n == exact.n
    eigenvalues = np.linalg.eigvalsh(private.gram)
    assert eigenvalues[0] > -1e-6
    assert np.linalg.norm(private.gram) <= exact.n * classifier.radius**2 * (1 + 1e-9)
    assert not np.allclose(private.gram, exact.gram)
    from openmined.protocol import PlainGradient

    scores = []
    for statistics in (exact, private):
        G, negative_c = affine_map(statistics, PlainGradient(), classifier.l2)
        scores.append(evaluate(classifier, np.linalg.solve(G, -negative_c), X, Y))
    assert scores[1] > scores[0] - 0.05


def test_tiny_budgets_stay_finite(statistics, classifier):
    private = privatise_statistics(statistics, classifier, 1e-3, 1e-9)
    assert np.isfinite(private.gram).all()
    assert np.linalg.eigvalsh(private.gram)[0] > -1e-3


@pytest.mark.parametrize(
    ("epsilon", "delta"),
    [
        (0, 1e-5),
        (-1, 1e-5),
        (1, 0),
        (1, 1),
        (1, 0.9),
        (1, 2e-5),
        (1001, 1e-5),
        (1e300, 1e-6),
        (1e-300, 1e-6),
        (float("nan"), 1e-6),
        (float("inf"), 1e-6),
        (1, float("nan")),
        ("x", 1e-6),
        (None, 1e-6),
    ],
)
def test_senseless_requests_are_refused(statistics, classifier, epsilon, delta):
    with pytest.raises(DataError):
        privatise_statistics(statistics, classifier, epsilon, delta)


def test_targets_are_bounded():
    regression = LinearRegression(inputs=3, outputs=4)
    assert target_length(regression) == 2.0
    assert target_length(LinearClassifier(inputs=3, classes=("a", "b"))) == 1.0
    clipped = clip_targets(regression, np.array([[-5.0, 0.5, 1.5, 0.0]]))
    assert clipped.tolist() == [[-1.0, 0.5, 1.0, 0.0]]
    assert np.linalg.norm(clipped) <= target_length(regression)


def test_sums_that_void_the_guarantee_are_refused(statistics, classifier):
    """Noise is sized for rows within the radius: longer ones would be protected by too little."""
    n, gram, cross = statistics.n, statistics.gram, statistics.cross
    network = MLPClassifier(inputs=11, hidden=2, classes=("0", "1", "2"))
    for given, spec, message in (
        (Statistics(n, 100 * gram, cross), classifier, "beyond the radius"),
        (Statistics(n, gram, 1e4 * cross), classifier, "clip_targets"),
        (statistics, replace(classifier, inputs=12), "another task"),
        (statistics, LinearRegression(inputs=11), "another task"),
        (statistics, network, "MLPClassifier: only the linear family"),
        (None, classifier, "NoneType"),
        (statistics, replace(classifier, radius=1e300), "radius"),
    ):
        with pytest.raises(DataError, match=message):
            privatise_statistics(given, spec, 1.0, 1e-6)


def test_sums_at_the_bound_are_released():
    spec = LinearClassifier(inputs=2, classes=("a", "b"), radius=3.0)
    rows = np.tile([np.sqrt(8.0), 1.0], (1000, 1))
    exact = accumulate_statistics([(rows, np.eye(2)[[0] * 1000])])
    assert privatise_statistics(exact, spec, 1.0, 1e-6).n == 1000


@pytest.mark.parametrize("targets", [None, "x", [["x"]], [[np.nan]], [1.0], [[1.0, 2.0]]])
def test_what_are_no_targets_is_not_clipped(targets):
    with pytest.raises(DataError):
        clip_targets(LinearRegression(inputs=3), targets)
