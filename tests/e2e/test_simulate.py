"""`openmined simulate`, small: everything it does at scale, and that its verdict can fall."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openmined.devnet import ScenarioError, _simulate_parties
from openmined.devnet._simulate import Scale
from openmined.devnet._simulate_parties import Parties
from openmined.devnet._simulate_report import (
    LINEAR,
    CampaignCost,
    Simulation,
    describe,
    draw_curve,
    fit_line,
)
from openmined.stats import IndexDiffers

DEADLINE_S = 300


def simulate(folder: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    result = folder / "result.json"
    command = [sys.executable, "-m", "openmined", "simulate", "--json", str(result), *arguments]
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE_S, cwd=folder, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout, json.loads(result.read_text())


def test_campaigns_of_two_sizes(tmp_path: Path) -> None:
    scale = ("--mines", "30", "--campaigns", "2", "--sample", "2", "--folder", str(tmp_path / "f"))
    text, found = simulate(tmp_path, *scale)
    assert "VERIFIED" in text
    assert "Extrapolated, not measured" in text
    assert found["verified"]
    assert found["money_conserved"]
    assert found["index_verified"]
    assert [point["mines"] for point in found["curve"]] == [10, 30]
    assert found["gas_spread"] <= 0.1
    assert found["bytes_spread"] <= 0.1
    assert found["capsule_spread"] <= LINEAR
    assert all(point["capsule_spent_ms_per_gradient"] > 0 for point in found["curve"])
    for one in found["campaigns"]:
        assert one["audit_ok"]
        assert sum(one["outcomes"].values()) == one["mines"]
        assert one["sampled"] == 2
        assert int(one["paid_wei"]) > 0
        # What stood in for envelopes is accounted at the size of real ones.
        assert one["store_bytes"] > one["mines"] * one["bytes_up"]
        assert 0 < one["capsule_accounted_s"] < one["capsule_cpu_s"]
        assert 0 < one["capsule_opened_s"] < one["capsule_cpu_s"] - one["capsule_accounted_s"]


def test_sizes_lie_between_ten_and_the_largest() -> None:
    assert Scale(1000, 20, 3, 1).sizes() == [10] * 4 + [32] * 4 + [100] * 4 + [316] * 4 + [1000] * 4
    assert Scale(10, 2, 1, 1).sizes() == [10, 10]
    for wrong in ((9, 1, 1), (100, 0, 1), (100, 1, 0)):
        with pytest.raises(ScenarioError, match="is not"):
            Scale(*wrong, 1)


def cost(mines: int, **changes: Any) -> CampaignCost:
    values: dict[str, Any] = {
        "mines": mines,
        "sampled": 1,
        "mines_gas": 100 * mines,
        "own_gas": 1000,
        "bytes_down": 10.0,
        "bytes_up": 1.0,
        "store_bytes": mines,
        "capsule_cpu_s": 2 + mines / 10,
        "capsule_accounted_s": 0.0,
        "capsule_fixed_s": 2.0,
        "capsule_opened_s": 0.0,
        "catch_up_s": 0.1,
        "indexed_events": mines,
        "index_s": 0.1,
        "outcomes": {"paid": mines},
        "paid_wei": 1,
        "audit_ok": True,
    }
    return CampaignCost(**(values | changes))


def test_the_verdict_falls_with_each_of_its_grounds() -> None:
    costs = (cost(10), cost(100), cost(1000))
    good = Simulation(costs, 10, 1, 0.1, 1000, True, True, 1.0)
    assert good.verified
    assert good.capsule_line.each == pytest.approx(0.1)
    assert good.foretell(100_000)["gas"] == pytest.approx(1e7)
    assert good.foretell(100_000)["capsule_core_hours"] == pytest.approx(10_002 / 3600)
    assert not replace(good, money_conserved=False).verified
    assert not replace(good, index_verified=False).verified
    assert not replace(good, campaigns=(*costs, cost(10, audit_ok=False))).verified
    assert not replace(good, campaigns=(*costs[:2], cost(1000, mines_gas=112_000))).verified
    assert not replace(good, campaigns=(*costs[:2], cost(1000, bytes_down=12.0))).verified


def test_the_verdict_falls_where_capsule_is_not_linear_in_what_it_spent() -> None:
    def measured(mines: int, spent_each_s: float) -> CampaignCost:
        """A campaign as it is accounted: the stand-ins' part is a mean times their number."""
        accounted, opened = 1.0 * (mines - 1), 1.0
        return cost(
            mines,
            capsule_cpu_s=2 + accounted + opened + spent_each_s * mines,
            capsule_accounted_s=accounted,
            capsule_opened_s=opened,
        )

    def simulation(*each: float) -> Simulation:
        costs = tuple(map(measured, (10, 100, 1000), each))
        return Simulation(costs, 10, 1, 0.1, 1000, True, True, 1.0)

    good = simulation(0.1, 0.1, 0.1)
    assert good.verified
    assert good.capsule_spread == pytest.approx(0.0, abs=1e-9)
    assert good.capsule_spent_each(1000) == pytest.approx(0.1)
    assert simulation(0.15, 0.1, 0.149).verified
    # Half a second more in a campaign of ten is growth; a tenth is a cache that was cold.
    assert simulation(0.02, 0.01, 0.01).verified
    assert not simulation(0.06, 0.01, 0.01).verified
    # Beside what is accounted it would hardly show: the line is as straight as before.
    growing = simulation(0.1, 0.11, 0.2)
    assert growing.capsule_line.r2 > 0.999
    assert growing.capsule_spread == pytest.approx(0.1999 / 0.11 - 1)
    assert not growing.verified
    assert any("NOT linear, within 81.7 %" in line for line in describe(growing))
    assert [column.header for column in draw_curve(growing).columns][-2:] == ["spent ms", "index s"]


def test_an_index_that_differs_is_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    parties = object.__new__(Parties)
    parties.database = parties._chain = None  # type: ignore[assignment]

    def differs(*_: object) -> None:
        raise IndexDiffers("a row of campaigns differs")

    monkeypatch.setattr(_simulate_parties, "verify", differs)
    told: list[str] = []
    assert parties.is_index_verified(told.append) is False
    assert told == ["the index differs from its rebuild: a row of campaigns differs"]


def test_a_line_says_how_well_it_fits() -> None:
    assert fit_line([1, 2, 3], [3.0, 5.0, 7.0]).r2 == pytest.approx(1.0)
    assert fit_line([1, 2, 3], [1.0, 9.0, 1.0]).r2 < 0.1
