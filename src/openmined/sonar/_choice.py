"""Chooses what to learn when a data scientist leaves it open, and reads what she names.

Candidates follow from the schema; the one that does best in cross-validation on her own validation
rows, in the clear, is taken. So the choice costs no mine anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openmined.protocol import (
    Algorithm,
    ColumnsStep,
    FeatureStep,
    HashedTextStep,
    LinearClassifierAlgorithm,
    LinearRegressionAlgorithm,
    LocalSteps,
    MLPClassifierAlgorithm,
    PlainGradient,
    RandomFourierStep,
    RandomReLUStep,
    TableSchema,
    UpdateKind,
)
from openmined.sonar._errors import LaunchRefused
from openmined.sonar._tables import Task, ValidationTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from openmined.syft import LearningSpec

TEXT_FEATURES = 1023
"""Width of hashed text. With the bias a power of two: no slot of a ciphertext is wasted.

Letters in twos to fours: on 4,700 tweets of four moods 59.9 % right, where words and pairs of words
have 46.3 % at the same width.
"""

RANDOM_FEATURES = 511
_FOLDS = 3
_MOST_ROWS = 1200
_CLASSIFIER_L2, _REGRESSION_L2 = 1e-4, 1e-3
_BETTER_BY = 0.02
"""What a wider map has to gain before it is taken: it costs every mine time."""

_REGRESSORS = frozenset({"LinearRegression", "Ridge", "RidgeCV", "SGDRegressor"})
_CLASSIFIERS = frozenset(
    {"LogisticRegression", "RidgeClassifier", "SGDClassifier", "Perceptron", "LinearSVC"}
)
_NETWORKS = frozenset({"MLPClassifier"})
_SPECS = frozenset({"LinearClassifier", "RandomFeatureClassifier", "RandomFeatureRegressor"})


@dataclass(frozen=True)
class LearningTask:
    """What is to be learned, as the manifest says it."""

    features: tuple[FeatureStep, ...]
    algorithm: Algorithm
    update: UpdateKind


def choose_task(
    table: ValidationTable,
    estimator: Any = None,
    features: Sequence[FeatureStep] | None = None,
    update: UpdateKind | None = None,
    seed: str = "00",
) -> LearningTask:
    """Settle features, algorithm and update kind.

    Args:
        table: the validation rows.
        estimator: a spec of `openmined.syft`, an algorithm of `openmined.protocol`, an estimator of
            scikit-learn (only its kind and settings are read), or None to choose.
        features: the feature steps; None for an estimator's own, or its columns as they are, or,
            without an estimator, to choose.
        update: what mines send; None for 100 local steps, plain gradients for networks.
        seed: of random features, public.

    Raises:
        LaunchRefused: if the estimator is unknown or does not fit the task.
    """
    spec_features = getattr(getattr(estimator, "features", None), "steps", None)
    algorithm = read_estimator(estimator, table.task) if estimator is not None else None
    features = features or spec_features
    if features is None:
        # Who names an estimator gets that one, on her columns; who names none, what does best.
        features = _source_steps(table) if algorithm else _choose_features(table, seed)
    algorithm = algorithm or _default_algorithm(table.task)
    update = update or getattr(estimator, "update", None)
    if update is None:
        plain = isinstance(algorithm, MLPClassifierAlgorithm)
        update = PlainGradient() if plain else LocalSteps(steps=100)
    return LearningTask(tuple(features), algorithm, update)


def read_estimator(estimator: Any, task: Task) -> Algorithm:
    """Read an algorithm from whatever a data scientist calls an estimator.

    Raises:
        LaunchRefused: if it is unknown, or does not fit the task.
    """
    algorithm = _read_algorithm(estimator)
    classifier = not isinstance(algorithm, LinearRegressionAlgorithm)
    if classifier != (task == "classification"):
        raise LaunchRefused(
            f"{algorithm.kind} does not fit a {task}: the output column decides, give the other"
        )
    return algorithm


def _read_algorithm(estimator: Any) -> Algorithm:
    if isinstance(
        estimator, LinearRegressionAlgorithm | LinearClassifierAlgorithm | MLPClassifierAlgorithm
    ):
        return estimator
    steps = getattr(estimator, "steps", None)
    if steps and isinstance(steps, list):  # a scikit-learn Pipeline
        return _read_algorithm(steps[-1][1])
    name = type(estimator).__name__
    l2 = getattr(
        estimator, "l2", None
    )  # a spec of ours; scikit-learn's `alpha` is of another scale
    if name in _NETWORKS:
        return _read_network(estimator)
    if name in _REGRESSORS or name == "RandomFeatureRegressor":
        return LinearRegressionAlgorithm(l2=l2 or _REGRESSION_L2)
    if name in _CLASSIFIERS or name in _SPECS:
        return LinearClassifierAlgorithm(l2=l2 or _CLASSIFIER_L2)
    known = ", ".join(sorted(_REGRESSORS | _CLASSIFIERS | _NETWORKS | _SPECS))
    raise LaunchRefused(f"{name} cannot be trained on encrypted weights; these can: {known}")


def _read_network(estimator: Any) -> MLPClassifierAlgorithm:
    sizes = getattr(estimator, "hidden_layer_sizes", None)
    if sizes is None:  # a spec of ours
        return MLPClassifierAlgorithm(
            hidden=estimator.hidden,
            learning_rate=estimator.learning_rate,
            batch=estimator.batch,
            seed=estimator.seed,
        )
    layers = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    if len(layers) != 1:
        raise LaunchRefused(f"networks of one hidden layer can be trained, not {len(layers)}")
    return MLPClassifierAlgorithm(hidden=int(layers[0]))


def _default_algorithm(task: Task) -> Algorithm:
    if task == "classification":
        return LinearClassifierAlgorithm(l2=_CLASSIFIER_L2)
    return LinearRegressionAlgorithm(l2=_REGRESSION_L2)


def _choose_features(table: ValidationTable, seed: str) -> tuple[FeatureStep, ...]:
    sources = _source_steps(table)
    wider = list(_wider(table.input, sources, seed))
    if not wider:
        return sources
    scores = [_cross_validate(table, candidate) for candidate in wider]
    best = max(range(len(wider)), key=scores.__getitem__)
    plain = _cross_validate(table, sources)
    return wider[best] if scores[best] > plain + _BETTER_BY else sources


def _source_steps(table: ValidationTable) -> tuple[FeatureStep, ...]:
    steps: list[FeatureStep] = []
    numeric = [field for field in table.input.fields if field.type in _NUMERIC]
    if numeric:
        steps.append(_standardise(table, [field.name for field in numeric]))
    steps += [
        HashedTextStep(
            column=field.name, features=TEXT_FEATURES, analyzer="char_wb", ngram_min=2, ngram_max=4
        )
        for field in table.input.fields
        if field.type == "string"
    ]
    if not steps:
        kinds = ", ".join(sorted({field.type for field in table.input.fields}))
        raise LaunchRefused(f"no input column is numeric or text (found: {kinds}): give features")
    return tuple(steps)


_NUMERIC = ("number", "integer", "boolean", "array")


def _standardise(table: ValidationTable, names: list[str]) -> ColumnsStep:
    # Centre and scale become public. They are of her rows, not of any mine's. Three digits do, and
    # say less of single rows. An array (an image) is scaled as a whole: its parts are comparable.
    import numpy as np

    centres: list[float] = []
    scales: list[float] = []
    for name in names:
        column = np.asarray(table.columns[name], dtype=np.float64)
        size = column.shape[1] if column.ndim == 2 else 1
        spread = float(column.std()) or 1.0
        centres += [float(f"{column.mean():.3g}")] * size
        scales += [float(f"{spread:.3g}")] * size
    return ColumnsStep(columns=tuple(names), centre=tuple(centres), scale=tuple(scales))


def _wider(
    schema: TableSchema, sources: tuple[FeatureStep, ...], seed: str
) -> Iterator[tuple[FeatureStep, ...]]:
    """Yield wider maps: a Gaussian kernel of three widths, and a hidden layer of ReLUs."""
    if any(isinstance(step, HashedTextStep) for step in sources):
        return
    width = sum(field.array_length for field in schema.fields if field.type in _NUMERIC)
    for factor in (0.1, 0.3, 1.0):
        gamma = float(f"{factor / width:.3g}")
        yield (*sources, RandomFourierStep(features=RANDOM_FEATURES, gamma=gamma, seed=seed))
    yield (*sources, RandomReLUStep(features=RANDOM_FEATURES, seed=seed))


def _cross_validate(table: ValidationTable, steps: tuple[FeatureStep, ...]) -> float:
    """Return the mean score over folds of at most 1,200 rows."""
    import numpy as np

    from openmined.syft import build_features, encode_targets, evaluate

    rows = min(table.rows, _MOST_ROWS)
    features = build_features(steps, table.input)
    order = np.random.default_rng(0).permutation(table.rows)[:rows]
    columns = {name: np.asarray(column)[order] for name, column in table.columns.items()}
    spec = make_spec(table, steps, _default_algorithm(table.task), PlainGradient())
    Z = features.transform(columns)
    targets = [columns[name] for name in table.output.names]
    Y = encode_targets(spec, targets[0] if len(targets) == 1 else targets)
    scores = []
    for held in np.array_split(np.arange(rows), _FOLDS):
        kept = np.setdiff1d(np.arange(rows), held)
        if len(held) < 2:
            continue
        scores.append(evaluate(spec, _solve(Z[kept], Y[kept], spec.l2), Z[held], Y[held]))
    return float(np.mean(scores)) if scores else float("-inf")


def _solve(Z: Any, Y: Any, l2: float) -> Any:
    import numpy as np

    gram = Z.T @ Z / len(Z) + l2 * np.eye(Z.shape[1])
    return np.linalg.solve(gram, Z.T @ Y / len(Z))


def make_spec(
    table: ValidationTable,
    steps: tuple[FeatureStep, ...],
    algorithm: Algorithm,
    update: UpdateKind,
) -> LearningSpec:
    """Build the learning spec as every mine and Capsule will build it: from the manifest."""
    from openmined.sonar._manifest import draft_manifest
    from openmined.syft import spec_from_manifest

    task = LearningTask(steps, algorithm, update)
    return spec_from_manifest(draft_manifest(table, task))
