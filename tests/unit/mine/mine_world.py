"""A network around a mine: a real chain, a real store, and a Capsule played by the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pysequoia
from tests.unit.mine.folder_world import PASSPHRASE, SCHEMA, rows
from tests.unit.sonar.chain import Anvil, wait_for

from openmined.mine import (
    MineFolder,
    Secrets,
    change_permission,
    create_mine,
    import_batches,
)
from openmined.mine._loop import MineLoop
from openmined.mine._progress import ProgressLog
from openmined.mine._run import build_loop
from openmined.protocol import (
    CampaignManifest,
    GradientManifest,
    KeysManifest,
    LinearClassifierAlgorithm,
    LocalSteps,
    ModelManifest,
    SonarRef,
    TableSchema,
    decode_gradient_body,
)
from openmined.sonar import (
    GradientSubmitted,
    Score,
    SonarContract,
    Terms,
    connect_sonar,
    deploy_sonar,
    devnet_wallets,
)
from openmined.storage import connect_store, get_manifest, get_ref, put_manifest, put_ref
from openmined.storage._serve import open_node
from openmined.syft import (
    EncryptedGradient,
    SecretKeys,
    choose_parameters,
    decrypt_update,
    encrypt_model,
    generate_keys,
    initial_weights,
    spec_from_manifest,
)

ETHER = 10**18
START_PPM, TARGET_PPM = 100_000, 900_000
T = TypeVar("T")


def part(schema: TableSchema, *names: str) -> TableSchema:
    return TableSchema(fields=tuple(schema.field(name) for name in names))


@dataclass
class Opened:
    """What Capsule keeps of a campaign."""

    campaign: int
    manifest: CampaignManifest
    keys: SecretKeys
    keys_digest: bytes
    epoch: int = 1
    models: dict[int, bytes] = field(default_factory=dict)


@dataclass
class MineWorld:
    """Everything but the mine."""

    folder: Path
    anvil: Anvil
    store_url: str
    store: Any
    data_scientist: SonarContract
    capsule: SonarContract
    certificate: pysequoia.Tsk
    nonce: int = 0

    @property
    def chain(self) -> SonarRef:
        return SonarRef(chain_id=self.capsule.chain_id, sonar=self.capsule.address)

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {
            "format": "openmined/mine@1",
            "name": "hospital",
            "network": {
                "name": "devnet",
                "chain_id": self.capsule.chain_id,
                "rpc_url": self.anvil.url,
                "sonar": self.capsule.address,
                "store_url": self.store_url,
            },
            "loop": {"poll_interval_s": 0.05, "retry_s": 0.2},
        } | changes

    @property
    def trusting(self) -> dict[str, Any]:
        """A permission that names the capsule: networks are trained without asking."""
        assert self.capsule.wallet is not None
        return {"mode": "automatic", "fields": ["*"], "capsules": [self.capsule.wallet.address]}

    def make_mine(
        self,
        name: str = "mine",
        *,
        batch: pa.RecordBatch | None = None,
        schema: TableSchema = SCHEMA,
        permission: dict[str, Any] | None = None,
        fund: int = ETHER,
        **changes: Any,
    ) -> tuple[MineFolder, Secrets]:
        folder, secrets = create_mine(
            self.folder / name, self.settings(**changes), PASSPHRASE, cost="light"
        )
        import_batches(
            folder, secrets.identity, "data", schema, [rows(120) if batch is None else batch]
        )
        wanted = {"mode": "automatic", "fields": ["*"]} if permission is None else permission
        change_permission(folder, "data", wanted)
        if fund:
            self.anvil.call("anvil_setBalance", secrets.wallet.address, hex(fund))
        return folder, secrets

    def manifest(self, **changes: Any) -> CampaignManifest:
        store = self.store
        values: dict[str, Any] = {
            "title": "Three classes",
            "input": part(SCHEMA, "pixels"),
            "output": part(SCHEMA, "label"),
            "features": [{"kind": "columns", "columns": ["pixels"]}],
            "algorithm": LinearClassifierAlgorithm(l2=1e-2),
            "update": LocalSteps(steps=20),
            "metric": "accuracy",
            "start_ppm": START_PPM,
            "target_ppm": TARGET_PPM,
            "validation": put_ref(store, b"sealed", "validation"),
            "certificate": str(self.certificate.extract_certificate()),
        } | changes
        return CampaignManifest.model_validate(values)

    def launch(self, manifest: CampaignManifest | None = None, **changes: Any) -> int:
        manifest = manifest or self.manifest()
        self.nonce += 1
        assert self.capsule.wallet is not None
        values: dict[str, Any] = {
            "spec": put_manifest(self.store, manifest),
            "capsule": self.capsule.wallet.address,
            "bounty": ETHER,
            "fee": ETHER // 100,
            "bond": 1000,
            "start_ppm": START_PPM,
            "start_tolerance_ppm": 50_000,
            "target_ppm": TARGET_PPM,
            "min_improvement_ppm": 1000,
            "deadline": self.data_scientist.now() + 3600,
            "grace": 600,
            "max_gradients": 100,
            "max_batch": 16,
        } | changes
        return self.data_scientist.launch_campaign(self.nonce.to_bytes(32), Terms(**values))

    def open(
        self,
        campaign: int,
        manifest: CampaignManifest,
        weights: np.ndarray[Any, Any] | None = None,
        *,
        change_keys: Callable[[KeysManifest], KeysManifest] = lambda found: found,
        change_model: Callable[[ModelManifest], ModelManifest] = lambda found: found,
        change_blob: Callable[[str, bytes], bytes] = lambda _purpose, data: data,
    ) -> Opened:
        opened = Opened(
            campaign, manifest, *self.publish_keys(manifest, campaign, 1, change_keys, change_blob)
        )
        start = initial_weights(spec_from_manifest(manifest)) if weights is None else weights
        model = self.publish_model(opened, 1, start, change_model, change_blob)
        self.capsule.open_campaign(campaign, opened.keys_digest, model, START_PPM)
        return opened

    def rotate(self, opened: Opened, weights: np.ndarray[Any, Any]) -> None:
        opened.epoch += 1
        opened.keys, opened.keys_digest = self.publish_keys(
            opened.manifest, opened.campaign, opened.epoch
        )
        version = self.capsule.campaign(opened.campaign).version + 1
        model = self.publish_model(opened, version, weights)
        self.capsule.rotate_keys(opened.campaign, version - 1, opened.keys_digest, model)

    def publish_keys(
        self,
        manifest: CampaignManifest,
        campaign: int,
        epoch: int,
        change: Callable[[KeysManifest], KeysManifest] = lambda found: found,
        change_blob: Callable[[str, bytes], bytes] = lambda _purpose, data: data,
    ) -> tuple[SecretKeys, bytes]:
        spec = spec_from_manifest(manifest)
        keys = generate_keys(choose_parameters(spec), spec)
        blobs = [
            put_ref(self.store, change_blob(purpose, data), purpose)
            for purpose, data in sorted(keys.public.to_blobs().items())
        ]
        published = KeysManifest(
            chain=self.chain,
            campaign=campaign,
            epoch=epoch,
            parameters=keys.parameters,
            blobs=tuple(blobs),
            certificate=str(self.certificate.extract_certificate()),
        )
        return keys, put_manifest(self.store, change(published))

    def publish_model(
        self,
        opened: Opened,
        version: int,
        weights: np.ndarray[Any, Any],
        change: Callable[[ModelManifest], ModelManifest] = lambda found: found,
        change_blob: Callable[[str, bytes], bytes] = lambda _purpose, data: data,
    ) -> bytes:
        encrypted = encrypt_model(weights, opened.keys)
        refs = tuple(
            put_ref(self.store, change_blob("ciphertext", blob), "ciphertext")
            for blob in encrypted.to_blobs()
        )
        manifest = ModelManifest(
            chain=self.chain,
            campaign=opened.campaign,
            version=version,
            epoch=opened.epoch,
            keys=opened.keys_digest.hex(),
            packing=encrypted.packing,
            ciphertexts=refs,
        )
        opened.models[version] = put_manifest(self.store, change(manifest))
        return opened.models[version]

    def launch_open(
        self, manifest: CampaignManifest | None = None, weights: Any = None, **changes: Any
    ) -> Opened:
        manifest = manifest or self.manifest()
        return self.open(self.launch(manifest, **changes), manifest, weights)

    def submitted(self, campaign: int) -> list[GradientSubmitted]:
        found = self.capsule.events(0, campaign=campaign)
        return [event for event in found if isinstance(event, GradientSubmitted)]

    def wait_submitted(self, campaign: int, count: int = 1, deadline_s: float = 40.0) -> Any:
        return wait_for(
            lambda: found if len(found := self.submitted(campaign)) >= count else None, deadline_s
        )

    def open_envelope(self, event: GradientSubmitted) -> Any:
        manifest = get_manifest(self.store, event.envelope, GradientManifest)
        sealed = get_ref(self.store, manifest.envelope)
        plain = pysequoia.decrypt(sealed, decryptor=self.certificate.decryptor()).bytes
        assert plain is not None
        return decode_gradient_body(plain)

    def decrypt(self, opened: Opened, event: GradientSubmitted) -> np.ndarray[Any, Any]:
        body = self.open_envelope(event)
        gradient = EncryptedGradient.from_blobs(
            opened.keys.packing, list(body.ciphertexts), opened.keys.parameters
        )
        return decrypt_update(gradient, opened.keys)

    def score(
        self, opened: Opened, accuracy_ppm: int, scores: list[Score], weights: Any = None
    ) -> None:
        state = self.capsule.campaign(opened.campaign)
        place = (opened.campaign, state.batches + 1, state.version)
        model = (
            bytes(32)
            if weights is None
            else self.publish_model(opened, state.version + 1, np.asarray(weights))
        )
        self.capsule.score_batch(*place, accuracy_ppm, model, b"\x07" * 32, scores)


@contextmanager
def drained(anvil: Anvil) -> Iterator[None]:
    """Read what anvil prints: a mine asks so often that an unread pipe would soon stop it."""
    reader = threading.Thread(target=lambda: list(anvil._process.stdout or ()), daemon=True)
    reader.start()
    yield
    anvil._process.kill()
    reader.join()


@contextmanager
def mine_world() -> Iterator[MineWorld]:
    with tempfile.TemporaryDirectory(prefix="openmined-mine-") as name:
        folder = Path(name)
        os.environ["OPENMINED_HOME"] = str(folder / "home")
        with Anvil() as anvil, drained(anvil), open_node(folder / "store") as node:
            wallets = devnet_wallets(3)
            address = deploy_sonar(anvil.url, wallets[0])
            with (
                connect_store(node.url) as store,
                connect_sonar(anvil.url, address, wallets[1]) as data_scientist,
                connect_sonar(anvil.url, address, wallets[2]) as capsule,
            ):
                yield MineWorld(
                    folder=folder,
                    anvil=anvil,
                    store_url=node.url,
                    store=store,
                    data_scientist=data_scientist,
                    capsule=capsule,
                    certificate=pysequoia.Tsk.generate("Capsule <capsule@example.org>"),
                )


class MineProcess:
    """A real `openmined mine start` on a folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        secret = folder.parent / "passphrase"
        secret.write_text(PASSPHRASE + "\n")
        secret.chmod(0o600)
        command = [sys.executable, "-m", "openmined", "mine", "start", str(folder)]
        self.process = subprocess.Popen(
            [*command, "--passphrase-file", str(secret), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=20)
        return output

    def __enter__(self) -> MineProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@contextmanager
def mine_loop(folder: MineFolder, secrets: Secrets) -> Iterator[MineLoop]:
    """A mine's loop in this process, pass by pass."""
    settings = folder.settings()
    log = ProgressLog(folder.log_path, settings.name)
    loop = build_loop(folder, secrets, settings, log)
    try:
        yield loop
    except AssertionError as error:
        said = [(d.campaign, d.dataset, d.verdict, d.text) for d in loop.ledger.decisions()]
        error.add_note(f"the mine decided: {said}")
        raise
    finally:
        loop.close()
        log.close()
