"""Specs, targets and scores."""

import numpy as np
import pyarrow as pa
import pytest

from openmined.protocol import (
    BlobRef,
    CampaignManifest,
    ColumnsStep,
    FieldConstraints,
    LinearClassifierAlgorithm,
    LinearRegressionAlgorithm,
    LocalSteps,
    RandomFourierStep,
    SchemaField,
    TableSchema,
)
from openmined.syft import (
    DataError,
    LinearClassifier,
    LinearRegression,
    MLPClassifier,
    RandomFeatureClassifier,
    RandomFeatureRegressor,
    SpecError,
    array_features,
    encode_targets,
    estimator_from_weights,
    evaluate,
    initial_weights,
    spec_from_manifest,
)

FOURIER = RandomFourierStep(features=50, gamma=0.5, seed="0a")


def manifest(algorithm, output, steps=(), metric="accuracy", **more):
    inputs = TableSchema(
        fields=(SchemaField(name="a", type="number"), SchemaField(name="b", type="number"))
    )
    return CampaignManifest(
        title="t",
        input=inputs,
        output=TableSchema(fields=output),
        features=(ColumnsStep(columns=("a", "b")), *steps),
        algorithm=algorithm,
        update=more.get("update", {"kind": "gradient"}),
        metric=metric,
        start_ppm=0,
        target_ppm=900_000,
        validation=BlobRef(cid="b" + "a" * 58, size=1, purpose="validation"),
        certificate="-----BEGIN PGP PUBLIC KEY BLOCK-----",
    )


LABEL = SchemaField(name="y", type="string", constraints=FieldConstraints(enum=("no", "yes")))
PRICE = SchemaField(
    name="price", type="number", constraints=FieldConstraints(minimum=0, maximum=200)
)


def test_classifier_from_manifest():
    spec = spec_from_manifest(
        manifest(LinearClassifierAlgorithm(l2=0.1), (LABEL,), update=LocalSteps(steps=5))
    )
    assert type(spec) is LinearClassifier
    assert (spec.inputs, spec.outputs, spec.l2, spec.classes) == (3, 2, 0.1, ("no", "yes"))
    assert spec.update == LocalSteps(steps=5)
    assert initial_weights(spec).shape == (3, 2)


def test_random_steps_make_random_feature_specs():
    spec = spec_from_manifest(manifest(LinearClassifierAlgorithm(), (LABEL,), (FOURIER,)))
    assert type(spec) is RandomFeatureClassifier
    assert spec.inputs == 51
    regression = manifest(LinearRegressionAlgorithm(), (PRICE,), (FOURIER,), metric="r2")
    assert type(spec_from_manifest(regression)) is RandomFeatureRegressor


def test_target_range_comes_from_the_schema():
    spec = spec_from_manifest(manifest(LinearRegressionAlgorithm(), (PRICE,), metric="r2"))
    assert (spec.target_centre, spec.target_scale) == ((100.0,), (100.0,))
    np.testing.assert_array_equal(encode_targets(spec, [0, 100, 200]), [[-1], [0], [1]])
    estimator = estimator_from_weights(spec, np.array([[0.0], [0.0], [0.5]]))
    np.testing.assert_allclose(estimator.predict(np.zeros((2, 2))), [150, 150])
    assert estimator.intercept_ == 150.0


def test_labels_become_one_hot_columns():
    spec = LinearClassifier(inputs=2, classes=("0", "1", "7"))
    wanted = [[0, 1, 0], [0, 0, 1]]
    for labels in (["1", "7"], [1, 7], [1.0, 7.0], np.array([1, 7]), pa.array(["1", "7"])):
        np.testing.assert_array_equal(encode_targets(spec, labels), wanted)


@pytest.mark.parametrize("label", ["2", 2, None, 0.5, float("nan"), "", "zero"])
def test_labels_outside_the_classes_are_refused(label):
    spec = LinearClassifier(inputs=2, classes=("0", "1"))
    with pytest.raises(DataError, match="row 1"):
        encode_targets(spec, ["0", label])


@pytest.mark.parametrize(
    "targets",
    [
        [1.0, float("nan")],
        [float("inf")],
        ["a"],
        ["1"],
        [1j],
        [[1, 2], [3, 4]],
        [None],
        None,
        np.ma.masked_array([1.0, 2.0], mask=[0, 1]),
        np.array(["2020-01-01"], dtype="datetime64[s]"),
        pa.array(["1"]),
    ],
)
def test_bad_targets_are_refused(targets):
    with pytest.raises(DataError):
        encode_targets(LinearRegression(inputs=2), targets)


