"""A whole campaign with mines of both kinds: real Capsule, real encryption, one audit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.mines import node_kind

from openmined.devnet import _network as network
from openmined.devnet._demo import run_demo
from openmined.devnet._network import Devnet, Settings
from openmined.devnet._scenarios import load_scenario

MINES = 2


def test_a_campaign_of_both_kinds_is_paid_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = load_scenario("diabetes", MINES)
    second = f"{scenario.owners} 2".replace(" ", "-")
    real = network.openmined_command

    def command(*words: str) -> list[str]:
        if words[:2] == ("mine", "start") and words[2].endswith(second):
            return [*node_kind().command, *words[1:]]
        return real(*words)

    monkeypatch.setenv("OPENMINED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENMINED_PYTHON", sys.executable)
    monkeypatch.setattr(network, "openmined_command", command)
    said: list[Any] = []
    with Devnet(Settings(tmp_path / "net"), say=said.append) as devnet:
        outcome = run_demo(devnet, lambda: scenario, stage=said.append, show=lambda _moment: None)
        log = (tmp_path / "net" / second / "logs" / "mine.jsonl").read_text()
    assert outcome.findings == (), said
    report = outcome.report
    assert report.verified
    # Both took part, and the audit recomputed what each was paid.
    assert '"step": "submitted"' in log
    assert [row.gradients > 0 for row in report.payouts] == [True] * MINES
    assert sum(row.paid_wei for row in report.payouts) == report.paid_wei
