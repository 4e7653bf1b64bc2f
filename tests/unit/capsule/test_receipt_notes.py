"""What a receipt tells of a gradient: nothing of why it was accepted and not paid."""

from __future__ import annotations

from openmined.capsule._batches import UNPAID, _entry
from openmined.capsule._scoring import STATING_HARM, Verdict
from openmined.capsule._state import Pending
from openmined.protocol import Reason

PENDING = Pending(7, "0x" + "a" * 40, 1, b"\1" * 32, 0.0, 0)


def test_whatever_is_accepted_without_pay_has_the_same_note() -> None:
    notes = {_entry(PENDING, Verdict(note=note)).note for note in ("", "points nowhere")}
    assert notes == {UNPAID}


def test_who_is_paid_has_none_and_who_is_refused_is_told_why() -> None:
    assert _entry(PENDING, Verdict(400_000)).note == ""
    harm = Verdict(0, Reason.HARMFUL, STATING_HARM)
    assert _entry(PENDING, harm).note == STATING_HARM
