"""The named steps of a mine's work on one gradient: the one list that code, log and tests share.

Each step is written to the ledger before (`intent`) or right after (`fact`) its effect. A mine
killed at any of them goes on from the last one written; see docs/mine.md, "Killed at any step".
"""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """Where the work on one gradient stands. The value is what ledger and log carry."""

    SEEN = "seen"
    """Fact: the campaign's events are in the ledger."""
    DECIDED = "decided"
    """Fact: a decision with its reasons is in the ledger."""
    INTENDED = "intended"
    """Intent: the ledger claims (campaign, version); nothing has left the mine."""
    DOWNLOADED = "downloaded"
    """Fact: keys and model are here and bound to the campaign."""
    TRAINED = "trained"
    """Fact: the encrypted gradient came back from the training process."""
    SEALED = "sealed"
    """Intent: the sealed envelope lies in the outbox and its digest in the ledger."""
    UPLOADED = "uploaded"
    """Fact: the store has envelope and manifest (the same bytes have the same CIDs)."""
    SUBMITTING = "submitting"
    """Intent: the transaction's nonce is in the ledger; that nonce can be mined once only."""
    SUBMITTED = "submitted"
    """Fact: the chain knows the gradient."""
    OUTCOME = "outcome"
    """Fact: the gradient was scored, rejected or its bond reclaimed. Final."""
    FAILED = "failed"
    """Fact: it cannot be submitted; the reason is in the ledger. Final."""


SUBMISSION_STEPS: tuple[Step, ...] = (
    Step.INTENDED,
    Step.DOWNLOADED,
    Step.TRAINED,
    Step.SEALED,
    Step.UPLOADED,
    Step.SUBMITTING,
    Step.SUBMITTED,
    Step.OUTCOME,
)
"""A submission's steps in their order."""

FINAL_STEPS = frozenset({Step.OUTCOME, Step.FAILED})
