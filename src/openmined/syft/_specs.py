"""What is learned: frozen specs, made by hand or from a campaign manifest.

    minimise |Z W - Y|^2 / 2n + l2 |W|^2 / 2        (Z: rows x inputs, W: inputs x outputs)

The bias is the last row of W and is regularised like the others. Classifiers are one-hot least
squares: column c of Y is 1 for class c and 0 otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from openmined.protocol import (
    CampaignManifest,
    LinearClassifierAlgorithm,
    LinearRegressionAlgorithm,
    LocalSteps,
    MLPClassifierAlgorithm,
    PlainGradient,
    TableSchema,
    UpdateKind,
)
from openmined.syft._columns import real_array, require_finite
from openmined.syft._conventions import Settings
from openmined.syft._errors import DataError, SpecError
from openmined.syft._features import MAX_INPUTS, FeatureMap, build_features
from openmined.syft._settings import is_finite, require_number, require_whole

if TYPE_CHECKING:
    from openmined.syft._estimators import LinearEstimator
    from openmined.syft._mlp import MLPEstimator

Floats = NDArray[np.float64]

MAX_OUTPUTS = 4096
MAX_HIDDEN = 256
MAX_BATCH = 65_536
_SEED = re.compile("(?:[0-9a-f]{2}){1,32}")
_RANDOM_STEPS = ("random-fourier", "random-relu", "image-patches")


@dataclass(frozen=True, kw_only=True)
class LinearRegression(Settings):
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
        _check(self, "r2")
        for name, fill in (("target_centre", 0.0), ("target_scale", 1.0)):
            given = getattr(self, name)
            values = tuple(given) if isinstance(given, Iterable) else (given,)
            values = values or (fill,) * self.outputs
            if len(values) != self.outputs or not all(is_finite(value) for value in values):
                raise SpecError(f"{name} {values!r:.80} must be {self.outputs} finite numbers")
            object.__setattr__(self, name, values)
        if min(self.target_scale) <= 0:
            raise SpecError(f"target_scale {self.target_scale} must be positive: 1 changes nothing")

    def fit(self, X: Any, y: Any) -> LinearEstimator:
        """Fit in the clear, for reference; see `fit_clear`."""
        from openmined.syft._estimators import fit_clear

        return fit_clear(self, X, y)


@dataclass(frozen=True, kw_only=True)
class LinearClassifier(Settings):
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
        _set_classes(self)
        _check(self, "accuracy")

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
class MLPClassifier(Settings):
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
        _set_classes(self)
        require_whole(self.hidden, "hidden", MAX_HIDDEN)
        require_number(self.learning_rate, "learning_rate")
        require_whole(self.batch, "batch", MAX_BATCH)
        if not isinstance(self.seed, str) or not _SEED.fullmatch(self.seed):
            raise SpecError(f"seed {self.seed!r:.80} must be 1 to 32 bytes in hexadecimal: 0a1b")
        _check_common(self, "accuracy", PlainGradient)

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


def _set_classes(spec: LinearClassifier | MLPClassifier) -> None:
    if not isinstance(spec.classes, Iterable):
        raise SpecError(f"classes {spec.classes!r:.80} must be two or more different labels")
    classes = tuple(label_text(label) for label in spec.classes)
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise SpecError(f"classes {classes[:8]} must be two or more different labels")
    object.__setattr__(spec, "classes", classes)


def _check(spec: LinearRegression | LinearClassifier, metric: str) -> None:
    require_number(spec.l2, "l2")
    _check_common(spec, metric, PlainGradient | LocalSteps)


def _check_common(spec: LearningSpec, metric: str, updates: Any) -> None:
    require_whole(spec.inputs, "inputs", MAX_INPUTS)
    require_whole(spec.outputs, "outputs", MAX_OUTPUTS)
    if spec.metric != metric:
        raise SpecError(f"metric {spec.metric!r:.80}: that of {type(spec).__name__} is {metric}")
    if not isinstance(spec.update, updates):
        kinds = "PlainGradient()" if updates is PlainGradient else "PlainGradient() or LocalSteps"
        raise SpecError(f"update {spec.update!r:.80} must be {kinds}")
    _check_features(spec)
    require_number(spec.radius, "radius", least=0)
    if spec.radius == 0.0:
        radius = spec.features.radius if spec.features else 2.0 * float(np.sqrt(spec.inputs))
        object.__setattr__(spec, "radius", radius)


def _check_features(spec: LearningSpec) -> None:
    features = spec.features
    if features is not None and not isinstance(features, FeatureMap):
        raise SpecError(f"features {features!r:.80} must be a map of build_features, or None")
    if features is not None and features.outputs != spec.inputs:
        raise SpecError(
            f"the feature map gives {features.outputs} columns, not {spec.inputs}: set inputs to it"
        )


def _check_random(spec: RandomFeatureRegressor | RandomFeatureClassifier) -> None:
    steps = spec.features.steps if isinstance(spec.features, FeatureMap) else ()
    kinds = [step.kind for step in steps]
    if not set(kinds) & set(_RANDOM_STEPS):
        raise SpecError(f"a random-feature model needs a step of {_RANDOM_STEPS}, found {kinds}")
    if spec.inputs == 0 and spec.features is not None:
        object.__setattr__(spec, "inputs", spec.features.outputs)


def spec_from_manifest(manifest: CampaignManifest) -> LearningSpec:
    """Read what a campaign wants learned.

    Raises:
        SpecError: if its features, algorithm and schemas do not fit together.
    """
    if not isinstance(manifest, CampaignManifest):
        raise SpecError(f"{type(manifest).__name__} is no CampaignManifest: decode it first")
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


def label_text(label: Any) -> str:
    """Return the class that a label names: its text, that of 1.0 being 1."""
    plain = label.item() if isinstance(label, np.generic) else label
    return str(int(plain)) if isinstance(plain, float) and plain.is_integer() else str(plain)


def initial_weights(spec: LearningSpec) -> Floats:
    """Return the weights a campaign starts from when it gives none: zeros, (inputs, outputs).

    For a network (inputs + outputs, hidden), W1 above W2 transposed, random from the spec's seed.

    Raises:
        SpecError: if it is none of the specs.
    """
    require_spec(spec)
    if isinstance(spec, MLPClassifier):
        from openmined.syft._mlp import initial_mlp_weights

        return initial_mlp_weights(spec)
    return np.zeros((spec.inputs, spec.outputs))


def require_spec(spec: Any) -> None:
    """Check that it is one of the specs.

    Raises:
        SpecError: if it is none.
    """
    if not isinstance(spec, LearningSpec):
        raise SpecError(f"{type(spec).__name__} is no spec: make one, or see spec_from_manifest")


def check_rows(X: Any, Y: Any, spec: LearningSpec) -> tuple[Floats, Floats]:
    """Return Z (n, inputs) and Y (n, outputs) as finite arrays.

    Raises:
        DataError: if a shape is wrong, a value is not finite, or there are no rows.
    """
    rows, targets = real_array(X, "the rows"), real_array(Y, "the targets")
    if rows.ndim != 2 or rows.shape[1] != spec.inputs:
        raise DataError(
            f"rows of shape {rows.shape} do not have {spec.inputs} columns: the task counts the "
            "column of ones"
        )
    if targets.shape != (len(rows), spec.outputs):
        raise DataError(
            f"targets of shape {targets.shape} are not {(len(rows), spec.outputs)}: make them by "
            "encode_targets"
        )
    if len(rows) == 0:
        raise DataError("there are no rows: give at least one")
    return require_finite(rows, "the rows"), require_finite(targets, "the targets")
