"""Programs that the devnet runs are found, or named with what brings them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from openmined.cli import main
from openmined.devnet import MissingProgram
from openmined.devnet._demo import spread_kinds
from openmined.devnet._programs import find_mine_js, find_node


def test_mine_js_is_found_above_a_folder_when_it_is_built(tmp_path: Path) -> None:
    program = tmp_path / "mine-js" / "bin" / "openmined-mine.js"
    program.parent.mkdir(parents=True)
    program.touch()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    with pytest.raises(MissingProgram, match="mine-js is not built: run `make mine-js` first"):
        find_mine_js(inner)
    built = tmp_path / "mine-js" / "dist" / "main.js"
    built.parent.mkdir()
    built.touch()
    assert find_mine_js(inner) == (find_node(), program)


def test_node_is_the_one_of_the_wheel() -> None:
    assert find_node().is_relative_to(sys.prefix)


def test_the_demo_says_that_mine_js_is_missing_before_it_starts_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine-js" / "bin").mkdir(parents=True)
    (tmp_path / "mine-js" / "bin" / "openmined-mine.js").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["demo", "--mine-js", "1", "--folder", str(tmp_path / "network")])
    assert end.value.code == 1
    assert "run `make mine-js` first" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "network").exists()


def test_there_cannot_be_more_of_mine_js_than_mines(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--mines", "3", "--mine-js", "4"])
    told = " ".join(capsys.readouterr().err.split())
    assert "--mine-js 4 is not between 0 and 3, the number of mines" in told


@pytest.mark.parametrize(("mines", "mine_js"), [(1, 0), (1, 1), (4, 2), (10, 5), (7, 3), (5, 5)])
def test_kinds_are_spread_evenly(mines: int, mine_js: int) -> None:
    kinds = spread_kinds(mines, mine_js)
    assert (len(kinds), kinds.count("Mine.js")) == (mines, mine_js)
    for length in range(1, mines + 1):
        counts = {
            kinds[first : first + length].count("Mine.js") for first in range(mines - length + 1)
        }
        assert max(counts) - min(counts) <= 1
