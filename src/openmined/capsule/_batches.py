"""A batch from sealed gradients to its recorded intent: open, score, publish; or replay it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from openmined import __version__
from openmined.capsule._bench import (
    KEPT_VERSIONS,
    Bench,
    campaign_keys,
    sketch_key,
    standing_of,
    version_weights,
)
from openmined.capsule._context import Array, Context
from openmined.capsule._descent import choose_optimizer, score_gradients
from openmined.capsule._envelopes import (
    Expected,
    OpenedGradient,
    RefusedGradient,
    open_envelopes,
)
from openmined.capsule._errors import ReplayFailed
from openmined.capsule._gathering import Gathered, refetch
from openmined.capsule._privacy import ClientPrivacy, plan_privacy, score_privately
from openmined.capsule._publishing import publish_model
from openmined.capsule._reports import record_batch
from openmined.capsule._scoring import (
    Rules,
    ScoredBatch,
    Standing,
    Update,
    Verdict,
    score_local_steps,
)
from openmined.capsule._state import CampaignRow, Pending
from openmined.capsule._steps import Step
from openmined.protocol import Reason, ReceiptEntry, ReceiptManifest
from openmined.sonar import NO_MODEL, CampaignState
from openmined.storage import put_manifest
from openmined.syft import MLPClassifier, RangeError, encrypt_model

UNPAID = "scored, and no part of a gain that counts"
"""Stands in the receipt for everything that is accepted without pay.

