"""`openmined capsule ...`: what the commands print, and one clear message for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.capsule.conftest import NETWORK, Sealed

from openmined.capsule._folder import read_identity
from openmined.capsule._keyring import Unlock, open_keyring
from openmined.capsule._state import CampaignRow, State
from openmined.cli import main
from openmined.sonar import Wallet

PLACE = [
    "--rpc-url", NETWORK["rpc_url"], "--chain-id", "31337",
    "--sonar", NETWORK["sonar"], "--store-url", NETWORK["store_url"],
]  # fmt: skip


def run(*arguments: str | Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["capsule", *map(str, arguments)])
    assert ended.value.code == 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["capsule", *map(str, arguments)])
    assert ended.value.code != 0
    return capsys.readouterr().err.replace("\n", " ")


def test_init_makes_a_folder_and_says_what_to_fund(
    tmp_path: Path, sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    run("init", folder, *PLACE, "--key-file", sealed.key_file, "--json", "--api-port", "-1")
    made = json.loads(capsys.readouterr().out)
    assert made["folder"] == str(folder)
    assert made["address"].startswith("0x")
    keyring = open_keyring(folder, sealed.unlock)
    assert read_identity(folder, keyring).fingerprint == made["certificate"]
    assert "enabled = false" in (folder / "capsule.toml").read_text()


def test_status_needs_no_secret(sealed: Sealed, capsys: pytest.CaptureFixture[str]) -> None:
    state = State.open(sealed.folder)
    facts = {"title": "Digits", "version": 3, "batches": 2, "epoch": 1}
    state.put_campaign(CampaignRow(7, "launch", "open", facts))
    state.put_campaign(CampaignRow(8, "launch", "ended", {"outcome": "rejected"}))
    state.close()
    run("status", sealed.folder)
    out = capsys.readouterr().out
    assert out.splitlines() == [
        f"{sealed.address} on devnet: sealed",
        "campaign 7: open, version 3, 2 batches (Digits)",
        "campaign 8: rejected",
    ]
    run("status", sealed.folder, "--json")
    campaign, _ = json.loads(capsys.readouterr().out)["campaigns"]
    assert campaign == {
        "campaign": 7,
        "title": "Digits",
        "phase": "open",
        "outcome": None,
        "version": 3,
        "batches": 2,
        "pending": 0,
    }


def test_backup_and_restore(
    sealed: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, copy = tmp_path / "backup.age", tmp_path / "copy"
    run("backup", sealed.folder, target, "--key-file", sealed.key_file)
    assert target.stat().st_mode & 0o777 == 0o600
    run("restore", target, copy, "--key-file", sealed.key_file)
    run("status", copy)
    assert sealed.address in capsys.readouterr().out
    names = {path.name for path in copy.iterdir()}
    assert names >= {"keyring.age", "identity.pgp.age", "wallet.json", "capsule.db"}


def test_rotating_the_identity_and_the_passphrase(
    sealed: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = State.open(sealed.folder)
    state.put_campaign(CampaignRow(7, "launch", "open", {"epoch": 4}))
    state.close()
    run("rotate", sealed.folder, "--identity", "--key-file", sealed.key_file)
    assert sealed.fingerprint not in capsys.readouterr().out
    state = State.open(sealed.folder)
    assert state.meta("rotate 7") == "4", "the campaign's keys carry the new certificate"
    state.close()
    new = tmp_path / "passphrase"
    new.write_text("correct horse\n")
    new.chmod(0o600)
    run("rotate", sealed.folder, "--new-passphrase-file", new, "--key-file", sealed.key_file)
    assert open_keyring(sealed.folder, Unlock(passphrase="correct horse")) is not None


def test_the_wallet_can_be_taken_elsewhere(
    sealed: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, target = tmp_path / "passphrase", tmp_path / "keystore.json"
    new.write_text("correct horse\n")
    new.chmod(0o600)
    options = ["--key-file", str(sealed.key_file), "--new-passphrase-file", str(new)]
    run("export-wallet", sealed.folder, target, *options)
    assert Wallet.from_keystore(target, "correct horse").address == sealed.address
    assert "exists already" in refused(capsys, "export-wallet", sealed.folder, target, *options)


def test_asking_for_new_campaign_keys(sealed: Sealed, capsys: pytest.CaptureFixture[str]) -> None:
    state = State.open(sealed.folder)
    state.put_campaign(CampaignRow(7, "launch", "open", {"epoch": 4}))
    state.close()
    run("rotate", sealed.folder, "--campaign", "7")
    assert "campaign 7 leaves key epoch 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("status {nowhere}", "openmined capsule init"),
        ("start {capsule} --passphrase-file {key}", "does not open the Capsule"),
        ("start {capsule} --key-file {open}", "chmod 600"),
        ("start {capsule} --key-file {key} --passphrase-file {key}", "not both"),
        ("unseal {capsule} --key-file {key}", "no sealed Capsule waits"),
        ("backup {capsule} {key} --key-file {key}", "exists already"),
        ("backup {capsule} {new} --key-file {other}", "does not open"),
        ("restore {key} {new} --key-file {key}", "no age file, or damaged or cut short"),
        ("restore {nowhere} {new} --key-file {key}", "cannot be read"),
        ("restore {key} {capsule} --key-file {key}", "is not empty"),
        ("rotate {capsule}", "say what to rotate"),
        ("rotate {capsule} --campaign 7", "campaign 7 is not open"),
        ("init {new}", "give --network NAME"),
        ("init {new} --network nowhere --key-file {key}", "nowhere"),
    ],
)
def test_each_mistake_gets_one_clear_message(
    sealed: Sealed,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    said: str,
) -> None:
    from openmined.capsule import generate_key_file

    monkeypatch.setenv("OPENMINED_HOME", str(tmp_path / "home"))
    (tmp_path / "open").write_text("x")
    (tmp_path / "open").chmod(0o644)
    generate_key_file(tmp_path / "other")
    places = {name: tmp_path / name for name in ("nowhere", "open", "new", "other")}
    places |= {"capsule": sealed.folder, "key": sealed.key_file}
    given = [word.format(**places) for word in arguments.split()]
    assert said in refused(capsys, *given)


def test_init_refuses_a_folder_in_use_and_bad_settings(
    sealed: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ["--key-file", str(sealed.key_file)]
    assert "is not empty" in refused(capsys, "init", sealed.folder, *PLACE, *key)
    wrong = [word.replace("http://127.0.0.1:9", "ftp://x") for word in PLACE]
    assert "rpc_url" in refused(capsys, "init", tmp_path / "new", *wrong, *key)


def test_a_damaged_state_file_is_one_clear_message(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sealed.folder / "capsule.db"
    whole = path.read_bytes()
    for damaged in (b"no database" * 1000, whole[:4096] + bytes(len(whole) - 4096)):
        path.write_bytes(damaged)
        for command in ("status", "start"):
            unlock = ["--key-file", sealed.key_file] if command == "start" else []
            said = refused(capsys, command, sealed.folder, *unlock)
            assert "is damaged" in said
            assert "openmined capsule restore" in said


def test_nobody_to_ask(sealed: Sealed, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nobody to ask" in refused(capsys, "unseal", sealed.folder)
