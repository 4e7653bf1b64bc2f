"""Models go to PyTorch and come back, and predict the same.

PyTorch is not in the lock (hundreds of megabytes for one conversion), so most of this file is
skipped unless somebody has installed it: pip install 'openmined[torch]'.
"""

import importlib.util

import numpy as np
import pytest

from openmined.syft import (
    DataError,
    LinearClassifier,
    LinearRegression,
    MissingExtra,
    MLPClassifier,
    estimator_from_weights,
    from_torch,
    initial_weights,
    to_torch,
)

INSTALLED = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(
    not INSTALLED, reason="PyTorch is an optional extra and not in the lock file"
)
X = np.random.default_rng(0).standard_normal((40, 6))


@pytest.mark.skipif(INSTALLED, reason="PyTorch is installed here, so nothing is missing")
def test_a_missing_extra_is_named():
    estimator = estimator_from_weights(LinearRegression(inputs=3), np.ones((3, 1)))
    for convert in (lambda: to_torch(estimator), lambda: from_torch(None)):
        with pytest.raises(MissingExtra, match=r"pip install 'openmined\[torch\]'"):
            convert()


def outputs(model, rows):
    import torch

    with torch.no_grad():
        return model(torch.from_numpy(np.asarray(rows))).numpy()


@needs_torch
@pytest.mark.parametrize(
    "spec",
    [
        LinearRegression(inputs=7),
        LinearRegression(inputs=7, outputs=2, target_centre=(1.0, 2.0), target_scale=(3.0, 0.5)),
        LinearClassifier(inputs=7, classes=("a", "b", "c")),
        MLPClassifier(inputs=7, hidden=5, classes=("a", "b", "c")),
    ],
)
def test_there_and_back(spec):
    start = initial_weights(spec)
    weights = start + np.random.default_rng(1).standard_normal(start.shape)
    estimator = estimator_from_weights(spec, weights)
    model = to_torch(estimator)
    if spec.metric == "accuracy":
        np.testing.assert_allclose(outputs(model, X), estimator.decision_function(X), atol=1e-12)
    else:
        np.testing.assert_allclose(outputs(model, X).squeeze(), estimator.predict(X), atol=1e-12)
    back = from_torch(model, getattr(spec, "classes", None))
    np.testing.assert_allclose(back.decision_function(X), outputs(model, X), atol=1e-12)
    if spec.metric == "accuracy":
        assert back.predict(X).tolist() == estimator.predict(X).tolist()


@needs_torch
def test_layers_without_activation_become_one():
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Dropout(), nn.Linear(4, 3)).double()
    model.eval()
    taken = from_torch(model, ("a", "b", "c"))
    np.testing.assert_allclose(taken.decision_function(X), outputs(model, X), atol=1e-12)


@needs_torch
def test_relu_is_replaced_by_its_best_quadratic():
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 3)).double()
    span = float(np.abs(outputs(model[0], X)).max())
    taken = from_torch(model, ("a", "b", "c"), relu_range=span)
    assert taken.spec.hidden == 65
    bound = 3 * span / 32 * model[2].weight.abs().sum(dim=1).max().item()
    error = np.abs(taken.decision_function(X) - outputs(model, X))
    assert error.max() <= bound
    nodes = np.linspace(-span, span, 2001)  # the quadratic of the docstring is the best one
    a, half, constant = np.polyfit(nodes, np.maximum(nodes, 0), 2)
    assert (a, half, constant) == pytest.approx((15 / 32 / span, 0.5, 3 / 32 * span), rel=0.01)
    assert (
        taken.predict(X) == np.array(list("abc"))[outputs(model, X).argmax(axis=1)]
    ).mean() > 0.7


@needs_torch
def test_what_cannot_be_taken_over_is_named():
    import torch
    from torch import nn

    linear = nn.Linear(6, 3)
    broken = nn.Linear(6, 3)
    broken.weight.data[0, 0] = float("nan")
    for model, classes, message in (
        (linear, None, "no torch.nn.Sequential"),
        (nn.Sequential(linear, nn.Tanh()), None, "layer 1 is a Tanh"),
        (nn.Sequential(), None, "0 linear maps"),
        (nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), linear), None, "2"),
        (nn.Sequential(linear, nn.ReLU()), None, "1 activations between 1"),
        (nn.Sequential(linear), ("a", "b"), "3 outputs do not fit 2 classes"),
        (nn.Sequential(nn.Linear(6, 6), nn.ReLU(), linear), None, "name the classes"),
        (nn.Sequential(broken), None, "weights: nan in row 0, column 0"),
        (nn.Sequential(nn.Linear(6, 3, dtype=torch.complex64)), None, "complex"),
        (nn.Sequential(nn.Linear(6, 5), nn.Linear(4, 3)), None, "5 outputs before one of 4 inputs"),
        (nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(4, 3)), "abc", "5 outputs before"),
        (nn.Sequential(nn.Linear(6, 3)), 5, "classes 5"),
        (nn.Sequential(nn.Linear(6, 256), nn.ReLU(), nn.Linear(256, 3)), "abc", "257 hidden units"),
    ):
        with pytest.raises(DataError, match=message):
            from_torch(model, classes)
    for span in (0.0, -1.0, "x", None, float("nan"), float("inf")):
        with pytest.raises(DataError, match="relu_range"):
            from_torch(
                nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)), "abc", relu_range=span
            )
    with pytest.raises(DataError, match="NoneType is no estimator"):
        to_torch(None)
