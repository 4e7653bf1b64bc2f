"""A Capsule killed at every named step, and started again: nothing is scored twice or left behind.

One life of a campaign reaches every step but rejection, which a second campaign reaches. In each
case a child process runs the Capsule and is killed when it comes to the step, or a moment later;
what runs afterwards is a Capsule that finds the folder, the store and the chain as they were left.
"""

from __future__ import annotations

import os
import re
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random

import pytest
from tests.unit.capsule.capsule_world import CapsuleWorld, capsule_world, rows

import openmined.capsule
from openmined.capsule import STEPS, Step
from openmined.capsule._rotation import request_rotation
from openmined.protocol import Phase

VISITED_AGAIN = (Step.FOLLOW, Step.MAKE_KEYS, Step.PUBLISH_KEYS, Step.PUBLISH_MODEL, Step.REPORT)
"""Steps that one life passes more than once: every second seed kills at the second visit."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CapsuleWorld]:
    folder = tmp_path_factory.mktemp("killed")
    with capsule_world(folder) as made:
        yield made


class Killer:
    """Kills its own process at given visits of given steps, each once, after a delay of its own.

    Without a delay a step dies before its effect; with one, in the middle of it or after. Visits
    are counted in files, because what counts is killed, or forgotten with a child process.
    """

    def __init__(
        self, visits: Mapping[Step, int], folder: Path, delays_s: Mapping[Step, float] | None = None
    ) -> None:
        self.visits, self.folder = visits, folder
        self.delays_s = delays_s or {}

    def __call__(self, step: Step) -> None:
        if step not in self.visits:
            return
        with (self.folder / step.value).open("a+") as file:
            file.write("x")
            file.flush()
            visit = file.tell()
        if visit != self.visits[step]:
            return
        delay_s = self.delays_s.get(step, 0.0)
        if delay_s and not signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the kernel's doing: nothing is tidied
            signal.setitimer(signal.ITIMER_REAL, delay_s)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def missed(self) -> list[str]:
        """Return the steps that were never come to."""
        return [
            step.value
            for step, visit in self.visits.items()
            if not (self.folder / step.value).exists()
            or (self.folder / step.value).stat().st_size < visit
        ]


def run_once(world: CapsuleWorld, on_step: Callable[[Step], None] | None) -> int:
    """Let a Capsule work in a child process until nothing is due; return its wait status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with world.capsule(on_step) as capsule:
                while capsule.turn():
                    pass
            code = 0
        except BaseException:  # noqa: BLE001 -- a forked child never returns into pytest
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def settle(world: CapsuleWorld, killer: Killer) -> None:
    while os.WIFSIGNALED(status := run_once(world, killer)):
        assert os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGALRM)
    assert status == 0


def live(world: CapsuleWorld, killer: Killer) -> tuple[int, int]:
    """Run one campaign through every step, and one that is rejected."""
    manifest = world.manifest(target_ppm=960_000)
    campaign = world.launch(manifest)
    settle(world, killer)
    assert world.state(campaign).phase == Phase.OPEN
    for miner in (0, 1):
        # Two rows each: the first batch does not reach the target.
        world.contribute(campaign, manifest, miner, rows(2, seed=miner))
    settle(world, killer)
    assert world.state(campaign).batches == 1
    with world.context() as context:
        request_rotation(context.state, campaign, 1)
    settle(world, killer)
    assert world.state(campaign).epoch == 2
    for miner in (0, 1, 2):
        world.contribute(campaign, manifest, miner, rows(400, seed=10 + miner))
    for _ in range(8):
        settle(world, killer)
        if world.state(campaign).phase != Phase.OPEN:
            break
        for miner in (0, 1, 2):
            world.contribute(campaign, manifest, miner, rows(400, seed=20 + miner))
    rejected = world.launch(world.manifest(start_ppm=800_000))
    settle(world, killer)
    return campaign, rejected


def check(world: CapsuleWorld, campaign: int, rejected: int) -> None:
    state = world.state(campaign)
    assert state.phase == Phase.DELIVERED
    assert state.pending == 0
    scored = world.events(campaign, "GradientScored")
    returned = world.events(campaign, "BondReclaimed")
    numbers = [event.gradient for event in (*scored, *returned)]
    assert sorted(numbers) == list(range(state.gradients)), "each gradient has one outcome"
    assert returned, "a gradient that came too late"
    (end,) = world.events(campaign, "CampaignDelivered")
    forfeited = sum(e.forfeited for e in world.events(campaign, "BatchScored"))
    paid = sum(event.payout for event in scored)
    assert paid + end.fee + end.refund == 10**18 + forfeited
    for batch in world.events(campaign, "BatchScored"):
        shares = [e.share_ppm for e in scored if e.batch == batch.batch]
        assert sum(shares) in (0, 1_000_000)
    assert world.state(rejected).phase == Phase.REJECTED
    weights, card = world.delivered(campaign)
    assert weights.shape == (9, 3)
    assert int(card["accuracy_ppm"]) >= 950_000
    assert not list((world.capsule_folder / "campaigns").glob(f"{campaign}/*")), "secrets deleted"


SEEDS, LIVES = 5, 4
LONGEST_DELAY_S = 0.03
"""Most effects are over by then."""


@pytest.mark.parametrize("life", range(LIVES))
@pytest.mark.parametrize("seed", range(SEEDS))
def test_killed_at_every_step(world: CapsuleWorld, tmp_path: Path, seed: int, life: int) -> None:
    """Each seed deals all steps out to four lives, so that kills hit states that others left."""
    random = Random(seed)
    dealt = random.sample(STEPS, len(STEPS))[life::LIVES]
    delays_s = {step: random.uniform(0.0, LONGEST_DELAY_S) for step in dealt} if seed else {}
    visits = {step: 1 + (step in VISITED_AGAIN and seed % 2) for step in dealt}
    killer = Killer(visits, tmp_path, delays_s)
    check(world, *live(world, killer))
    assert killer.missed() == []


def test_the_list_of_steps_is_complete() -> None:
    # Whatever the code announces is in the list, and nothing stands in the list for nothing.
    source = Path(openmined.capsule.__file__).parent
    announced = set()
    for module in source.glob("_*.py"):
        announced |= set(re.findall(r"(?:reach|on_step)\(\s*Step\.(\w+)", module.read_text()))
    assert announced == {step.name for step in STEPS}


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("step", STEPS, ids=lambda value: str(value))
def test_killed_at_one_step_alone(
    world: CapsuleWorld, tmp_path: Path, step: Step, seed: int
) -> None:
    random = Random(f"{seed} {step.value}")
    visit, delay_s = random.randint(1, 4), random.uniform(0.0, LONGEST_DELAY_S)
    check(world, *live(world, Killer({step: visit}, tmp_path, {step: delay_s})))
