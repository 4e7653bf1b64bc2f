"""The validation set: from a sealed CSV of a stranger to checked arrays, in a child process.

CSV by RFC 4180, UTF-8, a header with every input and output field; `array` fields are JSON texts.
The child decrypts, parses, checks every value against the schema, computes features and targets,
and hands back numbers; the parent never parses the text.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openmined.capsule._context import Array, pack_arrays, unpack_arrays
from openmined.capsule._errors import CampaignRefused, PgpError
from openmined.capsule._evaluation import ValidationSet
from openmined.capsule._pgp import Identity
from openmined.capsule._settings import CapsuleSettings
from openmined.protocol import CampaignManifest, OpenMinedError, SchemaField
from openmined.syft import (
    LearningSpec,
    LimitError,
    MLPClassifier,
    OutOfMemory,
    OutOfTime,
    encode_targets,
    initial_weights,
    load_model,
    run_limited,
)

_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_MIN_ROWS = 2


def read_validation(
    identity: Identity,
    settings: CapsuleSettings,
    manifest: CampaignManifest,
    spec: LearningSpec,
    sealed: bytes,
) -> ValidationSet:
    """Open and check a validation set.

    Raises:
        CampaignRefused: if it does not open, does not match its schema, or is too large.
    """
    answer = _limited(settings, _read, identity, settings, manifest, spec, sealed)
    arrays, facts = unpack_arrays(answer)
    if "refused" in facts:
        raise CampaignRefused(str(facts["refused"]))
    return ValidationSet(
        arrays["features"],
        arrays["targets"],
        manifest.metric,
        str(facts["sha256"]),
        spec if isinstance(spec, MLPClassifier) else None,
    )


def read_initial_weights(
    identity: Identity, settings: CapsuleSettings, spec: LearningSpec, sealed: bytes
) -> Array:
    """Open the data scientist's own initial weights, shape (inputs, outputs).

    Raises:
        CampaignRefused: if they do not open or do not fit the campaign.
    """
    arrays, facts = unpack_arrays(_limited(settings, _read_weights, identity, spec, sealed))
    if "refused" in facts:
        raise CampaignRefused(str(facts["refused"]))
    return arrays["weights"]


def _limited(settings: CapsuleSettings, function: Callable[..., bytes], *args: object) -> bytes:
    try:
        return run_limited(
            function,
            *args,
            memory_mb=settings.limits.memory_mb + 4 * settings.accept.max_table_mb,
            seconds=settings.limits.validation_seconds,
        )
    except OutOfTime:
        raise CampaignRefused("validation set: opening it takes too long") from None
    except OutOfMemory:
        raise CampaignRefused("validation set: opening it takes too much memory") from None
    except LimitError:
        raise CampaignRefused("validation set: opening it fails") from None


def _read(
    identity: Identity,
    settings: CapsuleSettings,
    manifest: CampaignManifest,
    spec: LearningSpec,
    sealed: bytes,
) -> bytes:
    try:
        data = identity.open(sealed)
        table = parse_table(data, manifest, settings.accept.max_rows)
        assert spec.features is not None
        _check_size(spec, table, settings.accept.max_table_mb)
        features = spec.features.transform(table)
        targets = _targets(spec, manifest, table)
        _check_batch(targets, manifest.scoring.batch, settings.accept.max_table_mb)
        _check_spread(spec, targets)
    except PgpError:
        return _refusal("it is not sealed to this Capsule's certificate")
    except (CampaignRefused, OpenMinedError) as error:
        return _refusal(str(error))
    facts = {"sha256": hashlib.sha256(data).hexdigest()}
    return pack_arrays({"features": features, "targets": targets}, facts)


def _read_weights(identity: Identity, spec: LearningSpec, sealed: bytes) -> bytes:
    try:
        weights, _ = load_model(identity.open(sealed))
    except OpenMinedError as error:
        return pack_arrays({}, {"refused": f"initial weights: {error}"})
    wanted = initial_weights(spec).shape
    if weights.shape != wanted:
        return pack_arrays({}, {"refused": f"initial weights: {weights.shape}, not {wanted}"})
    return pack_arrays({"weights": weights}, {})


def _refusal(why: str) -> bytes:
    return pack_arrays({}, {"refused": f"validation set: {why}"})


def _check_size(spec: LearningSpec, table: dict[str, Any], max_mb: int) -> None:
    rows = len(next(iter(table.values())))
    if rows * spec.inputs * 8 > max_mb << 20:
        raise CampaignRefused(f"{rows} rows x {spec.inputs} features are above {max_mb} MiB")


def _check_batch(targets: Array, batch: int, max_mb: int) -> None:
    """Scoring a batch holds the outputs of each of its gradients on every row."""
    rows, outputs = targets.shape
    if batch * rows * outputs * 8 > max_mb << 20:
        raise CampaignRefused(
            f"a batch of {batch} on {rows} rows x {outputs} outputs is above {max_mb} MiB"
        )


def _check_spread(spec: LearningSpec, targets: Array) -> None:
    if spec.metric == "r2" and not (np.ptp(targets, axis=0) > 0).all():
        raise CampaignRefused("a target is the same in every row: R2 has no meaning")


def _targets(spec: LearningSpec, manifest: CampaignManifest, table: dict[str, Any]) -> Array:
    names = manifest.output.names
    columns = [table[name] for name in names]
    return encode_targets(spec, columns[0] if len(columns) == 1 else columns)


def parse_table(data: bytes, manifest: CampaignManifest, max_rows: int) -> dict[str, Any]:
    """Parse CSV into columns, each value checked against its field.

    Returns:
        Lists of texts, and arrays of numbers: (rows,), or (rows, length) for `array` fields.

    Raises:
        CampaignRefused: naming row and field, if something does not fit.
    """
    fields = [*manifest.input.fields, *manifest.output.fields]
    reader = csv.reader(io.StringIO(_text(data), newline=""), strict=True)
    csv.field_size_limit(1 << 24)
    columns: dict[str, list[Any]] = {field.name: [] for field in fields}
    rows = _rows(reader, [field.name for field in fields])
    for number, row in enumerate(rows, start=1):
        if number > max_rows:
            raise CampaignRefused(f"more than {max_rows} rows")
        for field in fields:
            columns[field.name].append(_value(row[field.name], field, number))
    if len(columns[fields[0].name]) < _MIN_ROWS:
        raise CampaignRefused(f"fewer than {_MIN_ROWS} rows")
    return {field.name: _column(columns[field.name], field) for field in fields}


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CampaignRefused("it is no UTF-8 text") from None


def _rows(reader: Any, names: list[str]) -> Iterator[dict[str, str]]:
    try:
        header: list[str] = next(reader, [])
        missing = [name for name in names if name not in header]
        if missing:
            raise CampaignRefused(f"its header lacks {', '.join(missing[:3])}")
        if len(set(header)) != len(header):
            raise CampaignRefused("its header names a column twice")
        for row in reader:
            if len(row) != len(header):
                raise CampaignRefused(f"line {reader.line_num}: {len(row)} of {len(header)} values")
            yield dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise CampaignRefused(f"line {reader.line_num}: {error}") from None


def _value(text: str, field: SchemaField, row: int) -> Any:
    # The reason goes on chain: it names row and field, and never quotes a value.
    try:
        value = _parse(text, field)
    except (ValueError, TypeError, OverflowError, RecursionError):
        size = f" of {field.array_length} numbers" if field.type == "array" else ""
        raise CampaignRefused(f"row {row}: {field.name} is no {field.type}{size}") from None
    limits = field.constraints
    if limits is not None and field.type in ("number", "integer"):
        low, high = limits.minimum, limits.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            raise CampaignRefused(f"row {row}: {field.name} is out of its range")
    if field.classes and str(text) not in field.classes:
        raise CampaignRefused(f"row {row}: {field.name} is none of its classes")
    return value


def _parse(text: str, field: SchemaField) -> Any:
    if field.type == "number":
        return _finite(float(text))
    if field.type == "integer":
        return int(text) if field.classes else float(int(text))
    if field.type == "boolean":
        if text.lower() not in _TRUTH:
            raise ValueError(text)
        return _TRUTH[text.lower()]
    if field.type == "array":
        values = json.loads(text)
        if not isinstance(values, list) or len(values) != field.array_length:
            raise ValueError(text)
        return [_finite(float(value)) for value in values]
    return text


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(value)
    return value


def _column(values: list[Any], field: SchemaField) -> list[Any] | NDArray[np.float64]:
    if field.type in ("number", "boolean", "array"):
        return np.array(values, dtype=np.float64)
    if field.type == "integer" and not field.classes:
        return np.array(values, dtype=np.float64)
    return values
