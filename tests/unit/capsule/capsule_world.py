"""A network around a Capsule: a real chain and store; data scientist and mines played by tests."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pysequoia
from tests.unit.sonar.chain import Anvil

from openmined.capsule import (
    Capsule,
    Context,
    Log,
    Step,
    Unlock,
    create_folder,
    generate_key_file,
    open_and_verify,
    parse_certificate,
    unsealed,
)
from openmined.protocol import (
    CampaignManifest,
    DeliveryManifest,
    GradientBody,
    GradientManifest,
    KeysManifest,
    LinearClassifierAlgorithm,
    LocalSteps,
    ModelManifest,
    SonarRef,
    TableSchema,
    encode_gradient_body,
)
from openmined.sonar import (
    CampaignState,
    SonarContract,
    Terms,
    connect_sonar,
    deploy_sonar,
    devnet_wallets,
)
from openmined.storage import FolderStore, Store, get_manifest, get_ref, put_manifest, put_ref
from openmined.syft import (
    EncryptedModel,
    MLPClassifier,
    PublicKeys,
    accumulate_statistics,
    compute_mlp_update,
    compute_update,
    encode_targets,
    load_model,
    spec_from_manifest,
)

ETHER = 10**18

SCHEMA = TableSchema.model_validate(
    {
        "fields": [
            {"name": "pixels", "type": "array", "constraints": {"minLength": 8, "maxLength": 8}},
            {"name": "label", "type": "string", "constraints": {"enum": ["a", "b", "c"]}},
        ]
    }
)

Rows = tuple[np.ndarray, list[str]]


def part(schema: TableSchema, *names: str) -> TableSchema:
    return TableSchema(fields=tuple(schema.field(name) for name in names))


def rows(count: int, seed: int = 0) -> Rows:
    """Three classes that a linear model separates at about 95 %."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    pixels = random.normal(0, 0.3, (count, 8))
    pixels[np.arange(count), labels] += 1.0
    return pixels, ["abc"[label] for label in labels]


def as_csv(data: Rows, names: tuple[str, str] = ("pixels", "label")) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    for pixels, label in zip(*data, strict=True):
        writer.writerow([json.dumps(pixels.tolist()), label])
    return text.getvalue().encode()