def test_targets_that_overflow_when_scaled_are_refused():
    spec = LinearRegression(inputs=2, target_scale=(1e-10,))
    with pytest.raises(DataError, match="too large"):
        encode_targets(spec, [1e300])


def test_columns_of_targets_are_of_one_length_and_real():
    spec = LinearRegression(inputs=2, outputs=2)
    for columns in ([[1, 2], [3]], np.ones((3, 2)) * 1j, [[1, 2], [3, 1j]]):
        with pytest.raises(DataError):
            encode_targets(spec, columns)


@pytest.mark.parametrize("column", ["a", None, {"a": 1}, [["a", "b"]], ["a\0"], [b"a"]])
def test_what_are_no_labels_is_refused(column):
    with pytest.raises(DataError):
        encode_targets(LinearClassifier(inputs=2, classes=("a", "b")), column)


def test_several_targets():
    spec = LinearRegression(inputs=2, outputs=2)
    wanted = [[1, 3], [2, 4]]
    np.testing.assert_array_equal(encode_targets(spec, [[1, 2], [3, 4]]), wanted)
    np.testing.assert_array_equal(encode_targets(spec, np.array(wanted)), wanted)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LinearRegression(inputs=0),
        lambda: LinearRegression(inputs=3, outputs=0),
        lambda: LinearRegression(inputs=3, l2=0),
        lambda: LinearRegression(inputs=3, l2=float("nan")),
        lambda: LinearRegression(inputs=3, radius=-1),
        lambda: LinearRegression(inputs=3, target_scale=(0.0,)),
        lambda: LinearRegression(inputs=3, target_scale=(1.0, 1.0)),
        lambda: LinearClassifier(inputs=3, classes=("a",)),
        lambda: LinearClassifier(inputs=3, classes=("a", "a")),
        lambda: LinearClassifier(inputs=3, classes=("a", "b"), features=array_features(5)),
        lambda: RandomFeatureClassifier(classes=("a", "b")),
        lambda: RandomFeatureClassifier(classes=("a", "b"), features=array_features(5)),
    ],
)
def test_senseless_specs_are_refused(make):
    with pytest.raises(SpecError):
        make()


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("inputs", [3.5, "3", None, True, float("nan"), -1, 8193, 10**9]),
        ("outputs", [2.5, "2", None, 4097]),
        ("l2", ["x", None, 1j, True, float("inf"), 10**400]),
        ("radius", ["x", None, float("nan"), float("inf")]),
        ("update", ["gradient", None, 5]),
        ("features", ["x", 5]),
        ("metric", ["accuracy", None]),
        ("target_centre", [("a",), "a", None, (float("inf"),), (1.0, 2.0)]),
        ("target_scale", [(1j,), (-1.0,), (float("nan"),)]),
    ],
)
def test_settings_of_a_regression_are_checked(setting, values):
    for value in values:
        with pytest.raises(SpecError, match=setting):
            LinearRegression(**{"inputs": 3, setting: value})


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("hidden", [0, 257, 2.5, "x", None, True]),
        ("learning_rate", [-1, 0, float("nan"), "x", None]),
        ("batch", [0, -5, 1.5, "x", 65_537]),
        ("seed", ["zz", "0", "", "0A", "00" * 33, None, 5]),
        ("update", [LocalSteps(steps=3), "gradient"]),
        ("classes", [None, 5, (), ("a",), ("a", "a"), (1, 1.0)]),
        ("metric", ["r2"]),
    ],
)
def test_settings_of_a_network_are_checked(setting, values):
    for value in values:
        with pytest.raises(SpecError, match=setting):
            MLPClassifier(**{"inputs": 3, "hidden": 4, "classes": ("a", "b"), setting: value})


def test_settings_may_be_numbers_of_numpy():
    spec = MLPClassifier(
        inputs=np.int64(3), hidden=np.int32(4), classes=np.array([0.0, 1.0]), batch=np.uint8(9)
    )
    assert spec.classes == ("0", "1")
    assert LinearRegression(inputs=3, l2=np.float32(0.5), radius=np.float64(2)).radius == 2.0


@pytest.mark.parametrize("epochs", [0, -1, 1.5, "x", None])
def test_a_network_is_fitted_for_some_epochs(epochs):
    spec = MLPClassifier(inputs=3, hidden=4, classes=("a", "b"))
    with pytest.raises(SpecError, match="epochs"):
        spec.fit(np.ones((2, 2)), ["a", "b"], epochs)


