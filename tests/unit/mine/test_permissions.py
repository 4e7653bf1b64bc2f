from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from openmined.mine._permissions import (
    CampaignRequest,
    DatasetPermission,
    DatasetUse,
    decide,
)

CASES = json.loads(
    (Path(__file__).parents[2] / "vectors/permissions/cases.json").read_text(encoding="utf-8")
)


def test_there_are_a_hundred_cases() -> None:
    assert len(CASES) >= 100
    assert len({case["title"] for case in CASES}) == len(CASES)
    assert {case["expect"]["verdict"] for case in CASES} == {"accept", "ask", "refuse", "wait"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_the_shared_table(case: dict[str, Any]) -> None:
    decision = decide(
        DatasetPermission.model_validate(case["permission"]),
        CampaignRequest.model_validate(case["request"]),
        DatasetUse.model_validate(case["use"]),
        datetime.fromisoformat(case["now"]),
    )
    assert decision.model_dump(mode="json") == case["expect"]


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "maybe"},
        {"hours": ["25:00-26:00"]},
        {"hours": ["9-17"]},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"cpu_share": 0},
        {"cpu_share": 1.5},
        {"epsilon_budget": -1},
        {"epsilon_budget": float("nan")},
        {"max_rounds": 0},
        {"min_bounty_wei": "-1"},
        {"min_bounty_wei": "1e18"},
        {"capsules": ["0x12"]},
        {"unknown": 1},
    ],
)
def test_senseless_permissions_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DatasetPermission.model_validate(change)


def test_nothing_is_permitted_unless_it_is_written() -> None:
    assert DatasetPermission().mode == "deny"
    assert DatasetPermission().fields == ()
