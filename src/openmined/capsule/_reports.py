"""What a scored batch leaves behind: its intent, its report, its weights once it is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from openmined.capsule._bench import (
    KEPT_VERSIONS,
    Bench,
    pack_memory,
    read_fingerprints,
    unpack_memory,
)
from openmined.capsule._context import Array, Context
from openmined.capsule._scoring import ScoredBatch
from openmined.capsule._state import CampaignRow, Pending, same_model
from openmined.capsule._steps import Step
from openmined.sonar import NO_MODEL, Score

KEPT_INTENTS = 16
"""Batches that can still be sent again after a reorganisation."""


def record_batch(
    ctx: Context, row: CampaignRow, scored: ScoredBatch, intent: dict[str, Any], decryptions: int
) -> None:
    """Write draft and intent of a batch, and count what was decrypted, at once."""
    facts, batch = row.facts, row.facts["batches"] + 1
    epoch = str(facts["epoch"])
    arrays = pack_memory(scored.memory)
    arrays |= {f"sketch-{f.gradient}": f.sketch for f in scored.fingerprints}
    if scored.weights is not None:
        arrays["weights"] = scored.weights
    owners = {str(f.gradient): [f.miner, f.version] for f in scored.fingerprints}
    counted = {
        **facts["decryptions"],
        epoch: facts["decryptions"].get(epoch, 0) + decryptions,
    }
    with ctx.state.change():
        ctx.keep(row.id, "draft", batch, arrays, owners=owners)
        ctx.state.put_intent(row.id, "batch", batch, {"before": facts, **intent})
        released = f"batch {batch}: {scored.accuracy_ppm} ppm"
        ctx.state.add_release(row.id, facts["epoch"], "accuracy", released)
        ctx.state.put_campaign(replace(row, facts={**facts, "decryptions": counted}))


def intent_still_fits(
    intent: dict[str, Any], row: CampaignRow, best_ppm: int, pending: Sequence[Pending]
) -> bool:
    """Whether a recorded batch can be reported: same model, best so far and pending gradients.

    The contract compares numbers. After a reorganisation the same number may be another model, and
    another mine's gradient.
    """
    found = {str(one.gradient): one.envelope.hex() for one in pending}
    return (
        same_model(intent["before"], row.facts)
        and intent["best_ppm"] == best_ppm
        and all(found.get(name) == digest for name, digest in intent["envelopes"].items())
    )


def send_batch(ctx: Context, campaign: int, batch: int, intent: dict[str, Any]) -> None:
    """Report a recorded batch."""
    ctx.reach(
        Step.REPORT,
        campaign,
        batch=batch,
        accuracy_ppm=intent["accuracy_ppm"],
        accepted=sum(1 for _, _, reason in intent["scores"] if not reason),
    )
    model = bytes.fromhex(intent["model"]) if intent["model"] else NO_MODEL
    scores = [Score(*map(int, score)) for score in intent["scores"]]
    ctx.contract.score_batch(
        campaign,
        batch,
        intent["before"]["version"],
        intent["accuracy_ppm"],
        model,
        bytes.fromhex(intent["receipt"]),
        scores,
    )


def adopt_batch(ctx: Context, bench: Bench, row: CampaignRow, batch: int) -> CampaignRow:
    """Make a reported batch's weights the current ones."""
    ctx.reach(Step.ADOPT_BATCH, row.id, batch=batch)
    intent = ctx.state.intent(row.id, "batch", batch)
    kept = ctx.recall(row.id, "draft", batch)
    assert intent is not None
    assert kept is not None
    arrays, facts_of_draft = kept
    facts = {**row.facts, "batches": batch}
    with ctx.state.change():
        if intent["model"]:
            version = facts["version"] + 1
            facts = {
                **facts,
                "version": version,
                "models": {**facts["models"], str(version): intent["model"]},
                "epochs": {**facts["epochs"], str(version): facts["epoch"]},
            }
            ctx.keep(row.id, "weights", version, {"weights": arrays["weights"]})
            ctx.keep(row.id, "memory", version, pack_memory(unpack_memory(arrays)))
            _keep_best(ctx, row.id, batch, arrays["weights"], intent["accuracy_ppm"])
            ctx.state.drop_sealed(row.id, "weights", below=version - KEPT_VERSIONS)
            ctx.state.drop_sealed(row.id, "memory", below=version - KEPT_INTENTS)
        sketches = {
            name.removeprefix("sketch-"): array
            for name, array in arrays.items()
            if name.startswith("sketch-")
        }
        owners = facts_of_draft["owners"]
        ctx.keep(row.id, "fingerprints", batch, sketches, owners=owners)
        ctx.state.drop_sealed(row.id, "draft", below=batch - KEPT_INTENTS)
        ctx.state.drop_intent(row.id, "batch", batch - KEPT_INTENTS)
        adopted = replace(row, facts=facts)
        ctx.state.put_campaign(adopted)
    if bench.known is not None:
        bench.known += read_fingerprints(sketches, owners)
    return adopted


def best_weights(ctx: Context, campaign: int) -> Array | None:
    """Return the most accurate weights that were reported, None if they are gone."""
    best = _newest_best(ctx, campaign)
    return None if best is None else best[0]


def forget_best(ctx: Context, campaign: int, batch: int) -> None:
    """Forget what is only in batches after this one: the chain took their payment back."""
    ctx.state.drop_sealed(campaign, "best", above=batch)


def _keep_best(ctx: Context, campaign: int, batch: int, weights: Array, accuracy_ppm: int) -> None:
    best = _newest_best(ctx, campaign)
    if best is not None and accuracy_ppm < best[1]:
        return
    ctx.keep(campaign, "best", batch, {"weights": weights}, ppm=accuracy_ppm)
    # Of those that no reorganisation brings back, the newest is enough.
    settled = [n for n in ctx.state.sealed_numbers(campaign, "best") if n <= batch - KEPT_INTENTS]
    if settled:
        ctx.state.drop_sealed(campaign, "best", below=settled[-1])


def _newest_best(ctx: Context, campaign: int) -> tuple[Array, int] | None:
    numbers = ctx.state.sealed_numbers(campaign, "best")
    kept = ctx.recall(campaign, "best", numbers[-1]) if numbers else None
    return None if kept is None else (kept[0]["weights"], kept[1]["ppm"])
