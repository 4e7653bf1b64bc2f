from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from openmined.devnet._errors import ProcessFailed
from openmined.devnet._supervisor import Command, Supervisor

FOREVER = [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"]
STUBBORN_SCRIPT = (
    "import signal, subprocess, sys\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
    "print('child', child.pid, flush=True)\n"
    "signal.pause()\n"
)
STUBBORN = [sys.executable, "-c", STUBBORN_SCRIPT]


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_everything_ends_with_the_block(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Command("one", FOREVER))
        supervisor.start(Command("two", FOREVER))
        pids = [supervisor.process_id(name) for name in ("one", "two")]
    assert all(gone(pid) for pid in pids)


@pytest.mark.parametrize(("own", "seen"), [(None, "1"), ("3", "3")])
def test_processes_share_the_cores_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, seen: str
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if own is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", own)
    script = (
        "import os, signal; print(os.environ['OPENBLAS_NUM_THREADS'], flush=True); signal.pause()"
    )
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Command("one", [sys.executable, "-c", script]))
        log = supervisor.log_of("one")
        wait_for(lambda: log.read_text() != "")
        assert log.read_text().split() == [seen]


def test_a_stubborn_process_and_its_child_end_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openmined.devnet._supervisor._GRACE_S", 0.2)
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Command("stubborn", STUBBORN))
        log = supervisor.log_of("stubborn")
        wait_for(lambda: b"child" in log.read_bytes())
        child = int(log.read_text().split()[1])
        parent = supervisor.process_id("stubborn")
    assert gone(parent)
    wait_for(lambda: gone(child))


def test_a_death_names_process_cause_and_log(tmp_path: Path) -> None:
    dying = [sys.executable, "-c", "import sys; sys.exit('the database is on fire')"]
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Command("capsule", dying))
        with pytest.raises(ProcessFailed) as failure:
            supervisor.wait_until("capsule", lambda: False, timeout_s=30, what="ready")
    assert "capsule ended with exit code 1" in str(failure.value)
    assert str(tmp_path / "capsule.log") in str(failure.value)
    assert "the database is on fire" in str(failure.value)


def test_a_process_that_never_gets_ready_is_named(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Command("store", FOREVER))
        with pytest.raises(ProcessFailed, match=r"store was not listening within 0\.1 s"):
            supervisor.wait_until("store", lambda: False, timeout_s=0.1, what="listening")


def test_a_crash_is_restarted_as_often_as_allowed_and_reported(tmp_path: Path) -> None:
    said: list[str] = []
    with Supervisor(tmp_path, said.append) as supervisor:
        supervisor.start(Command("mine", FOREVER, restarts=1))
        first = supervisor.process_id("mine")
        os.kill(first, signal.SIGKILL)
        supervisor.wait_until(
            "mine", lambda: supervisor.process_id("mine") != first, timeout_s=20, what="restarted"
        )
        assert said == [
            f"mine was killed by signal 9; restarted (1 of 1), log: {tmp_path}/mine.log"
        ]
        os.kill(supervisor.process_id("mine"), signal.SIGKILL)
        with pytest.raises(ProcessFailed, match="mine was killed by signal 9"):
            supervisor.wait_until("mine", lambda: False, timeout_s=20, what="gone")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_nothing_survives_a_killed_supervisor(tmp_path: Path) -> None:
    script = (
        "import sys, signal, pathlib\n"
        "from openmined.devnet._supervisor import Command, Supervisor\n"
        "with Supervisor(pathlib.Path(sys.argv[1])) as supervisor:\n"
        "    forever = [sys.executable, '-c', 'import signal; signal.pause()']\n"
        "    supervisor.start(Command('one', forever))\n"
        "    print(supervisor.process_id('one'), flush=True)\n"
        "    signal.pause()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: gone(child))
