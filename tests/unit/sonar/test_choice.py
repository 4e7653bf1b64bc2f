from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from openmined.protocol import (
    ColumnsStep,
    HashedTextStep,
    LinearClassifierAlgorithm,
    LinearRegressionAlgorithm,
    LocalSteps,
    MLPClassifierAlgorithm,
    PlainGradient,
)
from openmined.sonar import LaunchRefused
from openmined.sonar._choice import choose_task, make_spec
from openmined.sonar._tables import read_table
from openmined.syft import encode_targets, evaluate


def test_images_of_digits_get_a_wide_map_that_pays() -> None:
    data = load_digits()
    table = read_table(data.data[:400], data.target[:400])
    task = choose_task(table)
    assert isinstance(task.algorithm, LinearClassifierAlgorithm)
    assert task.update == LocalSteps(steps=100)
    assert len(task.features) == 2, "linear is not the best on digits"
    spec = make_spec(table, task.features, task.algorithm, task.update)
    assert spec.features is not None
    rows = spec.features.transform({"x": data.data[400:]})
    weights = spec.fit(spec.features.transform(table.columns), table.targets).weights_
    score = evaluate(spec, weights, rows, encode_targets(spec, data.target[400:]))
    assert score > 0.9


def test_a_noisy_regression_stays_linear() -> None:
    data = load_diabetes(scaled=False)
    columns = {name: data.data[:, i] for i, name in enumerate(data.feature_names)}
    table = read_table(columns, data.target)
    task = choose_task(table)
    assert isinstance(task.algorithm, LinearRegressionAlgorithm)
    (step,) = task.features
    assert isinstance(step, ColumnsStep)
    assert step.columns == tuple(data.feature_names)


def test_texts_are_hashed_beside_numbers() -> None:
    table = read_table({"text": ["good day", "bad day"] * 10, "n": range(20)}, [1, 0] * 10)
    kinds = [step.kind for step in choose_task(table).features]
    assert kinds == ["columns", "hashed-text"]
    step = choose_task(table).features[1]
    assert isinstance(step, HashedTextStep)
    assert step.features % 2 == 1, "with the bias a power of two"


def numbers(labels: Any) -> Any:
    rows = np.random.default_rng(1).normal(size=(len(labels), 4))
    return read_table(rows, labels)


@pytest.mark.parametrize(
    ("estimator", "algorithm"),
    [
        (LogisticRegression(), LinearClassifierAlgorithm(l2=1e-4)),
        (make_pipeline(StandardScaler(), LogisticRegression()), LinearClassifierAlgorithm(l2=1e-4)),
        (MLPClassifier(hidden_layer_sizes=(48,)), MLPClassifierAlgorithm(hidden=48)),
        (LinearClassifierAlgorithm(l2=0.5), LinearClassifierAlgorithm(l2=0.5)),
    ],
)
def test_classifiers_are_read(estimator: Any, algorithm: Any) -> None:
    task = choose_task(numbers([0, 1] * 20), estimator)
    assert task.algorithm == algorithm
    if isinstance(algorithm, MLPClassifierAlgorithm):
        assert task.update == PlainGradient()


def test_what_does_not_fit_is_refused_with_the_choices() -> None:
    labels, values = numbers([0, 1] * 20), numbers(np.linspace(0, 1, 40))
    assert choose_task(values, Ridge()).algorithm == LinearRegressionAlgorithm()
    with pytest.raises(LaunchRefused, match="does not fit a classification"):
        choose_task(labels, Ridge())
    with pytest.raises(LaunchRefused, match="does not fit a regression"):
        choose_task(values, LogisticRegression())
    with pytest.raises(LaunchRefused, match=r"DecisionTreeClassifier .* these can: .*Ridge"):
        choose_task(labels, DecisionTreeClassifier())
    with pytest.raises(LaunchRefused, match="one hidden layer"):
        choose_task(labels, MLPClassifier(hidden_layer_sizes=(8, 8)))
    dates = read_table({"d": ["2020-01-01", "2020-01-02"]}, [0, 1])
    dates = read_table(
        dates.columns,
        target="y",
        input_schema=dates.input.model_validate({"fields": [{"name": "d", "type": "date"}]}),
    )
    with pytest.raises(LaunchRefused, match="no input column is numeric or text"):
        choose_task(dates)
