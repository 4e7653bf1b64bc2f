"""To and from PyTorch: a `torch.nn.Sequential` of Linear layers. Imported only when asked for.

A chain of Linear layers without activation is one linear map. With one activation it is the
network that is trained on ciphertexts, whose hidden units are squared and which has no output bias:

- the bias b of the output layer is a hidden unit that is always 1, with b as its weights;
- a ReLU is replaced by its best quadratic on [-r, r] (least squares, uniform weight),

      max(0, z) ~ 15/(32 r) z^2 + z/2 + 3 r/32 = a (z + 1/(2a))^2 + 3 r/32 - 1/(4a),   a = 15/(32 r)

  a squared unit and a constant; off by at most 3 r/32 inside. That is a start for training, not
  the same network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from openmined.syft._columns import require_finite
from openmined.syft._errors import DataError
from openmined.syft._estimators import LinearEstimator
from openmined.syft._mlp import MLPEstimator, join_mlp, split_mlp
from openmined.syft._settings import is_finite
from openmined.syft._specs import MAX_HIDDEN, LinearClassifier, LinearRegression, MLPClassifier

if TYPE_CHECKING:
    from collections.abc import Iterable

Floats = NDArray[np.float64]

_PASS = (torch.nn.Identity, torch.nn.Dropout, torch.nn.Flatten)


class Square(torch.nn.Module):
    """The activation of an encrypted network: z^2."""

    def forward(self, z: Any) -> Any:
        """Return z^2."""
        return z * z


@dataclass(frozen=True)
class _Affine:
    """x -> x W + b."""

    W: Floats
    b: Floats

    def check_fits(self, after: _Affine) -> None:
        outputs, inputs = self.W.shape[1], after.W.shape[0]
        if outputs != inputs:
            raise DataError(
                f"a layer of {outputs} outputs before one of {inputs} inputs: they must be equal"
            )

    def then(self, after: _Affine) -> _Affine:
        self.check_fits(after)
        return _Affine(self.W @ after.W, self.b @ after.W + after.b)


def take_sequential(
    model: Any, classes: Sequence[str] | None, relu_range: float
) -> LinearEstimator | MLPEstimator:
    """Do `from_torch`."""
    if not isinstance(model, torch.nn.Sequential):
        raise DataError(f"{type(model).__name__} is no torch.nn.Sequential of Linear layers")
    maps, activations = _read(model)
    if len(maps) != len(activations) + 1 or len(activations) > 1:
        raise DataError(
            f"{len(activations)} activations between {len(maps)} linear maps: an encrypted model "
            "has none between one, or one between two"
        )
    if activations:
        maps[0].check_fits(maps[1])
    outputs = maps[-1].W.shape[1]
    if not isinstance(classes, Sequence | None):
        raise DataError(f"classes {classes!r:.80} must be the labels in the order of the outputs")
    if classes is not None and len(classes) != outputs:
        raise DataError(f"{outputs} outputs do not fit {len(classes)} classes: name each one")
    if not activations:
        return _linear(maps[0], classes)
    if classes is None:
        raise DataError("an encrypted network is a classifier: name the classes of its outputs")
    if not is_finite(relu_range) or relu_range <= 0:
        raise DataError(f"relu_range {relu_range!r:.80} must be a finite number, positive")
    squared = isinstance(activations[0], Square)
    return _network(maps, tuple(classes), None if squared else relu_range)


def _read(model: Iterable[Any]) -> tuple[list[_Affine], list[Any]]:
    maps: list[_Affine] = []
    activations: list[Any] = []
    for place, layer in enumerate(model):
        if isinstance(layer, torch.nn.Linear):
            found = _affine(layer)
            joined = len(maps) > len(activations)
            maps[len(activations) :] = [maps[-1].then(found) if joined else found]
        elif isinstance(layer, Square | torch.nn.ReLU):
            activations.append(layer)
        elif not isinstance(layer, _PASS):
            raise DataError(
                f"layer {place} is a {type(layer).__name__}: only Linear, ReLU and Square can be "
                "trained encrypted"
            )
    return maps, activations


def _affine(layer: Any) -> _Affine:
    weight = _numbers(layer.weight, "a layer's weights").T
    bias = np.zeros(weight.shape[1])
    return _Affine(weight, bias if layer.bias is None else _numbers(layer.bias, "a layer's bias"))


def _numbers(tensor: Any, what: str) -> Floats:
    if tensor.is_complex():
        raise DataError(f"{what} are complex: make them real")
    array = np.array(tensor.detach().cpu().double().numpy())
    return require_finite(array, what, "train again, or go back to the last finite ones")


def _linear(found: _Affine, classes: Sequence[str] | None) -> LinearEstimator:
    weights = np.vstack([found.W, found.b])
    inputs, outputs = weights.shape
    if classes is None:
        return LinearEstimator(LinearRegression(inputs=inputs, outputs=outputs), weights)
    return LinearEstimator(LinearClassifier(inputs=inputs, classes=tuple(classes)), weights)


def _network(
    maps: list[_Affine], classes: tuple[str, ...], relu_range: float | None
) -> MLPEstimator:
    hidden, output = maps
    if relu_range is not None:
        hidden, output = _square_relu(hidden, output, relu_range)
    W1, W2 = np.vstack([hidden.W, hidden.b]), output.W
    if output.b.any():
        constant = np.zeros((len(W1), 1))
        constant[-1] = 1.0
        W1, W2 = np.hstack([W1, constant]), np.vstack([W2, output.b])
    if W1.shape[1] > MAX_HIDDEN:
        raise DataError(
            f"{W1.shape[1]} hidden units, one of them for a bias of the outputs, are above "
            f"{MAX_HIDDEN}: make the hidden layer smaller"
        )
    spec = MLPClassifier(inputs=len(W1), hidden=W1.shape[1], classes=classes)
    return MLPEstimator(spec, join_mlp(W1, W2))


def _square_relu(hidden: _Affine, output: _Affine, span: float) -> tuple[_Affine, _Affine]:
    a = 15.0 / (32.0 * span)
    constant = 3.0 * span / 32.0 - 1.0 / (4.0 * a)
    lifted = replace(hidden, b=hidden.b + 1.0 / (2.0 * a))
    return lifted, _Affine(a * output.W, output.b + constant * output.W.sum(axis=0))


def make_sequential(estimator: LinearEstimator | MLPEstimator) -> Any:
    """Do `to_torch`."""
    if not isinstance(estimator, LinearEstimator | MLPEstimator):
        raise DataError(f"{type(estimator).__name__} is no estimator: see estimator_from_weights")
    if isinstance(estimator, MLPEstimator):
        W1, W2 = split_mlp(estimator.weights_, estimator.spec.inputs)
        return torch.nn.Sequential(_layer(W1[:-1], W1[-1]), Square(), _layer(W2, None))
    coef = np.atleast_2d(estimator.coef_).T
    return torch.nn.Sequential(_layer(coef, np.atleast_1d(estimator.intercept_)))


def _layer(W: Floats, b: Floats | None) -> Any:
    layer = torch.nn.Linear(W.shape[0], W.shape[1], bias=b is not None, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(W.T.copy()))
        if b is not None:
            layer.bias.copy_(torch.from_numpy(np.array(b)))
    return layer
