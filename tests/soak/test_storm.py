"""The storm's own parts: a seed says everything, lines fail as told, the judge sees each wrong."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from tests.soak.invariants import Books, best_after
from tests.soak.lines import Line
from tests.soak.plan import FAULTY_ANSWERS, WEIGHTS, make_plan, plan_campaign
from tests.soak.processes import MARK, has_said_why, stragglers, was_told
from tests.soak.storm import Report, Storm, draw, find_missing, replay

from openmined.protocol import PPM
from openmined.sonar import (
    BatchScored,
    BondReclaimed,
    CampaignDelivered,
    CampaignLaunched,
    CampaignOpened,
    GradientScored,
    GradientSubmitted,
    SonarEvent,
    Terms,
)

if TYPE_CHECKING:
    from tests.soak.world import World

MINER, SCIENTIST, CAPSULE = (f"0x{'0' * 38}{number:02x}" for number in (1, 2, 3))


def test_a_seed_says_everything() -> None:
    plan = make_plan(7, 20)
    assert plan == make_plan(7, 20)
    assert plan != make_plan(8, 20)
    assert len(plan) >= 500
    assert {fault.kind for fault in plan} == set(WEIGHTS)
    assert plan_campaign(7, 3) == plan_campaign(7, 3) != plan_campaign(7, 4)


def test_what_is_left_out_changes_nothing_else() -> None:
    plan = make_plan(7, 20)
    assert make_plan(7, 5) == [fault for fault in plan if fault.at_s <= 300]
    assert make_plan(7, 20, skip=("disk",)) == [fault for fault in plan if fault.kind != "disk"]


@pytest.fixture
def target() -> Iterator[tuple[str, list[bytes]]]:
    met: list[bytes] = []

    class Echo(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            met.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(met[-1])

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", met
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_line_fails_as_it_is_told(target: tuple[str, list[bytes]]) -> None:
    url, met = target
    request = b'{"id": 5, "method": "eth_chainId"}'
    line = Line("mine-1>chain", url, seed=7)
    try:
        with httpx.Client(trust_env=False) as client:
            found: dict[str, Any] = {}
            for answer in ("", *FAULTY_ANSWERS):
                line.spoil(answer, 100)
                before = len(met)
                try:
                    reply = client.post(line.url, content=request)
                    found[answer] = (reply.status_code, reply.content, len(met) - before)
                except httpx.HTTPError as error:
                    found[answer] = (type(error).__name__, len(met) - before)
    finally:
        line.close()
    assert found[""] == found["slow"] == (200, request, 1)
    assert found["repeat"] == (200, request, 2)
    assert found["drop"] == ("RemoteProtocolError", 0)
    assert found["lose"] == ("RemoteProtocolError", 1)
    assert found["busy"][0] == 503
    assert found["half"] == (200, request[: len(request) // 2], 1)
    assert b'"id": 5' in found["error"][1]
    assert b"error" in found["error"][1]
    assert found["garbage"][2] == 0
    assert line.met == Counter(dict.fromkeys(FAULTY_ANSWERS, 1))


def test_a_line_strikes_the_same_requests_again(target: tuple[str, list[bytes]]) -> None:
    struck = []
    for _ in range(2):
        line = Line("mine-1>chain", target[0], seed=7)
        line.spoil("drop", 25)
        struck.append([line.choose() for _ in range(400)])
        line.close()
    assert struck[0] == struck[1]
    assert 60 < struck[0].count("drop") < 140


# ------------------------------------------------------------------------------------ processes


@pytest.mark.parametrize(
    ("death", "sent", "told"),
    [
        ("was killed by signal 9", {signal.SIGKILL}, True),
        ("was killed by signal 15", {signal.SIGTERM}, True),
        ("ended with exit code 3", {signal.SIGTERM}, True),
        ("was killed by signal 9", {signal.SIGTERM, signal.SIGKILL}, True),
        ("was killed by signal 9", set(), False),
        ("ended with exit code 0", set(), False),
        ("ended with exit code 1", {signal.SIGKILL}, False),  # before the signal came
        ("was killed by signal 11", {signal.SIGKILL, signal.SIGTERM}, False),
        ("was killed by signal 9", {signal.SIGTERM}, False),  # for want of memory
    ],
)
def test_a_crash_is_told_from_a_death_by_plan(death: str, sent: set[int], told: bool) -> None:
    assert was_told(f"mine-1 {death}; restarted (1 of 9), log: x", sent) == told


def test_giving_up_with_a_message_is_told_from_a_crash(tmp_path: Path) -> None:
    log, death = tmp_path / "log", "mine-1 ended with exit code 1; restarted (1 of 9), log: x"
    log.write_text("ready\nerror: the node refused eth_chainId\n")
    assert has_said_why(death, log)
    assert not has_said_why(death.replace("ended with exit code 1", "was killed by signal 11"), log)
    log.write_text("error: an earlier one\nready\n")
    assert not has_said_why(death, log)
    log.write_text("")
    assert not has_said_why(death, log)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], int]]:
    """A party with a child that has left its session, as the mine's training process does."""
    place = tmp_path / "child"
    script = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "pathlib.Path(sys.argv[1] + '.new').write_text(str(child.pid))\n"
        "pathlib.Path(sys.argv[1] + '.new').rename(sys.argv[1])\n"
        "time.sleep(60)\n"
    )
    mark = secrets.token_hex(16)
    party = subprocess.Popen(
        [sys.executable, "-c", script, str(place)],
        env={**os.environ, MARK: mark},
        start_new_session=True,
    )
    deadline = time.monotonic() + 30.0
    while not place.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child = int(place.read_text())
    yield mark, party, child
    party.kill()
    party.wait()
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def test_a_child_that_left_its_session_is_found_by_the_mark(
    family: tuple[str, subprocess.Popen[bytes], int],
) -> None:
    mark, party, child = family
    assert stragglers(set(), mark, {party.pid}) == []
    party.kill()
    party.wait()
    assert stragglers({party.pid}) == [], "its session does not tell"
    (found,) = stragglers({party.pid}, mark)
    assert found.startswith(f"{child}: ")
    assert stragglers({party.pid}, secrets.token_hex(16)) == []


