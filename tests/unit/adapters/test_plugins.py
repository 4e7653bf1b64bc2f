"""Adapters of other packages: found by entry point, used like ours, unable to break the rest."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from openmined.adapters import (
    Adapter,
    PluginBroken,
    Row,
    RowError,
    UnknownAdapter,
    app,
    built_in_adapters,
    load_adapters,
    open_export,
)

PACKAGE = Path(__file__).parents[2] / "plugins" / "openmined-diary"
Install = Callable[[dict[str, str], Path | None], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Lay down what an installer lays down for a package with entry points."""

    def run(points: dict[str, str], source: Path | None = None) -> None:
        site = tmp_path / "site"
        info = site / "openmined_diary-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: openmined-diary\nVersion: 1.0\n"
        )
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (info / "entry_points.txt").write_text(f"[openmined.adapters]\n{lines}")
        monkeypatch.syspath_prepend(site)
        if source:
            monkeypatch.syspath_prepend(source)
        monkeypatch.delitem(sys.modules, "openmined_diary", raising=False)

    return run


def entry_points() -> dict[str, str]:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    return project["entry-points"]["openmined.adapters"]


def test_the_third_party_package_reads_its_diary(install: Install, tmp_path: Path) -> None:
    install(entry_points(), PACKAGE / "src")
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "diary.txt").write_text("2026-01-01 4 first of many\n\n2026-01-02 9 rain\nx\n")
    with open_export(folder) as export:
        assert export.adapter.name == "diary"
        assert isinstance(export.adapter, Adapter)
        items = list(export.rows())
    assert [item.values for item in items if isinstance(item, Row)] == [
        {"day": date(2026, 1, 1), "mood": 4, "words": "first of many"}
    ]
    assert [(e.place.line, e.reason) for e in items if isinstance(e, RowError)] == [
        (3, "mood = 9 is above 5"),
        (4, "day = x is no date"),
    ]


def test_the_list_shows_it(install: Install) -> None:
    install(entry_points(), PACKAGE / "src")
    shown = CliRunner().invoke(app, ["list"]).stdout
    assert "openmined-diary/entries@1" in shown


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ({"diary": "no_such_module:Adapter"}, "ModuleNotFoundError"),
        ({"diary": "json:loads"}, "TypeError"),
        ({"diary": "collections:OrderedDict"}, "neither an Adapter nor an AdapterFactory"),
        ({"csv": "openmined_diary:DiaryAdapter"}, "taken by another adapter"),
        ({"journal": "openmined_diary:DiaryAdapter"}, "it calls itself 'diary'"),
    ],
)
def test_a_broken_plugin_is_reported_and_stops_nobody(
    install: Install, points: dict[str, str], reason: str
) -> None:
    install(points, PACKAGE / "src")
    adapters = load_adapters()
    assert adapters.by_name.keys() == built_in_adapters().keys()
    (broken,) = adapters.broken
    assert broken.package == "openmined-diary"
    assert reason in broken.reason
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    assert "broken" in result.stderr
    if broken.name not in adapters.by_name:
        with pytest.raises(PluginBroken, match="openmined-diary"):
            adapters.named(broken.name)


def test_an_adapter_that_raises_in_the_middle_ends_in_an_error_value(
    install: Install, tmp_path: Path
) -> None:
    module = tmp_path / "lib" / "openmined_diary.py"
    module.parent.mkdir()
    good = (PACKAGE / "src/openmined_diary/__init__.py").read_text()
    module.write_text(good + "\n        yield Row({'foreign': 1}, Place('x'))\n        1 / 0\n")
    install(entry_points(), module.parent)
    (tmp_path / "diary.txt").write_text("2026-01-01 4 first\n")
    with open_export(tmp_path / "diary.txt") as export:
        first, second, last = export.rows()
    assert isinstance(first, Row)
    assert isinstance(second, RowError)
    assert "no field foreign" in second.reason
    assert isinstance(last, RowError)
    assert last.stops
    assert "ZeroDivisionError" in last.reason


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UnknownAdapter, match="apple-health"):
        load_adapters().named("nonsense\x1b[2J")
