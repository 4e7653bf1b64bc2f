"""Plain gradients: one step of an optimizer on their weighted mean, and who is paid for it.

Linear models take Anderson-accelerated steps (memory 8), with a line search over the rate by the
loss on the validation set; networks take Adam steps. Optimizers are Syft's. A new version is
published after every batch, since the optimizer needs gradients at new points; the best weights are
kept aside and are what is delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from openmined.capsule._chance import Descent
from openmined.capsule._combination import capped_weights
from openmined.capsule._evaluation import Array, ValidationSet
from openmined.capsule._scoring import (
    STATING_HARM,
    AttributionKind,
    Memory,
    Rules,
    ScoredBatch,
    Standing,
    Update,
    Verdict,
    divide,
    harm_threshold,
    nothing_gained,
    screen_updates,
)
from openmined.capsule._tangent import Tangent
from openmined.protocol import Reason
from openmined.syft import (
    Adam,
    AdamState,
    Anderson,
    AndersonState,
    Executor,
    LearningSpec,
    MLPClassifier,
)

_RATES = (0.25, 0.5, 1.0, 1.5, 1.9)
_HARM_RATES = (0.1, 0.25, 0.5, 1.0)
_DILUTION = 1.1
_MIN_ALIGNMENT = 0.4
_MEMORY = 8


@dataclass(frozen=True)
class Step:
    """Where a step led, and the memory after it."""

    weights: Array
    memory: Memory


class Optimizer(Protocol):
    """What moves a campaign from gradient to gradient. `pull` is the mean negative gradient."""

    def step(self, standing: Standing, pull: Array, *, fresh: bool) -> Step:
        """Take the best step; `fresh` says that all gradients were taken at `standing`."""
        ...

    def repeat(self, standing: Standing, pull: Array, rate: float) -> Array:
        """Return where a step with this pull leads, `rate` times as far as usual.

        It is for comparing members of a batch, and taken for each of many coalitions.
        """
        ...


@dataclass(frozen=True)
class LinearDescent:
    """Anderson acceleration, its rate searched on the validation set from 1 / lambda_max."""

    validation: ValidationSet
    curvature: float

    def step(self, standing: Standing, pull: Array, *, fresh: bool) -> Step:
        """Take the step whose loss on the validation set is least."""
        remembered = standing.memory
        known = remembered if isinstance(remembered, AndersonState) else AndersonState()
        # A memory may have gone stale (other mines than before): the validation loss decides.
        memories = (known, AndersonState()) if fresh and known.weights else (AndersonState(),)
        candidates = [
            weights
            for memory in memories
            for weights in self._along(standing.weights, pull, memory)
        ]
        best = min(candidates, key=self._loss)
        if not fresh:
            return Step(best, known)
        _, grown = self._optimizer(1.0).step(standing.weights, -pull, known)
        return Step(best, grown)

    def repeat(self, standing: Standing, pull: Array, rate: float) -> Array:
        """Take a plain step: what is common to all of a batch's steps, the memory, is left out."""
        return standing.weights + rate / self.curvature * pull

    def _loss(self, weights: Array) -> float:
        # A memory of gradients that agree in nothing extrapolates to anywhere, beyond floats too.
        with np.errstate(over="ignore", invalid="ignore"):
            loss = self.validation.loss(self.validation.outputs(weights))
        return loss if np.isfinite(loss) else np.inf

    def _along(self, weights: Array, pull: Array, memory: AndersonState) -> list[Array]:
        # W' is affine in the rate, so that two steps tell where all others lead.
        first = self._optimizer(1.0).step(weights, -pull, memory)[0]
        second = self._optimizer(2.0).step(weights, -pull, memory)[0]
        return [first + (rate - 1.0) * (second - first) for rate in _RATES]

    def _optimizer(self, rate: float) -> Anderson:
        return Anderson(rate=rate / self.curvature, memory=_MEMORY)


