"""To and from scikit-learn's linear models and PyTorch's `Sequential`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openmined.syft._columns import require_finite
from openmined.syft._errors import DataError, MissingExtra
from openmined.syft._estimators import LinearEstimator
from openmined.syft._specs import LinearClassifier, LinearRegression

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openmined.syft._mlp import MLPEstimator

Floats = NDArray[np.float64]


def from_sklearn(model: Any) -> LinearEstimator:
    """Take over a fitted linear model: `coef_`, `intercept_` and, for a classifier, `classes_`.

    The estimator predicts the same; a campaign can start from its `weights_`.

    Raises:
        DataError: if the model is not fitted, not linear, or not finite.
    """
    if not hasattr(model, "coef_") or not hasattr(model, "intercept_"):
        raise DataError(f"{type(model).__name__} has no coef_ and intercept_: fit it first")
    coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    intercept = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64), (len(coef),))
    require_finite(coef, "coef_")
    require_finite(np.atleast_1d(intercept), "intercept_")
    weights = np.vstack([coef.T, intercept])
    if not hasattr(model, "classes_"):
        spec = LinearRegression(inputs=len(weights), outputs=weights.shape[1])
        return LinearEstimator(spec, weights)
    classes = tuple(str(label) for label in model.classes_)
    if weights.shape[1] == 1 and len(classes) == 2:  # one score, positive for the second class
        weights = np.hstack([-weights, weights]) / 2.0
    if weights.shape[1] != len(classes):
        raise DataError(f"{weights.shape[1]} outputs do not fit {len(classes)} classes")
    return LinearEstimator(LinearClassifier(inputs=len(weights), classes=classes), weights)


def to_sklearn(estimator: LinearEstimator) -> Any:
    """Make a fitted `Ridge`, or `SGDClassifier` of squared error, that predicts the same."""
    from sklearn.linear_model import Ridge, SGDClassifier

    if isinstance(estimator.spec, LinearRegression):
        model = Ridge(alpha=estimator.spec.l2)
        model.coef_, model.intercept_ = estimator.coef_, estimator.intercept_
    else:
        coef, intercept = estimator.coef_, np.asarray(estimator.intercept_)
        if len(coef) == 2:  # scikit-learn keeps one score for two classes
            coef, intercept = (coef[1] - coef[0])[None], (intercept[1] - intercept[0])[None]
        model = SGDClassifier(loss="squared_error", alpha=estimator.spec.l2)
        model.coef_, model.intercept_ = coef, intercept
        model.classes_ = estimator.classes_
    model.n_features_in_ = estimator.n_features_in_
    return model


def from_torch(
    model: Any, classes: Sequence[str] | None = None, *, relu_range: float = 4.0
) -> LinearEstimator | MLPEstimator:
    """Take over a `torch.nn.Sequential` of Linear layers, as a start for encrypted training.

    Linear layers alone become a linear model that predicts the same. With one activation between
    them they become the two-layer network: the same one where the activation is `Square` (as
    `to_torch` makes it); where it is ReLU, each unit is replaced by its best quadratic.

    Args:
        model: Linear layers and at most one ReLU or Square; Identity, Dropout and Flatten pass.
        classes: labels in the order of the outputs; None for a regression.
        relu_range: r, such that the hidden layer's values lie in [-r, r]; ReLU only.

    Raises:
        DataError: if a layer is of another kind, or a weight is not finite.
        MissingExtra: if PyTorch is not installed.
    """
    taken: LinearEstimator | MLPEstimator = _torch().take_sequential(model, classes, relu_range)
    return taken


def to_torch(estimator: LinearEstimator | MLPEstimator) -> Any:
    """Make a `torch.nn.Sequential` in double precision, with the estimator's scores as outputs.

    Its input are the columns of Z without the bias. A network becomes Linear, Square, Linear.

    Raises:
        MissingExtra: if PyTorch is not installed.
    """
    return _torch().make_sequential(estimator)


def _torch() -> Any:
    try:
        from openmined.syft import _torch as module
    except ImportError:
        raise MissingExtra("PyTorch is not installed: pip install 'openmined[torch]'") from None
    return module
