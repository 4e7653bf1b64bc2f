"""Kill a mine at every named step, start it again: one submission, ledger and chain agree."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.unit.mine.mine_world import MineProcess, MineWorld, Opened, mine_world, wait_for

from openmined.mine import MineFolder
from openmined.mine._steps import SUBMISSION_STEPS, Step
from openmined.sonar import Score

REPOSITORY = Path(__file__).resolve().parents[2]
MOMENTS = (
    Step.SEEN.value,
    Step.DECIDED.value,
    *(step.value for step in SUBMISSION_STEPS if step != Step.OUTCOME),
    "stored",
    "sent",
)


@pytest.fixture(scope="module")
def world() -> Iterator[MineWorld]:
    with mine_world() as made:
        yield made


def run_killed(folder: MineFolder, moment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.unit.mine.mine_killed", str(folder.path), moment]
    return subprocess.Popen(command, cwd=REPOSITORY)


def steps(folder: MineFolder) -> list[Step]:
    ledger = folder.ledger()
    found = [submission.step for submission in ledger.submissions()]
    ledger.close()
    return found


def score_and_compare(world: MineWorld, folder: MineFolder, opened: Opened) -> None:
    """Score the one gradient; ledger and chain must then tell the same story."""
    (event,) = world.wait_submitted(opened.campaign)
    wait_for(lambda: steps(folder) == [Step.SUBMITTED])
    world.score(opened, 900_000, [Score(event.gradient, 1_000_000)])
    wait_for(lambda: steps(folder) == [Step.OUTCOME])
    assert len(world.submitted(opened.campaign)) == 1
    ledger = folder.ledger()
    (submission,) = ledger.submissions()
    ledger.close()
    assert submission.envelope == event.envelope.hex()
    assert submission.tx == event.transaction_hash
    assert submission.gradient == event.gradient == 0
    assert submission.payout == world.capsule.campaign(opened.campaign).paid
    body = world.open_envelope(event)
    assert (body.campaign, body.version, body.miner) == (opened.campaign, 1, event.miner)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_once_it_submits_once(world: MineWorld, moment: str) -> None:
    folder, _ = world.make_mine(moment)
    mine = run_killed(folder, moment)
    opened = world.launch_open()
    assert mine.wait(timeout=40) == -signal.SIGKILL
    with MineProcess(folder.path) as again:
        score_and_compare(world, folder, opened)
        again.stop()
    assert list(folder.outbox.iterdir()) == []


def test_killed_in_training_its_training_process_ends_too(world: MineWorld) -> None:
    folder, _ = world.make_mine("training")
    opened = world.launch_open()
    assert run_killed(folder, "training").wait(timeout=40) == -signal.SIGKILL
    child = int((folder.path / "training.pid").read_text())
    wait_for(lambda: not psutil.pid_exists(child), 20)
    with MineProcess(folder.path) as again:
        score_and_compare(world, folder, opened)
        again.stop()


def test_killed_while_its_transaction_waits_in_the_pool(world: MineWorld) -> None:
    folder, _ = world.make_mine("pool")
    opened = world.launch_open()
    world.anvil.set_automine(False)
    assert run_killed(folder, "broadcast").wait(timeout=40) == -signal.SIGKILL
    with MineProcess(folder.path) as again:
        wait_for(lambda: "under way" in folder.log_path.read_text())
        assert steps(folder) == [Step.SUBMITTING]
        assert len(world.anvil.pending()) == 1
        world.anvil.set_automine(True)
        world.anvil.mine()
        score_and_compare(world, folder, opened)
        again.stop()


def test_killed_and_its_transaction_dropped_by_the_node(world: MineWorld) -> None:
    folder, _ = world.make_mine("dropped")
    opened = world.launch_open()
    world.anvil.set_automine(False)
    assert run_killed(folder, "broadcast").wait(timeout=40) == -signal.SIGKILL
    world.anvil.drop(world.anvil.pending()[0])
    world.anvil.set_automine(True)
    with MineProcess(folder.path) as again:
        score_and_compare(world, folder, opened)
        again.stop()


def test_killed_before_the_outcome_is_followed(world: MineWorld) -> None:
    folder, _ = world.make_mine("outcome")
    mine = run_killed(folder, Step.OUTCOME.value)
    opened = world.launch_open()
    (event,) = world.wait_submitted(opened.campaign)
    world.score(opened, 900_000, [Score(event.gradient, 1_000_000)])
    assert mine.wait(timeout=40) == -signal.SIGKILL
    with MineProcess(folder.path) as again:
        wait_for(lambda: steps(folder) == [Step.OUTCOME])
        again.stop()
    assert len(world.submitted(opened.campaign)) == 1


def test_a_reorganisation_takes_a_gradient_off_the_chain(world: MineWorld) -> None:
    folder, _ = world.make_mine("reorg")
    opened = world.launch_open()
    with MineProcess(folder.path) as mine:
        (first,) = world.wait_submitted(opened.campaign)
        wait_for(lambda: steps(folder) == [Step.SUBMITTED])
        world.anvil.reorganise(1)
        wait_for(lambda: not world.submitted(opened.campaign) or steps(folder) != [Step.SUBMITTED])
        (second,) = world.wait_submitted(opened.campaign)
        assert second.envelope == first.envelope
        score_and_compare(world, folder, opened)
        mine.stop()
