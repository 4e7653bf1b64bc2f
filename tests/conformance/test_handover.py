"""The folder changes hands: between gradients, and within one, wherever a mine is killed."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, groupby, product
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tests.conformance.mines import (
    DEADLINE_S,
    ROOT,
    Kind,
    Running,
    environment,
    kind_of,
    make_mine,
    passphrase_file,
    run,
    wait_for,
    wait_submitted,
)
from tests.unit.mine.mine_world import MineWorld, Opened

from openmined.mine import MineFolder, is_running
from openmined.mine._ledger import Submission
from openmined.mine._steps import SUBMISSION_STEPS, Step
from openmined.sonar import Score

MOMENTS = (
    "seen",
    "decided",
    *(step.value for step in SUBMISSION_STEPS if step != Step.OUTCOME),
    "stored",
    "sent",
)
CASES = [
    *(("node", moment, heir) for moment, heir in zip(MOMENTS, cycle(("python", "node")))),
    *(("python", moment, "node") for moment in ("trained", "sealed", "submitting", "sent")),
]
"""Every moment of Mine.js, either mine going on; Mine.py's own are in e2e/test_mine_killed.py."""
OTHERS = [
    pytest.param(*case, marks=pytest.mark.soak)
    for case in product(("node", "python"), MOMENTS, ("python", "node"))
    if case not in CASES
]


def submissions(folder: MineFolder) -> list[Submission]:
    ledger = folder.ledger()
    found = ledger.submissions()
    ledger.close()
    return found


def score_and_compare(world: MineWorld, folder: MineFolder, opened: Opened) -> None:
    """Score the one gradient; ledger and chain must then tell the same story."""
    (event,) = wait_submitted(world, opened.campaign)
    wait_for(lambda: [s.step for s in submissions(folder)] == [Step.SUBMITTED])
    world.score(opened, 900_000, [Score(event.gradient, 1_000_000)])
    wait_for(lambda: [s.step for s in submissions(folder)] == [Step.OUTCOME])
    assert len(world.submitted(opened.campaign)) == 1
    (submission,) = submissions(folder)
    assert submission.envelope == event.envelope.hex()
    assert (submission.tx, submission.gradient) == (event.transaction_hash, event.gradient)
    assert submission.payout == world.capsule.campaign(opened.campaign).paid
    assert submission.bond == submission.bond_returned == 1000
    assert world.open_envelope(event).miner == event.miner
    assert list(folder.outbox.iterdir()) == []


def kill(kind: Kind, folder: MineFolder, moment: str) -> None:
    command = [*kind.killed, str(folder.path), moment]
    killed = subprocess.run(command, cwd=ROOT, env=environment(), timeout=DEADLINE_S, check=False)
    assert killed.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("victim", "moment", "heir"), [*CASES, *OTHERS])
def test_killed_anywhere_the_other_goes_on(
    world: MineWorld, victim: str, moment: str, heir: str
) -> None:
    folder, _ = make_mine(world, f"{victim}-{moment}-{heir}")
    opened = world.launch_open()
    kill(kind_of(victim), folder, moment)
    with Running(kind_of(heir), folder.path):
        score_and_compare(world, folder, opened)


def test_mine_js_killed_in_training_leaves_no_training_process(
    world: MineWorld, tmp_path: Path
) -> None:
    folder, _ = make_mine(world, "node-training")
    world.launch_open()
    stuck = tmp_path / "python"
    stuck.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m tests.conformance.stuck_door\n")
    stuck.chmod(0o700)
    secret = passphrase_file(tmp_path)
    command = [*kind_of("node").command, "start", str(folder.path), "--passphrase-file", secret]
    settings = environment() | {"OPENMINED_PYTHON": str(stuck)}
    told = folder.path / "training.pid"
    with subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.DEVNULL) as mine:
        wait_for(told.exists)
        workers = [psutil.Process(int(pid)) for pid in told.read_text().split()]
        mine.kill()
    _, alive = psutil.wait_procs(workers, timeout=DEADLINE_S)
    assert not alive
    assert not is_running(folder.path)


def test_killed_when_the_outcome_is_written_nothing_is_done_twice(world: MineWorld) -> None:
    folder, _ = make_mine(world, "outcome")
    opened = world.launch_open()
    command = [*kind_of("node").killed, str(folder.path), "outcome"]
    with subprocess.Popen(command, cwd=ROOT, env=environment()) as victim:
        (event,) = wait_submitted(world, opened.campaign)
        world.score(opened, 500_000, [Score(event.gradient, 1_000_000)], weights=np.zeros((9, 3)))
        assert victim.wait(DEADLINE_S) == -signal.SIGKILL
    (ended,) = submissions(folder)
    paid = world.capsule.campaign(opened.campaign).paid
    assert (ended.step, ended.payout) == (Step.OUTCOME, paid)
    with Running(kind_of("python"), folder.path):
        # The heir goes on with the next version, and leaves what has ended as it is.
        _, following = wait_submitted(world, opened.campaign, 2)
        assert following.version == 2
    assert submissions(folder)[0] == ended


