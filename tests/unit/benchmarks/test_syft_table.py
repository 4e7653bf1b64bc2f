"""`make bench`: one table, rows of one form, and no figure missed in silence."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "syft.md"
sys.path.insert(0, str(ROOT))

from benchmarks.syft import __main__ as bench  # noqa: E402
from benchmarks.syft import _page, _rows  # noqa: E402


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
    monkeypatch.setattr(bench, "PAGE", tmp_path / "syft.md")
    bench.PAGE.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    bench.main(["--quick"])
    bench.main(["--only", "good"])
    assert not bench.RESULTS.exists()
    bench.main([])
    assert len(json.loads(bench.RESULTS.read_text())) == 2


def test_the_page_gets_the_tables_of_a_whole_run():
    row, page = _rows.make_row, PAGE.read_text(encoding="utf-8")
    sizes = {"bytes_keys": 43_500_000, "bytes_down": 5_900_000, "bytes_up": 1_500_000}
    counts = dict.fromkeys(("a", "b", "c", "d"), 7)
    network = {"operations": counts, "over_operations": 1.117, "over_those_four": 1.4}
    rows = [
        row("update 785x10", 1.27, rival="TenSEAL", rival_seconds=60.0, bits=15.4, **sizes),
        row("MLP 64-64-10, 128 samples", 0.9, bits=11.4, bits_of_layers=[9.5, 12], **network),
        row("statistics of 9 x 64, streamed", 35.0),
        row("digits", 60.0, accuracy=0.972, gradients=51),
        row("MNIST", 81.0, accuracy=0.939, gradients_to_93=5, centralised=0.946),
        row("AdaSSP, MNIST, 1,023 features, 10,000 rows a mine", 1.0,
            accuracy_by_epsilon={"none": 0.93, "10": 0.79}),
        _rows.missing_row("update 11x1", "phe is not there"),
    ]  # fmt: skip
    written = _page.rewrite_page(page, rows)
    for line in (
        "| 43.5 MB | 5.9 MB | 1.5 MB | 15.4 | TenSEAL: 60 s | 47 |",
        "| 11.4 (9.5, 12) |  |  |",
        "| 64-64-10, 128 samples | 7/7/7/7 | 1.12 | 1.40 |",
        "| digits | 97.2 % after 51 gradients |  | 60 |",
        "| MNIST | 93.9 % (93 % after 5) | 94.6 % | 81 |",
        "| MNIST, 1,023 features | 10,000 | 93.0 % | 79.0 % |",
    ):
        assert line in written
    assert "update 11x1" not in written
    assert _page.rewrite_page(written, rows) == written
    prose = re.compile(r"<!-- measured: \w+ -->.*?<!-- end -->", re.DOTALL)
    assert prose.sub("", written) == prose.sub("", page)


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