# ------------------------------------------------------------------------------------ the verdict


def sound_report(**changes: Any) -> Report:
    report = Report(7, 20.0, planned=600, faults=Counter(kill=600), campaigns=Counter(delivered=9))
    report.scored, report.paid, report.quiet_points = 40, 12, 5
    return replace(report, **changes)


def test_a_storm_in_which_nothing_happened_does_not_pass() -> None:
    assert find_missing(sound_report()) == []
    for changes, what in (
        ({"campaigns": Counter()}, "no campaign was launched"),
        ({"scored": 0}, "no gradient was scored"),
        ({"paid": 0}, "no gradient was paid"),
        ({"quiet_points": 0}, "no quiet point was reached"),
        ({"planned": 499, "faults": Counter(kill=499)}, "499 faults were planned, 500"),
        ({"faults": Counter(kill=599)}, "599 of 600 faults were carried out"),
    ):
        (found,) = find_missing(sound_report(**changes))
        assert what in found


@pytest.mark.parametrize(
    ("minutes", "every_s", "least"),
    [(20, 2.0, 500), (40, 2.0, 1000), (20, 1.0, 1000), (20, 4.0, 250), (5, 2.0, 100), (1, 2.0, 20)],
)
def test_the_fewest_faults_grow_with_the_storm(minutes: float, every_s: float, least: int) -> None:
    sound = sound_report(minutes=minutes, every_s=every_s)
    assert find_missing(replace(sound, planned=least, faults=Counter(kill=least))) == []
    (found,) = find_missing(replace(sound, planned=least - 1, faults=Counter(kill=least - 1)))
    assert f"{least} are the least" in found
    assert all(len(make_plan(s, minutes, every_s=every_s, skip=("disk",))) >= least for s in (1, 2))


