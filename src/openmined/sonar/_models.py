"""The model repository: every encrypted model ever published, from chain and store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openmined.protocol import (
    KeysManifest,
    ModelManifest,
    OpenMinedError,
    Packing,
    encode_manifest,
)
from openmined.sonar._contract import SonarContract
from openmined.sonar._errors import SonarError
from openmined.sonar._history import History
from openmined.storage import Store, cid_of_digest, get_manifest, get_ref

MAX_CIPHERTEXT_BYTES = 64 << 20


@dataclass(frozen=True)
class EncryptedModelRecord:
    """One version of one campaign's encrypted model.

    Attributes:
        campaign: its number.
        version: from 1.
        epoch: of the keys it is encrypted under.
        digest: of its manifest, as on chain.
        cid: of its manifest, as on the store.
        block_number: where it was published.
        manifest: verified to be of this campaign, version and keys; None if it cannot be.
        keys: the manifest of its keys; None if it cannot be had.
        problem: why one of them is missing, empty otherwise.
    """

    campaign: int
    version: int
    epoch: int
    digest: bytes
    cid: str
    block_number: int
    manifest: ModelManifest | None
    keys: KeysManifest | None
    problem: str

    @property
    def size(self) -> int:
        """Bytes of its ciphertexts."""
        return sum(ref.size for ref in self.manifest.ciphertexts) if self.manifest else 0

    @property
    def packing(self) -> Packing | None:
        """How its weights lie in its ciphertexts."""
        return self.manifest.packing if self.manifest else None

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        manifest, keys = self.manifest, self.keys
        return {
            "campaign": self.campaign,
            "version": self.version,
            "epoch": self.epoch,
            "digest": self.digest.hex(),
            "cid": self.cid,
            "block_number": self.block_number,
            "parent": manifest.parent if manifest else None,
            "size": self.size,
            "packing": manifest.packing.model_dump(mode="json") if manifest else None,
            "parameters": keys.parameters.model_dump(mode="json") if keys else None,
            "ciphertexts": [
                ref.model_dump(mode="json") for ref in (manifest.ciphertexts if manifest else ())
            ],
            "problem": self.problem,
        }


def list_models(
    contract: SonarContract, store: Store, campaign: int, history: History
) -> list[EncryptedModelRecord]:
    """Return a campaign's models, oldest first, each checked against the chain."""
    keys = {one.epoch: one.digest for one in history.keys}
    return [
        _read_model(
            contract, store, campaign, model.version, model.epoch, model.digest, keys, place
        )
        for model in history.models
        for place in [model.event.block_number]
    ]


def download_model(store: Store, record: EncryptedModelRecord, folder: Path) -> list[Path]:
    """Write manifest, keys manifest and ciphertexts into a folder; every byte is verified.

    Raises:
        SonarError: if the record could not be verified, or the folder cannot be written.
        StorageError: if a ciphertext cannot be had.
    """
    if record.manifest is None:
        raise SonarError(f"this model cannot be downloaded: {record.problem}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [folder / "model.json"]
        written[0].write_bytes(encode_manifest(record.manifest))
        if record.keys is not None:
            written.append(folder / "keys.json")
            written[-1].write_bytes(encode_manifest(record.keys))
        for index, ref in enumerate(record.manifest.ciphertexts):
            path = folder / f"{index:04d}-{ref.cid}.seal"
            path.write_bytes(get_ref(store, ref, MAX_CIPHERTEXT_BYTES))
            written.append(path)
        index_path = folder / "index.json"
        index_path.write_text(json.dumps(record.to_json(), indent=2) + "\n", encoding="utf-8")
        return [*written, index_path]
    except OSError as error:
        raise SonarError(f"cannot write into {folder}: {error.strerror}") from error


def _read_model(
    contract: SonarContract,
    store: Store,
    campaign: int,
    version: int,
    epoch: int,
    digest: bytes,
    keys_by_epoch: dict[int, bytes],
    block_number: int,
) -> EncryptedModelRecord:
    manifest: ModelManifest | None = None
    keys: KeysManifest | None = None
    problem = ""
    try:
        found = get_manifest(store, digest, ModelManifest)
        wanted = (contract.chain_id, contract.address.lower(), campaign, version, epoch)
        named = (found.chain.chain_id, found.chain.sonar.lower(), found.campaign, found.version)
        if (*named, found.epoch) != wanted:
            problem = "its manifest names another chain, contract, campaign, version or key epoch"
        elif found.keys != keys_by_epoch[epoch].hex():
            problem = "its manifest names other keys than the chain"
        else:
            manifest = found
        keys = get_manifest(store, keys_by_epoch[epoch], KeysManifest)
    except OpenMinedError as error:
        problem = problem or str(error)
    return EncryptedModelRecord(
        campaign=campaign,
        version=version,
        epoch=epoch,
        digest=digest,
        cid=cid_of_digest(digest),
        block_number=block_number,
        manifest=manifest,
        keys=keys,
        problem=problem,
    )
