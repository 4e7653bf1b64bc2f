from __future__ import annotations

import errno
import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pyrage
import pytest
from tests.unit.mine.folder_world import PASSPHRASE, SCHEMA, make_folder, rows, settings

from openmined.mine import (
    DiskFull,
    FolderError,
    FolderLock,
    LedgerDamaged,
    MineExists,
    MineFolder,
    MineLocked,
    NotAMine,
    SettingsError,
    WrongPassphrase,
    create_mine,
    import_batches,
    is_running,
    list_datasets,
)
from openmined.mine._age import (
    decrypt_bytes,
    encrypt_bytes,
    generate_identity,
    unwrap_with_passphrase,
    wrap_with_passphrase,
)
from openmined.mine._backup import back_up, restore
from openmined.mine._folder import write_private
from openmined.mine._passphrase import read_passphrase
from openmined.mine._settings import load_settings, parse_settings
from openmined.mine._toml import dump_toml

NETWORK = dump_toml({"network": settings()["network"]})
DOCS = Path(__file__).parents[3] / "docs"


def test_a_new_mine_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    folder, secrets = make_folder(tmp_path / "mine")
    opened = folder.unlock(PASSPHRASE)
    assert opened.wallet.address == secrets.wallet.address == folder.address
    assert opened.identity == secrets.identity
    with pytest.raises(WrongPassphrase):
        folder.unlock(PASSPHRASE + "x")
    assert secrets.identity not in repr(secrets)


def test_nobody_else_can_read_the_folder(tmp_path: Path) -> None:
    folder, secrets = make_folder(tmp_path / "mine")
    import_batches(folder, secrets.identity, "data", SCHEMA, [rows(5)])
    for path in (folder.path, *folder.path.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert not mode & 0o077, f"{path} has mode {mode:o}"
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_a_mine_is_never_overwritten(tmp_path: Path) -> None:
    make_folder(tmp_path / "mine")
    with pytest.raises(MineExists):
        make_folder(tmp_path / "mine")


def test_an_interrupted_init_can_be_repeated(tmp_path: Path) -> None:
    folder, secrets = make_folder(tmp_path / "mine")
    (folder.path / "mine.toml").unlink()
    _, again = make_folder(tmp_path / "mine")
    assert again.wallet.address == secrets.wallet.address, "a wallet is never thrown away"


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongPassphrase, match="fewer than 8"):
        create_mine(tmp_path / "mine", settings(), "1234567", cost="light")


def test_a_folder_without_a_mine(tmp_path: Path) -> None:
    with pytest.raises(NotAMine, match="openmined mine init"):
        MineFolder(tmp_path)


def test_only_one_mine_at_a_time(tmp_path: Path) -> None:
    folder, _ = make_folder(tmp_path / "mine")
    program = (
        "import sys; from pathlib import Path; from openmined.mine import FolderLock\n"
        "lock = FolderLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert is_running(folder.path)
        with pytest.raises(MineLocked, match=f"process {other.pid}"):
            FolderLock(folder.path)
        other.kill()
        other.wait()
    # The kernel let go of it, though nobody tidied up.
    assert not is_running(folder.path)
    with FolderLock(folder.path):
        assert is_running(folder.path)
    assert not is_running(folder.path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = 'openmined/mine@2'", "this software reads"),
        ("name = ", "is no TOML"),
        ("[network]\nchain_id = 1", "rpc_url"),
        ("[network]\nrpc_url = 'ftp://x'", "rpc_url"),
        (f"{NETWORK}[permissions.data]\nmode = 'perhaps'", "permissions.data.mode"),
        (f"{NETWORK}[permissions.'../x']\nmode = 'ask'", "permissions"),
        ("colour = 'red'", "colour"),
    ],
)
def test_senseless_settings_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(SettingsError, match=re.escape(message)):
        load_settings(tmp_path)


def test_the_environment_overrides_for_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = make_folder(tmp_path / "mine")
    monkeypatch.setenv("OPENMINED_MINE_LOOP__POLL_INTERVAL_S", "0.5")
    assert folder.settings().loop.poll_interval_s == 0.5
    monkeypatch.delenv("OPENMINED_MINE_LOOP__POLL_INTERVAL_S")
    assert folder.settings().loop.poll_interval_s == 5.0


