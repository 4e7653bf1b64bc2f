"""The demo's campaigns: real data sets that ship with scikit-learn, divided among N owners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from openmined.devnet._errors import ScenarioError
from openmined.protocol import (
    Algorithm,
    ColumnsStep,
    FeatureStep,
    LinearClassifierAlgorithm,
    LinearRegressionAlgorithm,
    LocalSteps,
    RandomFourierStep,
    TableSchema,
)

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_SEED = 2018
_SMALLEST_SHARE = 8
_PROGRESSION_RANGE = {"minimum": 25, "maximum": 346}
"""As the data set's own documentation gives it."""


@dataclass(frozen=True)
class Scenario:
    """One campaign: what is learned from whom, and how far."""

    name: str
    title: str
    owners: str
    """What the owners are called: `mine`, `hospital`."""
    input: TableSchema
    output: TableSchema
    features: tuple[FeatureStep, ...]
    algorithm: Algorithm
    update: LocalSteps
    metric: Literal["accuracy", "r2"]
    target_ppm: int
    validation: pa.Table
    """The data scientist's own rows, which no mine has."""
    shares: tuple[pa.Table, ...]
    """One table per owner."""


def load_scenario(name: str, mines: int) -> Scenario:
    """Load a data set and divide it among `mines` owners, the same way every time.

    Raises:
        ScenarioError: if there is no such scenario, or it has too few rows for so many mines.
    """
    if name not in SCENARIOS:
        raise ScenarioError(f"there is no scenario {name!r}; choose one of {', '.join(SCENARIOS)}")
    if mines < 1:
        raise ScenarioError(f"a campaign needs at least one mine, not {mines}")
    return SCENARIOS[name](mines)


def _digits(mines: int) -> Scenario:
    from sklearn.datasets import load_digits

    data = load_digits()
    schema = _schema([_array("pixels", 64, "8 x 8 grey levels from 0 to 16, row by row")])
    classes = [str(digit) for digit in range(10)]
    columns = {"pixels": data.data, "digit": [str(digit) for digit in data.target]}
    validation, shares = _divide(columns, mines, validation_rows=360)
    return Scenario(
        name="digits",
        title="Handwritten digits",
        owners="mine",
        input=schema,
        output=_schema([{"name": "digit", "type": "string", "constraints": {"enum": classes}}]),
        features=(
            ColumnsStep(columns=("pixels",), centre=(8.0,) * 64, scale=(16.0,) * 64),
            RandomFourierStep(features=511, gamma=0.2, seed="5eed"),
        ),
        algorithm=LinearClassifierAlgorithm(l2=1e-4),
        update=LocalSteps(steps=100),
        metric="accuracy",
        target_ppm=970_000,
        validation=validation,
        shares=shares,
    )


def _breast_cancer(mines: int) -> Scenario:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [name.replace(" ", "_") for name in data.feature_names]
    classes = [str(name) for name in data.target_names]
    columns = {name: data.data[:, i] for i, name in enumerate(names)}
    columns["diagnosis"] = [classes[label] for label in data.target]
    validation, shares = _divide(columns, mines, validation_rows=114)
    return Scenario(
        name="breast-cancer",
        title="Breast cancer: is a cell sample malignant?",
        owners="hospital",
        input=_schema([{"name": name, "type": "number"} for name in names]),
        output=_schema([{"name": "diagnosis", "type": "string", "constraints": {"enum": classes}}]),
        features=(_standardised(names, validation),),
        algorithm=LinearClassifierAlgorithm(l2=1e-3),
        update=LocalSteps(steps=3),
        metric="accuracy",
        target_ppm=960_000,
        validation=validation,
        shares=shares,
    )


def _diabetes(mines: int) -> Scenario:
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    names = list(data.feature_names)
    columns = {name: data.data[:, i] for i, name in enumerate(names)} | {"progression": data.target}
    validation, shares = _divide(columns, mines, validation_rows=89)
    return Scenario(
        name="diabetes",
        title="Diabetes: progression of the disease after one year",
        owners="mine",
        input=_schema([{"name": name, "type": "number"} for name in names]),
        output=_schema(
            [{"name": "progression", "type": "number", "constraints": _PROGRESSION_RANGE}]
        ),
        features=(_standardised(names, validation),),
        algorithm=LinearRegressionAlgorithm(l2=1e-2),
        update=LocalSteps(steps=3),
        metric="r2",
        target_ppm=500_000,
        validation=validation,
        shares=shares,
    )


SCENARIOS: dict[str, Callable[[int], Scenario]] = {
    "digits": _digits,
    "breast-cancer": _breast_cancer,
    "diabetes": _diabetes,
}


def _schema(fields: list[dict[str, Any]]) -> TableSchema:
    return TableSchema.model_validate({"fields": fields})


def _array(name: str, length: int, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "array",
        "description": description,
        "constraints": {"minLength": length, "maxLength": length},
    }


def _standardised(names: list[str], validation: pa.Table) -> ColumnsStep:
    # Centre and scale come from the data scientist's own rows: they are public, mines' are not.
    import numpy as np

    values = np.column_stack([np.asarray(validation[name]) for name in names])
    return ColumnsStep(
        columns=tuple(names),
        centre=tuple(float(value) for value in values.mean(axis=0)),
        scale=tuple(float(value) for value in values.std(axis=0)),
    )


def _divide(
    columns: dict[str, Any], mines: int, validation_rows: int
) -> tuple[pa.Table, tuple[pa.Table, ...]]:
    import numpy as np

    rows = len(next(iter(columns.values())))
    most = (rows - validation_rows) // _SMALLEST_SHARE
    if mines > most:
        raise ScenarioError(f"{rows} rows serve at most {most} mines, not {mines}")
    order = np.random.default_rng(_SEED).permutation(rows)
    own, rest = order[:validation_rows], order[validation_rows:]
    return _take(columns, own), tuple(_take(columns, part) for part in np.array_split(rest, mines))


def _take(columns: dict[str, Any], index: np.ndarray[Any, Any]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    arrays = {}
    for name, values in columns.items():
        chosen = np.asarray(values)[index]
        if chosen.ndim == 1:
            arrays[name] = pa.array(chosen)
        else:
            flat = pa.array(np.ascontiguousarray(chosen, dtype=np.float64).ravel())
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, chosen.shape[1])
    return pa.table(arrays)
