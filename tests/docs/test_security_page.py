"""The threat model says what the attacks measured, and cannot be told otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.exploits import table
from tests.exploits.figures import FIGURES, Ledger
from tests.exploits.table import AttackError, read_attacks, read_lines, render_page

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


def test_the_page_is_what_the_attacks_say() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == render_page()


def test_every_attack_is_on_it() -> None:
    page = table.PAGE.read_text(encoding="utf-8")
    for attack in read_attacks():
        assert f"tests/exploits/{attack.file}" in page
        assert attack.lines["Result"] in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (ATTACK.replace("Promise: e\n", ""), "lacks Promise"),
        (ATTACK.replace("Power: b", "Might: b"), "'Might' is unknown"),
    ],
)
def test_a_line_that_is_missing_or_unknown_is_refused(
    tmp_path: Path, changed: str, said: str
) -> None:
    path = tmp_path / "test_attack.py"
    path.write_text(changed)
    with pytest.raises(AttackError, match=said):
        read_lines(path)


def test_a_figure_that_has_moved_fails_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENMINED_RECORD_FIGURES", raising=False)
    file, figures = next(iter(json.loads(FIGURES.read_text()).items()))
    name, value = next(iter(figures.items()))
    Ledger(file).note(name, value)
    with pytest.raises(AssertionError, match=r"when docs/security.md was written"):
        Ledger(file).note(name, value + 1)
    with pytest.raises(AssertionError, match="record it"):
        Ledger(file).note("unheard of", 1)
