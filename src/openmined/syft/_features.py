"""Feature maps: from rows of a published schema to the columns of Z, alike at every mine.

A chain of steps. Source steps (`columns`, `hashed-text`) append columns; the others map all columns
so far. Rows longer than the map's public `radius` are shortened to it, and a column of ones (the
bias) comes last. The radius bounds |Z'Z/n| for everyone, whatever the data: the output noise that
protects an update is sized by it, never by the data (DESIGN 6.5).

| step | maps a row to | radius R |
|---|---|---|
| columns | (x - centre) / scale, d numbers | 2 sqrt(d) |
| hashed-text | hashed n-grams, length 1 | 1 |
| random-fourier | sqrt(2/m) cos(x Omega + b), Rahimi and Recht, NIPS 2007 | sqrt(2) |
| random-relu | sqrt(2/m) max(0, x Omega + b) | 2 |
| image-patches | sqrt(2/m) mean of max(0, patch Omega) over each cell of a grid | 2 |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, cast, get_args

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import ValidationError

from openmined.protocol import (
    ColumnsStep,
    FeatureStep,
    HashedTextStep,
    ImagePatchesStep,
    RandomFourierStep,
    RandomReLUStep,
    SchemaField,
    TableSchema,
)
from openmined.protocol import FieldConstraints as _Constraints
from openmined.syft._columns import (
    field_of,
    finite_result,
    numeric_width,
    read_numbers,
    read_texts,
)
from openmined.syft._errors import DataError, SpecError
from openmined.syft._expansion import expand_below, expand_gaussian, expand_uniform
from openmined.syft._settings import require_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openmined.syft._columns import Table

Floats = NDArray[np.float64]

MAX_INPUTS = 8192
_CHUNK_ROWS = 1024


@dataclass(frozen=True)
class FeatureMap:
    """A checked chain of feature steps over a schema; make one with `build_features`."""

    steps: tuple[FeatureStep, ...]
    schema: TableSchema

    @cached_property
    def outputs(self) -> int:
        """Columns of Z, the bias included."""
        return self._measure()[0] + 1

    @cached_property
    def radius(self) -> float:
        """The public bound on the length of a row of Z, the bias included."""
        return float(np.hypot(self._measure()[1], 1.0))

    def _measure(self) -> tuple[int, float]:
        width, radius = 0, 0.0
        for step in self.steps:
            width, radius = _measure_step(step, self.schema, width, radius)
        return width, radius

    def transform(self, table: Table) -> Floats:
        """Map rows to Z, shape (rows, outputs); the last column is ones.

        Args:
            table: a `pyarrow.Table` or `RecordBatch`, or a mapping from column name to array.

        Raises:
            DataError: on missing columns, empty tables, non-numeric or non-finite values, and
                numbers so large that a step overflows.
        """
        current = finite_result(lambda: self._apply_steps(table), "the features")
        if len(current) == 0:
            raise DataError("the table has no rows: an update needs at least one")
        rows = np.empty((len(current), current.shape[1] + 1))
        rows[:, :-1], rows[:, -1] = current, 1.0
        _shorten(rows[:, :-1], self._measure()[1])
        return rows

    def _apply_steps(self, table: Table) -> Floats:
        current: Floats | None = None
        for step in self.steps:
            current = _apply_step(step, self.schema, table, current)
        assert current is not None  # build_features saw to it
        return current


def build_features(steps: Sequence[FeatureStep], schema: TableSchema) -> FeatureMap:
    """Check a chain of steps against a schema.

    Raises:
        SpecError: if a step names an unknown or non-numeric field, a transform comes before any
            source, sizes do not fit, or the result is wider than 8,192 columns.
    """
    if not isinstance(schema, TableSchema):
        raise SpecError(f"schema is {type(schema).__name__}: give a TableSchema")
    kinds = get_args(get_args(FeatureStep)[0])
    if not isinstance(steps, list | tuple) or not all(isinstance(step, kinds) for step in steps):
        names = ", ".join(kind.__name__ for kind in kinds)
        raise SpecError(f"steps {str(steps)[:80]} must be a list of {names}")
    features = FeatureMap(tuple(steps), schema)
    if not features.steps:
        raise SpecError("a feature chain needs at least one step: add a columns or text step")
    if features.outputs > MAX_INPUTS:
        raise SpecError(
            f"{features.outputs} features are above the limit of {MAX_INPUTS}: use fewer columns, "
            "or a random step after them"
        )
    return features


def array_features(columns: int, *steps: FeatureStep, name: str = "x") -> FeatureMap:
    """Build a map over one array field of `columns` numbers, followed by `steps`.

    Raises:
        SpecError: if `columns` is no number from 1 to 2^20, `name` no name of a field, or the
            steps do not fit; see `build_features`.
    """
    require_whole(columns, "columns", 1 << 20)
    length = _Constraints(minLength=columns, maxLength=columns)
    try:
        schema = TableSchema(fields=(SchemaField(name=name, type="array", constraints=length),))
    except ValidationError as error:
        raise SpecError(
            f"name {name!r} is no name of a field: {error.errors()[0]['msg']}"
        ) from error
    return build_features((ColumnsStep(columns=(name,)), *steps), schema)


def _shorten(rows: Floats, radius: float) -> None:
    """Bring rows that are too long to the radius, in place."""
    with np.errstate(over="ignore"):  # an infinite length is too long as well
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    long = lengths > radius
    if long.any():
        chosen = rows[long]
        chosen /= np.abs(chosen).max(axis=1, keepdims=True)  # so that no square overflows
        rows[long] = chosen * (radius / np.linalg.norm(chosen, axis=1, keepdims=True))


def _measure_step(
    step: FeatureStep, schema: TableSchema, width: int, radius: float
) -> tuple[int, float]:
    if isinstance(step, ColumnsStep):
        added = sum(numeric_width(field_of(schema, name)) for name in step.columns)
        for label, vector in (("centre", step.centre), ("scale", step.scale)):
            if vector and len(vector) != added:
                raise SpecError(
                    f"{label} has {len(vector)} numbers for {added} columns: give one for each"
                )
        if any(value <= 0 for value in step.scale):
            raise SpecError("scale must be positive: use 1 for a constant column")
        return width + added, float(np.hypot(radius, 2.0 * np.sqrt(added)))
    if isinstance(step, HashedTextStep):
        if field_of(schema, step.column).type != "string":
            raise SpecError(f"field {step.column!r} is no text: use a columns step")
        if step.ngram_max < step.ngram_min:
            raise SpecError(
                f"n-grams from {step.ngram_min} to {step.ngram_max} are none at all: swap them"
            )
        return width + step.features, float(np.hypot(radius, 1.0))
    if width == 0:
        raise SpecError(f"step {step.kind!r} needs columns: put a columns or text step before it")
    if isinstance(step, RandomFourierStep):
        return step.features, float(np.sqrt(2.0))
    if isinstance(step, RandomReLUStep):
        _relu_window(step, width)
        return step.features, 2.0
    return step.filters * step.pool**2 * _channels(step, width), 2.0


def _relu_window(step: RandomReLUStep, width: int) -> tuple[int, int, int] | None:
    given = (step.patch, step.height, step.width)
    if all(value is None for value in given):
        return None
    if step.patch is None or step.height is None or step.width is None:
        raise SpecError("random-relu on patches needs patch, height and width, all three")
    if step.height * step.width != width or step.patch > min(step.height, step.width):
        raise SpecError(
            f"patches of {step.patch} on {step.height} x {step.width} images do not fit "
            f"{width} columns: height x width must be the columns, and no side below the patch"
        )
    return step.patch, step.height, step.width


def _channels(step: ImagePatchesStep, width: int) -> int:
    pixels = step.height * step.width
    rows = (step.height - step.patch) // step.stride + 1
    columns = (step.width - step.patch) // step.stride + 1
    if width % pixels or step.patch > min(step.height, step.width):
        raise SpecError(
            f"{step.height} x {step.width} images do not fit {width} columns: these must be a "
            f"multiple of the pixels, and no side below the patch of {step.patch}"
        )
    if step.pool > min(rows, columns):
        raise SpecError(
            f"a grid of {step.pool} is finer than {rows} x {columns} patch positions: use a "
            "smaller pool or stride"
        )
    return width // pixels


def _apply_step(
    step: FeatureStep, schema: TableSchema, table: Table, current: Floats | None
) -> Floats:
    if isinstance(step, ColumnsStep):
        return _append(current, _read_columns(step, schema, table))
    if isinstance(step, HashedTextStep):
        return _append(current, _hash_text(step, table))
    assert current is not None  # build_features saw to it
    if isinstance(step, RandomFourierStep):
        omega, phase = fourier_weights(step, current.shape[1])
        return cast("Floats", np.sqrt(2.0 / step.features) * np.cos(current @ omega.T + phase))
    if isinstance(step, RandomReLUStep):
        omega, shift = relu_weights(step, current.shape[1])
        return cast(
            "Floats", np.sqrt(2.0 / step.features) * np.maximum(current @ omega.T + shift, 0.0)
        )
    return _pool_patches(step, current)


def _append(current: Floats | None, added: Floats) -> Floats:
    return added if current is None else np.hstack([current, added])


def _read_columns(step: ColumnsStep, schema: TableSchema, table: Table) -> Floats:
    parts = [read_numbers(table, field_of(schema, name)) for name in step.columns]
    heights = {len(part) for part in parts}
    if len(heights) != 1:
        raise DataError(
            f"columns {step.columns} have different lengths: {sorted(heights)}: "
            "give each one value a row"
        )
    values = parts[0] if len(parts) == 1 else np.hstack(parts)
    if step.centre:
        values = values - np.asarray(step.centre)
    if step.scale:
        values = values / np.asarray(step.scale)
    return values


def _hash_text(step: HashedTextStep, table: Table) -> Floats:
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        n_features=step.features,
        analyzer=step.analyzer,
        ngram_range=(step.ngram_min, step.ngram_max),
    )
    texts = read_texts(table, step.column)
    if not texts:  # scikit-learn refuses nothing to hash
        return np.zeros((0, step.features))
    try:
        return np.asarray(vectorizer.transform(texts).toarray(), dtype=np.float64)
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON may hold
        raise DataError(
            f"column {step.column!r}: {error.object[error.start : error.end]!r} is no character: "
            "drop or replace it"
        ) from error


def fourier_weights(step: RandomFourierStep, inputs: int) -> tuple[Floats, Floats]:
    """Return Omega (features, inputs) ~ N(0, 2 gamma) and phases (features,) in [0, 2 pi)."""
    shape = (step.features, inputs)
    omega = np.sqrt(2.0 * step.gamma) * expand_gaussian(step.seed, "random-fourier/omega", shape)
    phase = expand_uniform(step.seed, "random-fourier/phase", (step.features,))
    return omega, 2.0 * np.pi * phase


def relu_weights(step: RandomReLUStep, inputs: int) -> tuple[Floats, Floats]:
    """Return Omega (features, inputs) and shifts (features,).

    Without patches Omega ~ N(0, 1 / inputs). With patches each unit sees patch x patch pixels, the
    corner drawn uniformly, with weights ~ N(0, 1 / patch^2). Shifts ~ N(0, 1/16).
    """
    window = _relu_window(step, inputs)
    shift = 0.25 * expand_gaussian(step.seed, "random-relu/shift", (step.features,))
    if window is None:
        dense = expand_gaussian(step.seed, "random-relu/omega", (step.features, inputs))
        return dense / np.sqrt(inputs), shift
    patch, height, width = window
    local = expand_gaussian(step.seed, "random-relu/omega", (step.features, patch, patch)) / patch
    top = expand_below(step.seed, "random-relu/top", step.features, height - patch + 1)
    left = expand_below(step.seed, "random-relu/left", step.features, width - patch + 1)
    image = np.zeros((step.features, height, width))
    for unit in range(step.features):
        rows, columns = slice(top[unit], top[unit] + patch), slice(left[unit], left[unit] + patch)
        image[unit, rows, columns] = local[unit]
    return image.reshape(step.features, inputs), shift


def patch_weights(step: ImagePatchesStep) -> Floats:
    """Return the filters, shape (filters, patch, patch), ~ N(0, 1 / patch^2)."""
    shape = (step.filters, step.patch, step.patch)
    return expand_gaussian(step.seed, "image-patches/filters", shape) / step.patch


def _pool_patches(step: ImagePatchesStep, rows: Floats) -> Floats:
    channels = _channels(step, rows.shape[1])
    filters = patch_weights(step).reshape(step.filters, -1).T
    parts = [
        _pool_chunk(step, rows[start : start + _CHUNK_ROWS], channels, filters)
        for start in range(0, len(rows), _CHUNK_ROWS)
    ]
    width = step.filters * step.pool**2 * channels
    pooled = np.concatenate(parts) if parts else np.zeros((0, width))
    return cast("Floats", np.sqrt(2.0 / width) * pooled)


def _pool_chunk(step: ImagePatchesStep, rows: Floats, channels: int, filters: Floats) -> Floats:
    images = rows.reshape(len(rows), step.height, step.width, channels)
    windows = sliding_window_view(images, (step.patch, step.patch), axis=(1, 2))
    windows = windows[:, :: step.stride, :: step.stride]  # (n, rows, columns, channels, p, p)
    flat = windows.reshape(*windows.shape[:4], -1)
    responses = np.maximum(flat @ filters, 0.0)  # (n, rows, columns, channels, filters)
    by_row = _mean_cells(responses, step.pool, axis=1)
    return _mean_cells(by_row, step.pool, axis=2).reshape(len(rows), -1)


def _mean_cells(values: Floats, cells: int, axis: int) -> Floats:
    length = values.shape[axis]
    edges = [cell * length // cells for cell in range(cells + 1)]
    means = [
        values.take(range(start, stop), axis=axis).mean(axis=axis)
        for start, stop in pairwise(edges)
    ]
    return np.stack(means, axis=axis)
