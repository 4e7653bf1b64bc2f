"""Where a campaign starts: from nothing, from a model, or from what her own rows teach.

A mine without data can send directions that it draws at random. Among hundreds of weights Capsule
tells them from honest updates; among a few dozen a random direction is often a good one, and no
test of directions can tell (docs/security.md). What helps there is not to sell what she has
herself: part of her rows gives a model to start from, the rest measures, and neither guesses nor
anybody else are paid for more than what lies beyond.

It is offered and not done unasked. It halves the rows that measure; it bounds what guesses win and
does not stop them (on 57 rows of breast cancer they took 5 % of a bounty of which 5 % was left to
win); and where mines have most of the data, what they teach is what she came for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from openmined.protocol import accuracy_to_ppm, digest
from openmined.sonar._errors import LaunchRefused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from openmined.sonar._tables import ValidationTable
    from openmined.syft import LearningSpec, LinearClassifier, LinearRegression

    Weights = NDArray[np.float64]

OWN, NOTHING = "own", "nothing"


class FewWeights(UserWarning):
    """A campaign in which a mine without data can be paid for guesses; says what to do."""


_FEWEST_ROWS = 20
_RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
_DECIMALS = 6
"""Another library sums in another order: a launch run again must give the same bytes."""


@dataclass(frozen=True)
class Start:
    """What a campaign begins with: rows that measure, weights' file, and their accuracy."""

    table: ValidationTable
    weights: bytes | None
    """None for the weights that every task starts from unless told otherwise."""
    ppm: int


def start_from(table: ValidationTable, spec: LearningSpec, weights: Any) -> Start:
    """Start from weights, or from the task's default if they are None."""
    from openmined.syft import encode_targets, evaluate, initial_weights, save_model

    chosen = _default_or(weights, initial_weights(spec))
    accuracy = evaluate(spec, chosen, _features(spec, table), encode_targets(spec, table.targets))
    return Start(table, None if weights is None else save_model(chosen), accuracy_to_ppm(accuracy))


def start_from_own_rows(table: ValidationTable, spec: LearningSpec) -> Start:
    """Fit a model on half of the rows, drawn at random, and measure on the other half only.

    The draw depends on the rows and on nothing else, so that a launch run again is the same.

    Raises:
        LaunchRefused: for networks, which have no closed solution, and for fewer than 20 rows.
    """
    from openmined.syft import MLPClassifier

    if isinstance(spec, MLPClassifier):
        raise LaunchRefused(
            'initial="own" is for linear models: fit a network yourself and give initial=weights'
        )
    if table.rows < _FEWEST_ROWS:
        raise LaunchRefused(
            f'initial="own" divides your rows, and {table.rows} are too few: bring at least '
            f'{_FEWEST_ROWS}, or say initial="nothing"'
        )
    own, rest = _halves(table, _draw_order(table))
    return start_from(rest, spec, _fit(own, spec))


def few_weights(table: ValidationTable, spec: LearningSpec) -> bool:
    """Whether her rows are more than the model's weights: then they nearly determine them.

    Her own fit is worth something there, and random directions are, too.
    """
    from openmined.syft import MLPClassifier, initial_weights

    return not isinstance(spec, MLPClassifier) and initial_weights(spec).size < table.rows


def describe_risk(table: ValidationTable, spec: LearningSpec) -> str:
    """Say what starting from nothing risks with few weights, and what her own rows would give."""
    from openmined.syft import initial_weights

    weights = initial_weights(spec).size
    text = (
        f"{weights} weights are so few that a mine without data can guess directions that raise "
        "the accuracy, and be paid much of the bounty for it."
    )
    if table.rows >= _FEWEST_ROWS:
        reached = start_from_own_rows(table, spec).ppm / 1e4
        text += (
            f' Half of your rows alone reach {reached:.1f} % on the other half: with initial="own" '
            "the campaign starts there, and you pay only for what goes beyond."
        )
    return text + ' initial="nothing" says that you know and want to start from nothing.'


def _default_or(weights: Any, default: Weights) -> Weights:
    import numpy as np

    if weights is None:
        return default
    found = np.asarray(getattr(weights, "weights_", weights), dtype=np.float64)
    if found.shape != default.shape:
        raise LaunchRefused(
            f"initial weights of shape {found.shape} do not fit this task, which has "
            f"{default.shape}: use the same features and outputs"
        )
    return found


def _features(spec: LearningSpec, table: ValidationTable) -> Weights:
    assert spec.features is not None
    return spec.features.transform(table.columns)


def _halves(
    table: ValidationTable, order: Sequence[int] | NDArray[np.intp] | None = None
) -> tuple[ValidationTable, ValidationTable]:
    rows = range(table.rows) if order is None else order
    middle = table.rows // 2
    return _take(table, rows[:middle]), _take(table, rows[middle:])


def _draw_order(table: ValidationTable) -> NDArray[np.intp]:
    import numpy as np

    seed = int.from_bytes(digest(b"openmined/own-rows@1" + table.to_csv())[:8])
    return np.random.Generator(np.random.PCG64(seed)).permutation(table.rows)


def _take(table: ValidationTable, rows: Sequence[int] | NDArray[np.intp]) -> ValidationTable:
    found = {name: column[list(rows)] for name, column in table.columns.items()}
    return replace(table, columns=found)


def _fit(table: ValidationTable, spec: LinearClassifier | LinearRegression) -> Weights:
    """Ridge, as strong as does best on the second half of these rows when fitted on the first."""
    import numpy as np

    from openmined.syft import encode_targets, evaluate

    first, second = _halves(table)
    targets = encode_targets(spec, second.targets)

    def solve(rows: ValidationTable, ridge: float) -> Weights:
        fitted = replace(spec, l2=ridge).fit(rows.columns, rows.targets)
        return np.asarray(fitted.weights_)

    def reached(ridge: float) -> float:
        return evaluate(spec, solve(first, ridge), _features(spec, second), targets)

    best = max(_RIDGES, key=reached)
    return np.round(solve(table, best), _DECIMALS)