def test_what_is_no_spec_is_refused():
    for call in (
        lambda: initial_weights(None),
        lambda: encode_targets(None, [1]),
        lambda: spec_from_manifest(None),
        lambda: estimator_from_weights(None, np.zeros((2, 1))),
        lambda: evaluate("x", np.zeros((2, 1)), np.zeros((1, 2)), np.zeros((1, 1))),
    ):
        with pytest.raises(SpecError):
            call()


def test_accuracy_and_r2():
    spec = LinearClassifier(inputs=2, classes=("a", "b"))
    X, Y = np.array([[1.0, 1], [2, 1], [-1, 1], [3, 1]]), np.eye(2)[[0, 0, 0, 1]]
    W = np.array([[1.0, -1.0], [0, 0]])
    assert evaluate(spec, W, X, Y) == 0.5
    regression = LinearRegression(inputs=2)
    y = np.array([[1.0], [2], [3], [6]])
    predicted = X @ np.ones((2, 1))
    wanted = 1 - ((y - predicted) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert evaluate(regression, np.ones((2, 1)), X, y) == pytest.approx(wanted)
    constant = np.ones((4, 1))
    assert evaluate(regression, np.array([[0.0], [1.0]]), X, constant) == 1.0
    assert evaluate(regression, np.array([[0.0], [2.0]]), X, constant) == 0.0


@pytest.mark.parametrize(
    ("weights", "X", "Y"),
    [
        (np.zeros((3, 2)), np.zeros((4, 2)), np.zeros((4, 2))),
        (np.full((2, 2), np.nan), np.zeros((4, 2)), np.zeros((4, 2))),
        (np.zeros((2, 2)), np.zeros((4, 3)), np.zeros((4, 2))),
        (np.zeros((2, 2)), np.zeros((4, 2)), np.zeros((3, 2))),
        (np.zeros((2, 2)), np.zeros((0, 2)), np.zeros((0, 2))),
        (np.zeros((2, 2)), np.full((4, 2), np.inf), np.zeros((4, 2))),
    ],
)
def test_scores_refuse_bad_input(weights, X, Y):
    with pytest.raises(DataError):
        evaluate(LinearClassifier(inputs=2, classes=("a", "b")), weights, X, Y)


def test_fit_matches_scikit_learn_ridge(rows):
    from sklearn.linear_model import Ridge

    X, _ = rows
    y = X @ np.arange(11.0) + 1.0
    spec = LinearRegression(inputs=11, l2=0.01)
    ours = spec.fit(X, y)
    theirs = Ridge(alpha=0.01 * len(X), fit_intercept=False).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_[:-1], rtol=1e-8)
    assert ours.intercept_ == pytest.approx(theirs.coef_[-1])
    assert ours.score(X[:, :-1], y) == pytest.approx(1.0, abs=1e-3)
    assert ours.n_features_in_ == 10


def test_classifier_estimator(rows, classifier):
    X, labels = rows
    model = classifier.fit(X, labels)
    assert set(model.predict(X)) <= set(model.classes_) == {"0", "1", "2"}
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (model.classes_[probabilities.argmax(axis=1)] == model.predict(X)).mean() > 0.99
    assert model.score(X, labels) == (model.predict(X) == np.array(labels)).mean() > 0.8
    assert model.coef_.shape == (3, 10)
    assert model.intercept_.shape == (3,)


def test_regression_has_no_probabilities(rows):
    X, _ = rows
    model = LinearRegression(inputs=11).fit(X, X[:, 0])
    with pytest.raises(DataError, match="probabilities"):
        model.predict_proba(X)


def test_estimator_takes_tables_and_raw_arrays():
    features = array_features(4, FOURIER)
    spec = RandomFeatureClassifier(features=features, classes=("a", "b"), l2=1e-4)
    X = np.random.default_rng(0).standard_normal((200, 4))
    labels = np.where((X**2).sum(axis=1) > 4, "a", "b")
    model = spec.fit(X, labels)
    assert model.score({"x": X}, labels) == model.score(X, labels) > 0.85
    table = pa.table({"x": pa.array(X.tolist())})
    assert (model.predict(table) == model.predict(X)).all()


@pytest.mark.parametrize("X", [np.zeros((3, 5)), np.zeros(4), np.full((3, 10), np.nan)])
def test_estimator_refuses_bad_rows(classifier, X):
    model = estimator_from_weights(classifier, np.zeros((11, 3)))
    with pytest.raises(DataError):
        model.predict(X)


@pytest.mark.parametrize("weights", [np.zeros((3, 11)), np.full((11, 3), np.nan)])
def test_estimator_refuses_bad_weights(classifier, weights):
    with pytest.raises(DataError):
        estimator_from_weights(classifier, weights)