@dataclass(frozen=True)
class NetworkDescent:
    """Adam at the campaign's rate."""

    learning_rate: float

    def step(self, standing: Standing, pull: Array, *, fresh: bool) -> Step:
        """Take one step; Adam takes stale gradients as it takes noisy ones."""
        del fresh
        known = self._known(standing)
        return Step(*Adam(rate=self.learning_rate).step(standing.weights, -pull, known))

    def repeat(self, standing: Standing, pull: Array, rate: float) -> Array:
        """Take the same step with another pull."""
        optimizer = Adam(rate=rate * self.learning_rate)
        return optimizer.step(standing.weights, -pull, self._known(standing))[0]

    def _known(self, standing: Standing) -> AdamState:
        if isinstance(standing.memory, AdamState):
            return standing.memory
        return Adam(rate=self.learning_rate).start(standing.weights)


def choose_optimizer(spec: LearningSpec, validation: ValidationSet) -> Optimizer:
    """Return the optimizer of a campaign."""
    if isinstance(spec, MLPClassifier):
        return NetworkDescent(spec.learning_rate)
    return LinearDescent(validation, largest_curvature(validation, spec.l2))


def score_gradients(
    validation: ValidationSet,
    standing: Standing,
    updates: Sequence[Update],
    rules: Rules,
    optimizer: Optimizer,
    *,
    sketch_key: bytes,
    executor: Executor | None = None,
) -> ScoredBatch:
    """Score plain gradients: a step on the mean of those that neither harm nor dilute it."""
    usable, verdicts, prints = screen_updates(validation, standing, updates, sketch_key)
    batch = Batch(validation, standing, optimizer, usable)
    harmful = batch.find_harmful(harm_threshold(validation, rules)) if usable else set()
    verdicts |= {
        usable[i].gradient: Verdict(0, Reason.HARMFUL, STATING_HARM) for i in sorted(harmful)
    }
    members = [i for i in range(len(usable)) if i not in harmful]
    if not members:
        nothing = nothing_gained(validation, standing, rules, verdicts, prints)
        return replace(nothing, memory=standing.memory)
    members = batch.drop_chance(members)
    if not members:
        nothing = nothing_gained(validation, standing, rules, verdicts, prints)
        return replace(nothing, memory=standing.memory)
    step = batch.step(members)
    accuracy = validation.score(validation.outputs(step.weights))
    accuracy_ppm = rules.round(accuracy)
    attribution: AttributionKind = "none"
    if rules.counts(accuracy_ppm):
        attribution, shares = "shapley", batch.divide(members, executor)
        verdicts |= {
            usable[i].gradient: Verdict(share) for i, share in zip(members, shares, strict=True)
        }
    return ScoredBatch(
        verdicts, step.weights, accuracy, accuracy_ppm, attribution, prints, step.memory
    )


