"""`make bench`: one table, rows of one form, and no figure missed in silence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from benchmarks.syft import __main__ as bench  # noqa: E402
from benchmarks.syft import _rows  # noqa: E402


@pytest.fixture
def parts(monkeypatch):
    """Parts that are not run in processes of their own."""
    rows = {
        "good": [_rows.make_row("a", 0.5, rival="b", rival_seconds=2.0, required={"fast": True})],
        "bad": [_rows.make_row("c", 0.5, required={"fast": True, "97 %": False})],
    }
    monkeypatch.setattr(bench, "PARTS", dict.fromkeys(rows, None))
    monkeypatch.setattr(
        bench, "measure", lambda names, _quick: (row for name in names for row in rows[name])
    )


def test_a_row_has_every_key_and_its_ratio():
    row = _rows.make_row("a", 0.25, rival="b", rival_seconds=1.0, gradients=3)
    assert tuple(row)[: len(_rows.KEYS)] == _rows.KEYS
    assert (row["ratio"], row["bits"], row["gradients"]) == (4.0, None, 3)
    assert row["peak_mb"] > 0


def test_a_figure_that_is_not_reached_is_printed_and_fails(parts, tmp_path, capsys):
    results = tmp_path / "results.json"
    assert bench.main(["--results", str(results)]) == 1
    printed = capsys.readouterr().out
    assert "    NOT REACHED: 97 %" in printed
    assert "NOT REACHED  c: 97 %" in printed
    assert [row["name"] for row in json.loads(results.read_text())] == ["a", "c"]
    assert bench.main(["--show", "--results", str(results)]) == 1
    assert "    NOT REACHED: 97 %" in capsys.readouterr().out
    assert bench.main(["--only", "good", "--results", str(results)]) == 0
    assert "Every figure that is asked for was reached." in capsys.readouterr().out


def test_only_a_whole_run_replaces_the_results(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.json")
    bench.main(["--quick"])
    bench.main(["--only", "good"])
    assert not bench.RESULTS.exists()
    bench.main([])
    assert len(json.loads(bench.RESULTS.read_text())) == 2


def test_a_part_that_dies_is_not_reached(monkeypatch):
    monkeypatch.setattr(bench.sys, "executable", "false")
    (row,) = bench.measure(["large"], True)
    assert _rows.not_reached([row]) == ["large: this part ended with status 1"]


def test_parts_run_as_the_command_does(tmp_path):
    results = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks.syft", "--quick", "--only", "large"]
    done = subprocess.run(
        [*command, "--results", results], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(results.read_text())
    assert row["bits"] >= 12
    assert row["operations"] == {"plaintext multiplications": 256, "rotations": 30}
    assert row["bytes_up"] > row["bytes_down"] > 0


def test_the_committed_results_have_every_key():
    for row in json.loads((ROOT / "benchmarks" / "results.json").read_text()):
        assert set(_rows.KEYS) <= set(row), row["name"]
