"""Whole campaigns as a user runs them: separate processes, real chain, real encryption."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from openmined.devnet._report import accuracy_slack
from openmined.devnet._scenarios import load_scenario

DEADLINE_S = 300


def wait_for(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_S) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


class Demo:
    """A running `openmined demo`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.place = folder / "network"
        self.output = folder / "output.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "openmined", "demo", "--folder", self.place, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OPENMINED_HOME": str(folder / "home"), "COLUMNS": "200"},
                # A shell that runs the tests in the background has told them to ignore it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait(self) -> int:
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
            raise

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def demos(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def start(*arguments: str) -> Demo:
        started.append(Demo(tmp_path, *arguments))
        return started[-1]

    yield start
    for demo in started:
        if demo.process.poll() is None:
            demo.process.send_signal(signal.SIGINT)
            demo.process.wait(30)


def run(demos: Callable[..., Demo], tmp_path: Path, scenario: str, mines: int) -> dict[str, Any]:
    result = tmp_path / "result.json"
    demo = demos("--scenario", scenario, "--mines", str(mines), "--json", str(result))
    assert demo.wait() == 0, demo.text()
    assert "VERIFIED" in demo.text().splitlines()[-1]
    return dict(json.loads(result.read_bytes()))


def check_money(report: dict[str, Any]) -> None:
    assert report["paid_wei"] + report["fee_wei"] + report["refunded_wei"] == report["bounty_wei"]
    assert sum(payout["paid_wei"] for payout in report["payouts"]) == report["paid_wei"]
    # (accuracy increase / target accuracy) x (bounty - fee), less what rounding down left
    gain = min(report["final_accuracy"], report["target_accuracy"]) - report["starting_accuracy"]
    pool = report["bounty_wei"] - report["fee_wei"]
    assert report["paid_wei"] == pytest.approx(gain / report["target_accuracy"] * pool, rel=1e-6)
    assert report["verified"] is True
    slack = accuracy_slack(load_scenario(report["scenario"], report["mines"]))
    assert abs(report["delivered_accuracy"] - report["final_accuracy"]) <= slack


def test_ten_mines_teach_digits_to_97_percent(demos: Callable[..., Demo], tmp_path: Path) -> None:
    report = run(demos, tmp_path, "digits", 10)
    assert report["final_accuracy"] >= 0.97
    assert report["starting_accuracy"] < 0.15
    assert [payout["mine"] for payout in report["payouts"]] == [f"mine {n}" for n in range(1, 11)]
    assert all(payout["paid_wei"] > 0 for payout in report["payouts"])
    assert list(report) == [
        "scenario", "mines", "starting_accuracy", "target_accuracy", "final_accuracy",
        "delivered_accuracy", "bounty_wei", "paid_wei", "fee_wei", "refunded_wei", "payouts",
        "seconds", "verified",
    ]  # fmt: skip
    check_money(report)


@pytest.mark.parametrize(("scenario", "mines"), [("breast-cancer", 10), ("diabetes", 3)])
def test_the_other_scenarios_reach_their_targets(
    demos: Callable[..., Demo], tmp_path: Path, scenario: str, mines: int
) -> None:
    report = run(demos, tmp_path, scenario, mines)
    assert report["scenario"] == scenario
    assert report["mines"] == mines
    assert report["final_accuracy"] >= report["target_accuracy"]
    check_money(report)


def test_a_crash_names_the_process_and_its_log(demos: Callable[..., Demo]) -> None:
    demo = demos("--scenario", "diabetes", "--mines", "2")
    victim = wait_for(lambda: _find(demo, "mine-2"), "mine 2 runs")
    victim.kill()
    assert demo.wait() == 1
    said = demo.text()
    assert re.search(r"error: mine 2 was killed by signal 9; its log is \S+mine-2\.log", said), said


def test_ctrl_c_leaves_nothing_running(demos: Callable[..., Demo]) -> None:
    demo = demos("--scenario", "diabetes", "--mines", "2")
    wait_for(lambda: _find(demo, "mine-2"), "mine 2 runs")
    children = demo.children()
    assert len(children) >= 4
    demo.process.send_signal(signal.SIGINT)
    assert demo.wait() == 130
    assert "nothing is left running" in demo.text()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scenario", "weather"], "there is no scenario 'weather'; choose: digits"),
        (["--mines", "0"], "--mines 0 is not between 1 and 200"),
        (["--mines", "201"], "--mines 201 is not between 1 and 200"),
        (["--scenario", "diabetes", "--mines", "100"], "442 rows serve at most 44 mines"),
    ],
)
def test_what_cannot_be_run_is_said(
    demos: Callable[..., Demo], arguments: list[str], said: str
) -> None:
    demo = demos(*arguments)
    assert demo.wait() == 1
    assert said in demo.text()


def _find(demo: Demo, name: str) -> psutil.Process | None:
    if demo.process.poll() is not None:
        raise AssertionError(demo.text())
    for child in demo.children():
        try:
            if child.cmdline()[-3:-2] and name in child.cmdline()[-3]:
                return child
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return None
