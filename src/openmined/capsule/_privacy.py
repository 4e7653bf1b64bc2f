"""Client-level differential privacy of the model, when a campaign asks for it (DP-FedAvg).

Each mine's update of a batch is clipped to a norm C, the mean over the batch's m mines is taken,
and Gaussian noise is added (McMahan, Ramage, Talwar, Zhang, ICLR 2018, arXiv 1710.06963):

    mean = sum_i clip(D_i, C) / m + N(0, (C / m)^2 / (2 rho_b)).

Adding or removing one mine changes the sum by at most C, so that a batch satisfies rho_b-zCDP (Bun
and Steinke, TCC 2016, Proposition 1.6); T batches compose to rho = T rho_b, and rho-zCDP implies
(epsilon, delta) with epsilon = rho + 2 sqrt(rho ln(1 / delta)) (Proposition 1.3). What a campaign
asks for is divided equally among T batches; after them nothing more is learned.

What it covers is everything that is derived from models: weights, accuracies, and pay, which is
split equally among a batch's accepted gradients, since Shapley values would tell of single mines.
What it does not cover: that a gradient was rejected. C comes from the data scientist's own rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openmined.capsule._evaluation import Array, ValidationSet
from openmined.capsule._scoring import (
    Rules,
    ScoredBatch,
    Standing,
    Update,
    nothing_gained,
    screen_updates,
)
from openmined.capsule._shares import to_shares_ppm
from openmined.protocol import PrivacyRequest
from openmined.syft import (
    LearningSpec,
    LinearClassifier,
    LinearRegression,
    MLPClassifier,
    accumulate_statistics,
    apply_update,
    mlp_gradient,
)

Score = Callable[[Sequence[Update]], ScoredBatch]


@dataclass(frozen=True)
class ClientPrivacy:
    """How a campaign's updates are protected.

    Attributes:
        norm: C, what an update is clipped to.
        rho: of one batch, in zCDP.
        left: batches that may still be learned from.
    """

    norm: float
    rho: float
    left: int


def zcdp_of(epsilon: float, delta: float) -> float:
    """Return the largest rho for which rho-zCDP implies (epsilon, delta)."""
    depth = math.log(1.0 / delta)
    return (math.sqrt(depth + epsilon) - math.sqrt(depth)) ** 2


def plan_privacy(
    request: PrivacyRequest,
    batches: int,
    used: int,
    spec: LearningSpec,
    validation: ValidationSet,
    start: Array,
) -> ClientPrivacy:
    """Divide what a campaign asked for among its batches.

    Args:
        request: epsilon and delta of the whole campaign.
        batches: how many may be learned from.
        used: how many were.
        spec: the task.
        validation: whose own update at the start gives the clipping norm.
        start: the initial weights.
    """
    rho = zcdp_of(request.epsilon, request.delta) / batches
    return ClientPrivacy(own_norm(spec, validation, start), rho, max(0, batches - used))


def own_norm(spec: LearningSpec, validation: ValidationSet, weights: Array) -> float:
    """Return the norm of the update that the validation rows themselves would give."""
    if isinstance(spec, MLPClassifier):
        update = mlp_gradient(weights, validation.features, validation.targets)
    else:
        assert isinstance(spec, LinearClassifier | LinearRegression)
        statistics = accumulate_statistics([(validation.features, validation.targets)])
        update = apply_update(weights, statistics, spec.update, spec.l2)
        if spec.update.kind == "local-steps":
            update = update - weights
    return float(np.linalg.norm(update))


def score_privately(
    validation: ValidationSet,
    standing: Standing,
    updates: Sequence[Update],
    rules: Rules,
    privacy: ClientPrivacy,
    score: Score,
    *,
    sketch_key: bytes,
    noise_key: bytes,
) -> ScoredBatch:
    """Score a batch through its clipped and noisy mean alone.

    Args:
        validation: the metric.
        standing: where the campaign stands.
        updates: the batch.
        rules: whether it counts.
        privacy: how it is protected.
        score: what scores updates without privacy.
        sketch_key: of the fingerprints.
        noise_key: secret; the noise is a function of it and of the batch, so that a batch scored
            again after a crash, or by a twin, gives the same model and tells nothing new.
    """
    usable, verdicts, prints = screen_updates(validation, standing, updates, sketch_key)
    if not usable or not privacy.left:
        nothing = nothing_gained(validation, standing, rules, verdicts, prints)
        return replace(nothing, memory=standing.memory)
    mean = noisy_mean(usable, privacy, noise_key)
    scored = score([Update(-1, "0x" + "0" * 40, standing.version, 1, mean)])
    if sum(verdict.share_ppm for verdict in scored.verdicts.values()):
        equal = to_shares_ppm([1.0] * len(usable), [1.0] * len(usable))
        verdicts |= {
            update.gradient: replace(verdicts[update.gradient], share_ppm=share)
            for update, share in zip(usable, equal, strict=True)
        }
    return replace(scored, verdicts=verdicts, fingerprints=prints, attribution="none")


def noisy_mean(updates: Sequence[Update], privacy: ClientPrivacy, key: bytes) -> Array:
    """Return the clipped mean with noise; several updates of one mine count as their mean."""
    by_miner: dict[str, list[Array]] = {}
    for update in updates:
        by_miner.setdefault(update.miner.lower(), []).append(update.direction)
    clipped = [clip(np.mean(found, axis=0), privacy.norm) for found in by_miner.values()]
    mean = np.asarray(np.sum(clipped, axis=0) / len(clipped))
    deviation = privacy.norm / len(clipped) / math.sqrt(2.0 * privacy.rho)
    names = ",".join(str(update.gradient) for update in updates)
    content = hashlib.sha256(b"".join(update.direction.tobytes() for update in updates))
    seed = key + names.encode() + content.digest()
    return mean + deviation * expand_gaussian(seed, mean.shape)


def clip(update: Array, norm: float) -> Array:
    """Shorten an update to at most a norm."""
    length = float(np.linalg.norm(update))
    return update * min(1.0, norm / length) if length > 0.0 else update


def expand_gaussian(seed: bytes, shape: tuple[int, ...]) -> Array:
    """Return standard normal numbers from a secret seed: SHAKE-256, then Box and Muller."""
    count = math.prod(shape)
    stream = hashlib.shake_256(b"openmined/client-noise@1" + seed).digest(16 * count)
    raw = np.frombuffer(stream, dtype="<u8").reshape(2, count)
    first, second = (raw.astype(np.float64) + 0.5) / 2.0**64
    drawn = np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second)
    return np.asarray(drawn.reshape(shape))