@dataclass(frozen=True)
class Batch:
    """The usable gradients of a batch, and steps with some of them."""

    validation: ValidationSet
    standing: Standing
    optimizer: Optimizer
    updates: Sequence[Update]

    def step(self, members: Sequence[int]) -> Step:
        """Take the step of these members."""
        # Gradients taken elsewhere than at the standing weights say nothing to a memory.
        version = self.standing.version
        fresh = all(self.updates[i].version == version for i in members)
        return self.optimizer.step(self.standing, self.pull(members), fresh=fresh)

    def find_harmful(self, threshold: float) -> set[int]:
        """Return the gradients that only do harm.

        Every step along such a gradient alone costs more of the metric than `threshold`, and
        without it the step of all others reaches more than that above theirs with it.
        """
        everybody = list(range(len(self.updates)))
        before, _ = self._measure(self.standing.weights)
        whole = self._repeat(everybody)[0]
        return {
            one
            for one in everybody
            if max(self._repeat([one], rate)[0] for rate in _HARM_RATES) < before - threshold
            and self._without(everybody, one) > whole + threshold
        }

    def _without(self, members: Sequence[int], one: int) -> float:
        others = [i for i in members if i != one]
        return self._repeat(others)[0] if others else np.inf

    def drop_chance(self, members: Sequence[int]) -> list[int]:
        """Return the members whose mean chance does not explain: all, some of them, or nobody.

        Honest gradients of label-sorted mines may point nowhere one by one and help together. So
        those who point nowhere alone are left out only if that helps, or if the mean of all does
        not lead anywhere either.
        """
        descent = Descent.at(self.validation, self.standing.weights)
        near = [i for i in members if descent.leads(self.updates[i].direction)]
        found = list(members)
        if near and self._loss_drop(near) > _DILUTION * self._loss_drop(members):
            found = near
        for some in (found, near):
            left = self.drop_diluters(some) if some else []
            if left and descent.leads_on_average(self.pull(left)):
                return left
        return []

    def drop_diluters(self, members: Sequence[int]) -> list[int]:
        """Return the members without those who only dilute the step.

        One after the other, whoever's absence makes the step lower the loss by 10 % more is left
        out. Noise, nothing at all and poisoned labels weaken the mean; an honest gradient of
        another kind of data does not, since its absence leaves those rows unlearned. Near the
        optimum of all, honest gradients cancel, and leaving one out would move away from it: then
        nobody is left out.
        """
        left = list(members)
        if len(left) < 2 or self._alignment(left) < _MIN_ALIGNMENT:
            return left
        while len(left) > 1:
            now = self._loss_drop(left)
            without = {i: self._loss_drop([x for x in left if x != i]) for i in left}
            worst = max(left, key=lambda i: without[i])
            if without[worst] <= 0.0 or without[worst] < _DILUTION * now:
                break
            left.remove(worst)
        return left

    def divide(self, members: Sequence[int], executor: Executor | None) -> tuple[int, ...]:
        """Split the gain of a step by what each gradient explains, followed to where it leads.

        What the optimizer's memory adds is owed to earlier batches, and is left out.
        """
        tangent = Tangent(self.validation, self.standing.weights)
        directions = [self.updates[i].direction for i in members]
        moves = tangent.moves(directions, followed=True, executor=executor)
        return divide(tangent, moves, self._weights(members))

    def _loss_drop(self, members: Sequence[int]) -> float:
        return self._measure(self.standing.weights)[1] - self._repeat(members)[1]

    def _alignment(self, members: Sequence[int]) -> float:
        """Return |mean of the pulls| / mean of |pulls|: 1 when all agree, 0 when they cancel."""
        weights = self._weights(members)
        lengths = np.array([float(np.linalg.norm(self.updates[i].direction)) for i in members])
        whole = float(weights @ lengths) / float(weights.sum())
        return float(np.linalg.norm(self.pull(members))) / whole if whole > 0.0 else 0.0

    def _repeat(self, members: Sequence[int], rate: float = 1.0) -> tuple[float, float]:
        pull = self.pull(members)
        return self._measure(self.optimizer.repeat(self.standing, pull, rate))

    def _measure(self, weights: Array) -> tuple[float, float]:
        outputs = self.validation.outputs(weights)
        return self.validation.score(outputs), self.validation.loss(outputs)

    def _weights(self, members: Sequence[int]) -> Array:
        return capped_weights(np.array([float(self.updates[i].samples) for i in members]))

    def pull(self, members: Sequence[int]) -> Array:
        """Return the weighted mean of these members' negative gradients."""
        weights = self._weights(members)
        directions = np.array([self.updates[i].direction for i in members])
        return np.asarray(np.tensordot(weights / weights.sum(), directions, 1))


def largest_curvature(validation: ValidationSet, l2: float) -> float:
    """Return the largest eigenvalue of X'X / n + l2, by the power method on X.

    It stands for that of the mines' data, which Capsule does not know.
    """
    vector = np.ones(validation.features.shape[1])
    value = 0.0
    for _ in range(50):
        image = validation.features.T @ (validation.features @ vector) / validation.rows
        value = float(np.linalg.norm(image))
        if value <= 0.0:
            break
        vector = image / value
    return value + l2
