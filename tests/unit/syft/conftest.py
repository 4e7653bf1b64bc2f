"""Keys are slow to make, so the tests of this folder share them."""

import numpy as np
import pytest

from openmined.protocol import LocalSteps
from openmined.syft import (
    LinearClassifier,
    LinearRegression,
    accumulate_statistics,
    choose_parameters,
    encode_targets,
    generate_keys,
)


@pytest.fixture(scope="session")
def rows():
    """Rows of ten standardised columns and a bias, and three classes that depend on them."""
    generator = np.random.default_rng(1)
    X = np.hstack([generator.standard_normal((300, 10)), np.ones((300, 1))])
    labels = (X[:, :3] + 0.3 * generator.standard_normal((300, 3))).argmax(axis=1)
    return X, [str(label) for label in labels]


@pytest.fixture(scope="session")
def classifier():
    return LinearClassifier(inputs=11, classes=("0", "1", "2"), l2=1e-2)


@pytest.fixture(scope="session")
def statistics(rows, classifier):
    X, labels = rows
    return accumulate_statistics([(X, encode_targets(classifier, labels))])


@pytest.fixture(scope="session")
def keys(classifier):
    return generate_keys(choose_parameters(classifier), classifier)


@pytest.fixture(scope="session")
def other_keys(classifier):
    return generate_keys(choose_parameters(classifier), classifier)


@pytest.fixture(scope="session")
def make_task():
    """Make (spec, keys, statistics) of a size, with random rows."""

    def make(inputs, outputs, steps=None, rows=200, seed=0):
        generator = np.random.default_rng(seed)
        update = {} if steps is None else {"update": LocalSteps(steps=steps)}
        spec = LinearRegression(inputs=inputs, outputs=outputs, **update)
        X = np.hstack([generator.standard_normal((rows, inputs - 1)), np.ones((rows, 1))])
        Y = X @ generator.standard_normal((inputs, outputs)) / np.sqrt(inputs)
        Y += 0.1 * generator.standard_normal((rows, outputs))
        return spec, generate_keys(choose_parameters(spec), spec), accumulate_statistics([(X, Y)])

    return make


@pytest.fixture
def weights():
    return 0.3 * np.random.default_rng(2).standard_normal((11, 3))


@pytest.fixture(scope="session")
def bits():
    """Precision in bits, relative to the largest entry."""

    def measure(found, wanted):
        error = np.abs(found - wanted).max()
        return float(np.log2(np.abs(wanted).max() / error))

    return measure
