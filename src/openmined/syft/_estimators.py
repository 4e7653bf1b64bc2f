"""Estimators in the clear: what comes out of a campaign, with scikit-learn's conventions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openmined.protocol import CampaignManifest
from openmined.syft._columns import finite_result, real_array, require_finite
from openmined.syft._conventions import Trained
from openmined.syft._errors import DataError
from openmined.syft._specs import (
    LearningSpec,
    LinearClassifier,
    LinearRegression,
    MLPClassifier,
    check_rows,
    require_spec,
    spec_from_manifest,
)
from openmined.syft._targets import encode_targets

if TYPE_CHECKING:
    from openmined.syft._mlp import MLPEstimator

Floats = NDArray[np.float64]

_WEIGHTS = "train again, or go back to the last finite ones"


@dataclass(frozen=True, eq=False)
class LinearEstimator(Trained):
    """A trained linear model.

    Attributes:
        spec: what was learned.
        weights_: (inputs, outputs); the bias is the last row.
    """

    spec: LinearRegression | LinearClassifier
    weights_: Floats = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.spec, LinearRegression | LinearClassifier):
            raise DataError(f"a linear model of {type(self.spec).__name__}: its spec is linear too")
        array = require_finite(real_array(self.weights_, "the weights"), "the weights", _WEIGHTS)
        _check_weights(self.spec, array)
        object.__setattr__(self, "weights_", array)

    def fit(self, X: Any, y: Any) -> LinearEstimator:
        """Fit another estimator by the same spec, in the clear; this one stays as it is.

        Raises:
            DataError: as `fit_clear` does.
        """
        return fit_clear(self.spec, X, y)

    @property
    def coef_(self) -> Floats:
        """Coefficients, (outputs, inputs without bias); (inputs,) for a single target."""
        scaled = self.weights_[:-1].T * _target_scale(self.spec)[:, None]
        return scaled[0] if self._single else scaled

    @property
    def intercept_(self) -> Any:
        """Intercepts, (outputs,); a number for a single target."""
        scaled = self.weights_[-1] * _target_scale(self.spec) + _target_centre(self.spec)
        return float(scaled[0]) if self._single else scaled

    @property
    def n_features_in_(self) -> int:
        """Columns that `predict` wants of an array, without the bias."""
        return self.spec.inputs - 1

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The labels in the order of the outputs; empty for a regression."""
        return np.array(getattr(self.spec, "classes", ()), dtype=np.str_)

    @property
    def _single(self) -> bool:
        return isinstance(self.spec, LinearRegression) and self.spec.outputs == 1

    def decision_function(self, X: Any) -> Floats:
        """Return Z W, shape (rows, outputs)."""
        Z = design_matrix(self.spec, X)
        return finite_result(lambda: Z @ self.weights_, "the outputs")

    def predict(self, X: Any) -> Any:
        """Predict labels (text), or numbers in the target's units.

        Args:
            X: rows as an array (rows, n_features_in_), or with the column of ones; or a table or
                mapping of columns when the model has a feature map.
        """
        outputs = self.decision_function(X)
        if isinstance(self.spec, LinearClassifier):
            return self.classes_[outputs.argmax(axis=1)]
        scale, centre = _target_scale(self.spec), _target_centre(self.spec)
        scaled = finite_result(lambda: outputs * scale + centre, "the outputs")
        return scaled[:, 0] if self._single else scaled

    def predict_proba(self, X: Any) -> Floats:
        """Estimate class probabilities, (rows, classes): outputs clipped to [0, 1], normalised.

        The least-squares fit of a one-hot target estimates the class probability itself, so no
        softmax is applied.

        Raises:
            DataError: for a regression.
        """
        if not isinstance(self.spec, LinearClassifier):
            raise DataError("a regression has no class probabilities: use predict")
        clipped = np.clip(self.decision_function(X), 1e-9, 1.0)
        return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))

    def score(self, X: Any, y: Any) -> float:
        """Return accuracy, or the coefficient of determination R2."""
        return evaluate(
            self.spec, self.weights_, design_matrix(self.spec, X), encode_targets(self.spec, y)
        )


def _target_scale(spec: LearningSpec) -> Floats:
    return np.array(getattr(spec, "target_scale", (1.0,) * spec.outputs))


def _target_centre(spec: LearningSpec) -> Floats:
    return np.array(getattr(spec, "target_centre", (0.0,) * spec.outputs))


