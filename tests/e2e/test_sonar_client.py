"""PySonar whole: real chain, real store over HTTP, real CKKS; Capsule and mines played by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pysequoia
import pytest
from tests.unit.sonar.chain import Anvil
from tests.unit.sonar.played import PlayedCapsule

from openmined.protocol import (
    CampaignManifest,
    GradientBody,
    GradientManifest,
    KeysManifest,
    LocalSteps,
    ModelManifest,
    SonarRef,
    accuracy_to_ppm,
    decode_gradient_body,
    encode_gradient_body,
    ether_to_wei,
)
from openmined.sonar import (
    ETH,
    CapsuleRef,
    GradientSubmitted,
    Network,
    PgpKey,
    Score,
    Sonar,
    SonarContract,
    Wallet,
    connect_sonar,
    deploy_sonar,
    devnet_wallets,
    save_network,
)
from openmined.storage import (
    Store,
    connect_store,
    get_manifest,
    get_ref,
    open_node,
    put_manifest,
    put_ref,
)
from openmined.syft import (
    EncryptedGradient,
    EncryptedModel,
    PublicKeys,
    SecretKeys,
    accumulate_statistics,
    choose_parameters,
    compute_update,
    decrypt_update,
    encode_targets,
    encrypt_model,
    evaluate,
    generate_keys,
    initial_weights,
    spec_from_manifest,
)

PASSPHRASE = "a test's passphrase"


def rows(count: int, seed: int) -> dict[str, Any]:
    """Patients: whether they are ill follows from two of three measurements."""
    random = np.random.default_rng(seed)
    age, sugar, luck = (
        random.normal(50, 15, count),
        random.normal(6, 1.5, count),
        random.normal(size=count),
    )
    ill = 0.05 * (age - 50) + 1.2 * (sugar - 6) > 0
    return {"age": age, "sugar": sugar, "luck": luck, "ill": np.where(ill, "yes", "no")}


def play_mine(contract: SonarContract, store: Store, campaign: int, data: dict[str, Any]) -> None:
    """Train the newest version on one's own rows, and submit."""
    state = contract.campaign(campaign)
    asked = get_manifest(store, state.terms.spec, CampaignManifest)
    opened = next(e for e in contract.events(0, campaign=campaign) if e.name == "CampaignOpened")
    keys = get_manifest(store, opened.arguments()["keys"], KeysManifest)
    model = get_manifest(store, opened.arguments()["model"], ModelManifest)
    spec = spec_from_manifest(asked)
    assert spec.features is not None
    public = PublicKeys.from_blobs(
        keys.parameters, {ref.purpose: get_ref(store, ref) for ref in keys.blobs}
    )
    encrypted = EncryptedModel.from_blobs(
        model.packing, [get_ref(store, ref) for ref in model.ciphertexts], keys.parameters
    )
    Z, Y = spec.features.transform(data), encode_targets(spec, data["ill"])
    statistics = accumulate_statistics([(Z, Y)])
    update = compute_update(encrypted, public, statistics, asked.update, spec.l2)
    assert contract.wallet is not None
    body = GradientBody(
        chain=SonarRef(chain_id=contract.chain_id, sonar=contract.address),
        campaign=campaign,
        version=1,
        epoch=1,
        miner=contract.wallet.address,
        kind=asked.update.kind,
        samples=len(Z),
        ciphertexts=tuple(update.to_blobs()),
    )
    certificate = pysequoia.Cert.from_bytes(keys.certificate.encode())
    sealed = pysequoia.encrypt(encode_gradient_body(body), recipients=[certificate], armor=False)
    envelope = put_ref(store, bytes(sealed), "envelope")
    contract.submit_gradient(campaign, 1, put_manifest(store, GradientManifest(envelope=envelope)))


