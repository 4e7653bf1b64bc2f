"""The named steps of Capsule's work: the one list that code, log and tests share.

Each step is announced at the instant before its effect. A Capsule killed there, before or after
the effect, goes on from what state file, store and chain say: every effect either can be repeated
without harm (the same bytes have the same CID) or is recognised on chain.
See docs/capsule.md, "Killed at any step".
"""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """Where the work stands. The value is what log and tests carry."""

    FOLLOW = "follow"
    """Write newly seen events and the cursor, in one transaction."""
    CHECK = "check"
    """Fetch a launched campaign's manifest and validation set, and measure its start."""
    REJECT = "reject"
    """Send reject_campaign."""
    MAKE_KEYS = "make-keys"
    """Write the campaign's CKKS secret keys, sealed."""
    PUBLISH_KEYS = "publish-keys"
    """Put public keys and the keys manifest on the store."""
    PUBLISH_MODEL = "publish-model"
    """Put the first encrypted model on the store."""
    RECORD_OPENING = "record-opening"
    """Write the intent to open: the digests that the transaction will carry."""
    OPEN = "open"
    """Send open_campaign."""
    ADOPT_OPENING = "adopt-opening"
    """Write that the campaign is open."""
    OPEN_ENVELOPES = "open-envelopes"
    """Fetch and decrypt what is pending, in limited child processes."""
    SCORE = "score"
    """Combine, score and attribute; nothing is written."""
    PUBLISH_VERSION = "publish-version"
    """Put the next encrypted model on the store."""
    PUBLISH_RECEIPT = "publish-receipt"
    """Put the batch's receipt on the store."""
    RECORD_BATCH = "record-batch"
    """Write the intent to report the batch: verdicts, receipt, new weights."""
    REPORT = "report"
    """Send score_batch."""
    ADOPT_BATCH = "adopt-batch"
    """Write the batch's weights as the campaign's current ones."""
    RECORD_ROTATION = "record-rotation"
    """Write the intent to change keys: digests of the keys and model published for it."""
    ROTATE_KEYS = "rotate-keys"
    """Send rotate_keys."""
    ADOPT_KEYS = "adopt-keys"
    """Write the new epoch as the campaign's current one."""
    RELEASE = "release"
    """Write the final model's release into the ledger, then protect, sign and seal it."""
    PUBLISH_DELIVERY = "publish-delivery"
    """Put the sealed delivery on the store."""
    RECORD_DELIVERY = "record-delivery"
    """Write the intent to deliver."""
    DELIVER = "deliver"
    """Send deliver."""
    RETURN_BONDS = "return-bonds"
    """Send reclaim_bonds for gradients that were still pending at the end."""
    FORGET = "forget"
    """Delete the validation set, weights and CKKS keys of a campaign that has ended."""


STEPS: tuple[Step, ...] = tuple(Step)
"""Every step, in the order of a campaign's life."""
