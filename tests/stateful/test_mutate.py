"""The mutation runner itself: it changes every place, and tells killed from surviving."""

import subprocess
import sys

import pytest
from mutate import KILLED, SOURCE, STILLBORN, SURVIVED, TIMED_OUT, Mutant, Mutator, summarize
from sonar_world import REPOSITORY

TEXT = SOURCE.read_text()
MUTANTS = Mutator(TEXT).mutants()


def test_every_kind_of_place_is_changed() -> None:
    kinds = {mutant.kind for mutant in MUTANTS}
    assert kinds == {"comparison", "sign", "and/or", "constant", "guard", "statement"}
    assert len(MUTANTS) > 600
    assert all(mutant.apply(TEXT) != TEXT for mutant in MUTANTS)


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        ("a guard", "assert terms.bounty != 0", "assert terms.bounty == 0"),
        ("the formula", "// life.target_ppm", "* life.target_ppm"),
        ("the lock", "# pragma nonreentrancy on", "#\n"),
        ("a loop's guard", "== GRADIENT_PENDING:", "== (GRADIENT_PENDING + 1):"),
        ("a shift", "(life.target_ppm << 232)", "(life.target_ppm >> 232)"),
    ],
)
def test_such_changes_are_among_them(line: str, old: str, new: str) -> None:
    assert old in TEXT
    assert any(new in mutant.apply(TEXT) and new not in TEXT for mutant in MUTANTS), line


def test_what_it_reports() -> None:
    places = [Mutant("guard", n, n, n + 1, "") for n in range(1, 5)]
    verdicts = dict(zip(places, (KILLED, SURVIVED, STILLBORN, TIMED_OUT), strict=True))
    text, share = summarize(verdicts, TEXT)
    assert "mutants killed: 2/3 = 66.7 % (1 stillborn)" in text
    assert "line 2: guard" in text
    assert round(share, 1) == 66.7


def run_on(place: str, killers: str) -> subprocess.CompletedProcess[str]:
    """A run on the mutants of the line that holds `place`, by one file of tests."""
    line = str(TEXT[: TEXT.index(place)].count("\n") + 1)
    command = [sys.executable, "tests/stateful/mutate.py", "--workers", "1", "--lines", line]
    tests = ["--killers", f"tests/unit/sonar_contract/{killers}.py"]
    return subprocess.run([*command, *tests], cwd=REPOSITORY, capture_output=True, text=True)


def test_what_the_tests_notice_is_killed() -> None:
    finished = run_on('"Sonar: capsule is the payer"', killers="test_launch")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "mutants killed: 2/2 = 100.0 %" in finished.stdout


def test_what_they_do_not_notice_survives() -> None:
    finished = run_on('"Sonar: grace not over"', killers="test_life")
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert "0 of    2 killed" in finished.stdout
    assert "guard" in finished.stdout
