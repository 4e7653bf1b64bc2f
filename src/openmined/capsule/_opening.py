"""Opening a campaign, or rejecting it with the reason on chain and a full refund."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from openmined.capsule._bench import Bench, keep_bench
from openmined.capsule._context import Array, Context
from openmined.capsule._errors import CampaignRefused, NotValidNow, PgpError
from openmined.capsule._keys import made_keys
from openmined.capsule._pgp import parse_certificate
from openmined.capsule._publishing import publish_keys, publish_model
from openmined.capsule._state import CampaignRow
from openmined.capsule._steps import Step
from openmined.capsule._validation import read_initial_weights, read_validation
from openmined.protocol import (
    BlobRef,
    CampaignManifest,
    ProtocolError,
    accuracy_to_ppm,
    decode_manifest,
)
from openmined.sonar import CampaignState
from openmined.storage import BlobTooLarge, SizeMismatch, get_ref
from openmined.syft import (
    LearningSpec,
    SyftError,
    choose_parameters,
    encrypt_model,
    initial_weights,
    spec_from_manifest,
)

INITIAL_WEIGHTS_MB = 64
_LAST_SECOND = 253_402_300_799


@dataclass(frozen=True)
class Checked:
    """A campaign that can be opened, and where it starts."""

    bench: Bench
    manifest: bytes
    weights: Array
    accuracy_ppm: int


def check_campaign(ctx: Context, chain: CampaignState) -> Checked:
    """Decide whether a launched campaign can be opened, and measure its start.

    Raises:
        CampaignRefused: if it cannot; the text goes on chain.
        StorageError: if the store does not answer: try again.
    """
    ctx.reach(Step.CHECK, chain.id)
    _check_terms(ctx, chain)
    data = ctx.store.get_manifest_bytes(chain.terms.spec)
    manifest = _read_manifest(data, chain)
    spec = _read_spec(ctx, manifest)
    sealed = _fetch(ctx, manifest.validation, ctx.settings.accept.max_validation_mb)
    validation = read_validation(ctx.identity, ctx.settings, manifest, spec, sealed)
    weights = initial_weights(spec)
    if manifest.initial_weights is not None:
        own = _fetch(ctx, manifest.initial_weights, INITIAL_WEIGHTS_MB)
        weights = read_initial_weights(ctx.identity, ctx.settings, spec, own)
    accuracy = validation.score(validation.outputs(weights))
    step = manifest.scoring.release_step_ppm
    accuracy_ppm = accuracy_to_ppm(accuracy, step)
    _check_start(chain, accuracy_ppm)
    bench = Bench(chain.id, manifest, spec, validation)
    return Checked(bench, data, weights, accuracy_ppm)


def _check_terms(ctx: Context, chain: CampaignState) -> None:
    accept, terms = ctx.settings.accept, chain.terms
    if terms.fee < accept.minimum_fee_wei:
        raise CampaignRefused(f"fee {terms.fee} is below this Capsule's {accept.minimum_fee_wei}")
    left = terms.deadline - ctx.contract.now()
    if left < accept.minimum_time_s:
        raise CampaignRefused(f"{left} s to the deadline, at least {accept.minimum_time_s} wanted")


def _read_manifest(data: bytes, chain: CampaignState) -> CampaignManifest:
    try:
        manifest = decode_manifest(data, CampaignManifest)
    except ProtocolError as error:
        raise CampaignRefused(f"spec: {error}") from error
    terms = chain.terms
    if (manifest.start_ppm, manifest.target_ppm) != (terms.start_ppm, terms.target_ppm):
        raise CampaignRefused("spec: its start and target are not those of the terms")
    try:
        # Beyond what datetime can say, a certificate that expires at all is not valid long enough.
        closes_at = min(chain.closes_at, _LAST_SECOND)
        parse_certificate(manifest.certificate, until=datetime.fromtimestamp(closes_at, UTC))
    except PgpError as error:
        raise NotValidNow(f"data scientist's certificate: {error}") from error
    return manifest


def _read_spec(ctx: Context, manifest: CampaignManifest) -> LearningSpec:
    accept = ctx.settings.accept
    try:
        spec = spec_from_manifest(manifest)
        if spec.inputs > accept.max_features or spec.outputs > accept.max_outputs:
            raise CampaignRefused(
                f"{spec.inputs} x {spec.outputs} weights are above this Capsule's "
                f"{accept.max_features} x {accept.max_outputs}"
            )
        choose_parameters(spec)
    except SyftError as error:
        raise CampaignRefused(f"spec: {error}") from error
    return spec


def _fetch(ctx: Context, ref: BlobRef, max_mb: int) -> bytes:
    try:
        return get_ref(ctx.store, ref, max_mb << 20)
    except (BlobTooLarge, SizeMismatch) as error:
        raise CampaignRefused(f"{ref.purpose}: {error}") from error


def _check_start(chain: CampaignState, accuracy_ppm: int) -> None:
    terms = chain.terms
    if abs(accuracy_ppm - terms.start_ppm) > terms.start_tolerance_ppm:
        raise CampaignRefused(
            f"start measured {accuracy_ppm} ppm, claimed {terms.start_ppm} "
            f"+-{terms.start_tolerance_ppm}"
        )
    if accuracy_ppm >= terms.target_ppm:
        raise CampaignRefused(f"start measured {accuracy_ppm} ppm: the target is reached already")


def prepare_opening(ctx: Context, chain: CampaignState, checked: Checked, launch: str) -> None:
    """Make and publish keys and first model, and write the intent to open.

    Raises:
        CampaignRefused: if the initial weights have no room in CKKS.
    """
    bench = checked.bench
    with made_keys(ctx, bench, 1) as keys:
        try:
            encrypt_model(checked.weights, keys)
        except SyftError as error:
            raise CampaignRefused(f"initial weights: {error}") from error
        ctx.reach(Step.PUBLISH_KEYS, chain.id)
        keys_digest = publish_keys(ctx, chain.id, 1, keys)
    ctx.reach(Step.PUBLISH_MODEL, chain.id, version=1)
    model = publish_model(
        ctx,
        chain.id,
        version=1,
        epoch=1,
        weights=checked.weights,
        keys=keys,
        keys_digest=keys_digest,
        parent=None,
    )
    ctx.reach(Step.RECORD_OPENING, chain.id)
    manifest = bench.manifest
    facts = {
        "title": manifest.title,
        "keys": {"1": keys_digest.hex()},
        "models": {"1": model.hex()},
        "epochs": {"1": 1},
        "version": 1,
        "epoch": 1,
        "batches": 0,
        "decryptions": {"1": 0},
        "start_ppm": checked.accuracy_ppm,
        "target_ppm": manifest.target_ppm,
        "update": manifest.update.kind,
        "inputs": bench.spec.inputs,
        "outputs": bench.spec.outputs,
        "validation_rows": bench.validation.rows,
        "private_batches": ctx.settings.accept.private_batches,
    }
    with ctx.state.change():
        keep_bench(ctx, bench, checked.manifest)
        ctx.keep(chain.id, "weights", 1, {"weights": checked.weights})
        ctx.keep(chain.id, "start", 0, {"weights": checked.weights})
        ctx.keep(chain.id, "best", 0, {"weights": checked.weights}, ppm=checked.accuracy_ppm)
        ctx.state.put_campaign(CampaignRow(chain.id, launch, "opening", facts))
        ctx.state.put_intent(
            chain.id,
            "open",
            0,
            {
                "keys": keys_digest.hex(),
                "model": model.hex(),
                "accuracy_ppm": checked.accuracy_ppm,
            },
        )


def send_opening(ctx: Context, campaign: int) -> None:
    """Send the recorded opening."""
    intent = ctx.state.intent(campaign, "open", 0)
    assert intent is not None
    ctx.reach(Step.OPEN, campaign, accuracy_ppm=intent["accuracy_ppm"])
    ctx.contract.open_campaign(
        campaign,
        bytes.fromhex(intent["keys"]),
        bytes.fromhex(intent["model"]),
        intent["accuracy_ppm"],
    )


def reject(ctx: Context, chain: CampaignState, refusal: CampaignRefused) -> None:
    """Reject the campaign with the reason on chain."""
    ctx.reach(Step.REJECT, chain.id, reason=refusal.reason)
    ctx.contract.reject_campaign(chain.id, refusal.reason)
