"""Combining a batch: which updates, how much of each, and how far to go.

With base outputs L = X W and moves M_i = X D_i, a blend is L + sum c_i M_i. Two blends are tried
for a set of members, and the one with the better metric is kept (the smaller loss decides ties):

- by samples: c_i = t n_i / sum n_j, with a line search over t. A sum of updates that live in
  different subspaces wants t > 1 (Cimmino's method), so t goes up to the number of members;
- by fit: non-negative least squares of Y - L on the moves. It needs no claim of sample counts
  and gives noise, poison and negatives a coefficient of zero by itself.

t = 0 is always allowed: a blend is never worse than what stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from openmined.capsule._evaluation import ValidationSet
from openmined.capsule._shares import nonnegative_fit

Array = NDArray[np.float64]

STEPS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0)
"""Tried by the line search, up to the number of members (and 2 at least)."""

_FIT_STEPS = (0.5, 0.75, 1.0, 1.25)
_SAMPLES_CAP = 10.0
"""No mine weighs more than this many times the median: sample counts are only claimed."""


@dataclass(frozen=True, slots=True)
class Blend:
    """Coefficients per update, shape (updates,), and what they reach on the validation set."""

    coefficients: Array
    score: float
    loss: float

    def better_than(self, other: Blend) -> bool:
        """Whether the metric is higher, or equal with a smaller loss."""
        return (self.score, -self.loss) > (other.score, -other.loss)


@dataclass(frozen=True)
class BatchGame:
    """A batch as a cooperative game on outputs.

    Shapes: `base` (rows, outputs), `moves` (updates, rows, outputs), `samples` (updates,).
    """

    validation: ValidationSet
    base: Array
    moves: Array
    samples: Array

    @property
    def updates(self) -> int:
        """How many updates the batch has."""
        return len(self.moves)

    @cached_property
    def standing(self) -> Blend:
        """The blend of nobody: what stands."""
        return self._measure(np.zeros(self.updates))

    @cached_property
    def _flat(self) -> Array:
        return self.moves.reshape(self.updates, -1)

    @cached_property
    def _gram(self) -> Array:
        return self._flat @ self._flat.T

    @cached_property
    def _pull(self) -> Array:
        return self._flat @ (self.validation.targets - self.base).ravel()

    @cached_property
    def _weights(self) -> Array:
        return capped_weights(self.samples)

    def best_blend(self, members: Sequence[int]) -> Blend:
        """Return the best blend found for these members (indices of updates)."""
        best = self.standing
        if not members:
            return best
        chosen = np.zeros(self.updates)
        chosen[list(members)] = self._weights[list(members)]
        chosen /= chosen.sum()
        reach = max(2.0, float(len(members)))
        best = self._search(chosen, [step for step in STEPS if step <= reach], best)
        fitted = self._fitted(list(members))
        return self._search(fitted, _FIT_STEPS, best) if fitted.any() else best

    def among(self, members: Sequence[int]) -> BatchGame:
        """Return the game of these members alone."""
        rows = list(members)
        return BatchGame(self.validation, self.base, self.moves[rows], self.samples[rows])

    def _search(self, direction: Array, steps: Sequence[float], best: Blend) -> Blend:
        """Try all steps along a direction at once; keep the best of them, or `best`.

        The loss is a parabola of the step, |R - t M|^2 = |R|^2 - 2 t <R, M> + t^2 |M|^2 with R the
        targets less the base, so that only the metric needs the outputs.
        """
        move = (direction @ self._flat).reshape(self.base.shape)
        sizes = np.array(steps)
        scores = self.validation.scores(self.base, sizes, move)
        pull, length = float(direction @ self._pull), float(np.square(move).sum())
        losses = self.standing.loss + (length * sizes - 2.0 * pull) * sizes / self.validation.rows
        chosen = max(range(len(sizes)), key=lambda i: (scores[i], -losses[i]))
        found = Blend(sizes[chosen] * direction, float(scores[chosen]), float(losses[chosen]))
        return found if found.better_than(best) else best

    def _measure(self, coefficients: Array) -> Blend:
        outputs = self.base + (coefficients @ self._flat).reshape(self.base.shape)
        return Blend(coefficients, self.validation.score(outputs), self.validation.loss(outputs))

    def _fitted(self, members: list[int]) -> Array:
        coefficients = np.zeros(self.updates)
        gram = self._gram[np.ix_(members, members)]
        coefficients[members] = nonnegative_fit(gram, self._pull[members])
        return coefficients


def capped_weights(samples: Array) -> Array:
    """Return the sample counts with each capped at ten times their median."""
    return np.minimum(samples, _SAMPLES_CAP * float(np.median(samples)))


def choose_blend(game: BatchGame, tolerance: float) -> Blend:
    """Decide whose updates are combined, and how much of each.

    Everybody's, unless a subset grown greedily from the best single update reaches a metric higher
    by more than `tolerance`.
    """
    everybody = list(range(game.updates))
    whole = game.best_blend(everybody)
    alone = [game.best_blend([one]) for one in everybody]
    order = sorted(everybody, key=lambda i: (-alone[i].score, alone[i].loss, i))
    members, best = [order[0]], alone[order[0]]
    for candidate in order[1:]:
        grown = game.best_blend(sorted([*members, candidate]))
        if grown.better_than(best):
            members, best = sorted([*members, candidate]), grown
    return best if best.score > whole.score + tolerance else whole


def find_harmful(game: BatchGame, threshold: float) -> set[int]:
    """Return the updates that only do harm.

    An update is harmful when every step along it, alone, costs more of the metric than
    `threshold`, and leaving it out of everybody's combination gains more than `threshold`.
    One mine's honest optimum may be bad for the whole; the smallest step along it hardly is.
    """
    everybody = list(range(game.updates))
    whole = _by_samples(game, everybody)
    return {
        one
        for one in everybody
        if max(_alone(game, one, step) for step in STEPS[:5]) < game.standing.score - threshold
        and _by_samples(game, [i for i in everybody if i != one]) > whole + threshold
    }


def _alone(game: BatchGame, update: int, step: float) -> float:
    return game.validation.score(game.base + step * game.moves[update])


def _by_samples(game: BatchGame, members: Sequence[int]) -> float:
    if not members:
        return np.inf
    weights = capped_weights(game.samples[list(members)])
    move = np.tensordot(weights / weights.sum(), game.moves[list(members)], 1)
    return game.validation.score(game.base + move)