@dataclass
class CapsuleWorld:
    """Everything but the Capsule's own process."""

    folder: Path
    anvil: Anvil
    store: Store
    data_scientist: SonarContract
    miners: list[SonarContract]
    secret: pysequoia.Tsk
    address: str
    log: list[dict[str, Any]] = field(default_factory=list)
    nonce: int = 0

    @property
    def chain(self) -> SonarRef:
        contract = self.data_scientist
        return SonarRef(chain_id=contract.chain_id, sonar=contract.address)

    @property
    def capsule_folder(self) -> Path:
        return self.folder / "capsule"

    @property
    def unlock(self) -> Unlock:
        return Unlock.from_key_file(self.folder / "key")

    @contextmanager
    def context(self, on_step: Callable[[Step], None] | None = None) -> Iterator[Context]:
        with unsealed(self.capsule_folder, self.unlock, Log(self.log.append), on_step) as context:
            if isinstance(self.store, FolderStore):
                context.store = self.store
            yield context

    @contextmanager
    def capsule(self, on_step: Callable[[Step], None] | None = None) -> Iterator[Capsule]:
        with self.context(on_step) as context:
            yield Capsule(context)

    # ----------------------------------------------------- the data scientist

    def certificate(self) -> pysequoia.Cert:
        return parse_certificate((self.capsule_folder / "certificate.asc").read_text())

    def seal(self, data: bytes) -> bytes:
        return bytes(pysequoia.encrypt(data, recipients=[self.certificate()], armor=False))

    def manifest(self, *, validation: bytes | None = None, **changes: Any) -> CampaignManifest:
        sealed = self.seal(as_csv(rows(150, seed=99))) if validation is None else validation
        values: dict[str, Any] = {
            "title": "Three classes",
            "input": part(SCHEMA, "pixels"),
            "output": part(SCHEMA, "label"),
            "features": [{"kind": "columns", "columns": ["pixels"]}],
            "algorithm": LinearClassifierAlgorithm(l2=1e-2),
            "update": LocalSteps(steps=3),
            "metric": "accuracy",
            "start_ppm": 330_000,
            "target_ppm": 930_000,
            "validation": put_ref(self.store, sealed, "validation"),
            "certificate": str(self.secret.extract_certificate()),
            "scoring": {"window_s": 0, "batch": 2},
        } | changes
        return CampaignManifest.model_validate(values)

    def launch(self, manifest: CampaignManifest | None = None, **changes: Any) -> int:
        manifest = manifest or self.manifest()
        self.nonce += 1
        values: dict[str, Any] = {
            "spec": put_manifest(self.store, manifest),
            "capsule": self.address,
            "bounty": ETHER,
            "fee": ETHER // 100,
            "bond": 1000,
            "start_ppm": manifest.start_ppm,
            "start_tolerance_ppm": 100_000,
            "target_ppm": manifest.target_ppm,
            "min_improvement_ppm": 1000,
            "deadline": self.data_scientist.now() + 3600,
            "grace": 600,
            "max_gradients": 1000,
            "max_batch": 16,
        } | changes
        return self.data_scientist.launch_campaign(self.nonce.to_bytes(32), Terms(**values))

    def state(self, campaign: int) -> CampaignState:
        return self.data_scientist.campaign(campaign)

    def delivered(self, campaign: int) -> tuple[np.ndarray, dict[str, str]]:
        """Open the delivery as the data scientist does."""
        (event,) = self.events(campaign, "CampaignDelivered")
        manifest = get_manifest(self.store, event.delivery, DeliveryManifest)
        sealed = get_ref(self.store, manifest.message)
        return load_model(open_and_verify(sealed, self.secret, self.certificate()))

    def events(self, campaign: int, name: str) -> list[Any]:
        return [e for e in self.data_scientist.events(0, campaign=campaign) if e.name == name]

    # --------------------------------------------------------------- the mines

    def published(self, campaign: int) -> tuple[KeysManifest, ModelManifest]:
        """Find current keys and model as a mine does."""
        keys = model = None
        for event in self.data_scientist.events(0, campaign=campaign):
            if event.name in ("CampaignOpened", "KeysRotated"):
                keys, model = event.keys, event.model
            if event.name == "BatchScored" and any(event.model):
                model = event.model
        assert keys is not None
        assert model is not None
        return (
            get_manifest(self.store, keys, KeysManifest),
            get_manifest(self.store, model, ModelManifest),
        )

    def train(self, campaign: int, manifest: CampaignManifest, data: Rows, miner: str) -> bytes:
        """Train on the encrypted model; return the body of a gradient, not yet sealed."""
        keys, model = self.published(campaign)
        public = PublicKeys.from_blobs(
            keys.parameters, {ref.purpose: get_ref(self.store, ref) for ref in keys.blobs}
        )
        blobs = [get_ref(self.store, ref) for ref in model.ciphertexts]
        encrypted = EncryptedModel.from_blobs(model.packing, blobs, keys.parameters)
        spec = spec_from_manifest(manifest)
        assert spec.features is not None
        features = spec.features.transform({manifest.input.fields[0].name: data[0]})
        targets = encode_targets(spec, data[1])
        kind: Any = manifest.update.kind
        if isinstance(spec, MLPClassifier):
            kind = "mlp-gradient"
            update = compute_mlp_update(encrypted, public, features, targets)
        else:
            statistics = accumulate_statistics([(features, targets)])
            update = compute_update(encrypted, public, statistics, manifest.update, spec.l2)
        body = GradientBody(
            chain=self.chain,
            campaign=campaign,
            version=model.version,
            epoch=model.epoch,
            miner=miner,
            kind=kind,
            samples=len(data[1]),
            ciphertexts=tuple(update.to_blobs()),
        )
        return encode_gradient_body(body)

    def submit(self, campaign: int, miner: int, envelope: bytes, version: int | None = None) -> int:
        manifest = GradientManifest(envelope=put_ref(self.store, envelope, "envelope"))
        digest = put_manifest(self.store, manifest)
        version = version or self.state(campaign).version
        return self.miners[miner].submit_gradient(campaign, version, digest).gradient

    def contribute(
        self, campaign: int, manifest: CampaignManifest, miner: int, data: Rows | None = None
    ) -> int:
        """Be an honest mine once; return the gradient's number."""
        wallet = self.miners[miner].wallet
        assert wallet is not None
        own = rows(120, seed=miner) if data is None else data
        body = self.train(campaign, manifest, own, wallet.address)
        return self.submit(campaign, miner, self.seal(body))


def settle(*capsules: Capsule, turns: int = 60) -> None:
    """Let every Capsule turn in turn until none has anything to do."""
    for _ in range(turns):
        busy = [capsule.turn() for capsule in capsules]
        if not any(busy):
            return
    raise AssertionError(f"still busy after {turns} turns")


@contextmanager
def capsule_world(folder: Path, miners: int = 3) -> Iterator[CapsuleWorld]:
    """Make a chain with Sonar, a store, and a Capsule's folder; nothing runs yet."""
    with ExitStack() as stack:
        anvil = stack.enter_context(Anvil())
        wallets = devnet_wallets(miners + 1)
        for wallet in wallets:
            anvil.call("anvil_setBalance", wallet.address, hex(1000 * ETHER))
        sonar = deploy_sonar(anvil.url, wallets[0])
        clients = [
            stack.enter_context(
                connect_sonar(anvil.url, sonar, wallet, lock_folder=folder / "locks")
            )
            for wallet in wallets
        ]
        generate_key_file(folder / "key")
        network = {
            "chain_id": clients[0].chain_id,
            "rpc_url": anvil.url,
            "sonar": sonar,
            "store_url": "http://127.0.0.1:9",
        }
        unlock = Unlock.from_key_file(folder / "key")
        loop = {"poll_interval_s": 0.05, "unavailable_after_s": 0.2}
        address, _ = create_folder(
            folder / "capsule",
            {"network": network, "loop": loop, "api": {"enabled": False}},
            unlock,
        )
        anvil.call("anvil_setBalance", address, hex(1000 * ETHER))
        yield CapsuleWorld(
            folder=folder,
            anvil=anvil,
            store=FolderStore(folder / "store"),
            data_scientist=clients[0],
            miners=clients[1:],
            secret=pysequoia.Tsk.generate(user_id="data scientist"),
            address=address,
        )