def test_the_documented_settings_are_valid() -> None:
    text = (DOCS / "mine-folder.md").read_text(encoding="utf-8")
    block = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    value = tomllib.loads(block[1])
    found = parse_settings(value, Path("mine.toml"))
    permission = value["permissions"].pop("tweets")
    plain = parse_settings({"network": value["network"]}, Path("mine.toml"))
    assert found.loop == plain.loop, "the documented defaults are the defaults"
    assert found.limits == plain.limits
    assert found.api == plain.api
    assert set(permission) == set(found.permission("tweets").model_dump())


def test_the_documented_steps_are_the_steps() -> None:
    from openmined.mine._steps import FINAL_STEPS, SUBMISSION_STEPS

    text = (DOCS / "mine-folder.md").read_text(encoding="utf-8")
    section = text.partition("### Steps of a submission")[2].partition("## The lock")[0]
    first = " ".join(re.findall(r"^\| ([a-z, ]+) \|", section, re.MULTILINE))
    named = set(re.findall(r"[a-z]+", first)) - {"step"}
    assert named == {step.value for step in {*SUBMISSION_STEPS, *FINAL_STEPS}}


def test_the_documented_tables_are_the_tables(tmp_path: Path) -> None:
    import sqlite3

    folder, _ = make_folder(tmp_path / "mine")
    text = (DOCS / "mine-folder.md").read_text(encoding="utf-8")
    section = text.partition("## ledger.sqlite")[2].partition("The cursor is")[0]
    documented = {
        name: [column.strip() for column in columns.split(",")]
        for name, columns in re.findall(r"^\| (\w+) \| ([\w, ]+) \|", section, re.MULTILINE)
        if name != "table"
    }
    db = sqlite3.connect(folder.ledger_path)
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {t: [r[1] for r in db.execute(f"PRAGMA table_info({t})")] for t in tables}
    db.close()
    assert documented == found


# --- passphrases ------------------------------------------------------------------------------


def test_a_passphrase_file_must_be_private(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("words\n")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600") as caught:
        read_passphrase(file)
    assert "words" not in str(caught.value)
    file.chmod(0o600)
    assert read_passphrase(file) == "words"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError):
        read_passphrase(file)
    with pytest.raises(SettingsError):
        read_passphrase(tmp_path / "none")


@pytest.mark.parametrize("data", [b"", b"AGE-SECRET-KEY-1", os.urandom(1 << 16)])
def test_what_is_wrapped_opens_with_any_age(data: bytes) -> None:
    wrapped = wrap_with_passphrase(data, "pässphrase", 10)
    assert pyrage.passphrase.decrypt(wrapped, "pässphrase") == data
    assert unwrap_with_passphrase(wrapped, "pässphrase") == data
    with pytest.raises(WrongPassphrase):
        unwrap_with_passphrase(wrapped, "passphrase")
    with pytest.raises(WrongPassphrase):
        unwrap_with_passphrase(wrapped[:-1], "pässphrase")


def test_the_work_factor_is_what_was_asked_for() -> None:
    first = wrap_with_passphrase(b"x", "y", 11).split(b"\n")[1].split()
    assert first[0:2] == [b"->", b"scrypt"]
    assert first[3] == b"11"


def test_changed_bytes_are_noticed() -> None:
    from openmined.mine import DatasetDamaged

    identity, recipient = generate_identity()
    sealed = encrypt_bytes(b"rows", recipient)
    assert decrypt_bytes(sealed, identity, "x") == b"rows"
    with pytest.raises(DatasetDamaged, match="backup"):
        decrypt_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]), identity, "x")


# --- damage and full disks --------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"no database at all" * 100, None])
def test_a_damaged_ledger_is_said(tmp_path: Path, data: bytes | None) -> None:
    folder, _ = make_folder(tmp_path / "mine")
    for path in folder.path.glob("ledger.sqlite*"):
        path.unlink()
    if data is not None:
        folder.ledger_path.write_bytes(data)
    with pytest.raises(LedgerDamaged):
        folder.ledger()


