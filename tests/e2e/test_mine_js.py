"""Whole campaigns with mines of both kinds: real Capsule, real encryption, one audit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.mines import node_kind

SHARE_NOISE_PPM = 50
"""Decrypted gradients carry the noise that protects the rows: shares differ in the last digits, by
2 to 11 ppm in a run of four mines; 30 ppm, 15 bits, of the largest entry is what one may differ."""


def demo(folder: Path, *words: object) -> dict[str, Any]:
    """Run `openmined demo` to its end; return its report."""
    folder.mkdir()
    result = folder / "result.json"
    command = [sys.executable, "-m", "openmined", "demo", "--folder", folder / "network"]
    done = subprocess.run(
        [*map(str, (*command, "--json", result, *words))],
        env=os.environ | {"OPENMINED_HOME": str(folder / "home"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(result.read_bytes())
    assert report["verified"], "the audit recomputed what each mine was paid"
    return report


def test_five_mines_of_each_kind(tmp_path: Path) -> None:
    node_kind()
    report = demo(tmp_path / "both", "--mine-js", 5)
    assert [payout["kind"] for payout in report["payouts"]] == ["Mine.py", "Mine.js"] * 5
    assert all(payout["gradients"] > 0 and payout["paid_wei"] > 0 for payout in report["payouts"])
    assert sum(payout["paid_wei"] for payout in report["payouts"]) == report["paid_wei"]
    assert report["final_accuracy"] >= 0.97


def test_payouts_do_not_depend_on_the_kind(tmp_path: Path) -> None:
    node_kind()
    # Four mines: Capsule computes their shares exactly, and does not sample them.
    words = ("--scenario", "breast-cancer", "--mines", 4, "--mine-js")
    alike, mixed = (demo(tmp_path / str(count), *words, count) for count in (0, 2))
    kinds = [payout["kind"] for payout in mixed["payouts"]]
    assert kinds == ["Mine.py", "Mine.js"] * 2
    assert mixed["final_accuracy"] == alike["final_accuracy"]
    assert mixed["paid_wei"] == pytest.approx(alike["paid_wei"], abs=4)
    noise = SHARE_NOISE_PPM * alike["paid_wei"] // 10**6
    for one, other in zip(alike["payouts"], mixed["payouts"], strict=True):
        assert (one["mine"], one["gradients"]) == (other["mine"], other["gradients"])
        assert one["paid_wei"] == pytest.approx(other["paid_wei"], abs=noise)
