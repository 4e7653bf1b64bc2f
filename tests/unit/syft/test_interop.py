"""Linear models go to scikit-learn and come back, predicting the same."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier

from openmined.syft import DataError, LinearClassifier, LinearRegression, from_sklearn, to_sklearn

generator = np.random.default_rng(0)
X = generator.standard_normal((120, 4))
NUMBERS = X @ np.array([1.0, -2.0, 0.5, 0.0]) + 3.0
LABELS = np.digitize(NUMBERS, [1.0, 4.0]).astype(str)


@pytest.mark.parametrize("model", [Ridge(), Ridge(fit_intercept=False)])
@pytest.mark.parametrize("targets", [NUMBERS, np.column_stack([NUMBERS, -NUMBERS])])
def test_regressions_come_over(model, targets):
    fitted = model.fit(X, targets)
    estimator = from_sklearn(fitted)
    np.testing.assert_allclose(np.squeeze(estimator.predict(X)), fitted.predict(X))
    np.testing.assert_allclose(to_sklearn(estimator).predict(X), fitted.predict(X))


@pytest.mark.parametrize("labels", [LABELS, np.where(NUMBERS > 3, "high", "low")])
@pytest.mark.parametrize("model", [RidgeClassifier(), LogisticRegression()])
def test_classifiers_come_over(model, labels):
    fitted = model.fit(X, labels)
    estimator = from_sklearn(fitted)
    assert (estimator.predict(X) == fitted.predict(X)).all()
    assert (to_sklearn(estimator).predict(X) == fitted.predict(X)).all()


def test_ours_go_over():
    scaled = LinearRegression(inputs=5, target_centre=(3.0,), target_scale=(2.0,)).fit(X, NUMBERS)
    np.testing.assert_allclose(to_sklearn(scaled).predict(X), scaled.predict(X))
    ours = LinearClassifier(inputs=5, classes=("0", "1", "2")).fit(X, LABELS)
    theirs = to_sklearn(ours)
    assert (theirs.predict(X) == ours.predict(X)).all()
    assert theirs.score(X, LABELS) == ours.score(X, LABELS)


def test_unfitted_and_other_models_are_refused():
    with pytest.raises(DataError, match="fit it first"):
        from_sklearn(Ridge())
    broken = Ridge().fit(X, NUMBERS)
    broken.coef_ = broken.coef_ * np.nan
    with pytest.raises(DataError, match="coef_"):
        from_sklearn(broken)
