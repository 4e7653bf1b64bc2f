"""`openmined adapters`: list, detect, preview, as a person and as a program reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from openmined.adapters import app, built_in_adapters

VECTORS = Path(__file__).parents[2] / "vectors" / "exports"
RUN = CliRunner()


def test_list_names_every_adapter() -> None:
    result = RUN.invoke(app, ["list", "--json"])
    listed = json.loads(result.stdout)
    assert {adapter["name"] for adapter in listed["adapters"]} == built_in_adapters().keys()
    assert listed["broken"] == []
    assert all(name in RUN.invoke(app, ["list"]).stdout for name in built_in_adapters())


def test_detect_says_what_it_is_and_what_is_not_read(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["detect", str(VECTORS / "x-2022" / "source"), "--json"])
    assert json.loads(result.stdout)[0] == {"adapter": "x", "confidence": 0.95}
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "b.zip").write_bytes(b"")
    result = RUN.invoke(app, ["detect", str(tmp_path)])
    assert "csv" in result.stdout
    assert "not read: b.zip: an archive inside a folder is not opened" in result.stderr


def test_detect_fails_on_what_nobody_recognises(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0")
    result = RUN.invoke(app, ["detect", str(tmp_path / "a.bin")])
    assert result.exit_code == 1
    assert "no adapter recognises it" in result.stderr


def test_preview_shows_rows_and_errors() -> None:
    folder = VECTORS / "csv-german"
    arguments = ["preview", str(folder / "source"), "-m", str(folder / "mapping.toml")]
    result = RUN.invoke(app, arguments)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:3] == [
        "CSV: rows of a schema of its own",
        "name  age  height  when                       label  note",
        'José  36   1.75    2025-12-31 07:30:00+00:00  sad    =HYPERLINK("http://192.0.2.1")',
    ]
    assert "no row: umfrage.csv, line 4: 2 is none of the values" in result.stderr
    data = json.loads(RUN.invoke(app, [*arguments, "--json", "--rows", "1"]).stdout)
    assert [row["age"] for row in data["rows"]] == [36]


def test_preview_shows_no_control_characters(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"s": "\x1b]0;owned\x07\x1b[2J\u202e"}))
    result = RUN.invoke(app, ["preview", str(tmp_path / "a.jsonl")])
    assert all(char.isprintable() or char == "\n" for char in result.stdout)
    assert "owned" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.zip"], "there is no such file or folder"),
        (["--adapter", "nonsense", "."], "no adapter is named nonsense"),
        (["--mapping", "absent.toml", "."], "absent.toml"),
    ],
)
def test_what_cannot_be_previewed_says_why(arguments: list[str], message: str) -> None:
    result = RUN.invoke(app, ["preview", *arguments])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