def design_matrix(spec: LearningSpec, X: Any) -> Floats:
    """Return Z with its bias column for an array, a table, or a mapping of columns.

    Raises:
        DataError: if the columns do not fit, or a value is not finite.
    """
    if isinstance(X, Mapping) or hasattr(X, "column_names"):
        if spec.features is None:
            raise DataError("this model has no feature map: give an array of features, no table")
        return spec.features.transform(X)
    rows = real_array(X, "the rows")
    if rows.ndim != 2:
        raise DataError(f"rows of shape {rows.shape} must be a matrix, (rows, columns)")
    fields = spec.features.schema.fields if spec.features else ()
    if len(fields) == 1 and rows.shape[1] == fields[0].array_length != spec.inputs - 1:
        assert spec.features is not None
        return spec.features.transform({fields[0].name: rows})
    require_finite(rows, "the rows")
    if rows.shape[1] == spec.inputs - 1:
        return np.hstack([rows, np.ones((len(rows), 1))])
    if rows.shape[1] == spec.inputs and (rows[:, -1] == 1.0).all():
        return rows
    raise DataError(
        f"rows of {rows.shape[1]} columns: give {spec.inputs - 1}, or a last one of ones with them"
    )


def solve_clear(spec: LinearRegression | LinearClassifier, X: Floats, Y: Floats) -> Floats:
    """Solve (Z'Z/n + l2 I) W = Z'Y/n; the optimum that encrypted training converges to.

    Raises:
        DataError: if sums overflow, or the columns depend on each other and l2 is too small to
            tell them apart in double precision.
    """
    gram = finite_result(lambda: X.T @ X / len(X), "Z'Z") + spec.l2 * np.eye(X.shape[1])
    cross = finite_result(lambda: X.T @ Y / len(X), "Z'Y")
    from scipy.linalg import LinAlgError, LinAlgWarning, solve  # slow to import

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", LinAlgWarning)
            return np.asarray(solve(gram, cross, assume_a="pos"))
    except (LinAlgError, LinAlgWarning) as error:
        raise DataError(
            f"columns depend on each other, and l2 = {spec.l2} is too small to tell them apart: "
            "use a larger one, such as 1e-6, or drop a column"
        ) from error


def fit_clear(spec: LinearRegression | LinearClassifier, X: Any, y: Any) -> LinearEstimator:
    """Fit in the clear, for reference.

    Args:
        spec: what to learn.
        X: as for `LinearEstimator.predict`.
        y: labels or targets.

    Raises:
        DataError: on wrong shapes, unknown labels, non-finite values, or no rows.
    """
    rows, targets = check_rows(design_matrix(spec, X), encode_targets(spec, y), spec)
    return LinearEstimator(spec, solve_clear(spec, rows, targets))


def evaluate(spec: LearningSpec, weights: Any, X: Any, Y: Any) -> float:
    """Score weights in the clear: accuracy for classifiers, R2 for regressions.

    Args:
        spec: what is learned.
        weights: as from `initial_weights`.
        X: Z with its bias column, (rows, inputs).
        Y: from `encode_targets`, (rows, outputs).

    Returns:
        Accuracy in [0, 1]; or R2 in (-inf, 1], averaged over targets; a constant target counts 1
        when met exactly and 0 otherwise.

    Raises:
        DataError: on wrong shapes, no rows, values that are not finite, or outputs that overflow.
    """
    require_spec(spec)
    rows, targets = check_rows(X, Y, spec)
    array = require_finite(real_array(weights, "the weights"), "the weights", _WEIGHTS)
    if isinstance(spec, MLPClassifier):
        from openmined.syft._mlp import mlp_outputs

        outputs = mlp_outputs(spec, array, rows)
    else:
        _check_weights(spec, array)
        outputs = finite_result(lambda: rows @ array, "the outputs")
    if spec.metric == "accuracy":
        return float((outputs.argmax(axis=1) == targets.argmax(axis=1)).mean())
    return float(finite_result(lambda: _r2(targets, outputs), "R2").mean())


def _r2(targets: Floats, outputs: Floats) -> Floats:
    residual = ((targets - outputs) ** 2).sum(axis=0)
    total = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    exact = (residual == 0).astype(np.float64)
    explained = 1.0 - residual / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, explained, exact))


def _check_weights(spec: LearningSpec, array: Floats) -> None:
    if array.shape != (spec.inputs, spec.outputs):
        raise DataError(
            f"weights of shape {array.shape} are not {(spec.inputs, spec.outputs)}: "
            "they belong to another task"
        )


def estimator_from_weights(
    task: LearningSpec | CampaignManifest, weights: Any
) -> LinearEstimator | MLPEstimator:
    """Make an estimator of trained weights; for a manifest it carries the feature map.

    Raises:
        DataError: if the weights do not fit or are not finite.
    """
    spec = spec_from_manifest(task) if isinstance(task, CampaignManifest) else task
    require_spec(spec)
    array = real_array(weights, "the weights").copy()
    if isinstance(spec, MLPClassifier):
        from openmined.syft._mlp import MLPEstimator

        return MLPEstimator(spec, array)
    return LinearEstimator(spec, array)
