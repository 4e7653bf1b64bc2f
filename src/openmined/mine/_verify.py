"""What a mine checks of a campaign and its Capsule before it trains. Pure, and mistrustful.

The chain binds digests to a campaign; these checks see that the manifests behind the digests are
of that campaign, that version and that key epoch, and that what they ask for protects the owner.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from openmined.mine._campaigns import CampaignView
from openmined.mine._errors import BadDownload, Misbound, TermsRefused, WeakParameters
from openmined.protocol import (
    BlobRef,
    CampaignManifest,
    CKKSParameters,
    InterleavedPacking,
    KeysManifest,
    MLPPacking,
    ModelManifest,
    SonarRef,
    ppm_to_percent,
)

if TYPE_CHECKING:
    from openmined.syft import LearningSpec

_HEADROOM = 4096


def check_terms(manifest: CampaignManifest, view: CampaignView) -> None:
    """See that manifest and frozen terms are of one campaign.

    Raises:
        TermsRefused: if they disagree.
    """
    if manifest.target_ppm != view.target_ppm:
        raise TermsRefused(
            f"its manifest names a target of {ppm_to_percent(manifest.target_ppm)}, "
            f"its terms on chain {ppm_to_percent(view.target_ppm)}"
        )
    if manifest.start_ppm != view.start_ppm:
        raise TermsRefused(
            f"its manifest names a start of {ppm_to_percent(manifest.start_ppm)}, "
            f"its terms on chain {ppm_to_percent(view.start_ppm)}"
        )


def check_keys(
    manifest: KeysManifest, view: CampaignView, chain: SonarRef, campaign: CampaignManifest
) -> None:
    """See that a keys manifest is bound to the campaign and protects the mine.

    Raises:
        Misbound: if it is of another chain, contract, campaign or epoch.
        WeakParameters: if its noise would not hide the mine's rows.
    """
    _check_chain(manifest.chain, chain, "keys")
    _same("keys", "campaign", manifest.campaign, view.campaign)
    _same("keys", "key epoch", manifest.epoch, view.epoch)
    from openmined.syft import PublicKeys

    least = PublicKeys.least_flood_bits(network=campaign.algorithm.kind == "mlp-classifier")
    if manifest.parameters.flood_bits < least:
        raise WeakParameters(
            f"its keys ask for {manifest.parameters.flood_bits} bits of protecting noise, "
            f"{least} are the least: Capsule could read rows out of a gradient"
        )


def check_model(
    manifest: ModelManifest,
    view: CampaignView,
    chain: SonarRef,
    spec: LearningSpec,
    parameters: CKKSParameters,
) -> None:
    """See that a model manifest is bound to campaign, version and keys, and of the right shape.

    Raises:
        Misbound: if it is of another chain, contract, campaign, version, epoch or keys.
        BadDownload: if its packing or sizes cannot be those of the campaign's model.
    """
    _check_chain(manifest.chain, chain, "model")
    _same("model", "campaign", manifest.campaign, view.campaign)
    _same("model", "version", manifest.version, view.version)
    _same("model", "key epoch", manifest.epoch, view.epoch)
    if manifest.keys != view.keys:
        raise Misbound(
            f"its model was encrypted under keys {manifest.keys[:16]}..., "
            f"the chain names {view.keys[:16]}..."
        )
    from openmined.syft import MLPClassifier, SyftError, check_mlp_packing

    packing = manifest.packing
    found = _shape(packing)
    hidden = getattr(spec, "hidden", None)
    wanted = (spec.inputs, spec.outputs) if hidden is None else (spec.inputs, hidden, spec.outputs)
    if found != wanted:
        raise BadDownload(f"its model is packed for {found} weights, the campaign has {wanted}")
    if isinstance(spec, MLPClassifier):
        try:
            check_mlp_packing(spec, packing)
        except SyftError as error:
            raise BadDownload(f"its manifest and its campaign differ: {error}") from error
    most = _ciphertext_bytes(parameters)
    for ref in manifest.ciphertexts:
        if ref.size > most:
            raise BadDownload(
                f"a ciphertext of {ref.size} bytes is above the {most} of these parameters"
            )


def check_download(refs: Iterable[BlobRef], most_bytes: int) -> None:
    """See that a download is within the owner's limit before a byte of it is fetched.

    Raises:
        BadDownload: if it is not.
    """
    total = sum(ref.size for ref in refs)
    if total > most_bytes:
        raise BadDownload(
            f"its keys and model are {total} bytes, {most_bytes} are allowed: "
            "raise limits.download_mb in mine.toml to take part"
        )


def _check_chain(found: SonarRef, wanted: SonarRef, what: str) -> None:
    _same(what, "chain", found.chain_id, wanted.chain_id)
    _same(what, "contract", found.sonar.lower(), wanted.sonar.lower())


def _same(what: str, name: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Misbound(f"its {what} manifest is bound to {name} {found}, not to {wanted}")


def _shape(packing: InterleavedPacking | MLPPacking) -> tuple[int, ...]:
    if isinstance(packing, InterleavedPacking):
        return packing.rows, packing.columns
    return packing.inputs, packing.hidden, packing.outputs


def _ciphertext_bytes(parameters: CKKSParameters) -> int:
    primes = len(parameters.coeff_modulus_bits)
    return 2 * 8 * primes * parameters.poly_modulus_degree + _HEADROOM
