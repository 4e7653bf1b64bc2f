"""Scoring a batch: a pure function from decrypted updates to verdicts, shares and new weights.

What is published after a batch:

- local steps: a new version if the batch counts (its gain reaches the Ladder step), or if accuracy
  is not lower and the loss on the validation set fell by 0.1 % or more. The second keeps a
  campaign moving whose accuracy rises in stairs; what such a batch won is paid to the batch that
  completes the step, because pay is counted from the best accuracy on chain.
- plain gradients: always a new version, since the optimizer needs gradients at new points. The
  best weights are kept aside and are what is delivered.

Reported is the accuracy of the new version, or, without one, of the version that stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from openmined.capsule._anderson import AndersonMemory
from openmined.capsule._combination import (
    BatchGame,
    Blend,
    capped_weights,
    choose_members,
    drop_diluters,
    find_harmful,
)
from openmined.capsule._duplicates import Fingerprint, find_duplicates, sketch_update
from openmined.capsule._evaluation import ValidationSet
from openmined.capsule._shapley import attribute_gain, to_shares_ppm
from openmined.protocol import PPM, Reason, accuracy_to_ppm

Array = NDArray[np.float64]
AttributionKind = Literal["none", "single", "shapley-exact", "shapley-sampled"]

ABSURD_OUTPUT = 1e6
"""Outputs of an update on validation rows beyond this are absurd: targets are about 1."""

_LOSS_GAIN = 1e-3
_CUTOFF = 5e-3
"""Of the whole gain: less than this left is not split further."""


@dataclass(frozen=True)
class Update:
    """One decrypted update: where it points, shape (inputs, outputs).

    `direction` is W_K - W_version for local steps and the negative gradient for plain ones.
    """

    gradient: int
    miner: str
    version: int
    samples: int
    direction: Array


@dataclass(frozen=True)
class Rules:
    """The campaign's numbers that decide whether a batch counts."""

    best_ppm: int
    target_ppm: int
    min_improvement_ppm: int
    release_step_ppm: int

    def counts(self, accuracy_ppm: int) -> bool:
        """Whether the contract will pay for this accuracy: the Ladder step, or the target."""
        gain = accuracy_ppm - self.best_ppm
        return gain >= self.min_improvement_ppm or (accuracy_ppm >= self.target_ppm and gain > 0)

    def round(self, accuracy: float) -> int:
        """Round a measured accuracy to what is released of it."""
        return accuracy_to_ppm(accuracy, self.release_step_ppm)


@dataclass(frozen=True)
class Verdict:
    """What becomes of one gradient."""

    share_ppm: int = 0
    reason: Reason = Reason.ACCEPTED
    note: str = ""


@dataclass(frozen=True)
class ScoredBatch:
    """The outcome of a batch.

    `weights` is None when no new version is published. `accuracy` is exact and stays inside;
    `accuracy_ppm` is rounded and is what leaves.
    """

    verdicts: Mapping[int, Verdict]
    weights: Array | None
    accuracy: float
    accuracy_ppm: int
    attribution: AttributionKind
    fingerprints: tuple[Fingerprint, ...] = ()
    memory: AndersonMemory = field(default_factory=AndersonMemory)


@dataclass(frozen=True)
class Standing:
    """Where a campaign stands before a batch."""

    version: int
    weights: Array
    memory: AndersonMemory = field(default_factory=AndersonMemory)
    known: tuple[Fingerprint, ...] = ()


def score_local_steps(
    validation: ValidationSet,
    standing: Standing,
    updates: Sequence[Update],
    rules: Rules,
    *,
    seed: int,
    sketch_key: bytes,
) -> ScoredBatch:
    """Score updates that carry whole local training runs."""
    usable, verdicts, prints = _screen(validation, standing, updates, sketch_key)
    base = validation.outputs(standing.weights)
    if not usable:
        return _nothing(validation, base, rules, verdicts, prints)
    game = _game(validation, base, usable, fit=True)
    blend = choose_members(game, tolerance=rules.release_step_ppm / PPM)[1]
    verdicts |= _harm(game, usable, rules)
    accuracy_ppm = rules.round(blend.score)
    counts = rules.counts(accuracy_ppm)
    loss_fell = blend.loss <= (1.0 - _LOSS_GAIN) * game.standing.loss
    publish = counts or (blend.score >= game.standing.score and loss_fell)
    if not publish:
        return _nothing(validation, base, rules, verdicts, prints)
    weights = standing.weights + np.tensordot(
        blend.coefficients, np.array([u.direction for u in usable]), 1
    )
    attribution: AttributionKind = "none"
    if counts:
        paid = [i for i, update in enumerate(usable) if not verdicts[update.gradient].reason]
        attribution, shares = _attribute(game, paid, blend, seed)
        verdicts |= {usable[i].gradient: Verdict(share) for i, share in shares.items()}
    return ScoredBatch(verdicts, weights, blend.score, accuracy_ppm, attribution, prints)


