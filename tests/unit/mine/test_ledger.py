from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.unit.mine.test_api import paid_events

from openmined.mine import Decision, Ledger, Step
from openmined.mine._accounts import sum_earnings, withdrawable
from openmined.mine._campaigns import fold_events
from openmined.mine._errors import LedgerDamaged
from openmined.mine._ledger import StoredEvent
from openmined.mine._loop import fruitless
from openmined.mine._permissions import Cause
from openmined.protocol import Phase

MINER = "0x" + "Ab" * 20


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", create=True)


def decision(verdict: Any, text: str) -> Decision:
    return Decision(verdict=verdict, causes=(Cause(code="x", text=text),))


def test_a_version_is_claimed_once(ledger: Ledger) -> None:
    ledger.claim(1, 1, 1, ["data"])
    with pytest.raises(LedgerDamaged):
        ledger.claim(1, 1, 1, ["data"])


def test_facts_come_back_as_they_were_written(ledger: Ledger) -> None:
    ledger.claim(1, 2, 3, ["b", "a"])
    big = 10**30
    done = ledger.advance(1, 2, Step.OUTCOME, payout=big, bond=5, bond_returned=0, reason=128)
    assert (done.payout, done.bond, done.bond_returned, done.reason) == (big, 5, 0, 128)
    assert (done.datasets, done.epoch, done.final) == (("b", "a"), 3, True)
    assert ledger.submissions() == [done]


def test_a_round_counts_from_the_moment_it_may_leave(ledger: Ledger) -> None:
    ledger.claim(1, 1, 1, ["data"])
    assert ledger.rounds(1, "data") == 0
    ledger.advance(1, 1, Step.SEALED, left_mine=1)
    assert ledger.rounds(1, "data") == 1
    ledger.advance(1, 1, Step.FAILED, problem="later")
    assert ledger.rounds(1, "data") == 1, "what may have left is not taken back"
    assert ledger.rounds(1, "other") == ledger.rounds(2, "data") == 0


def test_the_same_decision_is_written_once(ledger: Ledger) -> None:
    assert ledger.record_decision(1, "data", decision("wait", "a"))
    assert not ledger.record_decision(1, "data", decision("wait", "a"))
    assert ledger.record_decision(1, "data", decision("accept", "b"))
    assert ledger.record_decision(1, "data", decision("wait", "a"))
    assert [d.text for d in ledger.decisions()] == ["a", "b", "a"]
    assert [d.verdict for d in ledger.decisions(latest=True)] == ["wait"]


