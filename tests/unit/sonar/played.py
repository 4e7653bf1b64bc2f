"""Plays Capsule in tests: publishes what a Capsule publishes, by direct calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pysequoia
from pysequoia import Cert, CipherSuite, Profile, Tsk

from openmined.protocol import (
    CampaignManifest,
    CKKSParameters,
    DeliveryManifest,
    InterleavedPacking,
    KeysManifest,
    ModelManifest,
    ReceiptEntry,
    ReceiptManifest,
    SonarRef,
)
from openmined.sonar import NO_MODEL, GradientSubmitted, Score, SonarContract
from openmined.storage import Store, get_manifest, get_ref, put_manifest, put_ref
from openmined.syft import save_model

PARAMETERS = CKKSParameters(
    poly_modulus_degree=8192,
    coeff_modulus_bits=(50, 40, 50),
    weight_scale_bits=40,
    data_scale_bits=40,
)


def generate_pgp(name: str) -> Tsk:
    return Tsk.generate(user_id=name, profile=Profile.RFC4880, cipher_suite=CipherSuite.Cv25519)


@dataclass
class PlayedCapsule:
    contract: SonarContract
    store: Store
    secret: Tsk = field(default_factory=lambda: generate_pgp("Capsule"))
    models: dict[int, bytes] = field(default_factory=dict)
    keys: dict[int, bytes] = field(default_factory=dict)

    @property
    def address(self) -> str:
        assert self.contract.wallet is not None
        return self.contract.wallet.address

    @property
    def certificate(self) -> str:
        return str(self.secret.extract_certificate())

    @property
    def chain(self) -> SonarRef:
        return SonarRef(chain_id=self.contract.chain_id, sonar=self.contract.address)

    def read_validation(self, campaign: int) -> str:
        spec = self.contract.campaign(campaign).terms.spec
        manifest = get_manifest(self.store, spec, CampaignManifest)
        sealed = get_ref(self.store, manifest.validation)
        opened = pysequoia.decrypt(sealed, decryptor=self.secret.decryptor())
        assert opened.bytes is not None
        return opened.bytes.decode()

    def open(self, campaign: int, accuracy_ppm: int | None = None) -> None:
        keys = KeysManifest(
            chain=self.chain,
            campaign=campaign,
            epoch=1,
            parameters=PARAMETERS,
            blobs=(put_ref(self.store, b"public keys", "public-key"),),
            certificate=self.certificate,
        )
        self.keys[campaign] = put_manifest(self.store, keys)
        model = self.publish_model(campaign, 1)
        if accuracy_ppm is None:
            accuracy_ppm = self.contract.campaign(campaign).terms.start_ppm
        self.contract.open_campaign(campaign, self.keys[campaign], model, accuracy_ppm)

    def publish_model(self, campaign: int, version: int, **changes: Any) -> bytes:
        parent = self.models.get(campaign)
        values = {
            "chain": self.chain,
            "campaign": campaign,
            "version": version,
            "epoch": 1,
            "parent": parent.hex() if parent else None,
            "keys": self.keys[campaign].hex(),
            "packing": InterleavedPacking(
                rows=4, columns=2, dimension=4, columns_per_ciphertext=1024, giant_step=2
            ),
            "ciphertexts": (put_ref(self.store, f"model {version}".encode(), "model"),),
        }
        manifest = ModelManifest(**values | changes)
        self.models[campaign] = put_manifest(self.store, manifest)
        return self.models[campaign]

    def score(
        self,
        campaign: int,
        accuracy_ppm: int,
        scores: Sequence[Score],
        *,
        publish: bool = True,
        entries: Mapping[int, dict[str, Any]] | None = None,
        receipt: Mapping[str, Any] | None = None,
    ) -> None:
        """Score a batch; `entries` and `receipt` falsify its receipt."""
        state = self.contract.campaign(campaign)
        parent = self.models[campaign]
        model = self.publish_model(campaign, state.version + 1) if publish else NO_MODEL
        submitted = {
            event.gradient: event
            for event in self.contract.events(0, campaign=campaign)
            if isinstance(event, GradientSubmitted)
        }
        made = []
        for score in scores:
            event = submitted[score.gradient]
            values = {
                "gradient": score.gradient,
                "miner": event.miner,
                "version": event.version,
                "envelope": event.envelope.hex(),
                "share_ppm": score.share_ppm,
                "reason": score.reason,
            }
            made.append(ReceiptEntry(**values | (entries or {}).get(score.gradient, {})))
        values = {
            "chain": self.chain,
            "campaign": campaign,
            "batch": state.batches + 1,
            "parent_model": parent.hex(),
            "model": model.hex() if publish else None,
            "entries": tuple(made),
            "accuracy_before_ppm": state.best_ppm,
            "accuracy_after_ppm": accuracy_ppm,
            "attribution": "none",
            "validation": "ab" * 32,
            "validation_rows": 100,
            "software": "a test",
        }
        digest = put_manifest(self.store, ReceiptManifest(**values | dict(receipt or {})))
        self.contract.score_batch(
            campaign, state.batches + 1, state.version, accuracy_ppm, model, digest, scores
        )

    def deliver(
        self,
        campaign: int,
        weights: np.ndarray[Any, Any],
        *,
        signer: Tsk | None = None,
        recipient: str | None = None,
        message: bytes | None = None,
        card: dict[str, str] | None = None,
        manifest: dict[str, Any] | None = None,
    ) -> None:
        """Deliver weights; the options falsify the delivery."""
        state = self.contract.campaign(campaign)
        asked = get_manifest(self.store, state.terms.spec, CampaignManifest)
        card = card or {"campaign": str(campaign), "sonar": self.contract.address}
        if message is None:
            message = bytes(
                pysequoia.encrypt(
                    save_model(weights, card),
                    recipients=[Cert.from_bytes((recipient or asked.certificate).encode())],
                    signer=(signer or self.secret).signer(),
                    armor=False,
                )
            )
        values = {
            "chain": self.chain,
            "campaign": campaign,
            "version": state.version,
            "message": put_ref(self.store, message, "delivery"),
        }
        delivery = put_manifest(self.store, DeliveryManifest(**values | (manifest or {})))
        self.contract.deliver(campaign, state.batches, delivery)
