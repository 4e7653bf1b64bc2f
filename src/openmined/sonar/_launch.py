"""Launches a campaign such that launching it again, after any failure, is the same campaign.

    request  what she asked for, stable: the same call gives the same request
    nonce    sha2-256 of request, chain, contract and account; the contract takes a nonce once
    draft    what was made of the request: sealed validation set, manifest, deadline. Encryption is
             randomised and time passes, so the draft is written to disk before anything is sent,
             and a second run goes on from it

Killed before the draft is written: blobs nobody refers to lie on the store, nothing else happened.
Killed after it: the same manifest is launched. Killed after sending: the nonce is found on chain.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openmined.protocol import (
    CampaignManifest,
    ManifestError,
    PrivacyRequest,
    ScoringSettings,
    decode_manifest,
    digest,
    encode_canonical,
    encode_manifest,
)
from openmined.sonar._contract import SonarContract
from openmined.sonar._errors import LaunchRefused, NotEnoughFunds, NoWallet, Reverted
from openmined.sonar._manifest import build_manifest
from openmined.sonar._pgp import seal
from openmined.sonar._types import Terms
from openmined.storage import BlockNotFound, Store, put_manifest, put_ref

if TYPE_CHECKING:
    from openmined.sonar._choice import LearningTask
    from openmined.sonar._tables import ValidationTable

_NONCE_USED = "Sonar: nonce used"
_ADOPT_S = 180.0


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """What a data scientist asked for, with every default settled. Amounts as in `Terms`."""

    table: ValidationTable
    task: LearningTask
    title: str
    description: str
    certificate: str
    capsule: str
    capsule_certificate: str
    token: str
    bounty: int
    fee: int
    bond: int
    start_ppm: int
    start_tolerance_ppm: int
    target_ppm: int
    min_improvement_ppm: int
    duration_s: int
    grace_s: int
    max_gradients: int
    max_batch: int
    scoring: ScoringSettings
    privacy: PrivacyRequest | None
    initial_weights: bytes | None
    repeat: int

    def digest(self) -> bytes:
        """Return what identifies the request: all of it but for randomness and time."""
        plain = {
            "title": self.title,
            "description": self.description,
            "input": self.table.input.model_dump(mode="json"),
            "output": self.table.output.model_dump(mode="json"),
            "features": [step.model_dump(mode="json") for step in self.task.features],
            "algorithm": self.task.algorithm.model_dump(mode="json"),
            "update": self.task.update.model_dump(mode="json"),
            "validation": hashlib.sha256(self.table.to_csv()).hexdigest(),
            "initial_weights": hashlib.sha256(self.initial_weights or b"").hexdigest(),
            "certificate": hashlib.sha256(self.certificate.encode()).hexdigest(),
            "capsule": self.capsule.lower(),
            "token": self.token.lower(),
            "amounts": [str(amount) for amount in (self.bounty, self.fee, self.bond)],
            "accuracy": [
                self.start_ppm,
                self.start_tolerance_ppm,
                self.target_ppm,
                self.min_improvement_ppm,
            ],
            "times": [self.duration_s, self.grace_s],
            "limits": [self.max_gradients, self.max_batch],
            "scoring": self.scoring.model_dump(mode="json"),
            "privacy": self.privacy.model_dump(mode="json") if self.privacy else None,
            "repeat": self.repeat,
        }
        return digest(encode_canonical(plain))

    def terms(self, draft: Draft) -> Terms:
        """Return the contract's terms for a draft of this request."""
        return Terms(
            spec=digest(draft.manifest),
            capsule=self.capsule,
            token=self.token,
            bounty=self.bounty,
            fee=self.fee,
            bond=self.bond,
            start_ppm=self.start_ppm,
            start_tolerance_ppm=self.start_tolerance_ppm,
            target_ppm=self.target_ppm,
            min_improvement_ppm=self.min_improvement_ppm,
            deadline=draft.deadline,
            grace=self.grace_s,
            max_gradients=self.max_gradients,
            max_batch=self.max_batch,
        )


@dataclass(frozen=True)
class Draft:
    """What was made of a request: the encoded manifest, and the deadline in unix seconds."""

    manifest: bytes
    deadline: int


