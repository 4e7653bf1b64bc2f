"""Linear models go to scikit-learn and come back, predicting the same."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import (
    GammaRegressor,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM

from openmined.syft import (
    DataError,
    LinearClassifier,
    LinearRegression,
    MLPClassifier,
    estimator_from_weights,
    from_sklearn,
    initial_weights,
    to_sklearn,
)

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


@pytest.mark.parametrize("labels", [LABELS.astype(float), LABELS.astype(int)])
def test_labels_that_are_numbers_are_known_again(labels):
    fitted = RidgeClassifier().fit(X, labels)
    estimator = from_sklearn(fitted)
    assert estimator.classes_.tolist() == ["0", "1", "2"]
    assert estimator.score(X, labels) == fitted.score(X, labels)


def test_support_vector_machines_of_two_classes_and_sparse_coefficients_come_over():
    halves = np.where(NUMBERS > 3, "high", "low")
    for model in (
        SVC(kernel="linear").fit(X, halves),
        SGDClassifier(random_state=0).fit(X, LABELS),
    ):
        if isinstance(model, SGDClassifier):
            model.sparsify()
        assert (from_sklearn(model).predict(X) == model.predict(X)).all()
    fitted = SVR(kernel="linear").fit(X, NUMBERS)
    np.testing.assert_allclose(from_sklearn(fitted).predict(X), fitted.predict(X))


@pytest.mark.parametrize(
    "model",
    [
        SVC(kernel="linear"),
        SVC(kernel="linear", decision_function_shape="ovo"),
        NuSVC(kernel="linear", nu=0.1),
        PoissonRegressor(),
        GammaRegressor(),
        TweedieRegressor(power=1.5),
        PLSRegression(2),
        OneClassSVM(kernel="linear"),
    ],
)
def test_models_that_only_look_linear_are_refused_by_name(model):
    targets = LABELS if hasattr(model, "decision_function_shape") else np.exp(NUMBERS / 3)
    with pytest.raises(DataError, match=f"{type(model).__name__} does not predict"):
        from_sklearn(model.fit(X + 1.0, targets))


def broken(**attributes):
    model = RidgeClassifier().fit(X, LABELS)
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (broken(coef_="x"), "text"),
        (broken(coef_=np.ones((3, 4)) * 1j), "complex"),
        (broken(coef_=np.ones((3, 4, 2))), "shape"),
        (broken(coef_=np.ones((2, 4)), intercept_=0.0), "2 outputs"),
        (broken(intercept_=np.zeros(5)), "intercept_ of shape"),
        (broken(n_features_in_=7), "cannot predict"),
    ],
)
def test_what_is_no_model_of_numbers_is_refused(model, message):
    with pytest.raises(DataError, match=message):
        from_sklearn(model)


def test_what_is_no_linear_estimator_does_not_go_over():
    spec = MLPClassifier(inputs=3, hidden=2, classes=("a", "b"))
    for item in (estimator_from_weights(spec, initial_weights(spec)), None):
        with pytest.raises(DataError, match="no linear model"):
            to_sklearn(item)


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
