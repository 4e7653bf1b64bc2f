"""What is learned: frozen specs, made by hand or from a campaign manifest.

    minimise |Z W - Y|^2 / 2n + l2 |W|^2 / 2        (Z: rows x inputs, W: inputs x outputs)

The bias is the last row of W and is regularised like the others. Classifiers are one-hot least
squares: column c of Y is 1 for class c and 0 otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from openmined.protocol import (
    CampaignManifest,
    LinearClassifierAlgorithm,
    LinearRegressionAlgorithm,
    MLPClassifierAlgorithm,
    PlainGradient,
    TableSchema,
    UpdateKind,
)
from openmined.syft._columns import real_array, require_finite
from openmined.syft._errors import DataError, SpecError
from openmined.syft._features import FeatureMap, build_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openmined.syft._estimators import LinearEstimator
    from openmined.syft._mlp import MLPEstimator

Floats = NDArray[np.float64]

MAX_OUTPUTS = 4096
_RANDOM_STEPS = ("random-fourier", "random-relu", "image-patches")


@dataclass(frozen=True, kw_only=True)
class LinearRegression:
    """Ridge regression of one or more targets.

    Attributes:
        inputs: p, columns of Z with the bias.
        outputs: k, targets.
        l2: strength of the regularisation, positive.
        radius: public bound on the length of a row of Z; when not given, that of `features`, or
            2 sqrt(inputs).
        update: what mines send.
        target_centre: subtracted from each target before learning; from the output schema's
            minimum and maximum when it has both, so that targets lie in [-1, 1].
        target_scale: divides each target after that.
        features: the map from rows to Z, where there is one.
    """

    inputs: int
    outputs: int = 1
    l2: float = 1e-3
    radius: float = 0.0
    update: UpdateKind = field(default_factory=PlainGradient)
    target_centre: tuple[float, ...] = ()
    target_scale: tuple[float, ...] = ()
    features: FeatureMap | None = None
    metric: Literal["r2"] = "r2"

    def __post_init__(self) -> None:
        _check(self)
        for name, fill in (("target_centre", 0.0), ("target_scale", 1.0)):
            values = tuple(getattr(self, name)) or (fill,) * self.outputs
            if len(values) != self.outputs or not np.isfinite(values).all():
                raise SpecError(f"{name} {values} must be {self.outputs} finite numbers")
            object.__setattr__(self, name, values)
        if min(self.target_scale) <= 0:
            raise SpecError(f"target_scale {self.target_scale} must be positive")

    def fit(self, X: Any, y: Any) -> LinearEstimator:
        """Fit in the clear, for reference; see `fit_clear`."""
        from openmined.syft._estimators import fit_clear

        return fit_clear(self, X, y)


@dataclass(frozen=True, kw_only=True)
class LinearClassifier:
    """One-hot least squares; the class of the largest output.

    Attributes:
        classes: the labels in the order of the output columns.
        (others as in `LinearRegression`)
    """

    inputs: int
    classes: tuple[str, ...]
    l2: float = 1e-3
    radius: float = 0.0
    update: UpdateKind = field(default_factory=PlainGradient)
    features: FeatureMap | None = None
    metric: Literal["accuracy"] = "accuracy"

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(str(label) for label in self.classes))
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise SpecError(f"classes {self.classes[:8]} must be two or more different labels")
        _check(self)

    @property
    def outputs(self) -> int:
        """k, one per class."""
        return len(self.classes)

    def fit(self, X: Any, y: Any) -> LinearEstimator:
        """Fit in the clear, for reference; see `fit_clear`."""
        from openmined.syft._estimators import fit_clear

        return fit_clear(self, X, y)


@dataclass(frozen=True, kw_only=True)
class RandomFeatureRegressor(LinearRegression):
    """Ridge regression on random features: a two-layer network whose hidden layer is public.

    Attributes:
        features: a map with a random step; wanted.
        inputs: taken from it when not given.
        (others as in `LinearRegression`)
    """

    inputs: int = 0

    def __post_init__(self) -> None:
        _check_random(self)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class RandomFeatureClassifier(LinearClassifier):
    """One-hot least squares on random features: a two-layer network whose hidden layer is public.

    Attributes:
        features: a map with a random step; wanted.
        inputs: taken from it when not given.
        (others as in `LinearClassifier`)
    """

    inputs: int = 0

    def __post_init__(self) -> None:
        _check_random(self)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class MLPClassifier:
    """One hidden layer with activation z^2, trained by backpropagation on ciphertexts.

    A gradient consumes six levels; the mine's rows are drawn, `batch` at a time.

    Attributes:
        inputs: d, columns of Z with the bias.
        hidden: units of the hidden layer.
        classes: the labels in the order of the output columns.
        learning_rate: the key holder's step.
        batch: samples per gradient.
        seed: public seed of the initial weights.
        radius: public bound on the length of a row of Z; when not given, that of `features`, or
            2 sqrt(inputs).
        update: plain gradients, the only kind.
        features: the map from rows to Z, where there is one.
    """

    inputs: int
    hidden: int
    classes: tuple[str, ...]
    learning_rate: float = 0.02
    batch: int = 128
    seed: str = "00"
    radius: float = 0.0
    update: PlainGradient = field(default_factory=PlainGradient)
    features: FeatureMap | None = None
    metric: Literal["accuracy"] = "accuracy"

    @property
    def l2(self) -> float:
        """No regularisation: training stops at the campaign's target."""
        return 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(str(label) for label in self.classes))
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise SpecError(f"classes {self.classes[:8]} must be two or more different labels")
        if not 1 <= self.hidden <= 256:
            raise SpecError(f"{self.hidden} hidden units are outside 1 to 256")
        _check_sizes(self)

    @property
    def outputs(self) -> int:
        """k, one per class."""
        return len(self.classes)

    def fit(self, X: Any, y: Any, epochs: int = 60) -> MLPEstimator:
        """Fit in the clear, for reference; see `fit_mlp_clear`."""
        from openmined.syft._mlp import fit_mlp_clear

        return fit_mlp_clear(self, X, y, epochs)


