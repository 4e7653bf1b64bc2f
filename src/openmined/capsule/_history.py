"""Bringing a campaign's record to where the chain is: adopt, replay, or take back.

The chain is the truth. What this Capsule reported itself is adopted from its draft. What another
Capsule of the same identity reported (or this one, before a backup was restored) is replayed: the
same gradients, opened and scored again from the store, give the same weights, because scoring is a
function of chain, store and keys. What a reorganisation removed is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from openmined.capsule._batches import replay_batch
from openmined.capsule._bench import Bench
from openmined.capsule._context import Context, keys_file
from openmined.capsule._errors import ReplayFailed, StateError
from openmined.capsule._reports import adopt_batch, forget_best
from openmined.capsule._rotation import adopt_keys
from openmined.capsule._state import CampaignRow, SeenEvent
from openmined.sonar import CampaignState


@dataclass(frozen=True)
class Unsettled:
    """The chain says more happened than its events, as far as they were read, tell."""


def settle_history(
    ctx: Context, bench: Bench, row: CampaignRow, chain: CampaignState
) -> CampaignRow | Unsettled:
    """Bring the row to the chain's batch and key epoch.

    Raises:
        ReplayFailed: if another Capsule's work cannot be followed.
        EnvelopeMissing: if it cannot be followed now, for want of an envelope's bytes.
    """
    while (
        row.facts["batches"] > chain.batches
        or row.facts["epoch"] > chain.epoch
        or _is_replaced(ctx, row)
    ):
        row = _take_back(ctx, bench, row)
    if row.facts["batches"] and _report(ctx, row.id, row.facts["batches"]) is None:
        return Unsettled()  # reorganised away, and what stands there now was not read yet
    for event in _outstanding(ctx, row):
        row = _follow(ctx, bench, row, event)
    if (row.facts["batches"], row.facts["epoch"]) != (chain.batches, chain.epoch):
        return Unsettled()
    return row


def _report(ctx: Context, campaign: int, batch: int) -> dict[str, Any] | None:
    """Return what the chain says of a batch, as far as it was read."""
    for event in ctx.state.events(campaign, "BatchScored"):
        if event.facts["batch"] == batch:
            return dict(event.facts)
    return None


def _is_replaced(ctx: Context, row: CampaignRow) -> bool:
    """Whether another report than the one that was adopted stands on chain in its place."""
    batch = row.facts["batches"]
    intent = ctx.state.intent(row.id, "batch", batch)
    reported = _report(ctx, row.id, batch)
    if intent is None or reported is None:
        return False
    return bool(intent["receipt"] != reported["receipt"])


def _outstanding(ctx: Context, row: CampaignRow) -> list[SeenEvent]:
    batches = [
        event
        for event in ctx.state.events(row.id, "BatchScored")
        if event.facts["batch"] > row.facts["batches"]
    ]
    rotations = [
        event
        for event in ctx.state.events(row.id, "KeysRotated")
        if event.facts["epoch"] > row.facts["epoch"]
    ]
    return sorted([*batches, *rotations], key=lambda event: (event.block, event.log))


def _follow(ctx: Context, bench: Bench, row: CampaignRow, event: SeenEvent) -> CampaignRow:
    facts = event.facts
    if event.kind == "KeysRotated":
        return _follow_rotation(ctx, bench, row, facts)
    batch = facts["batch"]
    if batch != row.facts["batches"] + 1:
        raise StateError(f"campaign {row.id}: batch {row.facts['batches'] + 1} was never seen")
    intent = ctx.state.intent(row.id, "batch", batch)
    if intent is None or intent["receipt"] != facts["receipt"]:
        ctx.log.write("replaying", campaign=row.id, batch=batch)
        replay_batch(ctx, bench, row, facts)
        row = ctx.state.campaign(row.id) or row
    return adopt_batch(ctx, bench, row, batch)


def _follow_rotation(
    ctx: Context, bench: Bench, row: CampaignRow, facts: dict[str, Any]
) -> CampaignRow:
    epoch = facts["epoch"]
    intent = ctx.state.intent(row.id, "rotate", epoch)
    if intent is None or intent["keys"] != facts["keys"]:
        raise ReplayFailed(
            f"campaign {row.id}: the keys of epoch {epoch} ({keys_file(row.id, epoch)}) are "
            "another Capsule's; restore a newer backup"
        )
    return adopt_keys(ctx, bench, row, epoch)


def _take_back(ctx: Context, bench: Bench, row: CampaignRow) -> CampaignRow:
    """A reorganisation removed the newest batch or rotation: stand where it was not."""
    candidates = [
        ctx.state.intent(row.id, "batch", row.facts["batches"]),
        ctx.state.intent(row.id, "rotate", row.facts["epoch"]),
    ]
    found = [intent for intent in candidates if intent is not None]
    if not found:
        raise StateError(f"campaign {row.id}: reorganised deeper than is remembered")
    newest = max(found, key=lambda i: (i["before"]["version"], i["before"]["batches"]))
    ctx.log.write("taken-back", campaign=row.id, version=row.facts["version"])
    # What was decrypted stays decrypted.
    facts = {**newest["before"], "decryptions": row.facts["decryptions"]}
    row = replace(row, facts=facts)
    with ctx.state.change():
        ctx.state.put_campaign(row)
        forget_best(ctx, row.id, facts["batches"])
    bench.weights.clear()
    bench.memory, bench.known = None, None
    return row
