"""Every raw export in tests/vectors/exports gives exactly the rows written down beside it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from openmined.adapters import Row, RowError, detect, open_export, open_source

VECTORS = Path(__file__).parents[2] / "vectors" / "exports"
CASES = sorted(folder.name for folder in VECTORS.iterdir())
EXPECTED = {
    case: json.loads((VECTORS / case / "expected.json").read_text("utf-8")) for case in CASES
}
READINGS = [(case, adapter) for case in CASES for adapter in EXPECTED[case]]


def plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(("case", "adapter"), READINGS)
def test_the_raw_export_gives_the_rows_written_down(case: str, adapter: str) -> None:
    mapping = VECTORS / case / "mapping.toml"
    with open_export(
        VECTORS / case / "source",
        adapter=adapter,
        mapping=mapping if mapping.exists() else None,
    ) as export:
        items = list(export.rows())
    rows = [item for item in items if isinstance(item, Row)]
    assert {
        "schema": export.schema.id,
        "rows": [{k: plain(v) for k, v in row.values.items() if v is not None} for row in rows],
        "errors": [str(item) for item in items if isinstance(item, RowError)],
    } == EXPECTED[case][adapter]


@pytest.mark.parametrize(("case", "adapter"), READINGS)
def test_the_adapter_recognises_its_export(case: str, adapter: str) -> None:
    with open_source(VECTORS / case / "source") as source:
        guesses = detect(source)
    confidence = {guess.adapter: guess.confidence for guess in guesses}
    assert confidence[adapter] > 0
    foreign = {
        name for name, value in confidence.items() if value >= 0.5 and name not in EXPECTED[case]
    }
    assert foreign == set()
