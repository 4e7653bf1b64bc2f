"""A campaign on the workbench: what is needed to score it, unsealed into memory once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from openmined.capsule._context import Array, Context
from openmined.capsule._duplicates import Fingerprint
from openmined.capsule._errors import StateError
from openmined.capsule._evaluation import ValidationSet
from openmined.capsule._keys import open_keys
from openmined.capsule._scoring import Memory, Standing
from openmined.protocol import CampaignManifest, decode_manifest
from openmined.syft import (
    AdamState,
    AndersonState,
    LearningSpec,
    MLPClassifier,
    SecretKeys,
    spec_from_manifest,
)

KEPT_VERSIONS = 64
"""Versions whose weights are kept: gradients on older ones are stale."""


@dataclass
class Bench:
    """Unsealed material of one campaign; `keys` by epoch, `weights` by version."""

    campaign: int
    manifest: CampaignManifest
    spec: LearningSpec
    validation: ValidationSet
    keys: dict[int, SecretKeys] = field(default_factory=dict)
    weights: dict[int, Array] = field(default_factory=dict)
    memory: tuple[int, Memory] | None = None
    known: list[Fingerprint] | None = None


def keep_bench(ctx: Context, bench: Bench, manifest: bytes) -> None:
    """Seal manifest and validation set into the state file."""
    campaign = bench.campaign
    with ctx.state.change():
        ctx.state.put_sealed(campaign, "manifest", 0, ctx.keyring.seal(manifest))
        arrays = {"features": bench.validation.features, "targets": bench.validation.targets}
        ctx.keep(campaign, "validation", 0, arrays, sha256=bench.validation.sha256)


def load_bench(ctx: Context, campaign: int) -> Bench:
    """Unseal a campaign's manifest and validation set.

    Raises:
        StateError: if they are not there.
    """
    manifest_bytes = ctx.state.sealed(campaign, "manifest", 0)
    kept = ctx.recall(campaign, "validation", 0)
    if manifest_bytes is None or kept is None:
        raise StateError(f"campaign {campaign}: its validation set is gone; restore a backup")
    data = ctx.keyring.open(manifest_bytes, f"the manifest of campaign {campaign}")
    manifest = decode_manifest(data, CampaignManifest)
    arrays, facts = kept
    spec = spec_from_manifest(manifest)
    validation = ValidationSet(
        arrays["features"],
        arrays["targets"],
        manifest.metric,
        facts["sha256"],
        spec if isinstance(spec, MLPClassifier) else None,
    )
    return Bench(campaign, manifest, spec, validation)


def campaign_keys(ctx: Context, bench: Bench, epoch: int) -> SecretKeys:
    """Return the campaign's CKKS keys of one epoch, to encrypt and decrypt with.

    Raises:
        StateError: if they are not there.
    """
    if epoch not in bench.keys:
        keys = open_keys(ctx, bench.campaign, epoch)
        if keys is None:
            raise StateError(
                f"campaign {bench.campaign}: the keys of epoch {epoch} are gone; restore a backup"
            )
        bench.keys[epoch] = keys
    return bench.keys[epoch]


_CACHED_VERSIONS = 4
_KEPT_FINGERPRINTS = 1024


def version_weights(ctx: Context, bench: Bench, version: int) -> Array | None:
    """Return the weights of one version, None if they are no longer kept."""
    if version not in bench.weights:
        kept = ctx.recall(bench.campaign, "weights", version)
        if kept is None:
            return None
        while len(bench.weights) >= _CACHED_VERSIONS:
            bench.weights.pop(next(iter(bench.weights)))
        bench.weights[version] = kept[0]["weights"]
    return bench.weights[version]


def standing_of(ctx: Context, bench: Bench, version: int, upto: int) -> Standing:
    """Return where the campaign stands at a version, with the fingerprints of batches `upto`.

    Raises:
        StateError: if the weights are not there.
    """
    weights = version_weights(ctx, bench, version)
    if weights is None:
        raise StateError(f"campaign {bench.campaign}: the weights of version {version} are gone")
    if bench.memory is None or bench.memory[0] != version:
        kept = ctx.recall(bench.campaign, "memory", version)
        bench.memory = (version, unpack_memory(kept[0]) if kept else None)
    if bench.known is None:
        bench.known = _load_fingerprints(ctx, bench.campaign, upto)
    # Memory must not grow with a campaign: a copy of something older is found by nobody but brings
    # nothing either, since the model has long learned it.
    del bench.known[:-_KEPT_FINGERPRINTS]
    return Standing(version, weights, bench.memory[1], tuple(bench.known))


def pack_memory(memory: Memory) -> dict[str, Array]:
    """Name the arrays of an optimizer's memory."""
    if isinstance(memory, AdamState):
        steps = np.array([float(memory.steps)])
        return {"adam-mean": memory.mean, "adam-square": memory.square, "adam-steps": steps}
    if memory is None:
        return {}
    weights = {f"anderson-weights-{i}": array for i, array in enumerate(memory.weights)}
    return weights | {f"anderson-gradients-{i}": a for i, a in enumerate(memory.gradients)}


def unpack_memory(arrays: dict[str, Array]) -> Memory:
    """Undo `pack_memory`; other arrays are ignored."""
    if "adam-mean" in arrays:
        steps = int(arrays["adam-steps"][0])
        return AdamState(arrays["adam-mean"], arrays["adam-square"], steps)
    count = sum(name.startswith("anderson-gradients-") for name in arrays)
    if not count:
        return None
    return AndersonState(
        tuple(arrays[f"anderson-weights-{i}"] for i in range(count)),
        tuple(arrays[f"anderson-gradients-{i}"] for i in range(count)),
    )


def _load_fingerprints(ctx: Context, campaign: int, upto: int) -> list[Fingerprint]:
    found: list[Fingerprint] = []
    for batch in reversed(ctx.state.sealed_numbers(campaign, "fingerprints")):
        if len(found) >= _KEPT_FINGERPRINTS:
            break
        if batch > upto:  # of a batch that a reorganisation took back
            continue
        kept = ctx.recall(campaign, "fingerprints", batch)
        assert kept is not None
        arrays, facts = kept
        found[:0] = read_fingerprints(arrays, facts["owners"])
    return found


def read_fingerprints(arrays: dict[str, Array], owners: dict[str, Any]) -> list[Fingerprint]:
    """Put sketches and their owners together again."""
    return [
        Fingerprint(int(name), miner, version, arrays[name])
        for name, (miner, version) in owners.items()
    ]


def sketch_key(ctx: Context, campaign: int) -> bytes:
    """Return the secret that fingerprints of a campaign are made with."""
    secret = str(ctx.keyring.identity).encode()
    return hashlib.sha256(b"openmined/sketch@1 %d " % campaign + secret).digest()
