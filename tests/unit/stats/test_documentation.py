"""What is not written down fails."""

from __future__ import annotations

import json
from pathlib import Path

from typer.main import get_command

import openmined.stats
from openmined.stats import app
from openmined.stats._errors import StatsError

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/statistics.md").read_text(encoding="utf-8")


def test_every_path_is_documented() -> None:
    document = json.loads((ROOT / "docs/openapi/stats.json").read_text(encoding="utf-8"))
    for path in document["paths"]:
        parts = [part for part in path.split("/") if part and not part.startswith("{")]
        assert parts[-1] in PAGE, path
        assert f"/v1/{parts[1]}" in PAGE, path


def test_every_command_is_documented() -> None:
    for name in get_command(app).commands:  # type: ignore[attr-defined]
        assert f"openmined stats {name}" in PAGE, name


def test_every_command_and_option_explains_itself() -> None:
    for command in get_command(app).commands.values():  # type: ignore[attr-defined]
        assert command.help
        for parameter in command.params:
            assert getattr(parameter, "help", ""), f"{command.name} {parameter.name}"


def test_what_is_exported_is_sorted_and_there() -> None:
    names = openmined.stats.__all__
    assert all(hasattr(openmined.stats, name) for name in names)
    kinds = {name for name in names if isinstance(getattr(openmined.stats, name), type)}
    errors = {kind.__name__ for kind in StatsError.__subclasses__()} | {"StatsError"}
    assert errors <= kinds