@dataclass
class RealCapsule(PlayedCapsule):
    """A played Capsule that really encrypts and decrypts."""

    secret_keys: dict[int, SecretKeys] = field(default_factory=dict)
    weights: np.ndarray[Any, Any] | None = None

    def manifest(self, campaign: int) -> CampaignManifest:
        return get_manifest(
            self.store, self.contract.campaign(campaign).terms.spec, CampaignManifest
        )

    def open_really(self, campaign: int) -> None:
        spec = spec_from_manifest(self.manifest(campaign))
        secret = generate_keys(choose_parameters(spec), spec)
        self.secret_keys[campaign] = secret
        keys = KeysManifest(
            chain=self.chain,
            campaign=campaign,
            epoch=1,
            parameters=secret.parameters,
            blobs=tuple(
                put_ref(self.store, data, purpose)
                for purpose, data in secret.public.to_blobs().items()
            ),
            certificate=self.certificate,
        )
        self.keys[campaign] = put_manifest(self.store, keys)
        self.weights = initial_weights(spec)
        model = self.publish_weights(campaign, 1)
        start = self.contract.campaign(campaign).terms.start_ppm
        self.contract.open_campaign(campaign, self.keys[campaign], model, start)

    def publish_weights(self, campaign: int, version: int) -> bytes:
        encrypted = encrypt_model(self.weights, self.secret_keys[campaign])
        return self.publish_model(
            campaign,
            version,
            packing=encrypted.packing,
            ciphertexts=tuple(put_ref(self.store, b, "model") for b in encrypted.to_blobs()),
        )

    def score_really(self, campaign: int, validation: dict[str, Any]) -> int:
        """Take the mean of what the mines sent, and split the gain evenly."""
        spec = spec_from_manifest(self.manifest(campaign))
        assert spec.features is not None
        found = []
        for event in self.contract.events(0, campaign=campaign):
            if isinstance(event, GradientSubmitted):
                manifest = get_manifest(self.store, event.envelope, GradientManifest)
                opened = pysequoia.decrypt(
                    get_ref(self.store, manifest.envelope), decryptor=self.secret.decryptor()
                )
                assert opened.bytes is not None
                body = decode_gradient_body(opened.bytes)
                assert body.miner == event.miner
                secret = self.secret_keys[campaign]
                packing = encrypt_model(self.weights, secret).packing
                gradient = EncryptedGradient.from_blobs(
                    packing, list(body.ciphertexts), secret.parameters
                )
                found.append(decrypt_update(gradient, secret))
        self.weights = np.mean(found, axis=0)
        Z, Y = spec.features.transform(validation), encode_targets(spec, validation["ill"])
        accuracy = accuracy_to_ppm(evaluate(spec, self.weights, Z, Y), 100)
        share = 1_000_000 // len(found)
        scores = [Score(index, share) for index in range(len(found))]
        scores[0] = Score(0, 1_000_000 - share * (len(found) - 1))
        self.score(campaign, accuracy, scores, publish=False)
        return accuracy


@dataclass
class Place:
    anvil: Anvil
    store_url: str
    network: Network
    wallets: list[Wallet]
    capsule: RealCapsule
    folder: Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("OPENMINED_HOME", str(tmp_path / "home"))
    wallets = list(devnet_wallets(5))
    with Anvil() as anvil, open_node(tmp_path / "store") as node:
        address = deploy_sonar(anvil.url, wallets[0])
        contract = connect_sonar(anvil.url, address, wallets[1])
        store = connect_store(node.url)
        capsule = RealCapsule(contract, store)
        network = Network(
            name="devnet",
            chain_id=31337,
            rpc_url=anvil.url,
            sonar=address,
            store_url=node.url,
            capsule=CapsuleRef(address=capsule.address),
            first_block=1,
        )
        save_network(network)
        yield Place(anvil, node.url, network, wallets, capsule, tmp_path)
        contract.close()
        store.close()


def test_from_rows_to_a_trained_model(place: Place) -> None:
    validation = rows(300, seed=1)
    key = PgpKey.create(place.folder / "me.pgp", PASSPHRASE)
    with Sonar.connect("devnet", wallet=place.wallets[0], pgp=key) as sonar:
        campaign = sonar.launch_campaign(
            validation,
            target="ill",
            title="Who is ill?",
            bounty=ether_to_wei("1"),
            target_accuracy=0.9,
            update=LocalSteps(steps=1000),
            duration_s=3600,
            capsule_certificate=place.capsule.certificate,
        )
        place.capsule.open_really(campaign.id)
        for index, wallet in enumerate(place.wallets[2:5]):
            with (
                connect_sonar(place.anvil.url, place.network.sonar, wallet) as contract,
                connect_store(place.store_url) as store,
            ):
                play_mine(contract, store, campaign.id, rows(400, seed=10 + index))
        accuracy = place.capsule.score_really(campaign.id, validation)
        assert accuracy >= 900_000
        assert place.capsule.weights is not None
        place.capsule.deliver(campaign.id, place.capsule.weights)

        steps = list(campaign.watch(timeout_s=20))
        assert [step.event.name for step in steps if step.event][-1] == "CampaignDelivered"
        model = campaign.result()
        fresh = rows(500, seed=99)
        assert model.score(fresh, fresh["ill"]) > 0.88
        assert set(model.predict(fresh)) == {"yes", "no"}

        report = campaign.audit()
        assert report.ok, str(report)
        assert len(report.payouts) == 3
        spend = campaign.spend()
        assert spend.paid + spend.fee + spend.refund == ether_to_wei("1")
        assert sum(spend.by_miner.values()) == spend.paid
        (record,) = campaign.models()
        assert not record.problem
        assert record.size > 10_000
        assert record.keys is not None
        assert sonar.contract.escrow(ETH) == sum(
            sonar.contract.credit(ETH, wallet.address) for wallet in place.wallets
        )
        for wallet in place.wallets:
            with Sonar.connect("devnet", wallet=wallet) as owner:
                owner.withdraw()
        assert sonar.contract.escrow(ETH) == 0
        assert json.dumps(report.to_json())
