"""The two-layer network z -> z^2 in the clear: weights, outputs, gradient, estimator.

    U = Z W1      H = U^2      O = H W2      loss = |O - Y|^2 / 2n

    E = O - Y     dW2 = H'E / n     dW1 = Z'((E W2') * 2U) / n

Weights are one matrix of shape (inputs + outputs, hidden): W1 above W2'. The bias of the hidden
layer is the last column of Z.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openmined.syft._columns import finite_result, real_array, require_finite
from openmined.syft._conventions import Trained
from openmined.syft._errors import DataError
from openmined.syft._expansion import expand_gaussian
from openmined.syft._settings import require_whole

if TYPE_CHECKING:
    from openmined.syft._specs import MLPClassifier

Floats = NDArray[np.float64]


def split_mlp(weights: Floats, inputs: int) -> tuple[Floats, Floats]:
    """Return (W1, W2) of shapes (inputs, hidden) and (hidden, outputs)."""
    return weights[:inputs], weights[inputs:].T


def join_mlp(W1: Floats, W2: Floats) -> Floats:
    """Undo `split_mlp`."""
    return np.vstack([W1, W2.T])


def initial_mlp_weights(spec: MLPClassifier) -> Floats:
    """Return W1 ~ N(0, 1 / 16 r^2) and W2 ~ N(0, 0.09 / hidden), from the campaign's seed.

    With r of `row_length`, so that units of rows of that length are a quarter, as root mean square.
    """
    W1 = expand_gaussian(spec.seed, "mlp/hidden", (spec.inputs, spec.hidden))
    W2 = expand_gaussian(spec.seed, "mlp/output", (spec.hidden, spec.outputs))
    return join_mlp(0.25 * W1 / row_length(spec), 0.3 * W2 / np.sqrt(spec.hidden))


def row_length(spec: MLPClassifier) -> float:
    """Return the length r of rows, as root mean square, that a network is made for.

    The noise that protects a gradient is sized by it, so it is public: half the square root of the
    inputs, or the radius of the feature map where that is smaller.
    """
    return min(0.5 * float(np.sqrt(spec.inputs)), spec.radius)


def mlp_outputs(spec: MLPClassifier, weights: Floats, Z: Floats) -> Floats:
    """Return O, shape (rows, outputs).

    Raises:
        DataError: if the weights do not fit, or the outputs overflow.
    """
    check_mlp_weights(spec, weights)
    W1, W2 = split_mlp(weights, spec.inputs)
    return finite_result(lambda: (Z @ W1) ** 2 @ W2, "the outputs")


def check_mlp_weights(spec: MLPClassifier, weights: Floats) -> None:
    """Check the shape of weights.

    Raises:
        DataError: if it is not (inputs + outputs, hidden).
    """
    wanted = (spec.inputs + spec.outputs, spec.hidden)
    if weights.shape != wanted:
        raise DataError(
            f"weights of shape {weights.shape} are not {wanted}: they belong to another task"
        )


def _check_network(weights: Any, Z: Any) -> tuple[Floats, Floats, tuple[int, int]]:
    """Return both as arrays, without a copy, and the shape of O, (rows, outputs)."""
    W, rows = real_array(weights, "the weights"), real_array(Z, "the rows")
    if W.ndim != 2 or rows.ndim != 2 or not len(rows) or len(W) <= rows.shape[1]:
        raise DataError(
            f"weights of shape {W.shape} and rows of shape {rows.shape} are not "
            "(inputs + outputs, hidden) and (rows, inputs), with at least one row"
        )
    return W, rows, (len(rows), len(W) - rows.shape[1])


def _check_shape(values: Any, what: str, wanted: tuple[int, ...]) -> Floats:
    array = real_array(values, what)
    if array.shape != wanted:
        raise DataError(f"{what} of shape {array.shape} instead of {wanted}: NumPy would repeat it")
    return array


def mlp_gradient(weights: Floats, Z: Floats, Y: Floats) -> Floats:
    """Return the gradient of the loss in the clear, laid out like the weights.

    Raises:
        DataError: if shapes do not fit, there are no rows, or the result is not finite.
    """
    weights, Z, shape = _check_network(weights, Z)
    Y = _check_shape(Y, "a target matrix", shape)
    W1, W2 = split_mlp(weights, Z.shape[1])
    E = finite_result(lambda: (Z @ W1) ** 2 @ W2 - Y, "the errors of the outputs")
    return mlp_pullback(weights, E, Z) / len(Z)


def mlp_tangent(weights: Floats, direction: Floats, Z: Floats) -> Floats:
    """Return the derivative of O along a direction, (rows, outputs).

    dO = (2 U * Z dW1) W2 + H dW2. The direction is laid out like the weights.

    Raises:
        DataError: if shapes do not fit, there are no rows, or the result is not finite.
    """
    weights, Z, _ = _check_network(weights, Z)
    direction = _check_shape(direction, "a direction", weights.shape)
    W1, W2 = split_mlp(weights, Z.shape[1])
    dW1, dW2 = split_mlp(direction, Z.shape[1])

    def derivative() -> Floats:
        U = Z @ W1
        return np.asarray((2.0 * U * (Z @ dW1)) @ W2 + U**2 @ dW2)

    return finite_result(derivative, "the derivative of the outputs")


def mlp_pullback(weights: Floats, outputs: Floats, Z: Floats) -> Floats:
    """Return the transpose of `mlp_tangent` applied to (rows, outputs), laid out like weights.

    Raises:
        DataError: if shapes do not fit, there are no rows, or the result is not finite.
    """
    weights, Z, shape = _check_network(weights, Z)
    outputs = _check_shape(outputs, "an output matrix", shape)
    W1, W2 = split_mlp(weights, Z.shape[1])

    def transposed() -> Floats:
        U = Z @ W1
        return join_mlp(Z.T @ ((outputs @ W2.T) * 2.0 * U), (U**2).T @ outputs)

    return finite_result(transposed, "the gradient")


@dataclass(frozen=True, eq=False)
class MLPEstimator(Trained):
    """A trained two-layer network.

    Attributes:
        spec: what was learned.
        weights_: (inputs + outputs, hidden), W1 above W2'.
    """

    spec: MLPClassifier
    weights_: Floats = field(repr=False)

    def __post_init__(self) -> None:
        from openmined.syft._specs import MLPClassifier

        if not isinstance(self.spec, MLPClassifier):
            raise DataError(f"a network of {type(self.spec).__name__}: its spec is MLPClassifier")
        array = real_array(self.weights_, "the weights")
        require_finite(array, "the weights", "train again, or go back to the last finite ones")
        check_mlp_weights(self.spec, array)
        object.__setattr__(self, "weights_", array)

    def fit(self, X: Any, y: Any, epochs: int = 60) -> MLPEstimator:
        """Fit another estimator by the same spec, in the clear; this one stays as it is.

        Raises:
            SpecError, DataError: as `fit_mlp_clear` does.
        """
        return fit_mlp_clear(self.spec, X, y, epochs)

    @property
    def coefs_(self) -> list[Floats]:
        """W1 without its bias row, and W2, as in scikit-learn's MLPClassifier."""
        W1, W2 = split_mlp(self.weights_, self.spec.inputs)
        return [W1[:-1], W2]

    @property
    def intercepts_(self) -> list[Floats]:
        """The hidden layer's bias, and zeros: the output layer has none."""
        W1, _ = split_mlp(self.weights_, self.spec.inputs)
        return [W1[-1], np.zeros(self.spec.outputs)]

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The labels in the order of the outputs."""
        return np.array(self.spec.classes, dtype=np.str_)

    @property
    def n_features_in_(self) -> int:
        """Columns that `predict` wants of an array, without the bias."""
        return self.spec.inputs - 1

    def decision_function(self, X: Any) -> Floats:
        """Return O, shape (rows, outputs)."""
        from openmined.syft._estimators import design_matrix

        return mlp_outputs(self.spec, self.weights_, design_matrix(self.spec, X))

    def predict(self, X: Any) -> NDArray[np.str_]:
        """Predict labels; X as for `LinearEstimator.predict`."""
        return np.asarray(self.classes_[self.decision_function(X).argmax(axis=1)])

    def predict_proba(self, X: Any) -> Floats:
        """Estimate class probabilities: outputs clipped to [0, 1], normalised."""
        clipped = np.clip(self.decision_function(X), 1e-9, 1.0)
        return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))

    def score(self, X: Any, y: Any) -> float:
        """Return the accuracy."""
        from openmined.syft._estimators import design_matrix, evaluate
        from openmined.syft._targets import encode_targets

        Z = design_matrix(self.spec, X)
        return evaluate(self.spec, self.weights_, Z, encode_targets(self.spec, y))


def fit_mlp_clear(spec: MLPClassifier, X: Any, y: Any, epochs: int = 60) -> MLPEstimator:
    """Fit in the clear, for reference: Adam on batches of `spec.batch` rows in their order.

    Raises:
        SpecError: if `epochs` is no whole number of 1 or more.
        DataError: on wrong shapes, unknown labels, non-finite values, no rows, or overflow.
    """
    from openmined.syft._estimators import design_matrix
    from openmined.syft._optimizers import Adam
    from openmined.syft._specs import check_rows
    from openmined.syft._targets import encode_targets

    require_whole(epochs, "epochs")
    Z, Y = check_rows(design_matrix(spec, X), encode_targets(spec, y), spec)
    optimizer = Adam(spec.learning_rate)
    weights = initial_mlp_weights(spec)
    state = optimizer.start(weights)
    for _ in range(epochs):
        for start in range(0, len(Z), spec.batch):
            rows = slice(start, start + spec.batch)
            weights, state = optimizer.step(weights, mlp_gradient(weights, Z[rows], Y[rows]), state)
    return MLPEstimator(spec, weights)