def score_gradients(
    validation: ValidationSet,
    standing: Standing,
    updates: Sequence[Update],
    rules: Rules,
    *,
    l2: float,
    seed: int,
    sketch_key: bytes,
) -> ScoredBatch:
    """Score plain gradients: one step of Anderson-accelerated descent on their weighted mean."""
    usable, verdicts, prints = _screen(validation, standing, updates, sketch_key)
    base = validation.outputs(standing.weights)
    rate = 1.0 / _largest_curvature(validation, l2)
    if not usable:
        nothing = _nothing(validation, base, rules, verdicts, prints)
        return _with_memory(nothing, standing.memory)
    game = _game(validation, base, usable, fit=False, scale=rate)
    harm = _harm(game, usable, rules)
    members = [i for i, update in enumerate(usable) if not harm[update.gradient].reason]
    members = drop_diluters(game, members)
    verdicts |= harm
    if not members:
        nothing = _nothing(validation, base, rules, verdicts, prints)
        return _with_memory(nothing, standing.memory)
    step = _descend(validation, standing, [usable[i] for i in members], rate)
    accuracy = validation.score(validation.outputs(step.weights))
    accuracy_ppm = rules.round(accuracy)
    attribution: AttributionKind = "none"
    if rules.counts(accuracy_ppm):
        chosen = [usable[i] for i in members]
        attribution, shares = _attribute_step(validation, standing, step, chosen, seed)
        verdicts |= {u.gradient: Verdict(share) for u, share in zip(chosen, shares, strict=True)}
    return ScoredBatch(
        verdicts, step.weights, accuracy, accuracy_ppm, attribution, prints, step.grown
    )


@dataclass(frozen=True)
class _Step:
    """The point a descent step reached, the rate that reached it, and the memory it used."""

    weights: Array
    rate: float
    used: AndersonMemory
    grown: AndersonMemory


def _descend(
    validation: ValidationSet, standing: Standing, members: Sequence[Update], rate: float
) -> _Step:
    residual = _mean_direction(members)
    # Gradients taken elsewhere than at the standing weights say nothing to the memory.
    fresh = all(update.version == standing.version for update in members)
    best: _Step | None = None
    best_loss = np.inf
    # A memory may have gone stale (other mines than before): the validation loss decides.
    for memory in (standing.memory, AndersonMemory()) if fresh else (AndersonMemory(),):
        found = memory.extrapolate(standing.weights, residual)
        for factor in (0.25, 0.5, 1.0, 1.5, 1.9):
            weights = found.start + factor * rate * found.direction
            loss = validation.loss(validation.outputs(weights))
            if loss < best_loss:
                kept = standing.memory.remember(standing.weights, residual)
                grown = kept if fresh else standing.memory
                best, best_loss = _Step(weights, factor * rate, memory, grown), loss
    assert best is not None
    return best


def _mean_direction(members: Sequence[Update]) -> Array:
    weights = capped_weights(np.array([float(u.samples) for u in members]))
    mean: Array = np.tensordot(weights / weights.sum(), np.array([u.direction for u in members]), 1)
    return mean


@dataclass(frozen=True)
class _Worth:
    """What a coalition is worth, from 0 (what stands) to 1 (the whole batch).

    Half by the metric, half by the loss, each as a share of what the batch gained of it: accuracy
    moves in whole rows, and on the last rows chance would decide alone. Each is a game, Shapley
    values are linear, so this is the mean of two fair splits. A coalition that spoils the loss
    loses no more than a whole.
    """

    before: tuple[float, float]
    after: tuple[float, float]

    def of(self, score: float, loss: float) -> float:
        gains = [
            (score - self.before[0], self.after[0] - self.before[0]),
            (self.before[1] - loss, self.before[1] - self.after[1]),
        ]
        parts = [max(-1.0, gain / whole) for gain, whole in gains if whole > 0.0]
        return sum(parts) / len(parts) if parts else 0.0


def _attribute_step(
    validation: ValidationSet,
    standing: Standing,
    step: _Step,
    members: Sequence[Update],
    seed: int,
) -> tuple[AttributionKind, tuple[int, ...]]:
    """Split the gain of a descent step: a coalition takes the same step with its own mean."""

    def measure(weights: Array) -> tuple[float, float]:
        outputs = validation.outputs(weights)
        return validation.score(outputs), validation.loss(outputs)

    worth = _Worth(measure(standing.weights), measure(step.weights))

    def value(coalition: frozenset[int]) -> float:
        if not coalition:
            return 0.0
        residual = _mean_direction([members[i] for i in sorted(coalition)])
        found = step.used.extrapolate(standing.weights, residual)
        return worth.of(*measure(found.start + step.rate * found.direction))

    found = attribute_gain(len(members), value, seed=seed, cutoff=_CUTOFF)
    samples = capped_weights(np.array([float(u.samples) for u in members]))
    return found.kind, to_shares_ppm(found.values, list(samples))


