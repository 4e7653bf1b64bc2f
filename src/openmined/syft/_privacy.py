"""Differentially private release of a mine's statistics: AdaSSP (Wang, UAI 2018, algorithm 2).

The mine releases G = Z'Z, C = Z'Y and lambda_min(G) once, each with Gaussian noise, and answers
every round of a campaign from that release: post-processing costs nothing more.

With row length at most R, target length at most T, n public, and one row replaced by another:

    |change of G|_F     <= sqrt(2) R^2      (difference of two rank-one matrices of norm R^2)
    |change of C|_F     <= 2 R T
    |change of lambda|  <= R^2              (Weyl)

Gaussian noise of sensitivity/mu_i is mu_i-GDP, and the three compose to mu^2 = sum mu_i^2 (Dong,
Roth and Su, 2022). The exact (epsilon, delta) of mu-GDP is

    delta(epsilon) = Phi(-epsilon/mu + mu/2) - e^epsilon Phi(-epsilon/mu - mu/2)

(Balle and Wang, ICML 2018, theorem 8; computed by `dp-accounting`), so mu is found from the epsilon
and delta asked for. Releases of one data set to several campaigns add up, epsilon to epsilon and
delta to delta (basic composition): whoever keeps the rows counts them. Wang's regularisation is
used with its noise scale replaced by ours:

    lambda = max(0, sqrt(p ln(2 p^2 / rho)) sigma_G - lambda_min),   rho = 0.05
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from openmined.protocol import PrivacyRequest
from openmined.syft._columns import real_array, require_finite
from openmined.syft._errors import DataError
from openmined.syft._randomness import gaussian
from openmined.syft._specs import LinearClassifier, LinearRegression
from openmined.syft._statistics import Statistics

if TYPE_CHECKING:
    from openmined.syft._specs import LinearSpec

Floats = NDArray[np.float64]

# Shares of mu^2: the smallest eigenvalue is one number, the Gram matrix has the most.
_SHARE_LAMBDA, _SHARE_GRAM, _SHARE_CROSS = 0.1, 0.45, 0.45
_FAILURE = 0.05
_LEAST_EPSILON = 1e-6
_LARGEST_RADIUS = 1e100
_ROUNDING = 1.0 + 1e-9


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Return the largest mu whose mu-GDP implies (epsilon, delta).

    Raises:
        DataError: if epsilon or delta is out of the range that a campaign may ask for.
    """
    try:
        PrivacyRequest(epsilon=epsilon, delta=delta)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"{first['loc'][0]} = {str(first['input'])[:40]}: {first['msg']}, as in a campaign"
        ) from error
    if epsilon < _LEAST_EPSILON:  # the accountant's search would not end
        raise DataError(f"epsilon = {epsilon} is below {_LEAST_EPSILON}: there is noise alone then")
    from dp_accounting.pld.common import DifferentialPrivacyParameters
    from dp_accounting.pld.privacy_loss_mechanism import GaussianPrivacyLoss

    asked = DifferentialPrivacyParameters(epsilon, delta)
    return 1.0 / float(GaussianPrivacyLoss.from_privacy_guarantee(asked).standard_deviation)


def privatise_statistics(
    statistics: Statistics, spec: LinearSpec, epsilon: float, delta: float
) -> Statistics:
    """Release statistics under (epsilon, delta)-differential privacy for one replaced row.

    The number of rows is taken as public. Rows must be within the spec's radius, as its feature map
    leaves them, and targets within length `target_length(spec)`, as `clip_targets` leaves them.

    Args:
        statistics: exact ones, which must not be used for anything else that leaves the mine.
        spec: the task.
        epsilon: from 1e-6 to 1,000.
        delta: in (0, 1e-5], well below 1/n.

    Raises:
        DataError: on a senseless epsilon or delta, a task that is not of the linear family,
            statistics of another size, or of rows or targets beyond their bounds.
    """
    mu = gaussian_mu(epsilon, delta)
    _check_bounds(statistics, spec)
    radius, length = spec.radius, target_length(spec)
    size = len(statistics.gram)
    deviation_gram = math.sqrt(2.0) * radius**2 / (mu * math.sqrt(_SHARE_GRAM))
    deviation_cross = 2.0 * radius * length / (mu * math.sqrt(_SHARE_CROSS))
    deviation_lambda = radius**2 / (mu * math.sqrt(_SHARE_LAMBDA))
    smallest = float(np.linalg.eigvalsh(statistics.gram)[0])
    smallest += deviation_lambda * float(gaussian(1)[0] - math.sqrt(2 * math.log(6 / _FAILURE)))
    spread = math.sqrt(size * math.log(2 * size**2 / _FAILURE)) * deviation_gram
    ridge = max(0.0, spread - max(0.0, smallest))
    gram = statistics.gram + deviation_gram * _symmetric_noise(size)
    noise = gaussian(statistics.cross.size).reshape(statistics.cross.shape)
    cross = statistics.cross + deviation_cross * noise
    bound = statistics.n * radius**2
    return Statistics(statistics.n, _tame(gram + ridge * np.eye(size), bound), cross)