LinearSpec = LinearRegression | LinearClassifier
LearningSpec = LinearRegression | LinearClassifier | MLPClassifier


def _check(spec: LinearRegression | LinearClassifier) -> None:
    if not (np.isfinite(spec.l2) and spec.l2 > 0):
        raise SpecError(f"l2 = {spec.l2} must be positive: a small value such as 1e-6 will do")
    _check_sizes(spec)


def _check_sizes(spec: LearningSpec) -> None:
    if not 1 <= spec.inputs <= 8192 or not 1 <= spec.outputs <= MAX_OUTPUTS:
        raise SpecError(f"{spec.inputs} inputs x {spec.outputs} outputs are out of range")
    if spec.features is not None and spec.features.outputs != spec.inputs:
        raise SpecError(f"the feature map gives {spec.features.outputs} columns, not {spec.inputs}")
    radius = spec.radius
    if radius == 0.0:
        radius = spec.features.radius if spec.features else 2.0 * float(np.sqrt(spec.inputs))
        object.__setattr__(spec, "radius", radius)
    if not (np.isfinite(radius) and radius > 0):
        raise SpecError(f"radius {radius} must be positive")


def _check_random(spec: RandomFeatureRegressor | RandomFeatureClassifier) -> None:
    kinds = [step.kind for step in spec.features.steps] if spec.features else []
    if not set(kinds) & set(_RANDOM_STEPS):
        raise SpecError(f"a random-feature model needs a step of {_RANDOM_STEPS}, found {kinds}")
    if spec.inputs == 0 and spec.features is not None:
        object.__setattr__(spec, "inputs", spec.features.outputs)


def spec_from_manifest(manifest: CampaignManifest) -> LearningSpec:
    """Read what a campaign wants learned.

    Raises:
        SpecError: if its features, algorithm and schemas do not fit together.
    """
    features = build_features(manifest.features, manifest.input)
    algorithm = manifest.algorithm
    random = any(step.kind in _RANDOM_STEPS for step in manifest.features)
    shared: dict[str, Any] = {"inputs": features.outputs, "features": features}
    if isinstance(algorithm, LinearRegressionAlgorithm):
        centre, scale = _target_range(manifest.output)
        regression = RandomFeatureRegressor if random else LinearRegression
        return regression(
            **shared,
            outputs=len(centre),
            l2=algorithm.l2,
            update=manifest.update,
            target_centre=centre,
            target_scale=scale,
        )
    classes = manifest.output.fields[0].classes
    if isinstance(algorithm, LinearClassifierAlgorithm):
        classifier = RandomFeatureClassifier if random else LinearClassifier
        return classifier(**shared, classes=classes, l2=algorithm.l2, update=manifest.update)
    assert isinstance(algorithm, MLPClassifierAlgorithm)
    if not isinstance(manifest.update, PlainGradient):
        raise SpecError("an mlp-classifier learns by plain gradients: set update to `gradient`")
    return MLPClassifier(
        **shared,
        hidden=algorithm.hidden,
        classes=classes,
        learning_rate=algorithm.learning_rate,
        batch=algorithm.batch,
        seed=algorithm.seed,
    )


