"""The numbered walkthroughs run; each asserts what it claims."""

import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "examples" / "syft"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_walkthrough_runs(script, capsys):
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_walkthroughs_are_numbered_and_say_how_to_run_them():
    assert [script.name.partition("_")[0] for script in SCRIPTS] == list("1234567")
    for number, script in enumerate(SCRIPTS, 1):
        text = script.read_text(encoding="utf-8")
        assert text.startswith(f'"""{number}. ')
        assert f"python examples/syft/{script.name}" in text
