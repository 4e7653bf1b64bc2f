"""The storm's own parts: a seed says everything, lines fail as told, the judge sees each wrong."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from tests.soak.invariants import Books
from tests.soak.lines import Line
from tests.soak.plan import FAULTY_ANSWERS, WEIGHTS, make_plan, plan_campaign

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


@pytest.mark.parametrize(
    ("index", "change", "fault"),
    [
        (5, {"payout": 451}, "451, 450 are due"),
        (5, {"share_ppm": PPM - 1}, "shares sum to"),
        (6, {"gradient": 0}, "two outcomes"),
        (7, {"paid": 449}, "not what was paid"),
        (7, {"forfeited": 0}, "not what was forfeited"),
        (8, {"refund": 461}, "were left"),
        (9, {"gradient": 1}, "two outcomes"),
        (9, {"amount": 11}, "another bond"),
        (9, {"gradient": 7}, "never submitted"),
    ],
)
def test_the_judge_sees_each_wrong(index: int, change: dict[str, Any], fault: str) -> None:
    events = life()
    events[index] = replace(events[index], **change)
    assert any(fault in found for found in Books().fold(events).faults)
