"""The six manifests on the store (DESIGN 3). Each lists the blobs it is made of by CID and size."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from openmined.protocol._canonical import Frozen, Manifest
from openmined.protocol._learning import (
    Algorithm,
    CKKSParameters,
    FeatureStep,
    Packing,
    PrivacyRequest,
    ScoringSettings,
    UpdateKind,
)
from openmined.protocol._schema import TableSchema, Text
from openmined.protocol._units import Ppm

MAX_BLOB_BYTES = 1 << 40

Cid = Annotated[str, Field(pattern=r"^b[a-z2-7]{20,120}$")]
"""A CIDv1 in lower-case base32."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A manifest's sha2-256 digest in hexadecimal, as it stands on chain."""

Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
Transaction = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Certificate = Annotated[str, Field(max_length=64 * 1024, pattern=r"^-----BEGIN PGP PUBLIC KEY")]
"""An OpenPGP certificate in ASCII armour."""


class BlobRef(Frozen):
    """A blob on the store: its UnixFS CID, size in bytes, and what it is for."""

    cid: Cid
    size: int = Field(ge=0, le=MAX_BLOB_BYTES)
    purpose: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9\-]{0,63}$")]


class SonarRef(Frozen):
    """Which contract on which chain."""

    chain_id: Count
    sonar: Address


class CampaignManifest(Manifest):
    """What a data scientist wants learned, from what, and how it is measured."""

    format: Literal["openmined/campaign@1"] = "openmined/campaign@1"
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Text = ""
    input: TableSchema
    output: TableSchema
    features: tuple[FeatureStep, ...] = Field(min_length=1, max_length=8)
    algorithm: Algorithm
    update: UpdateKind
    metric: Literal["accuracy", "r2"]
    start_ppm: Ppm
    target_ppm: Ppm
    validation: BlobRef
    """CSV with a header of all input and output fields, PGP-encrypted to Capsule."""
    initial_weights: BlobRef | None = None
    """A delivered model (safetensors), PGP-encrypted to Capsule."""
    certificate: Certificate
    """The data scientist's; the final model is encrypted to it."""
    privacy: PrivacyRequest | None = None
    scoring: ScoringSettings = ScoringSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.target_ppm <= self.start_ppm:
            raise ValueError(
                f"the target of {self.target_ppm} ppm is not above the start of "
                f"{self.start_ppm} ppm: ask for more accuracy than the model has"
            )
        classifier = self.algorithm.kind != "linear-regression"
        if classifier != (self.metric == "accuracy"):
            raise ValueError(f"metric {self.metric!r} does not fit {self.algorithm.kind!r}")
        if classifier and (len(self.output.fields) != 1 or not self.output.fields[0].classes):
            raise ValueError(
                "a classifier's output is one field with its classes in constraints.enum"
            )
        both = set(self.input.names) & set(self.output.names)
        if both:
            raise ValueError(f"fields both in input and output: {', '.join(sorted(both))}")
        return self


class KeysManifest(Manifest):
    """The public keys of one campaign and one key epoch."""

    format: Literal["openmined/keys@1"] = "openmined/keys@1"
    chain: SonarRef
    campaign: Count
    epoch: Count
    parameters: CKKSParameters
    blobs: tuple[BlobRef, ...] = Field(min_length=1, max_length=256)
    certificate: Certificate
    """Capsule's: gradients are sealed to it."""


class ModelManifest(Manifest):
    """One encrypted version of a campaign's model."""

    format: Literal["openmined/model@1"] = "openmined/model@1"
    chain: SonarRef
    campaign: Count
    version: Count
    epoch: Count
    parent: Digest | None = None
    keys: Digest
    packing: Packing
    ciphertexts: tuple[BlobRef, ...] = Field(min_length=1, max_length=4096)


class GradientManifest(Manifest):
    """What anyone sees of a gradient: an envelope sealed to Capsule."""

    format: Literal["openmined/gradient@1"] = "openmined/gradient@1"
    envelope: BlobRef


class DeliveryManifest(Manifest):
    """The final model, sealed to the data scientist and signed by Capsule."""

    format: Literal["openmined/delivery@1"] = "openmined/delivery@1"
    chain: SonarRef
    campaign: Count
    version: Count
    message: BlobRef


class ReceiptEntry(Frozen):
    """One gradient of a scored batch."""

    gradient: Count
    miner: Address
    version: Count
    envelope: Digest
    share_ppm: Ppm
    reason: int = Field(ge=0, le=255)
    note: Annotated[str, Field(max_length=400)] = ""


class ReceiptManifest(Manifest):
    """How one batch was scored; its digest goes on chain, so that payouts can be recomputed."""

    format: Literal["openmined/receipt@1"] = "openmined/receipt@1"
    chain: SonarRef
    campaign: Count
    batch: Count
    parent_model: Digest
    model: Digest | None = None
    entries: tuple[ReceiptEntry, ...] = Field(min_length=1, max_length=64)
    accuracy_before_ppm: Ppm
    accuracy_after_ppm: Ppm
    attribution: Literal["none", "shapley"]
    validation: Digest
    """sha2-256 of the validation set in the clear."""
    validation_rows: Count
    software: Annotated[str, Field(max_length=100)]


MANIFESTS: tuple[type[Manifest], ...] = (
    CampaignManifest,
    KeysManifest,
    ModelManifest,
    GradientManifest,
    DeliveryManifest,
    ReceiptManifest,
)
"""Every kind, in the order of a campaign's life."""