def test_a_storm_of_a_minute_has_no_quiet_point_but_the_end() -> None:
    short = sound_report(minutes=1.0, planned=26, faults=Counter(kill=26), quiet_points=0)
    assert find_missing(short) == []


def test_what_failed_says_how_to_run_it_again() -> None:
    assert replay(7, 20.0, 2.0) == "make soak MINUTES=20 SEED=7"
    text = draw(sound_report(every_s=0.5, broken=["mine-1 was killed by signal 11"]))
    assert 'replay: make soak MINUTES=20 SEED=7 ARGS="--every 0.5"' in text
    assert "invariants were broken" in text
    assert "no invariant was broken" in draw(sound_report())


def test_a_death_that_nobody_had_planned_breaks_the_storm() -> None:
    """Segmentation faults, aborts, and what the kernel ends for want of memory."""

    class Calm(Storm):
        def __init__(self, deaths: list[str]) -> None:
            self.report = sound_report()
            self.world = cast("World", SimpleNamespace(deaths=deaths, refusals=[], lines={}))
            self._pool = ThreadPoolExecutor(1)

        def _rage(self, begun: float) -> None: ...

        def _finish(self) -> None: ...

    assert Calm([]).run().broken == []
    (found,) = Calm(["mine-1 was killed by signal 11; restarted"]).run().broken
    assert "nobody had ended it: mine-1 was killed by signal 11" in found


# ------------------------------------------------------------------------------------- the judge

PLACE: dict[str, Any] = {
    "block_number": 1,
    "block_hash": "0x00",
    "transaction_hash": "0x00",
    "log_index": 0,
    "clock": lambda _: 0,
}


def life() -> list[SonarEvent]:
    """One campaign: a gradient that is paid, one that loses its bond, one that comes too late."""
    terms = Terms(
        spec=bytes(32),
        capsule=CAPSULE,
        bounty=1000,
        fee=100,
        bond=10,
        start_ppm=0,
        start_tolerance_ppm=0,
        target_ppm=PPM // 2,
        min_improvement_ppm=1,
        deadline=1,
        grace=1,
        max_gradients=3,
    )
    nothing = bytes(32)
    submitted: dict[str, Any] = {"campaign": 1, "miner": MINER, "version": 1, "envelope": nothing}
    scored: dict[str, Any] = {"campaign": 1, "miner": MINER, "batch": 1}
    return [
        CampaignLaunched(
            campaign=1,
            data_scientist=SCIENTIST,
            capsule=CAPSULE,
            nonce=nothing,
            terms=terms,
            **PLACE,
        ),
        CampaignOpened(campaign=1, keys=nothing, model=nothing, accuracy_ppm=0, **PLACE),
        *(GradientSubmitted(gradient=number, **submitted, **PLACE) for number in range(3)),
        GradientScored(
            gradient=0, share_ppm=PPM, payout=450, reason=0, bond_returned=10, **scored, **PLACE
        ),
        GradientScored(
            gradient=1, share_ppm=0, payout=0, reason=1, bond_returned=0, **scored, **PLACE
        ),
        BatchScored(
            campaign=1, batch=1, accuracy_ppm=PPM // 4, best_ppm=PPM // 4, version=2,
            model=nothing, receipt=nothing, paid=450, forfeited=10, bounty=1010, **PLACE,
        ),
        CampaignDelivered(campaign=1, delivery=nothing, fee=100, refund=460, **PLACE),
        BondReclaimed(campaign=1, miner=MINER, gradient=2, amount=10, **PLACE),
    ]  # fmt: skip


