"""The state file: whole or unchanged, sealed where it must be, clear about damage."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from openmined.capsule import StateError
from openmined.capsule._files import write_private
from openmined.capsule._log import Log, json_lines, log_file
from openmined.capsule._state import STATE_FILE, CampaignRow, SeenEvent, State, open_read_only


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State.create(tmp_path)


def submitted(gradient: int, miner: str, block: int) -> SeenEvent:
    facts = {"miner": miner, "gradient": gradient, "version": 1, "envelope": "ab" * 32}
    return SeenEvent(block, 0, 7, "GradientSubmitted", gradient, facts)


def scored(gradient: int, block: int) -> SeenEvent:
    return SeenEvent(block, gradient, 7, "GradientScored", gradient, {"gradient": gradient})


def test_pending_gradients_and_how_many_a_mine_sent_before(state: State) -> None:
    events = [submitted(i, "0xA" if i % 2 else "0xB", 10 + i) for i in range(5)]
    state.add_events([*events, scored(0, 20), scored(3, 20)], "cursor")
    pending = state.pending(7)
    assert [(p.gradient, p.miner, p.rank) for p in pending] == [
        (1, "0xA", 0),
        (2, "0xB", 1),
        (4, "0xB", 2),
    ]
    assert len(state.submitted(7)) == 5
    assert state.pending(8) == []


def test_a_reorganisation_takes_back_what_was_above_it(state: State) -> None:
    state.add_events([submitted(0, "0xA", 10), submitted(1, "0xA", 12), scored(0, 13)], "first")
    state.add_events([submitted(1, "0xB", 11)], "second", rolled_back_to=10)
    assert [(p.gradient, p.miner) for p in state.pending(7)] == [(0, "0xA"), (1, "0xB")]
    assert state.meta("cursor") == "second"


def test_several_changes_are_one(state: State) -> None:
    def change_and_fail() -> None:
        with state.change():
            state.set_meta("a", "1")
            state.put_intent(7, "batch", 1, {"x": 1})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_fail()
    assert state.meta("a") is None
    assert state.intent(7, "batch", 1) is None


def test_nothing_secret_is_written_in_the_clear(state: State) -> None:
    with pytest.raises(StateError, match="refusing to write weights in the clear"):
        state.put_sealed(7, "weights", 1, b"0.25 0.5")


def test_what_is_kept_and_dropped(state: State) -> None:
    age = b"age-encryption.org/v1 ..."
    for number in range(5):
        state.put_sealed(7, "weights", number, age)
    state.put_sealed(7, "best", 0, age)
    state.drop_sealed(7, "weights", below=3)
    assert state.sealed_numbers(7, "weights") == [3, 4]
    state.drop_sealed(7, "weights", above=3)
    assert state.sealed_numbers(7, "weights") == [3]
    state.put_campaign(CampaignRow(7, "launch", "open", {"version": 4}))
    state.drop_campaign(7)
    assert state.sealed_numbers(7, "best") == []
    assert state.campaign(7) is None


def test_the_ledger_counts_a_release_once(state: State) -> None:
    for _ in range(3):
        state.add_release(7, 1, "model", "model 1")
    assert state.releases(7, 1, "model") == ["model 1"]
    assert state.releases(7, 2, "model") == []


def test_a_damaged_file_is_said_to_be_one(tmp_path: Path, state: State) -> None:
    state.set_meta("x", "y" * 10_000)
    state.close()
    path = tmp_path / STATE_FILE
    data = bytearray(path.read_bytes())
    data[4096:20_000] = bytes(20_000 - 4096)
    path.write_bytes(bytes(data))
    with pytest.raises(StateError, match="openmined capsule restore"):
        State.open(tmp_path)
    path.write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(StateError, match="is damaged"):
        State.open(tmp_path)
    path.unlink()
    with pytest.raises(StateError, match="is missing"):
        State.open(tmp_path)


def test_another_version_is_refused(tmp_path: Path, state: State) -> None:
    state.set_meta("version", "99")
    state.close()
    with pytest.raises(StateError, match="is of version 99"):
        State.open(tmp_path)


def test_a_full_disk_is_said_and_changes_nothing(state: State) -> None:
    state.set_meta("before", "kept")
    pages = state._db.execute("PRAGMA page_count").fetchone()[0]
    state._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StateError, match="is the disk full"):
        state.put_sealed(7, "weights", 1, b"age-encryption.org/" + bytes(1 << 20))
    assert state.meta("before") == "kept"
    assert state.sealed(7, "weights", 1) is None
    state._db.execute("PRAGMA max_page_count = 100000")
    state.put_sealed(7, "weights", 1, b"age-encryption.org/" + bytes(1 << 20))


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be written"):
        write_private(Path("/dev/full/x"), b"data")
    target = tmp_path / "x"
    write_private(target, b"one")
    write_private(target, b"two")
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o600


def test_readers_cannot_write(tmp_path: Path, state: State) -> None:
    state.set_meta("a", "1")
    reader = open_read_only(tmp_path)
    assert reader.meta("a") == "1"
    with pytest.raises((sqlite3.OperationalError, StateError)):
        reader.set_meta("a", "2")
    reader.close()


def test_the_log_says_a_change_once_and_turns_over(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = []
    log = Log(lines.append)
    for _ in range(3):
        log.write_change("campaign 1", "waiting", whom="mines")
    log.write_change("campaign 1", "waiting", whom="chain")
    assert [line["whom"] for line in lines] == ["mines", "chain"]
    path = tmp_path / "log"
    small = Log(log_file(path, max_bytes=300))
    for number in range(20):
        small.write("step", number=number)
    assert path.stat().st_size < 500
    assert (tmp_path / "log.1").exists()
    assert path.stat().st_mode & 0o777 == 0o600
    Log(log_file(Path("/dev/full/x"))).write("a full disk stops nothing")
    with (tmp_path / "stream").open("w") as stream:
        Log(json_lines(stream)).write("hello")
    assert '"event": "hello"' in (tmp_path / "stream").read_text()
