"""The command line: the same words in, the same words and exit codes out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.conformance.mines import (
    DEADLINE_S,
    PYTHON,
    Kind,
    kind_of,
    node_kind,
    passphrase_file,
    run,
)
from tests.unit.mine.folder_world import PASSPHRASE, SCHEMA, table

from openmined.cli import main
from openmined.mine import MineFolder

NETWORK = (
    "--rpc-url", "http://127.0.0.1:1", "--chain-id", "31337", "--sonar", "0x" + "5" * 40,
    "--store-url", "http://127.0.0.1:2",
)  # fmt: skip


def init(kind: Kind, folder: Path, secret: Path) -> None:
    done = run(kind, "init", folder, *NETWORK, "--light-kdf", "--passphrase-file", secret, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["address"] == MineFolder(folder).address


def told(kind: Kind, *words: object) -> tuple[int, str, str]:
    done = run(kind, *words)
    return done.returncode, done.stdout, " ".join(done.stderr.split())


def told_here(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Mine.py in this process: thirty starts of Python would take half a minute."""
    code = 0
    try:
        main(["mine", *map(str, words)])
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out, " ".join(err.split())


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return passphrase_file(tmp_path)


@pytest.mark.parametrize(("maker", "user"), [("python", "node"), ("node", "python")])
def test_either_opens_what_the_other_made(
    tmp_path: Path, secret: Path, maker: str, user: str
) -> None:
    folder = tmp_path / "mine"
    init(kind_of(maker), folder, secret)
    assert MineFolder(folder).unlock(PASSPHRASE).identity.startswith("AGE-SECRET-KEY-1")
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    export, schema = tmp_path / "rows.parquet", tmp_path / "schema.json"
    pq.write_table(table(30), export)
    schema.write_text(SCHEMA.model_dump_json(exclude_none=True))
    done = run(
        kind_of(user), "import", folder, export, "--name", "rows", "--schema", schema,
        "--passphrase-file", secret, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["imported"]["rows_added"] == 30


def test_both_say_the_same(
    tmp_path: Path,
    secret: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    python, node = tmp_path / "a" / "mine", tmp_path / "b" / "mine"
    init(PYTHON, python, secret)
    export, schema = tmp_path / "rows.parquet", tmp_path / "schema.json"
    pq.write_table(table(30), export)
    schema.write_text(SCHEMA.model_dump_json(exclude_none=True))
    words = ("--name", "rows", "--schema", schema, "--passphrase-file", secret)
    assert run(PYTHON, "import", python, export, *words).returncode == 0
    shutil.copytree(python, node)
    open_file = tmp_path / "open"
    open_file.write_text("x")
    wrong = passphrase_file(tmp_path / "a", "another passphrase")
    script: list[tuple[object, ...]] = [
        ("status",), ("status", "--json"), ("datasets",), ("datasets", "--json"),
        ("permissions",), ("permissions", "rows"), ("permissions", "rows", "--json"),
        ("permissions", "rows", "--mode", "ask", "--fields", "pixels", "--fields", "label"),
        ("permissions", "rows", "--set", "max_rounds=3", "--set", "epsilon_budget=2.5"),
        ("permissions", "rows", "--set", "min_bounty_wei='12'", "--json"),
        ("permissions", "rows", "--set", "max_rounds=0"),
        ("permissions", "rows", "--set", "max_rounds"),
        ("permissions", "rows", "--set", "hours=['9-17']"),
        ("permissions", "rows", "--set", "hours=['09:00-17:00']", "--json"),
        ("permissions", "rows", "--mode", "perhaps"),
        ("permissions", "none", "--mode", "ask"),
        ("permissions",), ("decisions",), ("decisions", "--json"),
        ("decisions", "--approve", "7:rows"), ("decisions", "--approve", "seven"),
        ("earnings",), ("earnings", "--json"),
        ("start", "--passphrase-file", wrong), ("start", "--passphrase-file", open_file),
        ("start", "--passphrase-file", tmp_path / "nowhere"),
        ("init", *NETWORK, "--passphrase-file", secret),
        ("datasets", "--delete", "none", "--yes"), ("datasets", "--delete", "rows", "--yes"),
        ("datasets",),
    ]  # fmt: skip
    different = []
    for command, *options in script:
        answers = (
            (python, told_here(capsys, command, python, *options)),
            (node, told(node_kind(), command, node, *options)),
        )
        pairs = []
        for folder, (code, out, err) in answers:
            here = str(folder.parent)
            pairs.append((code, out.replace(here, "HERE").rstrip(), err.replace(here, "HERE")))
        if pairs[0] != pairs[1]:
            different.append(f"{command} {options}\n  python {pairs[0]}\n  node   {pairs[1]}")
    assert different == [], "\n".join(["", *different])


def test_misuse_has_the_same_exit_code(
    tmp_path: Path, secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "mine"
    init(PYTHON, made, secret)
    misuses: list[tuple[object, ...]] = [
        ("nonsense",), ("status",), ("status", made, "more"), ("status", made, "--nonsense"),
        ("permissions", made, "rows", "--mode"), ("withdraw", made, "--wait-s", "soon"),
    ]  # fmt: skip
    codes = [(told_here(capsys, *words)[0], told(node_kind(), *words)[0]) for words in misuses]
    assert codes == [(2, 2)] * len(misuses)


def test_bad_folders_are_named(
    tmp_path: Path, secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "mine"
    init(PYTHON, made, secret)
    (tmp_path / "empty").mkdir()
    shutil.copytree(made, tmp_path / "toml")
    (tmp_path / "toml" / "mine.toml").write_text("format = [")
    shutil.copytree(made, tmp_path / "setting")
    text = (made / "mine.toml").read_text()
    (tmp_path / "setting" / "mine.toml").write_text(text.replace("= 5.0", "= -5.0"))
    shutil.copytree(made, tmp_path / "future")
    (tmp_path / "future" / "mine.toml").write_text(text.replace("mine@1", "mine@9"))
    shutil.copytree(made, tmp_path / "ledger")
    for path in (tmp_path / "ledger").glob("ledger.sqlite*"):
        path.write_bytes(b"no database at all" * 100)
    shutil.copytree(made, tmp_path / "gone")
    (tmp_path / "gone" / "ledger.sqlite").unlink()
    for name in ("empty", "toml", "setting", "future", "ledger", "gone"):
        words = ("status", tmp_path / name)
        answers = [told_here(capsys, *words), told(node_kind(), *words)]
        assert answers[0][0] == answers[1][0] == 1, (name, answers)
        assert answers[1][2].startswith("error: "), answers[1]
        if name != "toml":  # each parser has its own words for what is no TOML
            assert answers[0] == answers[1]


def test_generated_files_are_up_to_date() -> None:
    import subprocess
    import sys

    script = Path(__file__).parents[2] / "mine-js" / "scripts" / "generate.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_vectors_are_read_by_node() -> None:
    import subprocess

    from tests.conformance.mines import MINE_JS, environment, node

    node_kind()
    tests = sorted(map(str, (MINE_JS / "dist" / "test").glob("*.test.js")))
    command = [node(), "--disable-warning=ExperimentalWarning", "--test", *tests]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=170, env=environment(), check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    features = MINE_JS.parent / "tests" / "vectors" / "features" / "check.mjs"
    assert "checked columns" in subprocess.check_output([node(), features], text=True)


def test_the_statistics_service_knows_the_signature_of_a_report(tmp_path: Path) -> None:
    import subprocess

    from tests.conformance.mines import environment, node

    from openmined.stats._reports import SignedReport, signer

    node_kind()
    part = {"file": "part-0001.arrow.age", "rows": 10, "bytes": 1, "sha256": "0" * 64}
    for name, schema in (("offered", "openmined/digits@1"), ("denied", "openmined/tweets@1")):
        about = {
            "format": "openmined/dataset@1",
            "name": name,
            "schema": {"id": schema, "fields": [{"name": "x", "type": "number"}]},
            "parts": [part | {"imported": "2026-01-05T12:00:00.000Z"}],
        }
        (tmp_path / "datasets" / name).mkdir(parents=True)
        (tmp_path / "datasets" / name / "dataset.json").write_text(json.dumps(about))
    command = [
        node(),
        "--disable-warning=ExperimentalWarning",
        Path(__file__).parent / "report.mjs",
    ]
    done = subprocess.run(
        [*command, tmp_path / "datasets", tmp_path / "wallet.json"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env=environment(),
        check=True,
    )
    (line,) = done.stdout.splitlines()
    sent = json.loads(line)
    assert sent.pop("url") == "http://stats.example/v1/reports"
    assert sent["report"]["records"] == [{"schema": "openmined/digits@1", "count": 10}]
    signed = SignedReport.model_validate(sent)
    assert signer(signed.report, signed.signature) == signed.report.miner
