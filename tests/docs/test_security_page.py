"""The threat model says what the attacks measured, and cannot be told otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.exploits import table
from tests.exploits.figures import FIGURES, Ledger
from tests.exploits.table import AttackError, read_attack, read_attacks, render_page

ATTACK = '''"""A title.

Adversary: a
Power: b
Wants: c
Source: d
Promise: e
Defence: f
Result: {gained:.0%} of it,
    and no more
"""
'''


@pytest.fixture
def attack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(table, "FOLDER", tmp_path)
    path = tmp_path / "bounty" / "test_attack.py"
    path.parent.mkdir()
    path.write_text(ATTACK)
    return path


def test_the_page_is_what_the_attacks_say() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == render_page()


def test_every_attack_is_on_it() -> None:
    page = table.PAGE.read_text(encoding="utf-8")
    for attack in read_attacks():
        assert f"tests/exploits/{attack.file}" in page
        assert attack.lines["Result"] in page


def test_a_figure_is_shown_as_it_was_measured(attack: Path) -> None:
    read = read_attack(attack, {"bounty/test_attack.py": {"gained": 0.42}})
    assert read.lines["Result"] == "42% of it, and no more"


@pytest.mark.parametrize(
    ("figures", "changed", "said"),
    [
        ({}, ATTACK, "no test has noted gained"),
        ({"gained": 1.0, "lost": 2.0}, ATTACK, "lost is noted and not shown"),
        ({"gained": 1.0}, ATTACK.replace("Promise: e\n", ""), "lacks Promise"),
        ({"gained": 1.0}, ATTACK.replace("Power: b", "Might: b"), "'Might' is unknown"),
    ],
)
def test_what_does_not_fit_is_refused(
    attack: Path, figures: dict[str, float], changed: str, said: str
) -> None:
    attack.write_text(changed)
    with pytest.raises(AttackError, match=said):
        read_attack(attack, {"bounty/test_attack.py": figures})


def test_a_figure_that_has_moved_fails_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENMINED_RECORD_FIGURES", raising=False)
    file, figures = next(iter(json.loads(FIGURES.read_text()).items()))
    name, value = next(iter(figures.items()))
    Ledger(file).note(name, value)
    with pytest.raises(AssertionError, match=r"when docs/security.md was written"):
        Ledger(file).note(name, value + 1)
    with pytest.raises(AssertionError, match="record it"):
        Ledger(file).note("unheard of", 1)
