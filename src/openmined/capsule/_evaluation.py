"""The metric on the validation set, from outputs (logits) rather than weights.

Outputs of the linear family are linear in the weights, X (W + sum c_i D_i) = X W + sum c_i X D_i,
so each update's outputs are computed once, and every coalition and every step size costs only a
weighted sum of (rows, outputs) arrays. Networks go their own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from openmined.syft import MLPClassifier, MLPEstimator

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ValidationSet:
    """Features (rows, inputs) and encoded targets (rows, outputs) of a validation set."""

    features: Array
    targets: Array
    metric: Literal["accuracy", "r2"]
    sha256: str
    """Digest of the set in the clear, hexadecimal; stands in every receipt."""
    network: MLPClassifier | None = None
    """What turns weights into outputs where that is not a matrix product."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.targets)

    @cached_property
    def _labels(self) -> NDArray[np.intp]:
        labels: NDArray[np.intp] = np.argmax(self.targets, axis=1)
        return labels

    @cached_property
    def _spread(self) -> Array:
        spread: Array = np.square(self.targets - self.targets.mean(axis=0)).sum(axis=0)
        return spread

    @property
    def linear(self) -> bool:
        """Whether outputs are linear in the weights."""
        return self.network is None

    def outputs(self, weights: Array) -> Array:
        """Return the model's outputs, shape (rows, outputs)."""
        if self.network is None:
            return self.features @ weights
        estimator = MLPEstimator(self.network, weights)
        return estimator.decision_function(self.features)

    def outputs_of(self, directions: Sequence[Array]) -> Array:
        """Return what each direction does to a linear model's outputs, (directions, rows, outputs).

        One product for all: many small ones take ten times as long.
        """
        assert self.linear
        together = self.features @ np.concatenate(directions, axis=1)
        apart = together.reshape(self.rows, len(directions), -1)
        return np.ascontiguousarray(np.moveaxis(apart, 1, 0))

    def score(self, outputs: Array) -> float:
        """Return accuracy (rows whose largest output is their class) or R2, mean over targets."""
        if self.metric == "accuracy":
            return float(np.mean(np.argmax(outputs, axis=1) == self._labels))
        residual = np.square(self.targets - outputs).sum(axis=0)
        return float(np.mean(1.0 - residual / self._spread))

    def scores(self, base: Array, sizes: Array, move: Array) -> Array:
        """Return the metric of base + size * move for each size, shape (sizes,)."""
        outputs = base + sizes[:, None, None] * move
        if self.metric == "accuracy":
            hits = np.argmax(outputs, axis=2) == self._labels
            return np.asarray(np.count_nonzero(hits, axis=1) / self.rows)
        residual = np.square(self.targets - outputs).sum(axis=1)
        return np.asarray(np.mean(1.0 - residual / self._spread, axis=1))

    def loss(self, outputs: Array) -> float:
        """Return the mean squared error over rows: |outputs - targets|^2 / rows."""
        return float(np.square(outputs - self.targets).sum()) / self.rows

    def unexplained(self, outputs: Array) -> float:
        """Return how far outputs are from the targets, as shares are measured by it.

        For R2 the squared error; for accuracy the squared error about its mean: the largest output
        decides, so what shifts a class for all rows alike (its frequency, say) explains nothing.
        """
        return float(np.square(self.about_mean(self.targets - outputs)).sum())

    def about_mean(self, outputs: Array) -> Array:
        """Take from outputs (..., rows, outputs) what does not count as an explanation."""
        if self.metric == "r2":
            return outputs
        return np.asarray(outputs - outputs.mean(axis=-2, keepdims=True))

    @property
    def resolution(self) -> float:
        """Two standard errors of the metric at worst: what chance alone may move it by."""
        return 1.0 / float(np.sqrt(self.rows))
