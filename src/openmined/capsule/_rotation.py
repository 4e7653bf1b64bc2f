"""A new key epoch: fresh CKKS keys for a running campaign, and the model encrypted under them.

Done when the operator asks for it (`openmined capsule rotate --campaign N`), when Capsule's OpenPGP
identity was rotated, and before the budget of decryptions under a key is used up. Gradients made
under the old keys are then refused as STALE, and their bonds go back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from openmined.capsule._bench import Bench, pack_memory, standing_of
from openmined.capsule._context import Context
from openmined.capsule._keys import made_keys
from openmined.capsule._publishing import publish_keys, publish_model
from openmined.capsule._state import CampaignRow, State, same_model
from openmined.capsule._steps import Step


def request_rotation(state: State, campaign: int, epoch: int) -> None:
    """Ask the working Capsule to leave this key epoch; asking twice is asking once."""
    state.set_meta(f"rotate {campaign}", str(epoch))


def rotation_is_due(ctx: Context, row: CampaignRow) -> bool:
    """Whether the campaign's present keys are to be replaced."""
    epoch = row.facts["epoch"]
    if ctx.state.meta(f"rotate {row.id}") == str(epoch):
        return True
    used = row.facts["decryptions"].get(str(epoch), 0)
    return bool(used + 64 > ctx.settings.release.max_decryptions)


def rotate_keys(ctx: Context, bench: Bench, row: CampaignRow) -> None:
    """Make and publish keys of the next epoch, write the intent, and send rotate_keys."""
    epoch = row.facts["epoch"] + 1
    intent = ctx.state.intent(row.id, "rotate", epoch)
    if intent is None or not same_model(intent["before"], row.facts):
        intent = _prepare(ctx, bench, row, epoch)
    ctx.reach(Step.ROTATE_KEYS, row.id, epoch=epoch)
    ctx.contract.rotate_keys(
        row.id,
        row.facts["version"],
        bytes.fromhex(intent["keys"]),
        bytes.fromhex(intent["model"]),
    )


def _prepare(ctx: Context, bench: Bench, row: CampaignRow, epoch: int) -> dict[str, Any]:
    facts = row.facts
    standing = standing_of(ctx, bench, facts["version"], facts["batches"])
    with made_keys(ctx, bench, epoch) as keys:
        ctx.reach(Step.PUBLISH_KEYS, row.id, epoch=epoch)
        keys_digest = publish_keys(ctx, row.id, epoch, keys)
    bench.keys[epoch] = keys
    ctx.reach(Step.PUBLISH_MODEL, row.id, version=facts["version"] + 1)
    model = publish_model(
        ctx,
        row.id,
        version=facts["version"] + 1,
        epoch=epoch,
        weights=standing.weights,
        keys=keys,
        keys_digest=keys_digest,
        parent=bytes.fromhex(facts["models"][str(facts["version"])]),
    )
    intent = {"before": facts, "keys": keys_digest.hex(), "model": model.hex()}
    ctx.reach(Step.RECORD_ROTATION, row.id, epoch=epoch)
    ctx.state.put_intent(row.id, "rotate", epoch, intent)
    return intent


def adopt_keys(ctx: Context, bench: Bench, row: CampaignRow, epoch: int) -> CampaignRow:
    """Make the new epoch the campaign's current one."""
    ctx.reach(Step.ADOPT_KEYS, row.id, epoch=epoch)
    intent = ctx.state.intent(row.id, "rotate", epoch)
    assert intent is not None
    facts = row.facts
    version = facts["version"] + 1
    standing = standing_of(ctx, bench, facts["version"], facts["batches"])
    adopted = replace(
        row,
        facts={
            **facts,
            "version": version,
            "epoch": epoch,
            "keys": {**facts["keys"], str(epoch): intent["keys"]},
            "models": {**facts["models"], str(version): intent["model"]},
            "epochs": {**facts["epochs"], str(version): epoch},
            "decryptions": {**facts["decryptions"], str(epoch): 0},
        },
    )
    with ctx.state.change():
        ctx.keep(row.id, "weights", version, {"weights": standing.weights})
        ctx.keep(row.id, "memory", version, pack_memory(standing.memory))
        ctx.state.put_campaign(adopted)
    return adopted