def _attribute(
    game: BatchGame, players: Sequence[int], blend: Blend, seed: int
) -> tuple[AttributionKind, dict[int, int]]:
    """Split the gain of a blend among everybody who is not rejected, also whom it left out.

    A coalition is worth the best blend found for it, so that mines with alike data, of which the
    blend needed one, are paid alike.
    """
    worth = _Worth((game.standing.score, game.standing.loss), (blend.score, blend.loss))

    def value(coalition: frozenset[int]) -> float:
        if len(coalition) == len(players):
            return worth.of(blend.score, blend.loss)
        found = game.best_blend(sorted(players[i] for i in coalition))
        return worth.of(found.score, found.loss)

    found = attribute_gain(len(players), value, seed=seed, cutoff=_CUTOFF)
    fallback = [abs(float(blend.coefficients[i])) for i in players]
    shares = to_shares_ppm(found.values, fallback if sum(fallback) > 0 else [1.0] * len(players))
    return found.kind, dict(zip(players, shares, strict=True))


def _screen(
    validation: ValidationSet, standing: Standing, updates: Sequence[Update], sketch_key: bytes
) -> tuple[list[Update], dict[int, Verdict], tuple[Fingerprint, ...]]:
    """Sort out absurd updates and duplicates."""
    verdicts: dict[int, Verdict] = {}
    sane: list[Update] = []
    for update in sorted(updates, key=lambda u: u.gradient):
        trouble = _absurdity(validation, update)
        if trouble:
            verdicts[update.gradient] = Verdict(0, Reason.ABSURD, trouble)
        else:
            sane.append(update)
    prints = [
        Fingerprint(u.gradient, u.miner, u.version, sketch_update(u.direction, sketch_key))
        for u in sane
    ]
    copies = find_duplicates(prints, standing.known)
    for gradient, original in copies.items():
        note = f"the same as gradient {original}, but for a factor or noise"
        verdicts[gradient] = Verdict(0, Reason.DUPLICATE, note)
    usable = [update for update in sane if update.gradient not in copies]
    verdicts |= {update.gradient: Verdict() for update in usable}
    return usable, verdicts, tuple(f for f in prints if f.gradient not in copies)


def _absurdity(validation: ValidationSet, update: Update) -> str:
    if not np.isfinite(update.direction).all():
        return "not finite"
    largest = float(np.abs(validation.outputs(update.direction)).max(initial=0.0))
    if largest > ABSURD_OUTPUT:
        return f"moves the outputs by more than {ABSURD_OUTPUT:.0e}"
    return ""


def _game(
    validation: ValidationSet,
    base: Array,
    updates: Sequence[Update],
    *,
    fit: bool,
    scale: float = 1.0,
) -> BatchGame:
    moves = np.array([scale * validation.outputs(u.direction) for u in updates])
    return BatchGame(validation, base, moves, np.array([float(u.samples) for u in updates]), fit)


def _harm(game: BatchGame, usable: Sequence[Update], rules: Rules) -> dict[int, Verdict]:
    chance = 2.0 * float(np.sqrt(0.25 / game.validation.rows))
    threshold = max(rules.min_improvement_ppm / PPM, chance)
    harmful = find_harmful(game, range(game.updates), threshold)
    note = "every step along it lowers the metric by more than chance explains"
    return {
        update.gradient: Verdict(0, Reason.HARMFUL, note) if i in harmful else Verdict()
        for i, update in enumerate(usable)
    }


def _nothing(
    validation: ValidationSet,
    base: Array,
    rules: Rules,
    verdicts: Mapping[int, Verdict],
    prints: tuple[Fingerprint, ...],
) -> ScoredBatch:
    # What stands may lie above the best on chain by less than the step; never report a gain here.
    accuracy = validation.score(base)
    accuracy_ppm = rules.round(accuracy)
    if rules.counts(accuracy_ppm):
        accuracy_ppm = rules.best_ppm
    return ScoredBatch(dict(verdicts), None, accuracy, accuracy_ppm, "none", prints)


def _with_memory(batch: ScoredBatch, memory: AndersonMemory) -> ScoredBatch:
    return ScoredBatch(
        batch.verdicts,
        batch.weights,
        batch.accuracy,
        batch.accuracy_ppm,
        batch.attribution,
        batch.fingerprints,
        memory,
    )


def _largest_curvature(validation: ValidationSet, l2: float) -> float:
    """Return the largest eigenvalue of X'X / n + l2, by the power method on X."""
    vector = np.ones(validation.features.shape[1])
    value = 0.0
    for _ in range(50):
        image = validation.features.T @ (validation.features @ vector) / validation.rows
        value = float(np.linalg.norm(image))
        if value <= 0.0:
            break
        vector = image / value
    return value + l2