def test_a_sound_life_balances_at_every_event() -> None:
    events = life()
    token = "0x" + "0" * 40
    owed = [Books().fold(events[:count]).owed(token) for count in range(1, len(events) + 1)]
    assert owed[:5] == [1000, 1000, 1010, 1020, 1030]
    assert owed[7:] == [1030, 1030, 1030]
    books = Books().fold(events)
    assert books.faults == []
    assert books.bonds == {}
    assert books.earned[MINER] == 450
    assert (books.scored, books.paid_gradients) == (2, 1)


@pytest.mark.parametrize(
    ("index", "change", "fault"),
    [
        (5, {"payout": 451}, "451, 450 are due"),
        (5, {"share_ppm": PPM - 1}, "shares sum to"),
        (5, {"bond_returned": 0}, "0 of a bond of 10 came back for reason 0"),
        (5, {"bond_returned": 11}, "11 of a bond of 10 came back"),
        (5, {"reason": 3}, "rejected for reason 3, and paid 450"),
        (5, {"reason": 3, "payout": 0}, "rejected for reason 3, and paid 0"),
        (5, {"reason": 128}, "rejected for reason 128"),
        (5, {"miner": SCIENTIST}, "another miner's"),
        (5, {"batch": 2}, "another batch"),
        (6, {"gradient": 0}, "two outcomes"),
        (6, {"reason": 127, "bond_returned": 10}, "10 of a bond of 10 came back for reason 127"),
        (6, {"reason": 128}, "0 of a bond of 10 came back for reason 128"),
        (6, {"reason": 0}, "0 of a bond of 10 came back for reason 0"),
        (6, {"payout": 1}, "rejected for reason 1, and paid 1"),
        (7, {"paid": 449}, "not what was paid"),
        (7, {"forfeited": 0}, "not what was forfeited"),
        (7, {"bounty": 1000}, "1010 with its lost bonds"),
        (7, {"batch": 2}, "it is number 1"),
        (7, {"best_ppm": PPM // 4 + 1}, "the best is"),
        (7, {"best_ppm": 0}, "the best is"),
        (7, {"accuracy_ppm": PPM}, "500000 ppm after 0"),
        (7, {"accuracy_ppm": 0}, "does not count, and the shares sum to"),
        (8, {"refund": 461}, "were left"),
        (9, {"gradient": 1}, "two outcomes"),
        (9, {"amount": 11}, "another bond"),
        (9, {"gradient": 7}, "never submitted"),
        (9, {"miner": CAPSULE}, "another miner's"),
    ],
)
def test_the_judge_sees_each_wrong(index: int, change: dict[str, Any], fault: str) -> None:
    events = life()
    events[index] = replace(events[index], **change)
    assert any(fault in found for found in Books().fold(events).faults)


@pytest.mark.parametrize(
    ("accuracy_ppm", "best_ppm", "after"),
    [
        (150_000, 100_000, 150_000),  # exactly the step
        (149_999, 100_000, 100_000),
        (50_000, 100_000, 100_000),
        (500_000, 490_000, 500_000),  # the target, by less than the step
        (PPM, 490_000, 500_000),
        (PPM, 500_000, 500_000),
    ],
)
def test_a_batch_counts_as_the_contract_counts(
    accuracy_ppm: int, best_ppm: int, after: int
) -> None:
    launched = life()[0]
    assert isinstance(launched, CampaignLaunched)
    terms = replace(launched.terms, min_improvement_ppm=50_000)
    assert best_after(accuracy_ppm, best_ppm, terms) == after


def test_the_judge_sees_a_payment_below_the_ladder_step() -> None:
    events = life()
    launched = events[0]
    assert isinstance(launched, CampaignLaunched)
    terms = replace(launched.terms, min_improvement_ppm=PPM // 4 + 1)
    events[0] = replace(launched, terms=terms)
    found = Books().fold(events).faults
    assert any("does not count" in fault for fault in found)
    assert any("450, 0 are due" in fault for fault in found)
    assert any("the best is" in fault for fault in found)
