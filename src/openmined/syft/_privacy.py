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

from openmined.syft._errors import DataError
from openmined.syft._randomness import gaussian
from openmined.syft._statistics import Statistics

if TYPE_CHECKING:
    from openmined.syft._specs import LinearSpec

Floats = NDArray[np.float64]

# Shares of mu^2: the smallest eigenvalue is one number, the Gram matrix has the most.
_SHARE_LAMBDA, _SHARE_GRAM, _SHARE_CROSS = 0.1, 0.45, 0.45
_FAILURE = 0.05


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Return the largest mu whose mu-GDP implies (epsilon, delta).

    Raises:
        DataError: if epsilon is not positive or delta not in (0, 1).
    """
    if not (epsilon > 0 and math.isfinite(epsilon) and 0 < delta < 1):
        raise DataError(f"epsilon {epsilon} must be positive and delta {delta} between 0 and 1")
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
        epsilon: positive.
        delta: in (0, 1), well below 1/n.

    Raises:
        DataError: on a senseless epsilon or delta.
    """
    mu = gaussian_mu(epsilon, delta)
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
    """
    return targets if spec.metric == "accuracy" else np.asarray(np.clip(targets, -1.0, 1.0))
