"""scikit-learn's conventions: settings are read and cloned, and nothing changes in place."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import cross_val_score
from sklearn.utils.validation import check_is_fitted

from openmined.protocol import RandomReLUStep
from openmined.syft import (
    LinearClassifier,
    LinearRegression,
    MLPClassifier,
    RandomFeatureClassifier,
    RandomFeatureRegressor,
    SpecError,
    array_features,
)

X = np.random.default_rng(0).standard_normal((60, 4))
NUMBERS = X @ np.array([1.0, -2.0, 0.5, 0.0])
LABELS = np.where(NUMBERS > 0, "a", "b")
FEATURES = array_features(4, RandomReLUStep(features=20, seed="00"))
SPECS = [
    LinearRegression(inputs=5, l2=0.5),
    LinearClassifier(inputs=5, classes=("a", "b")),
    RandomFeatureRegressor(features=FEATURES),
    RandomFeatureClassifier(features=FEATURES, classes=("a", "b")),
    MLPClassifier(inputs=5, hidden=3, classes=("a", "b")),
]
TARGETS = [NUMBERS, LABELS, NUMBERS, LABELS, LABELS]
ALL = pytest.mark.parametrize(("spec", "y"), list(zip(SPECS, TARGETS, strict=True)))


@ALL
def test_settings_make_the_same_spec(spec, y):
    params = spec.get_params()
    assert type(spec)(**params) == spec == clone(spec)
    estimator = spec.fit(X, y)
    assert estimator.get_params(deep=False) == params
    assert repr(spec) in repr(estimator)


@ALL
def test_an_estimator_fits_another_and_stays_as_it_is(spec, y):
    estimator = spec.fit(X, y)
    before = estimator.weights_.copy()
    again = estimator.fit(X[:30], y[:30])
    np.testing.assert_array_equal(estimator.weights_, before)
    np.testing.assert_array_equal(again.weights_, spec.fit(X[:30], y[:30]).weights_)
    assert clone(estimator) == estimator.spec == again.spec
    check_is_fitted(estimator)


@ALL
def test_what_never_changes_says_how_to_get_another(spec, y):
    with pytest.raises(SpecError, match=r"dataclasses.replace\(spec, l2=...\)"):
        spec.set_params(l2=0.1)
    with pytest.raises(SpecError, match=r"dataclasses.replace\(estimator.spec, l2=...\)"):
        spec.fit(X, y).set_params(l2=0.1)


@ALL
def test_kinds_are_known_to_scikit_learn(spec, y):
    for item in (spec, spec.fit(X, y)):
        assert is_classifier(item) == (spec.metric == "accuracy")
        assert is_regressor(item) == (spec.metric == "r2")


def test_cross_validation_never_scores_old_weights():
    """It fits in place and scores the same object: what was fitted before must not be scored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = cross_val_score(SPECS[0].fit(X, NUMBERS), X, NUMBERS, cv=2)
    assert np.isnan(scores).all()
