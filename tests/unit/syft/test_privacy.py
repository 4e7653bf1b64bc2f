"""Differential privacy: the accounting is exact, the noise as large as it says, budgets hold."""

import numpy as np
import pytest
from scipy.stats import norm

from openmined.syft import (
    DataError,
    LinearClassifier,
    LinearRegression,
    PrivacyLedger,
    ReleaseRefused,
    Statistics,
    accumulate_statistics,
    clip_targets,
    evaluate,
    privatise_statistics,
)
from openmined.syft._privacy import gaussian_delta, gaussian_epsilon, gaussian_mu, target_length
from openmined.syft._updates import affine_map


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-9])
def test_mu_and_epsilon_are_inverse(epsilon, delta):
    mu = gaussian_mu(epsilon, delta)
    assert gaussian_epsilon(mu, delta) == pytest.approx(epsilon, rel=1e-5)
    assert gaussian_delta(mu, epsilon) <= delta
    assert gaussian_delta(1.001 * mu, epsilon) > delta


@pytest.mark.parametrize("mu", [0.1, 1.0, 5.0, 100.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-9])
def test_accounting_is_the_formula(mu, delta):
    """Phi(-epsilon/mu + mu/2) - e^epsilon Phi(-epsilon/mu - mu/2), in logarithms."""
    epsilon = gaussian_epsilon(mu, delta)
    upper = norm.logcdf(-epsilon / mu + mu / 2)
    lower = epsilon + norm.logcdf(-epsilon / mu - mu / 2)
    assert np.exp(upper) * -np.expm1(lower - upper) == pytest.approx(delta, rel=1e-3)


def test_delta_by_numerical_integration():
    mu, epsilon = 1.3, 0.7
    x = np.linspace(-20, 20, 400_001)
    p = np.exp(-((x - mu) ** 2) / 2) / np.sqrt(2 * np.pi)
    q = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    wanted = np.maximum(p - np.exp(epsilon) * q, 0).sum() * (x[1] - x[0])
    assert gaussian_delta(mu, epsilon) == pytest.approx(wanted, rel=1e-6)


def test_ledger_composes_and_refuses():
    ledger = PrivacyLedger(epsilon=2.0, delta=1e-6)
    ledger = ledger.spend(1.0, 1e-6).spend(1.0, 1e-6)
    assert 1.0 < ledger.spent_epsilon < 2.0  # Gaussians compose better than by adding
    with pytest.raises(ReleaseRefused, match="budget of 2"):
        ledger.spend(2.0, 1e-6)
    assert PrivacyLedger(1.0, 1e-6).spent_epsilon == 0.0


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


@pytest.mark.parametrize(("epsilon", "delta"), [(0, 1e-5), (-1, 1e-5), (1, 0), (1, 1)])
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
