"""Telling honest updates from chance, by where they point.

Capsule tries directions on its validation set and keeps what helps. Done with whatever is sent to
it, that learns the set without anybody's data: 1,000 directions guessed by somebody who knows the
schema only (one class towards one blurred picture) earned half of the digits' bounty. So an update
is used if it points towards J'R, where descent is steepest on the validation set, more than
chance does.

A move that shifts an output for all rows alike explains nothing of R, which is about its mean,
and is no sign of chance either: in gradients of words, or of one class, it drowns all else. So
cosines are taken without such shifts.

Two thresholds, since one is not enough. Measured on digits, 512 x 10 weights, at the start:

    white noise                             below 0.05
    guessed pictures, single, of 3,000      0.12 in one of a thousand, at most 0.14
    a batch of 16, those above 0.08         at most 0.16; later, with little left to learn, 0.24
    honest, ten to fifty mines              0.46 to 0.79 local steps, 0.52 to 0.90 gradients
    honest, one class of the ten            0.08 to 0.30 local steps, 0.17 to 0.39 gradients

On MNIST, 1,024 x 10 weights, ten honest mines have 0.29 in common at the start and 0.17 when 0.29
is left to learn: there the second threshold costs them their second batch (ADR 8).

Alone an update must reach what most guesses do not; a mine with one class of ten may do no more.
Together a batch must reach what guesses do not reach even when the best are chosen among them: in
company a weak update is used, alone it is not. What chance reaches does not shrink with what is
left to learn, so the second threshold does not either. The first may: near the optimum honest
updates point apart, and their company vouches for them.

In a few dozen dimensions chance reaches any of this, and no threshold tells it from honest updates
(docs/security.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openmined.capsule._evaluation import Array, ValidationSet
from openmined.capsule._tangent import Tangent

ALONE = 0.08
"""Cosine that an update must reach by itself, times the part of the targets' variance left."""

TOGETHER = 0.2
"""Cosine that the updates of a batch which reach the former must have in common."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Descent:
    """Where descent is steepest on the validation set, and how much is left to descend."""

    towards: Array
    """J'R without its shifts, at length one, shaped like the weights."""
    shifts: Array
    """Orthonormal directions that shift an output for all rows alike, (outputs, weights)."""
    left: float
    """Part of the targets' variance that is not explained yet, at most 1."""

    @classmethod
    def at(cls, validation: ValidationSet, weights: Array) -> Descent:
        """Return where descent is steepest at these weights."""
        tangent = Tangent(validation, weights)
        outputs = validation.outputs(weights)
        whole = validation.unexplained(np.zeros_like(outputs))
        left = validation.unexplained(outputs) / whole if whole > 0.0 else 1.0
        shifts = _find_shifts(tangent)
        towards = _unit(_without(tangent.backward(tangent.left), shifts))
        return cls(towards, shifts, min(1.0, left))

    def cosine(self, move: Array) -> float:
        """Return the cosine of a move to the descent, shifts apart; 0 for nothing but a shift."""
        rest = _without(move, self.shifts)
        size = float(np.linalg.norm(rest))
        if size <= _ROUNDING * float(np.linalg.norm(move)):
            return 0.0
        return float((rest * self.towards).sum()) / size

    def leads(self, move: Array) -> bool:
        """Whether one update points towards what is left to learn."""
        return self.cosine(move) >= ALONE * self.left

    def drop_chance(self, moves: Sequence[Array]) -> list[int]:
        """Return the indices of the moves of a batch of local steps that chance does not explain.

        Each has a vote of the same length, so that nobody's size decides for others.
        """
        found = [i for i, move in enumerate(moves) if self.leads(move)]
        if not found:
            return []
        together = np.sum([_unit(moves[i]) for i in found], axis=0)
        return found if self.cosine(together) >= TOGETHER else []

    def leads_on_average(self, pull: Array) -> bool:
        """Whether chance does not explain a batch's mean gradient.

        Near their common optimum honest gradients cancel, and what is left of them points nowhere
        in particular, while the optimizer needs to go on: so here less is asked for later, and
        a single step along a guess is worth little then (local steps go as far as it pays).
        """
        return self.cosine(pull) >= TOGETHER * float(np.sqrt(self.left))


def _find_shifts(tangent: Tangent) -> Array:
    """Return an orthonormal basis of J'1 for each output; nothing where the mean counts too."""
    if tangent.validation.metric == "r2":
        return np.zeros((0, tangent.weights.size))
    rows, outputs = tangent.left.shape
    alike = [tangent.backward(np.tile(one, (rows, 1))).ravel() for one in np.eye(outputs)]
    return np.asarray(np.linalg.qr(np.array(alike).T)[0].T)


def _without(move: Array, shifts: Array) -> Array:
    flat = move.ravel()
    return np.asarray(flat - (shifts @ flat) @ shifts).reshape(move.shape)


def _unit(move: Array) -> Array:
    length = float(np.linalg.norm(move))
    return move / length if length > 0.0 else move
