"""Keys and models on the store: blobs first, then the manifest that names them."""

from __future__ import annotations

from openmined.capsule._context import Array, Context
from openmined.protocol import KeysManifest, ModelManifest
from openmined.storage import put_manifest, put_ref
from openmined.syft import SecretKeys, encrypt_model


def publish_keys(ctx: Context, campaign: int, epoch: int, keys: SecretKeys) -> bytes:
    """Put a campaign's public keys on the store; return the manifest's digest."""
    blobs = tuple(
        put_ref(ctx.store, data, purpose) for purpose, data in sorted(keys.public.blobs.items())
    )
    manifest = KeysManifest(
        chain=ctx.chain,
        campaign=campaign,
        epoch=epoch,
        parameters=keys.parameters,
        blobs=blobs,
        certificate=ctx.identity.armored,
    )
    return put_manifest(ctx.store, manifest)


def publish_model(
    ctx: Context,
    campaign: int,
    *,
    version: int,
    epoch: int,
    weights: Array,
    keys: SecretKeys,
    keys_digest: bytes,
    parent: bytes | None,
) -> bytes:
    """Encrypt weights and put them on the store; return the manifest's digest."""
    encrypted = encrypt_model(weights, keys)
    ciphertexts = tuple(put_ref(ctx.store, blob, "model") for blob in encrypted.to_blobs())
    manifest = ModelManifest(
        chain=ctx.chain,
        campaign=campaign,
        version=version,
        epoch=epoch,
        parent=parent.hex() if parent else None,
        keys=keys_digest.hex(),
        packing=encrypted.packing,
        ciphertexts=ciphertexts,
    )
    return put_manifest(ctx.store, manifest)