def _check_bounds(statistics: Statistics, spec: LinearSpec) -> None:
    """Refuse sums that show that a row or target is longer than the noise is sized for.

    The trace of Z'Z is the sum of squared row lengths, at most n R^2, and |Z'Y|_F <= n R T. That
    single rows are within their bounds is the caller's to see to: sums do not tell.
    """
    if not isinstance(spec, LinearRegression | LinearClassifier):
        raise DataError(f"{type(spec).__name__}: only the linear family can be answered privately")
    if not isinstance(statistics, Statistics):
        raise DataError(f"{type(statistics).__name__}: Statistics are released, and nothing else")
    if spec.radius > _LARGEST_RADIUS:
        raise DataError(f"radius {spec.radius} needs noise too large for numbers: scale the rows")
    wanted = (spec.inputs, spec.outputs)
    if statistics.cross.shape != wanted:
        raise DataError(
            f"statistics of {statistics.cross.shape} inputs and outputs for a task of {wanted}: "
            "they are of another task"
        )
    rows = float(np.trace(statistics.gram)) / statistics.n
    if rows > spec.radius**2 * _ROUNDING:
        raise DataError(
            f"rows of length {math.sqrt(rows):.4g}, as root mean square, are beyond the radius "
            f"{spec.radius:.4g}: take them from the feature map, which shortens them"
        )
    targets = float(np.linalg.norm(statistics.cross)) / statistics.n
    if targets > spec.radius * target_length(spec) * _ROUNDING:
        raise DataError(
            f"targets are beyond length {target_length(spec):.4g}: bound them by clip_targets"
        )


def _symmetric_noise(size: int) -> Floats:
    upper = np.triu(gaussian(size * size).reshape(size, size))
    return np.asarray(upper + np.triu(upper, 1).T)


def _tame(gram: Floats, bound: float) -> Floats:
    """Bring a noisy Gram matrix back among possible ones: no negative eigenvalue, bounded norm.

    The bound is what output protection promises (see `_scales`); all of it is post-processing.
    """
    eigenvalues, Q = np.linalg.eigh(gram)
    positive = np.maximum(eigenvalues, 0.0)
    excess = float(np.linalg.norm(positive)) / bound
    return np.asarray((Q * (positive / max(1.0, excess))) @ Q.T)


def target_length(spec: LinearSpec) -> float:
    """Return the public bound on the length of a row of targets: 1, or sqrt(outputs)."""
    return 1.0 if spec.metric == "accuracy" else math.sqrt(spec.outputs)


def clip_targets(spec: LinearSpec, targets: Floats) -> Floats:
    """Clip scaled regression targets (rows, outputs) to [-1, 1], which bounds what a row can do.

    One-hot labels are within the bound as they are.

    Raises:
        DataError: if the targets are no finite numbers, or of another shape.
    """
    array = require_finite(real_array(targets, "the targets"), "the targets")
    if array.ndim != 2 or array.shape[1] != spec.outputs:
        raise DataError(
            f"targets of shape {array.shape} are not (rows, {spec.outputs}): use encode_targets"
        )
    return array if spec.metric == "accuracy" else np.asarray(np.clip(array, -1.0, 1.0))