def launch(contract: SonarContract, store: Store, request: LaunchRequest, drafts: Path) -> int:
    """Launch the request, or find the campaign that it is already; return the number.

    Raises:
        NotEnoughFunds: before anything is uploaded.
        StorageError, TransactionError: see there. Run again: nothing is paid twice.
    """
    if contract.wallet is None:
        raise NoWallet("launching needs a wallet: connect with wallet=Wallet.from_keystore(...)")
    owner = contract.wallet.address
    nonce = nonce_of(request, contract, owner)
    known = contract.campaign_of(owner, nonce)
    if known:
        return known
    have = contract.balance(owner, request.token)
    if have < request.bounty:
        eth = int(request.token, 16) == 0
        raise NotEnoughFunds(request.bounty, have, owner, None if eth else request.token)
    path = drafts / f"{nonce.hex()}.json"
    draft = read_draft(path)
    if draft is None or not is_usable(draft, request, store, contract.now()):
        draft = make_draft(request, store, contract.now())
        write_draft(path, draft)
    try:
        return contract.launch_campaign(nonce, request.terms(draft))
    except Reverted as reverted:
        if reverted.reason != _NONCE_USED:
            raise
        return _adopt(contract, owner, nonce)


def nonce_of(request: LaunchRequest, contract: SonarContract, owner: str) -> bytes:
    """Return the nonce of a request on a contract."""
    place = f"{contract.chain_id}/{contract.address}/{owner}".lower().encode()
    return digest(b"openmined/launch@1/" + place + b"/" + request.digest())


def make_draft(request: LaunchRequest, store: Store, now: int) -> Draft:
    """Seal the validation set to Capsule, upload it, then build the manifest and upload that."""
    sealed = seal(request.table.to_csv(), request.capsule_certificate)
    weights = None
    if request.initial_weights is not None:
        data = seal(request.initial_weights, request.capsule_certificate)
        weights = put_ref(store, data, "initial-weights")
    manifest = build_manifest(
        request.table,
        request.task,
        title=request.title,
        description=request.description,
        start_ppm=request.start_ppm,
        target_ppm=request.target_ppm,
        validation=put_ref(store, sealed, "validation"),
        initial_weights=weights,
        certificate=request.certificate,
        privacy=request.privacy,
        scoring=request.scoring,
    )
    put_manifest(store, manifest)
    return Draft(encode_manifest(manifest), now + request.duration_s)


def is_usable(draft: Draft, request: LaunchRequest, store: Store, now: int) -> bool:
    """Whether a draft can still be launched: time is left, and the store has what it names."""
    if draft.deadline - now < request.duration_s // 2:
        return False
    try:
        manifest = decode_manifest(draft.manifest, CampaignManifest)
        store.put_manifest_bytes(draft.manifest)
        for ref in (manifest.validation, manifest.initial_weights):
            if ref is not None:
                for _ in store.stream_blob(ref.cid, ref.size):
                    pass
    except (ManifestError, BlockNotFound):
        return False
    return True


def read_draft(path: Path) -> Draft | None:
    """Return the draft in a file; None if there is none that can be read."""
    try:
        found: Any = json.loads(path.read_bytes())
        return Draft(str(found["manifest"]).encode(), int(found["deadline"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LaunchRefused(f"the draft {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError):
        return None  # as good as none: the nonce, and not the draft, prevents a second campaign


def write_draft(path: Path, draft: Draft) -> None:
    """Write a draft, whole or not at all, and onto the disk."""
    document = {"manifest": draft.manifest.decode(), "deadline": draft.deadline}
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).replace(path)
    except OSError as error:
        raise LaunchRefused(
            f"the launch cannot be noted down at {path} ({error.strerror}), so it is not sent: "
            "make room, or set OPENMINED_HOME"
        ) from error


def _adopt(contract: SonarContract, owner: str, nonce: bytes) -> int:
    """Wait for a campaign that an earlier run sent and that is only pending yet."""
    end = time.monotonic() + _ADOPT_S
    while True:
        known = contract.campaign_of(owner, nonce)
        if known:
            return known
        if time.monotonic() > end:
            raise LaunchRefused(
                "an earlier run has sent this launch and it is still not mined: run again later"
            )
        time.sleep(0.25)
