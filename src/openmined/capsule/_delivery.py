"""The end of a campaign: the final model, sealed and signed; bonds returned; secrets deleted."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace

from openmined import __version__
from openmined.capsule._bench import Bench, campaign_keys
from openmined.capsule._context import Array, Context
from openmined.capsule._errors import StateError
from openmined.capsule._pgp import parse_certificate
from openmined.capsule._reports import best_weights
from openmined.capsule._state import CampaignRow, Pending
from openmined.capsule._steps import Step
from openmined.protocol import DeliveryManifest, accuracy_to_ppm
from openmined.sonar import CampaignState
from openmined.storage import put_manifest, put_ref
from openmined.syft import ReleaseLedger, release_weights, save_model


def delivery_is_due(chain: CampaignState, now: int) -> bool:
    """Whether to deliver: at the target; or when no gradient can come and none is left to score.

    Half the grace is for scoring what came before the deadline; then it is time to deliver.
    """
    terms = chain.terms
    if chain.best_ppm >= terms.target_ppm or now >= terms.deadline + terms.grace // 2:
        return True
    no_more = now >= terms.deadline or chain.gradients >= terms.max_gradients
    return no_more and chain.pending == 0


def prepare_delivery(ctx: Context, bench: Bench, row: CampaignRow, chain: CampaignState) -> None:
    """Release, sign, seal and publish the final model; write the intent to deliver.

    Raises:
        ReleaseRefused: if the ledger's budget is used up, or protection costs too much.
    """
    released, facts = _release(ctx, bench, row, chain)
    message = ctx.identity.seal_to(
        parse_certificate(bench.manifest.certificate),
        save_model(released, _card(ctx, bench, row, chain, facts)),
    )
    ctx.reach(Step.PUBLISH_DELIVERY, row.id)
    manifest = DeliveryManifest(
        chain=ctx.chain,
        campaign=row.id,
        version=row.facts["version"],
        message=put_ref(ctx.store, message, "delivery"),
    )
    digest = put_manifest(ctx.store, manifest)
    ctx.reach(Step.RECORD_DELIVERY, row.id)
    intent = {"delivery": digest.hex(), "batch": row.facts["batches"]}
    ctx.state.put_intent(row.id, "deliver", 0, intent)


def _release(
    ctx: Context, bench: Bench, row: CampaignRow, chain: CampaignState
) -> tuple[Array, dict[str, int]]:
    """Return the protected model: made once, entered in the ledger and kept before it can leave."""
    kept = ctx.recall(row.id, "released", 0)
    if kept is not None:
        return kept[0]["weights"], kept[1]
    best = best_weights(ctx, row.id)
    if best is None:
        raise StateError(f"campaign {row.id}: its best weights are gone; restore a backup")
    ctx.reach(Step.RELEASE, row.id, best_ppm=chain.best_ppm)
    epoch = row.facts["epoch"]
    ledger = ReleaseLedger(
        # Of whichever key decrypted most: the noise must hide each of them.
        decryptions=max(row.facts["decryptions"].values()),
        releases=len(ctx.state.releases(row.id, epoch, "model")),
        max_decryptions=ctx.settings.release.max_decryptions,
        max_releases=ctx.settings.release.model_releases,
    )
    weights, after = release_weights(best, campaign_keys(ctx, bench, epoch), ledger)
    accuracy = bench.validation.score(bench.validation.outputs(weights))
    step = bench.manifest.scoring.release_step_ppm
    facts = {
        "accuracy_ppm": accuracy_to_ppm(accuracy, step),
        "decryptions": ledger.decryptions,
    }
    with ctx.state.change():
        ctx.state.add_release(row.id, epoch, "model", f"model {after.releases}")
        ctx.keep(row.id, "released", 0, {"weights": weights}, **facts)
    ctx.log.write("released", campaign=row.id, **facts)
    return weights, facts


def _card(
    ctx: Context,
    bench: Bench,
    row: CampaignRow,
    chain: CampaignState,
    facts: dict[str, int],
) -> dict[str, str]:
    manifest = bench.manifest
    return {
        "title": manifest.title,
        "chain_id": str(ctx.chain.chain_id),
        "sonar": ctx.chain.sonar,
        "campaign": str(row.id),
        "spec": chain.terms.spec.hex(),
        "version": str(row.facts["version"]),
        "algorithm": json.dumps(manifest.algorithm.model_dump(mode="json")),
        "features": json.dumps([step.model_dump(mode="json") for step in manifest.features]),
        "input": json.dumps(manifest.input.model_dump(mode="json", exclude_none=True)),
        "output": json.dumps(manifest.output.model_dump(mode="json", exclude_none=True)),
        "metric": manifest.metric,
        "start_ppm": str(chain.start_ppm),
        "target_ppm": str(chain.terms.target_ppm),
        "accuracy_ppm": str(facts["accuracy_ppm"]),
        "validation_rows": str(bench.validation.rows),
        "validation_sha256": bench.validation.sha256,
        "gradients": str(chain.gradients),
        "batches": str(chain.batches),
        "decryptions": str(facts["decryptions"]),
        "software": f"openmined {__version__}",
    }


def send_delivery(ctx: Context, campaign: int) -> None:
    """Send the recorded delivery."""
    intent = ctx.state.intent(campaign, "deliver", 0)
    assert intent is not None
    ctx.reach(Step.DELIVER, campaign)
    ctx.contract.deliver(campaign, intent["batch"], bytes.fromhex(intent["delivery"]))


def return_bonds(ctx: Context, campaign: int, pending: list[Pending], most: int) -> None:
    """Credit the bonds of gradients that came too late, `most` at a time."""
    for start in range(0, len(pending), most):
        chunk = [one.gradient for one in pending[start : start + most]]
        ctx.reach(Step.RETURN_BONDS, campaign, gradients=chunk)
        ctx.contract.reclaim_bonds(campaign, chunk)


def forget(ctx: Context, row: CampaignRow, outcome: str) -> None:
    """Delete what was secret of an ended campaign: validation set, weights, keys."""
    ctx.reach(Step.FORGET, row.id)
    delete_keys(ctx, row.id)
    with ctx.state.change():
        ctx.state.drop_sealed(row.id)
        ctx.state.drop_intents(row.id)
        facts = {**row.facts, "outcome": outcome}
        ctx.state.put_campaign(replace(row, phase="ended", facts=facts))


def delete_keys(ctx: Context, campaign: int) -> None:
    """Delete a campaign's CKKS keys of all epochs."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(ctx.folder / "campaigns" / str(campaign))