def _target_range(output: TableSchema) -> tuple[tuple[float, ...], tuple[float, ...]]:
    centres: list[float] = []
    scales: list[float] = []
    for target in output.fields:
        if target.type not in ("number", "integer", "boolean", "array"):
            raise SpecError(f"output field {target.name!r} is {target.type}, not numeric")
        limits = target.constraints
        low = limits.minimum if limits else None
        high = limits.maximum if limits else None
        known = low is not None and high is not None and high > low
        centre = (low + high) / 2 if known and low is not None and high is not None else 0.0
        scale = (high - low) / 2 if known and low is not None and high is not None else 1.0
        centres += [centre] * target.array_length
        scales += [scale] * target.array_length
    return tuple(centres), tuple(scales)


def encode_targets(spec: LearningSpec, column: Any) -> Floats:
    """Encode labels one-hot, or scale targets; shape (rows, outputs).

    Args:
        spec: what is learned.
        column: labels (text, or numbers whose text is a class), or numbers, or a list of columns
            of numbers for a regression of several targets.

    Raises:
        DataError: on labels outside the classes, non-finite targets, or a wrong shape.
    """
    if isinstance(spec, LinearRegression):
        return _encode_numbers(spec, column)
    try:
        labels = _plain_list(column)
    except (TypeError, ValueError) as error:
        raise DataError(f"labels are no column of text or numbers: {error}") from error
    index = {label: position for position, label in enumerate(spec.classes)}
    encoded = np.zeros((len(labels), spec.outputs))
    for row, label in enumerate(labels):
        position = index.get(_label_text(label))
        if position is None:
            raise DataError(
                f"row {row}: label {str(label)[:80]!r} is none of the classes "
                f"{', '.join(spec.classes[:12])}: drop or rename it"
            )
        encoded[row, position] = 1.0
    return encoded


def _encode_numbers(spec: LinearRegression, column: Any) -> Floats:
    several = isinstance(column, list | tuple) and len(column) and not np.isscalar(column[0])
    try:
        parts = (
            [np.asarray(_plain_array(part), dtype=np.float64) for part in column]
            if (several and spec.outputs > 1)
            else [np.asarray(_plain_array(column), dtype=np.float64)]
        )
        values = np.column_stack(parts)
    except (TypeError, ValueError) as error:
        raise DataError(f"targets are no numbers: {error}") from error
    if values.ndim != 2 or values.shape[1] != spec.outputs:
        raise DataError(f"targets of shape {values.shape} do not fit {spec.outputs} outputs")
    require_finite(values, "the target")
    return np.asarray((values - np.asarray(spec.target_centre)) / np.asarray(spec.target_scale))


def _plain_array(column: Any) -> Any:
    if hasattr(column, "to_pylist"):
        return column.to_pylist()
    return column


def _plain_list(column: Sequence[Any] | Any) -> list[Any]:
    if hasattr(column, "to_pylist"):
        return cast("list[Any]", column.to_pylist())
    array = np.asarray(column)
    if array.ndim != 1:
        raise DataError(f"labels of shape {array.shape} must be one per row")
    return cast("list[Any]", array.tolist())


def _label_text(label: Any) -> str:
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)


def initial_weights(spec: LearningSpec) -> Floats:
    """Return the weights a campaign starts from when it gives none: zeros, (inputs, outputs).

    For a network (inputs + outputs, hidden), W1 above W2 transposed, random from the spec's seed.
    """
    if isinstance(spec, MLPClassifier):
        from openmined.syft._mlp import initial_mlp_weights

        return initial_mlp_weights(spec)
    return np.zeros((spec.inputs, spec.outputs))


def check_rows(X: Any, Y: Any, spec: LearningSpec) -> tuple[Floats, Floats]:
    """Return Z (n, inputs) and Y (n, outputs) as finite arrays.

    Raises:
        DataError: if a shape is wrong, a value is not finite, or there are no rows.
    """
    rows, targets = real_array(X, "the rows"), real_array(Y, "the targets")
    if rows.ndim != 2 or rows.shape[1] != spec.inputs:
        raise DataError(f"rows of shape {rows.shape} do not have {spec.inputs} columns")
    if targets.shape != (len(rows), spec.outputs):
        raise DataError(f"targets of shape {targets.shape} are not {(len(rows), spec.outputs)}")
    if len(rows) == 0:
        raise DataError("there are no rows")
    return require_finite(rows, "the rows"), require_finite(targets, "the targets")
