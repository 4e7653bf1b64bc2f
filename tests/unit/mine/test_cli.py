from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.unit.mine.folder_world import PASSPHRASE, SCHEMA, table
from typer.main import get_command

from openmined.cli import main
from openmined.mine import Decision, FolderLock, MineFolder, app
from openmined.mine._permissions import Cause

Run = Callable[..., tuple[int, str, str]]
NETWORK = [
    "--rpc-url", "http://127.0.0.1:1", "--chain-id", "31337", "--sonar", "0x" + "5" * 40,
    "--store-url", "http://127.0.0.1:2",
]  # fmt: skip


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    place = tmp_path / "passphrase"
    place.write_text(PASSPHRASE + "\n")
    place.chmod(0o600)
    return place


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> tuple[int, str, str]:
        try:
            main(["mine", *map(str, words)])
        except SystemExit as end:
            code = int(end.code or 0)
        else:
            code = 0
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def made(tmp_path: Path, run: Run, secret: Path) -> Path:
    folder = tmp_path / "mine"
    code, out, _ = run(
        "init", folder, *NETWORK, "--light-kdf", "--passphrase-file", secret, "--json"
    )
    assert code == 0
    assert json.loads(out)["address"] == MineFolder(folder).address
    return folder


def import_rows(run: Run, made: Path, secret: Path, count: int = 30) -> dict[str, Any]:
    pq.write_table(table(40).slice(0, count), made.parent / "rows.parquet")
    schema = made.parent / "schema.json"
    schema.write_text(SCHEMA.model_dump_json(exclude_none=True))
    code, out, err = run(
        "import", made, made.parent / "rows.parquet", "--name", "data", "--schema", schema,
        "--passphrase-file", secret, "--json",
    )  # fmt: skip
    assert code == 0, err
    report: dict[str, Any] = json.loads(out)
    return report


def test_a_mine_is_made_filled_and_permitted(run: Run, made: Path, secret: Path) -> None:
    assert import_rows(run, made, secret)["imported"]["rows_added"] == 30
    assert import_rows(run, made, secret, 40)["imported"]["rows_added"] == 10
    code, out, _ = run("datasets", made, "--json")
    assert code == 0
    (dataset,) = json.loads(out)
    assert (dataset["name"], dataset["rows"], dataset["mode"]) == ("data", 40, "deny")

    _, out, _ = run("permissions", made, "data")
    assert out == "No campaign may use this dataset. Nothing of it leaves this machine.\n"
    code, out, _ = run(
        "permissions", made, "data", "--mode", "ask", "--fields", "*",
        "--set", "max_rounds=3", "--set", 'hours=["22:00-06:00"]',
        "--set", "timezone=Europe/Lisbon",
    )  # fmt: skip
    assert code == 0
    assert "It sees at most 3 a campaign." in out
    permission = MineFolder(made).settings().permission("data")
    assert (permission.mode, permission.max_rounds, permission.timezone) == (
        "ask",
        3,
        "Europe/Lisbon",
    )
    _, out, _ = run("permissions", made)
    assert json.loads(out)["data"]["hours"] == ["22:00-06:00"]

    code, out, _ = run("datasets", made, "--delete", "data", "--yes")
    assert code == 0
    _, out, _ = run("datasets", made)
    assert "no dataset yet" in out


def test_status_decisions_and_earnings_need_no_passphrase(run: Run, made: Path) -> None:
    ledger = MineFolder(made).ledger()
    hostile = Cause(code="terms", text="its manifest \x1b[2J says [bold]so[/bold]")
    ledger.record_decision(4, "data", Decision(verdict="ask", causes=(hostile,)))
    ledger.close()
    code, out, _ = run("status", made, "--json")
    assert code == 0
    assert json.loads(out)["running"] is False
    code, out, _ = run("decisions", made)
    assert "\x1b[2J" not in out
    assert "ask" in out
    code, out, _ = run("decisions", made, "--approve", "4:data", "--json")
    assert json.loads(out)[0]["campaign"] == 4
    ledger = MineFolder(made).ledger()
    assert ledger.answer(4, "data") == "approved"
    ledger.close()
    code, out, _ = run("earnings", made)
    assert out == "nothing yet\n"
    with FolderLock(made):
        assert json.loads(run("status", made, "--json")[1])["running"] is True


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("init", "MINE", *NETWORK, "--light-kdf"), "holds a mine already"),
        (("init", "NEW"), "give --network NAME, or all of"),
        (("init", "NEW", "--network", "none-such"), "none-such"),
        (("status", "NEW"), "openmined mine init"),
        (("import", "MINE", "NEW", "--name", "x"), "no such file"),
        (("import", "MINE", "NEW", "--name", "x", "--schema", "NEW"), "cannot be read"),
        (("permissions", "MINE", "none", "--mode", "ask"), "no dataset 'none'"),
        (("decisions", "MINE", "--approve", "4"), "is not CAMPAIGN:DATASET"),
        (("datasets", "MINE", "--delete", "none", "--yes"), "no dataset 'none'"),
        (("start", "MINE"), "no Ethereum node answers"),
        (("restore", "NEW", "OTHER"), "cannot be restored"),
    ],
)
def test_failures_are_one_clear_message(
    run: Run,
    made: Path,
    secret: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.setenv("OPENMINED_HOME", str(made.parent / "home"))
    places = {"MINE": made, "NEW": made.parent / "new", "OTHER": made.parent / "other"}
    given = [str(places.get(word, word)) for word in words]
    if words[0] in ("init", "import", "start", "restore"):
        given += ["--passphrase-file", str(secret)]
    code, _, err = run(*given)
    assert code == 1
    assert message in err
    assert "Traceback" not in err
    assert PASSPHRASE not in err


def test_a_wrong_passphrase_is_said(run: Run, made: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("another passphrase")
    wrong.chmod(0o600)
    code, _, err = run("start", made, "--passphrase-file", wrong)
    assert code == 1
    assert "does not open the mine" in err


def test_a_second_mine_on_the_folder_says_who_runs(run: Run, made: Path, secret: Path) -> None:
    with FolderLock(made):
        code, _, err = run("start", made, "--passphrase-file", secret)
    assert code == 1
    assert "in use by another mine" in err


def test_backup_and_restore(run: Run, made: Path, secret: Path, tmp_path: Path) -> None:
    code, out, _ = run("backup", made, tmp_path / "backup")
    assert (code, "opens with the mine's passphrase" in out) == (0, True)
    code, _, err = run(
        "restore", tmp_path / "backup", tmp_path / "again", "--passphrase-file", secret
    )
    assert code == 0, err
    assert MineFolder(tmp_path / "again").address == MineFolder(made).address


def test_nothing_to_withdraw_without_a_network_is_said(run: Run, made: Path, secret: Path) -> None:
    code, _, err = run("withdraw", made, "--passphrase-file", secret)
    assert code == 1
    assert "no Ethereum node answers" in err


def test_every_command_is_described_and_documented() -> None:
    text = (Path(__file__).parents[3] / "docs/mine.md").read_text(encoding="utf-8")
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        assert command.help, name
        assert command.hidden or f"`{name}`" in text, name


def test_looking_at_a_mine_loads_little() -> None:
    program = (
        "import sys; import openmined.mine; from openmined.mine import _cli\n"
        "heavy = {'sklearn', 'scipy', 'pandas', 'matplotlib', 'fastapi', 'tenseal', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout == "[]\n"


def test_the_public_names_are_sorted_and_there() -> None:
    import openmined.mine as mine

    assert mine.__all__ == sorted(mine.__all__)
    for name in mine.__all__:
        assert getattr(mine, name) is not None
