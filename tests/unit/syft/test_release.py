"""Releases are noisy, rounded, counted and refused."""

import numpy as np
import pytest

from openmined.syft import (
    DataError,
    LinearRegression,
    RangeError,
    ReleaseLedger,
    ReleaseRefused,
    choose_parameters,
    estimator_from_weights,
    release_weights,
)
from openmined.syft._noise import error_bound, rounding_deviation
from openmined.syft._parameters import choose_packing
from openmined.syft._release import release_deviation
from openmined.syft._scales import norm_bound, product_scale_bits
from openmined.syft._states import update_scale


def test_released_weights_are_near_and_counted(keys, weights, bits):
    ledger = ReleaseLedger().count_decryption(100)
    released, after = release_weights(weights, keys, ledger)
    assert bits(released, weights) >= 6
    assert (ledger.releases, after.releases) == (0, 1)
    assert after.decryptions == 100


def test_released_model_predicts_as_well(keys, rows, classifier):
    X, labels = rows
    exact = classifier.fit(X, labels)
    ledger = ReleaseLedger().count_decryption(100)
    released, _ = release_weights(exact.weights_, keys, ledger)
    model = estimator_from_weights(classifier, released)
    assert (model.predict(X) == exact.predict(X)).mean() >= 0.97


def test_noise_follows_the_formula(keys):
    sigma = release_deviation(keys.parameters, keys.packing, 100)
    product = error_bound(keys.parameters, keys.packing, norm_bound(keys.parameters))
    least = np.sqrt(12 * 100) * 2.0**15 * product / 2.0 ** product_scale_bits(keys.parameters)
    assert sigma >= least
    assert sigma == pytest.approx(10 * release_deviation(keys.parameters, keys.packing, 1))
    zeros, ledger = np.zeros((11, 3)), ReleaseLedger(decryptions=100)
    released = [release_weights(zeros, keys, ledger)[0] for _ in range(300)]
    assert np.std(released) == pytest.approx(sigma, rel=0.05)


def test_released_weights_lie_on_a_grid_as_coarse_as_the_noise(keys, weights):
    released, _ = release_weights(weights, keys, ReleaseLedger(decryptions=10))
    sigma = release_deviation(keys.parameters, keys.packing, 10)
    grid = 2.0 ** np.floor(np.log2(sigma))
    assert sigma / 2 < grid <= sigma
    np.testing.assert_array_equal(released / grid, np.round(released / grid))


def test_two_releases_differ_and_the_second_needs_a_budget(keys, weights):
    first, ledger = release_weights(weights, keys, ReleaseLedger())
    with pytest.raises(ReleaseRefused, match="1 of 1"):
        release_weights(weights, keys, ledger)
    second, _ = release_weights(weights, keys, ReleaseLedger(max_releases=2, releases=1))
    assert not np.array_equal(first, second)


def test_decryptions_are_limited():
    ledger = ReleaseLedger(max_decryptions=5).count_decryption(5)
    with pytest.raises(ReleaseRefused, match="new key epoch"):
        ledger.count_decryption()


def test_bad_weights_are_not_released(keys):
    with pytest.raises(DataError):
        release_weights(np.array([[np.nan]]), keys, ReleaseLedger())


@pytest.mark.parametrize("columns", [1, 10])
def test_noise_hides_the_rounding_of_all_weights_together(columns):
    """The error of one rescale, as a length over every released weight, not of one of them."""
    spec = LinearRegression(inputs=512, outputs=columns)
    parameters = choose_parameters(spec)
    packing = choose_packing(parameters.poly_modulus_degree, 512, columns)
    one = rounding_deviation(parameters.poly_modulus_degree) / update_scale(parameters)
    least = np.sqrt(12 * 100) * 2.0**15 * one * np.sqrt(512 * columns)
    assert release_deviation(parameters, packing, 100) >= least


def test_weights_beyond_any_model_are_not_released(keys, weights):
    with pytest.raises(RangeError, match="beyond any model"):
        release_weights(weights * 1e300, keys, ReleaseLedger())
