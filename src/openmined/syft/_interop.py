"""To and from scikit-learn's linear models and PyTorch's `Sequential`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openmined.syft._columns import real_array, require_finite
from openmined.syft._errors import DataError, MissingExtra
from openmined.syft._estimators import LinearEstimator
from openmined.syft._specs import LinearClassifier, LinearRegression, label_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openmined.syft._mlp import MLPEstimator

Floats = NDArray[np.float64]

_PROBES = 64
_REFIT = "fit it again"


def from_sklearn(model: Any) -> LinearEstimator:
    """Take over a fitted linear model: `coef_`, `intercept_` and, for a classifier, `classes_`.

    The estimator predicts the same; a campaign can start from its `weights_`. Having coefficients
    makes no model linear (a support vector machine votes between pairs of classes, a Poisson
    regression takes the exponential), so both are compared on random rows.

    Raises:
        DataError: if the model is not fitted, not finite, or predicts otherwise than linearly.
    """
    if not hasattr(model, "coef_") or not hasattr(model, "intercept_"):
        raise DataError(f"{type(model).__name__} has no coef_ and intercept_: fit it first")
    estimator = _take_linear(model)
    if not _agrees(model, estimator):
        raise DataError(
            f"{type(model).__name__} does not predict by the largest of its linear outputs, so "
            "that no linear model predicts the same: fit a Ridge or RidgeClassifier, for instance"
        )
    return estimator


def _take_linear(model: Any) -> LinearEstimator:
    sparse = hasattr(model.coef_, "toarray")
    coef = real_array(model.coef_.toarray() if sparse else model.coef_, "coef_")
    coef, intercept = np.atleast_2d(coef), np.ravel(real_array(model.intercept_, "intercept_"))
    if coef.ndim != 2 or len(intercept) not in (1, len(coef)):
        raise DataError(
            f"coef_ of shape {coef.shape} and intercept_ of shape {intercept.shape} are not "
            "(outputs, features) and (outputs,)"
        )
    require_finite(coef, "coef_", _REFIT)
    require_finite(intercept, "intercept_", _REFIT)
    weights = np.vstack([coef.T, np.broadcast_to(intercept, (len(coef),))])
    if not hasattr(model, "classes_"):
        spec = LinearRegression(inputs=len(weights), outputs=weights.shape[1])
        return LinearEstimator(spec, weights)
    classes = tuple(label_text(label) for label in model.classes_)
    if weights.shape[1] == 1 and len(classes) == 2:  # one score, positive for the second class
        weights = np.hstack([-weights, weights]) / 2.0
    if weights.shape[1] != len(classes):
        raise DataError(
            f"{weights.shape[1]} outputs of {type(model).__name__} do not fit {len(classes)} "
            "classes: take a model with an output for each"
        )
    return LinearEstimator(LinearClassifier(inputs=len(weights), classes=classes), weights)


def _agrees(model: Any, estimator: LinearEstimator) -> bool:
    """Tell whether both predict the same on rows of lengths from a hundredth to ten thousand."""
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((_PROBES, estimator.n_features_in_))
    rows *= 10.0 ** generator.uniform(-2.0, 4.0, (_PROBES, 1))
    ours = estimator.decision_function(rows)
    room = 1e-6 * (1.0 + np.abs(rows) @ np.abs(estimator.weights_[:-1])).max(axis=1)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of feature names, which random rows lack
            found = model.predict(rows)
            classifies = isinstance(estimator.spec, LinearClassifier)
            theirs = model.decision_function(rows) if classifies else found
    except Exception as error:  # foreign code, which may raise anything
        raise DataError(f"{type(model).__name__} cannot predict: {str(error)[:80]}") from error
    if len(estimator.classes_) == 2:
        ours = (ours[:, 1] - ours[:, 0])[:, None]
    if np.size(theirs) != ours.size:
        return False
    close = np.abs(np.reshape(theirs, ours.shape) - ours) <= room[:, None]
    if not close.all() or not classifies:
        return bool(close.all())
    return [label_text(label) for label in found] == list(estimator.predict(rows))


def to_sklearn(estimator: LinearEstimator) -> Any:
    """Make a fitted `Ridge`, or `SGDClassifier` of squared error, that predicts the same.

    Its inputs are the columns of Z without the bias.

    Raises:
        DataError: if it is no linear model.
    """
    from sklearn.linear_model import Ridge, SGDClassifier

    if not isinstance(estimator, LinearEstimator):
        raise DataError(
            f"{type(estimator).__name__} is no linear model, and scikit-learn has no network of "
            "squared units: see to_torch"
        )
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
        DataError: if a layer is of another kind, sizes do not fit, or a weight is not finite.
        SpecError: if `classes` are not different, or the network is too large.
        MissingExtra: if PyTorch is not installed.
    """
    taken: LinearEstimator | MLPEstimator = _torch().take_sequential(model, classes, relu_range)
    return taken


def to_torch(estimator: LinearEstimator | MLPEstimator) -> Any:
    """Make a `torch.nn.Sequential` in double precision, with the estimator's scores as outputs.

    Its input are the columns of Z without the bias. A network becomes Linear, Square, Linear.

    Raises:
        DataError: if it is no estimator.
        MissingExtra: if PyTorch is not installed.
    """
    return _torch().make_sequential(estimator)


def _torch() -> Any:
    try:
        from openmined.syft import _torch as module
    except ImportError:
        raise MissingExtra("PyTorch is not installed: pip install 'openmined[torch]'") from None
    return module