Why is not told: who learned which of his guesses pointed the right way could add them up.
"""

_UNOPENED = (Reason.OVER_QUOTA, Reason.UNAVAILABLE, Reason.CLOSED)


def prepare_batch(
    ctx: Context, bench: Bench, row: CampaignRow, chain: CampaignState, gathered: Gathered
) -> None:
    """Open, score and publish a batch, and write the intent to report it."""
    batch = row.facts["batches"] + 1
    rules = Rules(
        best_ppm=chain.best_ppm,
        target_ppm=chain.terms.target_ppm,
        min_improvement_ppm=chain.terms.min_improvement_ppm,
        release_step_ppm=bench.manifest.scoring.release_step_ppm,
    )
    scored, verdicts, decryptions = _score_gathered(ctx, bench, row, rules, gathered)
    everyone = gathered.everyone
    model = _publish(ctx, bench, row, scored.weights, batch)
    receipt = _publish_receipt(ctx, bench, row, rules, scored, verdicts, everyone, model)
    ctx.reach(Step.RECORD_BATCH, row.id, batch=batch)
    intent = {
        "best_ppm": chain.best_ppm,
        "receipt": receipt.hex(),
        "model": model.hex() if model else None,
        "accuracy_ppm": scored.accuracy_ppm,
        "scores": [
            [one.gradient, verdicts[one.gradient].share_ppm, int(verdicts[one.gradient].reason)]
            for one in everyone
        ],
        "envelopes": {str(one.gradient): one.envelope.hex() for one in everyone},
    }
    record_batch(ctx, row, scored, intent, decryptions)


def replay_batch(ctx: Context, bench: Bench, row: CampaignRow, reported: dict[str, Any]) -> None:
    """Score again what another Capsule of this identity reported, and draft its outcome.

    Args:
        ctx: this Capsule.
        bench: the campaign's.
        row: where the campaign stood before.
        reported: the facts of BatchScored.

    Raises:
        ReplayFailed: if scoring again gives another accuracy than was reported.
        EnvelopeMissing: if the store does not have an envelope (now).
    """
    batch = reported["batch"]
    before = [e.facts for e in ctx.state.events(row.id, "BatchScored")]
    best_ppm = next((f["best_ppm"] for f in before if f["batch"] == batch - 1), None)
    scores = [
        e.facts
        for e in ctx.state.events(row.id, "GradientScored")
        if e.facts["batch"] == batch and e.facts["reason"] not in _UNOPENED
    ]
    submitted = {one.gradient: one for one in ctx.state.submitted(row.id)}
    gathered = refetch(ctx, [submitted[facts["gradient"]] for facts in scores])
    chain = ctx.contract.campaign(row.id)
    rules = Rules(
        best_ppm=chain.start_ppm if best_ppm is None else best_ppm,
        target_ppm=chain.terms.target_ppm,
        min_improvement_ppm=chain.terms.min_improvement_ppm,
        release_step_ppm=bench.manifest.scoring.release_step_ppm,
    )
    scored, _, decryptions = _score_gathered(ctx, bench, row, rules, gathered)
    model = None if reported["model"] == NO_MODEL.hex() else reported["model"]
    if scored.accuracy_ppm != reported["accuracy_ppm"] or (scored.weights is None) != (not model):
        raise ReplayFailed(
            f"campaign {row.id}, batch {batch}: {reported['accuracy_ppm']} ppm was reported, "
            f"scoring again gives {scored.accuracy_ppm} ppm; another Capsule holds the campaign"
        )
    intent = {
        "best_ppm": rules.best_ppm,
        "receipt": reported["receipt"],
        "model": model,
        "accuracy_ppm": scored.accuracy_ppm,
        "scores": [],
        "envelopes": {},
    }
    record_batch(ctx, row, scored, intent, decryptions)


def _score_gathered(
    ctx: Context, bench: Bench, row: CampaignRow, rules: Rules, gathered: Gathered
) -> tuple[ScoredBatch, dict[int, Verdict], int]:
    batch = row.facts["batches"] + 1
    ctx.reach(Step.OPEN_ENVELOPES, row.id, batch=batch, gradients=gathered.size)
    opened, refused = _open(ctx, bench, row, gathered)
    ctx.reach(Step.SCORE, row.id, batch=batch, opened=len(opened), refused=len(refused))
    started = time.monotonic()
    standing = standing_of(ctx, bench, row.facts["version"], row.facts["batches"])
    updates, stale = _as_updates(ctx, bench, opened)
    scored = _score(ctx, bench, row, standing, updates, rules)
    scored = _publishable(ctx, bench, row, standing, rules, scored)
    ctx.log.write(
        "scored",
        campaign=row.id,
        batch=batch,
        accuracy_ppm=scored.accuracy_ppm,
        best_ppm=rules.best_ppm,
        seconds=round(time.monotonic() - started, 3),
    )
    verdicts = dict(scored.verdicts)
    verdicts |= {r.pending.gradient: Verdict(0, r.reason, r.note) for r in (*refused, *stale)}
    return scored, verdicts, len(opened)


def _open(
    ctx: Context, bench: Bench, row: CampaignRow, gathered: Gathered
) -> tuple[list[OpenedGradient], list[RefusedGradient]]:
    facts = row.facts
    expected = Expected(
        chain=ctx.chain,
        campaign=row.id,
        kind=_kind(bench),
        epoch=facts["epoch"],
        epoch_of={int(version): epoch for version, epoch in facts["epochs"].items()},
    )
    processes = ctx.settings.limits.processes or os.cpu_count() or 1
    keys = campaign_keys(ctx, bench, facts["epoch"])
    opener = ctx.opener or open_envelopes
    results = opener(gathered.sealed, ctx.identity, keys, expected, ctx.settings, processes)
    opened = [one for one in results if isinstance(one, OpenedGradient)]
    refused = [one for one in results if isinstance(one, RefusedGradient)]
    return opened, [*gathered.refused, *refused]


def _kind(bench: Bench) -> str:
    if isinstance(bench.spec, MLPClassifier):
        return "mlp-gradient"
    return bench.manifest.update.kind


def _as_updates(
    ctx: Context, bench: Bench, opened: Sequence[OpenedGradient]
) -> tuple[list[Update], list[RefusedGradient]]:
    updates: list[Update] = []
    stale: list[RefusedGradient] = []
    for one in opened:
        base = version_weights(ctx, bench, one.pending.version)
        if base is None:
            note = f"version {one.pending.version} is older than the last {KEPT_VERSIONS}"
            stale.append(RefusedGradient(one.pending, Reason.STALE, note))
            continue
        local = bench.manifest.update.kind == "local-steps"
        direction = one.values - base if local else -one.values
        pending = one.pending
        updates.append(
            Update(pending.gradient, pending.miner, pending.version, one.samples, direction)
        )
    return updates, stale


def _score(
    ctx: Context,
    bench: Bench,
    row: CampaignRow,
    standing: Standing,
    updates: Sequence[Update],
    rules: Rules,
) -> ScoredBatch:
    key = sketch_key(ctx, bench.campaign)

    def score(found: Sequence[Update]) -> ScoredBatch:
        if bench.manifest.update.kind == "local-steps":
            return score_local_steps(
                bench.validation,
                standing,
                found,
                rules,
                sketch_key=key,
            )
        optimizer = choose_optimizer(bench.spec, bench.validation)
        return score_gradients(
            bench.validation,
            standing,
            found,
            rules,
            optimizer,
            sketch_key=key,
            executor=ctx.executor,
        )

    privacy = _privacy(ctx, bench, row)
    if privacy is None:
        return score(updates)
    return score_privately(
        bench.validation,
        standing,
        updates,
        rules,
        privacy,
        score,
        sketch_key=key,
        noise_key=hashlib.sha256(b"noise" + key).digest(),
    )


def _privacy(ctx: Context, bench: Bench, row: CampaignRow) -> ClientPrivacy | None:
    """Return how updates are protected, None when the campaign asks for nothing of Capsule."""
    request = bench.manifest.privacy
    if request is None or request.level != "client":
        return None
    start = ctx.recall(row.id, "start", 0)
    assert start is not None
    return plan_privacy(
        request,
        row.facts["private_batches"],
        row.facts["batches"],
        bench.spec,
        bench.validation,
        start[0]["weights"],
    )


def _publishable(
    ctx: Context,
    bench: Bench,
    row: CampaignRow,
    standing: Standing,
    rules: Rules,
    scored: ScoredBatch,
) -> ScoredBatch:
    """Drop a new version that CKKS has no room for: then nothing was gained."""
    if scored.weights is None:
        return scored
    try:
        encrypt_model(scored.weights, campaign_keys(ctx, bench, row.facts["epoch"]))
    except RangeError as error:
        ctx.log.write("unpublishable", campaign=row.id, cause=str(error))
        verdicts = {gradient: replace(v, share_ppm=0) for gradient, v in scored.verdicts.items()}
        accuracy = bench.validation.score(bench.validation.outputs(standing.weights))
        accuracy_ppm = min(rules.round(accuracy), rules.best_ppm)
        return replace(
            scored,
            verdicts=verdicts,
            weights=None,
            accuracy=accuracy,
            accuracy_ppm=accuracy_ppm,
            attribution="none",
            memory=standing.memory,
        )
    return scored


def _publish(
    ctx: Context, bench: Bench, row: CampaignRow, weights: Array | None, batch: int
) -> bytes | None:
    if weights is None:
        return None
    facts = row.facts
    version, epoch = facts["version"] + 1, facts["epoch"]
    ctx.reach(Step.PUBLISH_VERSION, row.id, batch=batch, version=version)
    return publish_model(
        ctx,
        row.id,
        version=version,
        epoch=epoch,
        weights=weights,
        keys=campaign_keys(ctx, bench, epoch),
        keys_digest=bytes.fromhex(facts["keys"][str(epoch)]),
        parent=bytes.fromhex(facts["models"][str(facts["version"])]),
    )


def _publish_receipt(
    ctx: Context,
    bench: Bench,
    row: CampaignRow,
    rules: Rules,
    scored: ScoredBatch,
    verdicts: dict[int, Verdict],
    everyone: Sequence[Pending],
    model: bytes | None,
) -> bytes:
    facts, batch = row.facts, row.facts["batches"] + 1
    receipt = ReceiptManifest(
        chain=ctx.chain,
        campaign=row.id,
        batch=batch,
        parent_model=facts["models"][str(facts["version"])],
        model=model.hex() if model else None,
        entries=tuple(_entry(one, verdicts[one.gradient]) for one in everyone),
        accuracy_before_ppm=rules.best_ppm,
        accuracy_after_ppm=scored.accuracy_ppm,
        attribution=scored.attribution,
        validation=bench.validation.sha256,
        validation_rows=bench.validation.rows,
        software=f"openmined {__version__}",
    )
    ctx.reach(Step.PUBLISH_RECEIPT, row.id, batch=batch)
    return put_manifest(ctx.store, receipt)


def _entry(one: Pending, verdict: Verdict) -> ReceiptEntry:
    unpaid = verdict.reason == Reason.ACCEPTED and not verdict.share_ppm
    return ReceiptEntry(
        gradient=one.gradient,
        miner=one.miner,
        version=one.version,
        envelope=one.envelope.hex(),
        share_ppm=verdict.share_ppm,
        reason=int(verdict.reason),
        note=UNPAID if unpaid else verdict.note[:400],
    )