def test_privacy_is_charged_once_a_campaign(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.charge_privacy("data", 1, 0.5, 1e-6)
    ledger.charge_privacy("data", 2, 0.25, 1e-6)
    ledger.charge_privacy("other", 1, 9.0, 1e-6)
    assert ledger.epsilon_spent("data") == 0.75
    assert ledger.privacy_paid("data", 1)
    assert not ledger.privacy_paid("other", 2)


def test_a_reorganisation_forgets_what_was_replaced(ledger: Ledger) -> None:
    events = paid_events(MINER)
    ledger.apply_poll(events, None, "first")
    assert fold_events(ledger.events(), MINER)[1].mine[0].payout == 250
    ledger.apply_poll([], 2, "second")
    view = fold_events(ledger.events(), MINER)[1]
    assert (view.mine[0].status, view.phase, ledger.cursor()) == ("pending", Phase.OPEN, "second")
    ledger.apply_poll([], 0, "third")
    assert fold_events(ledger.events(), MINER)[1].phase == Phase.LAUNCHED


def test_events_and_cursor_change_together(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.apply_poll(paid_events(MINER)[:2], None, "first")
    broken = StoredEvent(9, 0, "0x", "0x", "x", None, {"a": {1, 2}})
    with pytest.raises(TypeError):
        ledger.apply_poll([broken], 0, "second")
    assert (len(ledger.events()), ledger.cursor()) == (2, "first")


def test_other_connections_are_noticed(ledger: Ledger) -> None:
    before = ledger.changes()
    ledger.set_meta("own", "1")
    assert ledger.changes() == before
    other = Ledger(ledger.path)
    other.give_answer(1, "data", "approved")
    other.close()
    assert ledger.changes() != before
    assert ledger.answer(1, "data") == "approved"


def test_two_writers_wait_for_each_other(ledger: Ledger) -> None:
    def write(number: int) -> None:
        own = Ledger(ledger.path)
        for turn in range(20):
            own.record_decision(number, "data", decision("wait", str(turn)))
        own.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.decisions()) == 80


def test_a_page_that_is_damaged_is_found(ledger: Ledger) -> None:
    for number in range(200):
        ledger.record_decision(number, "data", decision("wait", "x" * 200))
    ledger.close()
    with sqlite3.connect(ledger.path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    data = bytearray(ledger.path.read_bytes())
    data[4096 * 3 : 4096 * 9] = b"\xaa" * 4096 * 6
    ledger.path.write_bytes(bytes(data))
    with pytest.raises(LedgerDamaged, match="restore"):
        Ledger(ledger.path).check()


def test_earnings_add_up(ledger: Ledger) -> None:
    events = paid_events(MINER)
    views = fold_events(events, MINER)
    ledger.claim(1, 1, 1, ["data"])
    facts = {"payout": 250, "bond": 10, "bond_returned": 10, "share_ppm": 10**6, "reason": 0}
    ledger.advance(1, 1, Step.OUTCOME, **facts)
    ledger.claim(1, 2, 1, ["data"])
    ledger.advance(1, 2, Step.OUTCOME, payout=0, bond=10, bond_returned=0, share_ppm=0, reason=3)
    ledger.claim(1, 3, 1, ["data"])
    ledger.advance(1, 3, Step.SUBMITTED, bond=10)
    ledger.claim(1, 4, 1, ["data"])
    ledger.advance(1, 4, Step.FAILED, bond=10, problem="never sent")
    earned = sum_earnings(ledger.submissions(), views)
    (token,) = earned.tokens
    assert (token.earned_wei, token.bonds_at_stake_wei, token.bonds_lost_wei) == ("250", "10", "10")
    (campaign,) = earned.campaigns
    found = (campaign.gradients, campaign.scored, campaign.rejected, campaign.paid)
    assert found == (3, 1, 1, 1)
    assert withdrawable(events, views, MINER.upper().replace("0X", "0x")) == {"0x" + "0" * 40: 200}


def test_an_approval_does_not_pass_to_another_campaign_of_the_number(ledger: Ledger) -> None:
    assert not ledger.remember_campaign(3, "aa" * 32)
    ledger.note_title(3, "Cats")
    ledger.give_answer(3, "data", "approved")
    ledger.charge_privacy("data", 3, 1.0, 1e-6)
    ledger.record_decision(3, "data", decision("accept", "a"))
    ledger.claim(3, 1, 1, ["data"])
    ledger.advance(3, 1, Step.SUBMITTED, left_mine=1, envelope="ee")
    assert not ledger.remember_campaign(3, "aa" * 32)
    assert ledger.remember_campaign(3, "bb" * 32)
    assert ledger.answer(3, "data") == "none"
    assert ledger.submissions(3) == []
    assert ledger.titles() == {-1: "Cats"}
    assert not ledger.privacy_paid("data", 3)
    assert ledger.epsilon_spent("data") == 1.0, "what was spent stays spent"
    (former,) = ledger.submissions(-1)
    assert former.step == Step.FAILED
    ledger.claim(3, 1, 1, ["data"])
    assert ledger.remember_campaign(3, "cc" * 32)
    assert [s.campaign for s in ledger.submissions()] == [-2, -1]


def outcome(ledger: Ledger, version: int, share: int, reason: int) -> None:
    ledger.claim(1, version, 1, ["data"])
    ledger.advance(1, version, Step.OUTCOME, share_ppm=share, reason=reason)


def test_a_mine_leaves_a_campaign_that_pays_it_nothing(ledger: Ledger) -> None:
    for version in range(1, 4):
        outcome(ledger, version, 0, 0)
        assert fruitless(ledger.submissions(1), 4) == ""
    outcome(ledger, 4, 0, 128)  # stale: not the gradient's fault
    assert fruitless(ledger.submissions(1), 4) == ""
    outcome(ledger, 5, 0, 0)
    assert "earned nothing" in fruitless(ledger.submissions(1), 4)
    outcome(ledger, 6, 10, 0)
    assert fruitless(ledger.submissions(1), 4) == ""


def test_a_mine_leaves_a_campaign_that_takes_its_bonds(ledger: Ledger) -> None:
    outcome(ledger, 1, 10, 0)
    outcome(ledger, 2, 0, 5)
    assert fruitless(ledger.submissions(1), 8) == ""
    outcome(ledger, 3, 0, 3)
    assert "lost their bonds" in fruitless(ledger.submissions(1), 8)


def test_a_reason_that_this_software_does_not_know_counts_by_its_bond(ledger: Ledger) -> None:
    outcome(ledger, 1, 0, 99)
    outcome(ledger, 2, 0, 99)
    assert "lost their bonds" in fruitless(ledger.submissions(1), 8)
    outcome(ledger, 3, 0, 200)
    assert fruitless(ledger.submissions(1), 8) == "", "from 128 the bond came back"
