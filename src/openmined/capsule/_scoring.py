"""Scoring a batch: a pure function from decrypted updates to verdicts, shares and new weights.

Here: what all updates go through, and local steps. Plain gradients are in `_descent`.

After a batch of local steps a new version is published if the batch counts (its gain reaches the
Ladder step), or if accuracy is not lower and the loss on the validation set fell by 0.1 % or more.
The second keeps a campaign moving whose accuracy rises in stairs; what such a batch won is paid to
the batch that completes the step, because pay is counted from the best accuracy on chain.

Reported is the accuracy of the new version, or, without one, of the version that stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from openmined.capsule._chance import Descent
from openmined.capsule._combination import BatchGame, choose_blend, find_harmful
from openmined.capsule._duplicates import Fingerprint, find_duplicates, sketch_update
from openmined.capsule._evaluation import ValidationSet
from openmined.capsule._shares import divide_gain, to_shares_ppm
from openmined.capsule._tangent import Tangent
from openmined.protocol import PPM, Reason, accuracy_to_ppm
from openmined.syft import AdamState, AndersonState

Array = NDArray[np.float64]
Memory = AndersonState | AdamState | None
"""What an optimizer remembers between batches."""

AttributionKind = Literal["none", "shapley"]

ABSURD_OUTPUT = 1e6
"""Outputs of an update on validation rows beyond this are absurd: targets are about 1."""

STATING_HARM = "every step along it lowers the metric by more than chance explains"
_LOSS_GAIN = 1e-3


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
    memory: Memory = None


@dataclass(frozen=True)
class Standing:
    """Where a campaign stands before a batch."""

    version: int
    weights: Array
    memory: Memory = None
    known: tuple[Fingerprint, ...] = ()


def score_local_steps(
    validation: ValidationSet,
    standing: Standing,
    updates: Sequence[Update],
    rules: Rules,
    *,
    sketch_key: bytes,
) -> ScoredBatch:
    """Score updates that carry whole local training runs."""
    usable, verdicts, prints = screen_updates(validation, standing, updates, sketch_key)
    if not usable:
        return nothing_gained(validation, standing, rules, verdicts, prints)
    everybody = _game(validation, standing, usable)
    harmful = find_harmful(everybody, harm_threshold(validation, rules))
    verdicts |= {
        usable[i].gradient: Verdict(0, Reason.HARMFUL, STATING_HARM) for i in sorted(harmful)
    }
    sound = [i for i in range(len(usable)) if i not in harmful]
    descent = Descent.at(validation, standing.weights)
    members = [sound[i] for i in descent.drop_chance([usable[i].direction for i in sound])]
    if not members:
        return nothing_gained(validation, standing, rules, verdicts, prints)
    usable, game = [usable[i] for i in members], everybody.among(members)
    blend = choose_blend(game, tolerance=rules.release_step_ppm / PPM)
    accuracy_ppm = rules.round(blend.score)
    counts = rules.counts(accuracy_ppm)
    loss_fell = blend.loss <= (1.0 - _LOSS_GAIN) * game.standing.loss
    if not (counts or (blend.score >= game.standing.score and loss_fell)):
        return nothing_gained(validation, standing, rules, verdicts, prints)
    directions = [update.direction for update in usable]
    weights = standing.weights + np.tensordot(blend.coefficients, np.array(directions), 1)
    attribution: AttributionKind = "none"
    if counts:
        used = np.abs(blend.coefficients)
        fallback = used if used.any() else np.ones(len(used))
        tangent = Tangent(validation, standing.weights)
        attribution, shares = "shapley", divide(tangent, game.moves, fallback)
        verdicts |= {u.gradient: Verdict(share) for u, share in zip(usable, shares, strict=True)}
    return ScoredBatch(verdicts, weights, blend.score, accuracy_ppm, attribution, prints)


def divide(tangent: Tangent, moves: Array, fallback: Array) -> tuple[int, ...]:
    """Split the gain of a batch among everybody, also whom the step left out; return shares in ppm.

    The contract pays for accuracy, which moves in whole rows: between two mines of a batch chance
    would decide. So a share is of what is explained of the validation targets. Mines with alike
    data, of which the step needed one, are paid alike.

    Args:
        tangent: of the model that stands.
        moves: what each update does to the outputs, (updates, rows, outputs).
        fallback: decides when nobody explains anything, (updates,).
    """
    flat = tangent.validation.about_mean(moves).reshape(len(moves), -1)
    values = divide_gain(flat @ flat.T, flat @ tangent.left.ravel())
    return to_shares_ppm(values.tolist(), fallback.tolist())


def screen_updates(
    validation: ValidationSet, standing: Standing, updates: Sequence[Update], sketch_key: bytes
) -> tuple[list[Update], dict[int, Verdict], tuple[Fingerprint, ...]]:
    """Sort out absurd updates and duplicates."""
    verdicts: dict[int, Verdict] = {}
    sane = sorted(updates, key=lambda update: update.gradient)
    for absurd in (_absurd_weights, _absurd_outputs):
        troubles = absurd(validation, sane)
        found = {
            u.gradient: Verdict(0, Reason.ABSURD, t)
            for u, t in zip(sane, troubles, strict=True)
            if t
        }
        sane = [update for update in sane if update.gradient not in found]
        verdicts |= found
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


def _absurd_weights(_: ValidationSet, updates: Sequence[Update]) -> list[str]:
    def trouble(direction: Array) -> str:
        if not np.isfinite(direction).all():
            return "not finite"
        absurd = float(np.abs(direction).max(initial=0.0)) > ABSURD_OUTPUT
        return f"a weight of more than {ABSURD_OUTPUT:.0e}" if absurd else ""

    return [trouble(update.direction) for update in updates]


def _absurd_outputs(validation: ValidationSet, updates: Sequence[Update]) -> list[str]:
    if not (updates and validation.linear):
        return [""] * len(updates)
    moves = validation.outputs_of([update.direction for update in updates])
    absurd = np.abs(moves).max(axis=(1, 2)) > ABSURD_OUTPUT
    return [f"moves the outputs by more than {ABSURD_OUTPUT:.0e}" if one else "" for one in absurd]


def _game(validation: ValidationSet, standing: Standing, updates: Sequence[Update]) -> BatchGame:
    base = validation.outputs(standing.weights)
    moves = validation.outputs_of([update.direction for update in updates])
    return BatchGame(validation, base, moves, np.array([float(u.samples) for u in updates]))


def harm_threshold(validation: ValidationSet, rules: Rules) -> float:
    """Return what an update must cost of the metric to be harmful: more than step and chance."""
    return max(rules.min_improvement_ppm / PPM, validation.resolution)


def nothing_gained(
    validation: ValidationSet,
    standing: Standing,
    rules: Rules,
    verdicts: Mapping[int, Verdict],
    prints: tuple[Fingerprint, ...],
) -> ScoredBatch:
    """Return the outcome of a batch that publishes nothing and pays nothing."""
    accuracy = validation.score(validation.outputs(standing.weights))
    accuracy_ppm = rules.round(accuracy)
    # What stands may lie above the best on chain by less than the step; never report a gain here.
    if rules.counts(accuracy_ppm):
        accuracy_ppm = rules.best_ppm
    return ScoredBatch(dict(verdicts), None, accuracy, accuracy_ppm, "none", prints)
