"""The storm itself: campaigns, the faults of the plan, and whether all still holds."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from tests.soak.hostile import attack
from tests.soak.invariants import Books, check_money
from tests.soak.plan import PARTIES, Fault, make_plan, plan_campaign
from tests.soak.world import World, can_mount

from openmined.devnet._anvil import call
from openmined.protocol import OpenMinedError, Phase, ScoringSettings
from openmined.sonar import ETH, Campaign, SonarError

T = TypeVar("T")

_OPEN_AT_ONCE = 2
_TICK_S = 0.5
"""A block at least this often, as on a real chain: what is old cannot be reorganised away."""
_QUIET_EVERY_S = 200.0
_PATIENCE_S = 240.0
_GRACE_S = 6 * 3600
_STALE_S = 30.0
_EVERY_S = 2.0
_ENOUGH_MINUTES, _ENOUGH_FAULTS = 20.0, 500
"""What a storm has to be for its silence to say something, at a fault every `_EVERY_S`."""
_FEWEST_A_MINUTE = 20
"""Of a shorter storm, in which chance weighs more."""


@dataclass
class Report:
    """What a storm was and what it left."""

    seed: int
    minutes: float
    every_s: float = _EVERY_S
    planned: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    hostile_gradients: int = 0
    quiet_points: int = 0
    campaigns: Counter[str] = field(default_factory=Counter)
    gradients: int = 0
    scored: int = 0
    paid: int = 0
    deaths: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "seed": self.seed,
            "minutes": self.minutes,
            "every_s": self.every_s,
            "seconds": round(self.seconds),
            "faults": dict(sorted(self.faults.items())),
            "faults_total": self.faults.total(),
            "faults_planned": self.planned,
            "requests_struck": dict(sorted(self.answers.items())),
            "requests_struck_total": self.answers.total(),
            "hostile_gradients_accepted_by_chain": self.hostile_gradients,
            "quiet_points": self.quiet_points,
            "campaigns": dict(sorted(self.campaigns.items())),
            "campaigns_total": self.campaigns.total(),
            "gradients": self.gradients,
            "scored": self.scored,
            "paid": self.paid,
            "exits_not_ours": len(self.deaths),
            "gave_up_and_said_why": len(self.refusals),
            "left_out": self.left_out,
            "broken": self.broken,
        }


class Storm:
    """One run of a plan."""

    def __init__(
        self, world: World, minutes: float, say: Callable[[str], None], every_s: float
    ) -> None:
        self.world, self.minutes, self.say = world, minutes, say
        self.report = Report(world.seed, minutes, every_s)
        skip = () if can_mount() else ("disk",)
        if skip:
            self.report.left_out.append("disk: this machine lets nobody mount a small file system")
        self.plan = make_plan(world.seed, minutes, every_s=every_s, skip=skip)
        self.report.planned = len(self.plan)
        self._launched = 0
        self._launching: dict[int, float] = {}
        self._undo: list[tuple[float, Callable[[], object]]] = []
        self._pool = ThreadPoolExecutor(4)
        self._jobs: set[Future[Any]] = set()
        self._launches: set[Future[Any]] = set()
        self._next_tick = 0.0

    def run(self) -> Report:
        """Rage, calm down, judge."""
        begun = time.monotonic()
        try:
            self._rage(begun)
            self._finish()
            self.report.broken += find_missing(self.report)
        except BaseException as error:
            self.report.broken.append(f"the storm did not end: {type(error).__name__}: {error}")
            raise
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self.report.seconds = time.monotonic() - begun
            self.report.deaths = list(self.world.deaths)
            self.report.refusals = list(self.world.refusals)
            self.report.broken += [f"nobody had ended it: {one}" for one in self.world.deaths]
            for line in self.world.lines.values():
                self.report.answers += line.met
        return self.report

    # ---------------------------------------------------------------------------------- the storm

    def _rage(self, begun: float) -> None:
        quiet_at = begun + _QUIET_EVERY_S
        lost = 0.0  # the plan's clock stands still at quiet points
        for fault in self.plan:
            while time.monotonic() - begun - lost < fault.at_s:
                self._live()
            self.say(f"{fault.at_s:7.1f} s  {fault}")
            self._strike(fault)
            self.report.faults[fault.kind] += 1
            if time.monotonic() >= quiet_at:
                before = time.monotonic()
                self._quiet_point()
                lost += time.monotonic() - before
                quiet_at = time.monotonic() + _QUIET_EVERY_S

    def _live(self) -> None:
        """What goes on all the time: blocks, restarts, ends of faults, campaigns."""
        now = time.monotonic()
        self.world.tend()
        for due, undo in [one for one in self._undo if one[0] <= now]:
            self._undo.remove((due, undo))
            undo()
        if now >= self._next_tick:
            self._next_tick = now + _TICK_S
            call(self.world.chain_url, "evm_mine")
            self._keep_campaigns()
        self._jobs = {job for job in self._jobs if not _ended(job)}
        time.sleep(0.05)

    def _keep_campaigns(self) -> None:
        self._launches = {job for job in self._launches if not _ended(job)}
        if self._launches or len(self._open()) >= _OPEN_AT_ONCE:
            return
        self._launched += 1
        self._launches.add(self._pool.submit(self._launch, self._launched))

    def _open(self) -> list[int]:
        contract = self.world.admin
        return [
            number
            for number in range(1, contract.campaign_count() + 1)
            if not contract.campaign(number).phase.final
        ]

    def _launch(self, number: int) -> None:
        """Launch over a bad line until it is done: however often, it is one campaign."""
        world, terms = self.world, plan_campaign(self.world.seed, number)
        token = world.token if terms.in_token else ETH
        deadline = time.monotonic() + 60.0
        campaign: Campaign | None = None
        while campaign is None and time.monotonic() < deadline:
            with suppress(OpenMinedError):
                campaign = world.data_scientist.launch_campaign(
                    world.scenario.validation,
                    target=world.scenario.output.names,
                    title=f"storm {world.seed}, campaign {number}",
                    bounty=terms.bounty,
                    bond=terms.bond,
                    token=token,
                    target_accuracy=terms.target,
                    estimator=world.scenario.algorithm,
                    features=world.scenario.features,
                    update=world.scenario.update,
                    input_schema=world.scenario.input,
                    output_schema=world.scenario.output,
                    duration_s=terms.duration_s,
                    grace_s=_GRACE_S,
                    max_gradients=60,
                    scoring=ScoringSettings(window_s=terms.window_s, batch=terms.batch),
                    capsule_certificate=self._certificate(),
                    repeat=number,
                )
        if campaign is None:
            return
        with suppress(OpenMinedError):
            if terms.top_up:
                world.data_scientist.contract.top_up(campaign.id, terms.bounty // 7)
            if terms.cancel:
                world.data_scientist.contract.cancel_campaign(campaign.id)
            if number % 3 == 0:
                world.data_scientist.withdraw(token)

    def _certificate(self) -> str:
        place = self.world.disk("capsule") / "folder" / "certificate.asc"
        return place.read_text(encoding="utf-8")

    # ---------------------------------------------------------------------------------- the faults

    def _strike(self, fault: Fault) -> None:
        getattr(self, f"_{fault.kind}")(fault)

    def _later(self, span_s: float, undo: Callable[[], object]) -> None:
        self._undo.append((time.monotonic() + span_s, undo))

    def _kill(self, fault: Fault) -> None:
        self.world.signal(fault.target, signal.SIGKILL)

    def _end(self, fault: Fault) -> None:
        self.world.signal(fault.target, signal.SIGTERM)

    def _pause(self, fault: Fault) -> None:
        self.world.signal(fault.target, signal.SIGSTOP)
        self._later(fault.span_s, lambda: self.world.signal(fault.target, signal.SIGCONT))

    def _line(self, fault: Fault) -> None:
        line = self.world.lines[fault.target]
        line.spoil(fault.answer, fault.amount)
        self._later(fault.span_s, line.mend)

    def _outage(self, fault: Fault) -> None:
        line = self.world.lines[fault.target]
        line.spoil("drop", 100)
        self._later(fault.span_s, line.mend)

    def _reorg(self, fault: Fault) -> None:
        call(self.world.chain_url, "anvil_reorg", fault.amount, [])

    def _jump(self, fault: Fault) -> None:
        call(self.world.chain_url, "evm_increaseTime", fault.amount)
        call(self.world.chain_url, "evm_mine")

    def _drift(self, fault: Fault) -> None:
        self.world.shift_clock(fault.target, fault.amount)
        self._later(fault.span_s, lambda: self.world.shift_clock(fault.target, 0))

    def _disk(self, fault: Fault) -> None:
        self.world.fill_disk(fault.target)
        self._later(fault.span_s, lambda: self.world.free_disk(fault.target))

    def _hostile(self, fault: Fault) -> None:
        luck = random.Random(f"{self.world.seed} {fault.at_s}")

        def send() -> None:
            self.report.hostile_gradients += attack(self.world, fault.target, fault.amount, luck)

        self._jobs.add(self._pool.submit(send))

    # ------------------------------------------------------------------------------------ the calm

    def _calm(self) -> None:
        """End every fault, and wait until every party stands again."""
        for _, undo in self._undo:
            undo()
        self._undo.clear()
        for line in self.world.lines.values():
            line.mend()
        wait(self._jobs | self._launches, timeout=_PATIENCE_S)
        self._until(self.world.is_up, "every party to be up")

    def _until(self, condition: Callable[[], T], what: str) -> T:
        deadline = time.monotonic() + _PATIENCE_S
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {_PATIENCE_S:.0f} s in vain for {what}")
            self._live_quietly()
        return found

    def _live_quietly(self) -> None:
        self.world.tend()
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + _TICK_S
            call(self.world.chain_url, "evm_mine")
        time.sleep(0.05)

    def _quiet_point(self) -> None:
        self._calm()
        self.world.freeze()
        try:
            self._check("quiet point")
        finally:
            self.world.thaw()
        self.report.quiet_points += 1

    def _check(self, when: str) -> Books:
        """Check money, outcomes and index while nobody sends anything."""
        world = self.world
        books, broken = check_money(world.admin, (ETH, world.token))
        broken += self._verify_index()
        deadline = time.monotonic() + _STALE_S
        while (left := world.orphans()) and time.monotonic() < deadline:
            time.sleep(0.2)
        broken += [f"left behind by a process that died: {one}" for one in left]
        self.report.broken += [f"{when}: {one}" for one in broken]
        ended = len(books.ended)
        self.say(
            f"           {when}: {len(books.terms)} campaigns, {ended} ended, {books.scored} "
            f"gradients scored; {len(broken) or 'nothing'} broken"
        )
        for one in broken:
            self.say(f"           BROKEN  {one}")
        return books

    def _verify_index(self) -> list[str]:
        head = self.world.admin.block_number()
        self._wait_index(head)
        arguments = ["stats", "verify", "--network", "storm", "--database", self.world.database]
        found = subprocess.run(
            [sys.executable, "-m", "openmined", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
        )
        if found.returncode == 0:
            return []
        return [f"the statistics index: {(found.stderr or found.stdout).strip()[-400:]}"]

    def _wait_index(self, head: int) -> None:
        def is_there() -> bool:
            with suppress(httpx.HTTPError, ValueError, KeyError, TypeError):
                answer = httpx.get(f"{self.world.statistics_url}/v1/status", timeout=5).json()
                return int(answer["block_number"]) >= head
            return False

        deadline = time.monotonic() + _PATIENCE_S
        while not is_there():
            self.world.tend()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the statistics service never indexed block {head}")
            time.sleep(0.1)

    # ------------------------------------------------------------------------------------- the end

    def _finish(self) -> None:
        self.say("           the storm is over: every campaign has to end")
        self._calm()
        contract, chain_url = self.world.admin, self.world.chain_url
        open_ = self._open()
        if open_:
            last = max(contract.campaign(number).terms.deadline for number in open_)
            call(chain_url, "evm_increaseTime", max(0, last - contract.now()) + 1)
            call(chain_url, "evm_mine")
        self._until(lambda: not self._waiting(), "Capsule to deliver every open campaign")
        self._expire()
        self._until(lambda: not self._pending(), "every bond to be given back")
        self._until(self._ledgers_agree, "the mines to know what they earned")
        self.world.freeze()
        books = self._check("at the end")
        self.world.thaw()
        self._judge(books)

    def _waiting(self) -> list[int]:
        """Return what only Capsule can end: the campaigns it opened."""
        contract = self.world.admin
        return [n for n in self._open() if contract.campaign(n).phase == Phase.OPEN]

    def _expire(self) -> None:
        """Take back what Capsule never opened before its deadline: anybody may."""
        contract, chain_url = self.world.admin, self.world.chain_url
        for number in self._open():
            closes = contract.campaign(number).closes_at
            call(chain_url, "evm_increaseTime", max(0, closes - contract.now()) + 2)
            call(chain_url, "evm_mine")
            with suppress(SonarError):
                contract.expire_campaign(number)

    def _pending(self) -> int:
        contract = self.world.admin
        return sum(contract.campaign(n).pending for n in range(1, contract.campaign_count() + 1))

    def _ledgers_agree(self) -> bool:
        books = Books().fold(self.world.admin.events(0))
        return not _compare_ledgers(self.world, books)

    def _judge(self, books: Books) -> None:
        world, report = self.world, self.report
        for number in books.terms:
            state = world.admin.campaign(number)
            report.campaigns[state.phase.name.lower()] += 1
            if not state.phase.final:
                report.broken.append(f"campaign {number} never ended: {state.phase.name}")
            report.gradients += state.gradients
        report.scored, report.paid = books.scored, books.paid_gradients
        for (number, gradient), bond in books.bonds.items():
            text = f"gradient {gradient} has no outcome; its bond of {bond} is held"
            report.broken.append(f"campaign {number}: {text}")
        report.broken += _compare_ledgers(world, books)
        report.broken += self._audit(books)
        report.broken += _find_tracebacks(world)

    def _audit(self, books: Books) -> Sequence[str]:
        found = []
        for number in books.ended:
            audit = self.world.data_scientist.campaign(number).audit()
            if not audit.ok:
                found.append(f"audit: {audit}")
        return found


def judge_processes(world: World, report: Report) -> None:
    """After the network was taken down: nothing may be left of it."""
    deadline = time.monotonic() + _STALE_S
    while (left := world.remains()) and time.monotonic() < deadline:
        time.sleep(0.2)
    report.broken += [f"still running after the end: {one}" for one in left]


def find_missing(report: Report) -> list[str]:
    """Return what a storm lacks to say anything: where nothing happened, nothing can break."""
    minutes, every_s = report.minutes, report.every_s
    long = minutes >= _ENOUGH_MINUTES
    each_minute = _ENOUGH_FAULTS / _ENOUGH_MINUTES if long else _FEWEST_A_MINUTE
    least = max(1, int(each_minute * minutes * _EVERY_S / every_s))
    missing = []
    if report.planned < least:
        missing.append(f"{report.planned} faults were planned, {least} are the least")
    if report.faults.total() != report.planned:
        missing.append(f"{report.faults.total()} of {report.planned} faults were carried out")
    wanted = {
        "campaign was launched": report.campaigns.total(),
        "gradient was scored": report.scored,
        "gradient was paid": report.paid,
    }
    if 60.0 * minutes > _QUIET_EVERY_S + 2.0 * every_s:
        wanted["quiet point was reached"] = report.quiet_points
    missing += [f"no {what}" for what, count in wanted.items() if not count]
    return [f"the storm says nothing: {one}" for one in missing]


def replay(seed: int, minutes: float, every_s: float) -> str:
    """Return the command that runs a storm again."""
    command = f"make soak MINUTES={minutes:g} SEED={seed}"
    return command if every_s == _EVERY_S else f'{command} ARGS="--every {every_s:g}"'


def _compare_ledgers(world: World, books: Books) -> list[str]:
    """Compare what each mine wrote down as earned with what the chain credited."""
    broken = []
    for name, mine in world.mines.items():
        ledger = mine.ledger()
        try:
            told = sum(one.payout or 0 for one in ledger.submissions())
        finally:
            ledger.close()
        if told != books.earned[mine.address]:
            earned = books.earned[mine.address]
            broken.append(f"{name} wrote down {told} as earned, the chain paid {earned}")
    return broken


def _find_tracebacks(world: World) -> list[str]:
    broken = []
    for party in PARTIES:
        text = world.supervisor.log_of(party).read_text(encoding="utf-8", errors="replace")
        count = text.count("Traceback (most recent call last)")
        if count:
            _, _, tail = text.rpartition("Traceback (most recent call last)")
            last = [line for line in tail.splitlines() if line and not line.startswith(" ")]
            broken.append(f"{party} wrote {count} tracebacks, the last: {(last or [''])[0][:200]}")
    return broken


def _ended(job: Future[Any]) -> bool:
    if not job.done():
        return False
    job.result()  # a failure of the storm's own is nothing to swallow
    return True


def draw(report: Report) -> str:
    """Write the report for people."""
    told = report.to_json()
    lines = [
        f"seed {report.seed}: a storm of {report.minutes:g} minutes, {told['seconds']} s in all",
        f"  faults planned     {report.planned:5}",
        f"  faults by plan     {report.faults.total():5}  {_list(report.faults)}",
        f"  requests struck    {report.answers.total():5}  {_list(report.answers)}",
        f"  campaigns          {report.campaigns.total():5}  {_list(report.campaigns)}",
        f"  gradients          {report.gradients:5}  {report.scored} scored, {report.paid} paid",
        f"  of hostile mines   {report.hostile_gradients:5}",
        f"  exits not ours     {len(report.deaths):5}",
        f"  gave up, said why  {len(report.refusals):5}",
        f"  quiet points       {report.quiet_points:5}",
    ]
    lines += [f"  left out: {one}" for one in report.left_out]
    lines += [f"  BROKEN: {one}" for one in report.broken]
    if report.broken:
        again = replay(report.seed, report.minutes, report.every_s)
        lines += ["invariants were broken", f"replay: {again}"]
    else:
        lines.append("no invariant was broken")
    return "\n".join(lines)


def _list(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items()))


def write_json(report: Report) -> str:
    """Return the report as JSON text."""
    return json.dumps(report.to_json(), indent=2) + "\n"