def test_a_transaction_that_waits_in_the_pool_is_waited_for(world: MineWorld) -> None:
    folder, _ = make_mine(world, "pool")
    opened = world.launch_open()
    world.anvil.set_automine(False)
    kill(kind_of("node"), folder, "broadcast")
    with Running(kind_of("node"), folder.path):
        wait_for(lambda: "under way" in folder.log_path.read_text())
        assert [s.step for s in submissions(folder)] == [Step.SUBMITTING]
        assert len(world.anvil.pending()) == 1
        world.anvil.set_automine(True)
        world.anvil.mine()
        score_and_compare(world, folder, opened)


def test_a_reorganisation_takes_a_gradient_off_the_chain(world: MineWorld) -> None:
    folder, _ = make_mine(world, "reorg")
    opened = world.launch_open()
    with Running(kind_of("node"), folder.path):
        (first,) = wait_submitted(world, opened.campaign)
        wait_for(lambda: [s.step for s in submissions(folder)] == [Step.SUBMITTED])
        world.anvil.reorganise(1)
        wait_for(
            lambda: (
                not world.submitted(opened.campaign)
                or [s.step for s in submissions(folder)] != [Step.SUBMITTED]
            )
        )
        (second,) = wait_submitted(world, opened.campaign)
        assert second.envelope == first.envelope
        score_and_compare(world, folder, opened)


ACCURACIES = (300_000, 500_000, 700_000, 900_000)


def run_campaign(
    world: MineWorld, folder: MineFolder, hands: Sequence[str]
) -> tuple[int, list[np.ndarray[Any, Any]]]:
    """Run a campaign of four gradients, each the next version's model; return what each was.

    `hands`: which mine makes each; where the next is another, the one is stopped first.
    """
    opened = world.launch_open(weights=np.zeros((9, 3)))
    found: list[np.ndarray[Any, Any]] = []
    for name, numbers in groupby(range(len(ACCURACIES)), key=lambda number: hands[number]):
        with Running(kind_of(name), folder.path) as mine:
            for number in numbers:
                event = wait_submitted(world, opened.campaign, number + 1)[-1]
                found.append(world.decrypt(opened, event))
                following = found[-1] if number + 1 < len(ACCURACIES) else None
                scores = [Score(event.gradient, 1_000_000)]
                world.score(opened, ACCURACIES[number], scores, weights=following)
                wait_for(lambda at=number: submissions(folder)[at].step == Step.OUTCOME)
            mine.stop()
    return opened.campaign, found


def test_in_other_hands_after_every_gradient(world: MineWorld) -> None:
    same, _ = make_mine(world, "same-hands")
    campaign, alone = run_campaign(world, same, ("python",) * 4)
    folder, _ = make_mine(world, "other-hands")
    handed, found = run_campaign(world, folder, ("node", "python", "node", "python"))
    # The same model at the end, up to the noise that protects the rows, and after each gradient.
    for wanted, gradient in zip(alone, found, strict=True):
        assert -np.log2(np.abs(gradient - wanted).max() / np.abs(wanted).max()) > 9
    assert np.abs(found[-1] - found[0]).max() > 0.01, "the model moved on"
    # The same ledger, but for what only this campaign has: times, digests, transactions.
    of_its_own = {"campaign": 0, "at": "", "envelope": "", "tx": "", "nonce": None}
    ledgers = [[replace(s, **of_its_own) for s in submissions(mine)] for mine in (same, folder)]
    assert ledgers[0] == ledgers[1]
    assert [s.version for s in ledgers[1]] == [1, 2, 3, 4]
    paid = [world.capsule.campaign(number).paid for number in (campaign, handed)]
    assert paid[0] == paid[1] == sum(s.payout or 0 for s in ledgers[1])
    assert len(world.submitted(handed)) == len(ACCURACIES)
    statuses = [run(kind_of(name), "status", folder.path, "--json") for name in ("python", "node")]
    assert statuses[0].stdout == statuses[1].stdout


@pytest.mark.parametrize(("first", "second"), [("python", "node"), ("node", "python")])
def test_only_one_mine_runs_on_a_folder(world: MineWorld, first: str, second: str) -> None:
    folder, _ = make_mine(world, f"one-{first}")
    with Running(kind_of(first), folder.path) as mine:
        wait_for(lambda: (folder.path / "running.json").exists())
        with Running(kind_of(second), folder.path) as refused:
            output = refused.wait()
        assert refused.process.returncode == 1
        told = " ".join(output.split())
        assert "is in use by another mine" in told
        assert f"process {mine.process.pid})" in told
        assert mine.process.poll() is None


def test_who_looks_at_the_lock_does_not_keep_a_mine_from_it(world: MineWorld, kind: Kind) -> None:
    folder, _ = make_mine(world, f"looked-{kind.name}")
    lock = folder.path / "lock.sqlite"
    looking = sqlite3.connect(lock, isolation_level=None)
    looking.execute("BEGIN")
    looking.execute("SELECT count(*) FROM sqlite_schema")
    with Running(kind, folder.path) as mine:
        process = psutil.Process(mine.process.pid)
        wait_for(lambda: any(Path(file.path) == lock for file in process.open_files()))
        assert not is_running(folder.path), "two who look do not see each other"
        looking.close()
        wait_for(lambda: (folder.path / "running.json").exists())
        assert is_running(folder.path)
        mine.stop()