def test_a_ledger_of_another_version_is_refused(tmp_path: Path) -> None:
    import sqlite3

    folder, _ = make_folder(tmp_path / "mine")
    db = sqlite3.connect(folder.ledger_path)
    db.execute("PRAGMA user_version = 7")
    db.close()
    with pytest.raises(LedgerDamaged, match="version 7"):
        folder.ledger()


def test_a_full_disk_is_said_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "file"
    write_private(place, b"before")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="free some space"):
        write_private(place, b"after")
    assert place.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [place]


# --- backups ----------------------------------------------------------------------------------


@pytest.fixture
def backed_up(tmp_path: Path) -> tuple[MineFolder, Path]:
    folder, secrets = make_folder(tmp_path / "mine")
    import_batches(folder, secrets.identity, "data", SCHEMA, [rows(40)])
    ledger = folder.ledger()
    ledger.set_meta("note", "kept")
    ledger.close()
    (folder.cache / "x.age").write_bytes(b"again")
    back_up(folder, tmp_path / "backup")
    return folder, tmp_path / "backup"


def test_a_backup_restores_everything(backed_up: tuple[MineFolder, Path], tmp_path: Path) -> None:
    folder, file = backed_up
    made = restore(file, tmp_path / "again", PASSPHRASE)
    assert made.address == folder.address
    assert list_datasets(made) == list_datasets(folder)
    ledger = made.ledger()
    assert ledger.meta("note") == "kept"
    ledger.close()
    assert made.settings() == folder.settings()
    assert list(made.cache.iterdir()) == []
    assert stat.S_IMODE((made.path / "wallet.json").stat().st_mode) == 0o600


def test_a_backup_shows_nothing_without_the_passphrase(
    backed_up: tuple[MineFolder, Path], tmp_path: Path
) -> None:
    folder, file = backed_up
    data = file.read_bytes()
    for word in (folder.address[2:].lower(), "pixels", "chain_id", "part-0001"):
        assert word.encode() not in data.lower()
    with pytest.raises(WrongPassphrase):
        restore(file, tmp_path / "again", "another passphrase")
    assert list((tmp_path / "again").iterdir()) == []


def test_a_damaged_backup_restores_nothing(
    backed_up: tuple[MineFolder, Path], tmp_path: Path
) -> None:
    _, file = backed_up
    data = file.read_bytes()
    for number, broken in enumerate(
        (data[: len(data) // 2], data[:7000] + b"!" + data[7001:], b"tar" * 99, b"")
    ):
        place = tmp_path / f"broken-{number}"
        place.write_bytes(broken)
        with pytest.raises(FolderError):
            restore(place, tmp_path / "again", PASSPHRASE)
        assert list((tmp_path / "again").iterdir()) == []


def test_backups_and_mines_are_not_overwritten(
    backed_up: tuple[MineFolder, Path],
) -> None:
    folder, file = backed_up
    with pytest.raises(FolderError, match="never overwritten"):
        back_up(folder, file)
    with pytest.raises(MineExists):
        restore(file, folder.path, PASSPHRASE)


def test_a_backup_that_climbs_out_of_its_folder(tmp_path: Path) -> None:
    import io
    import tarfile

    identity, recipient = generate_identity()
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as archive:
        entry = tarfile.TarInfo("../escaped")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))
    file = tmp_path / "hostile"
    with tarfile.open(file, "w") as outer:
        for name, data in (
            ("identity.age", wrap_with_passphrase(identity.encode(), PASSPHRASE, 10)),
            ("content.tar.age", encrypt_bytes(inner.getvalue(), recipient)),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            outer.addfile(entry, io.BytesIO(data))
    with pytest.raises(FolderError):
        restore(file, tmp_path / "again", PASSPHRASE)
    assert not (tmp_path / "escaped").exists()


def test_running_json_is_for_people(tmp_path: Path) -> None:
    folder, _ = make_folder(tmp_path / "mine")
    with FolderLock(folder.path):
        about: dict[str, Any] = json.loads((folder.path / "running.json").read_text())
    assert about["pid"] == os.getpid()
    assert not (folder.path / "running.json").exists()
