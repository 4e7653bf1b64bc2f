"""The work on one gradient, from claim to chain: each step is in the ledger before its effect.

Resumed from whatever step the ledger shows; see `Step` and docs/mine.md, "Killed at any step".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from openmined.mine._campaigns import CampaignView
from openmined.mine._chain import transactions_under_way
from openmined.mine._datasets import Dataset
from openmined.mine._downloads import DownloadedKeys, download_keys, refused_downloads
from openmined.mine._envelope import seal_gradient
from openmined.mine._errors import TermsRefused, TrainingFailed
from openmined.mine._folder import MineFolder, Secrets, write_private
from openmined.mine._ledger import Ledger, Submission
from openmined.mine._progress import ProgressLog
from openmined.mine._settings import MineSettings
from openmined.mine._steps import Step
from openmined.mine._training import Trained, TrainingJob, row_privacy, train_limited
from openmined.mine._verify import check_download, check_keys, check_model
from openmined.protocol import (
    BlobRef,
    CampaignManifest,
    GradientBody,
    GradientManifest,
    KeysManifest,
    ModelManifest,
    SonarRef,
    encode_manifest,
    manifest_digest,
)

if TYPE_CHECKING:
    from openmined.sonar import SonarContract
    from openmined.storage import Store

ENVELOPE_PURPOSE = "gradient-envelope"
_IN_OUTBOX = (Step.TRAINED, Step.SEALED, Step.UPLOADED, Step.SUBMITTING)


@dataclass(frozen=True, slots=True)
class Job:
    """One gradient to be made: of which campaign and version, from which datasets."""

    view: CampaignView
    manifest: CampaignManifest
    datasets: tuple[Dataset, ...]
    cpu_share: float
    epsilon: tuple[float, float] | None = None
    """(epsilon, delta) to charge to each dataset before anything leaves."""


class Worker:
    """Makes gradients and brings them to the chain, one at a time."""

    def __init__(
        self,
        folder: MineFolder,
        secrets: Secrets,
        settings: MineSettings,
        ledger: Ledger,
        contract: SonarContract,
        store: Store,
        log: ProgressLog,
        *,
        refresh: Callable[[], Mapping[int, CampaignView]],
        at_step: Callable[[Step], None] = lambda _step: None,
    ) -> None:
        self._folder, self._secrets, self.settings = folder, secrets, settings
        self._refresh = refresh
        self._ledger, self._contract, self._store, self._log = ledger, contract, store, log
        self._at_step = at_step
        self._chain = SonarRef(chain_id=contract.chain_id, sonar=contract.address)
        self._keys: DownloadedKeys | None = None

    def begin(self, job: Job) -> Submission:
        """Claim the campaign's version and work until the chain knows the gradient."""
        view = job.view
        names = [dataset.name for dataset in job.datasets]
        submission = self._ledger.claim(view.campaign, view.version, view.epoch, names)
        self._reached(submission)
        return self._make(job, submission)

    def make_again(self, job: Job, submission: Submission) -> Submission:
        """Do the work of a claim anew: nothing of it had left the mine."""
        names = [dataset.name for dataset in job.datasets]
        submission = self._advance(submission, Step.INTENDED, datasets=names)
        return self._make(job, submission)

    def bring(self, view: CampaignView, submission: Submission) -> Submission:
        """Bring a sealed gradient to the chain, from the step that the ledger shows."""
        if submission.step == Step.SEALED:
            submission = self._upload(submission)
        if submission.step == Step.UPLOADED:
            submission = self._submit(view, submission)
        elif submission.step == Step.SUBMITTING:
            submission = self._recover(view, submission)
        return submission

    def tidy(self) -> None:
        """Delete envelopes that are on chain, or never will be."""
        kept = {self._outbox(s) for s in self._ledger.submissions() if s.step in _IN_OUTBOX}
        for path in self._folder.outbox.glob("*.pgp"):
            if path not in kept:
                path.unlink(missing_ok=True)

    def outbox_has(self, submission: Submission) -> bool:
        """Tell whether the sealed envelope is at hand."""
        return self._outbox(submission).is_file()

    def _make(self, job: Job, submission: Submission) -> Submission:
        keys, model, ciphertexts = self._download(job)
        submission = self._advance(submission, Step.DOWNLOADED)
        if job.epsilon is not None:
            # Charged before the release is made: a kill in between costs nothing but the charge.
            for dataset in job.datasets:
                self._ledger.charge_privacy(dataset.name, job.view.campaign, *job.epsilon)
        trained = self._train(job, keys, model, ciphertexts)
        submission = self._advance(submission, Step.TRAINED, samples=trained.samples)
        submission = self._seal(job, keys.manifest, trained, submission)
        return self.bring(job.view, submission)

    def _download(self, job: Job) -> tuple[DownloadedKeys, ModelManifest, tuple[bytes, ...]]:
        from openmined.storage import get_manifest
        from openmined.syft import spec_from_manifest

        view = job.view
        known = self._keys if self._keys and self._keys.serve(view.keys) else None
        keys = known.manifest if known else get_manifest(self._store, _raw(view.keys), KeysManifest)
        check_keys(keys, view, self._chain, job.manifest)
        model = get_manifest(self._store, _raw(view.model), ModelManifest)
        check_model(model, view, self._chain, spec_from_manifest(job.manifest), keys.parameters)
        most = self.settings.limits.download_mb << 20
        check_download((*keys.blobs, *model.ciphertexts), most)
        if known is None:
            self._keys = None
            known = download_keys(self._store, keys, view.keys, self._folder.cache / "keys", most)
            self._keys = known
        return known, model, tuple(self._get(ref, most) for ref in model.ciphertexts)

    def _get(self, ref: BlobRef, most_bytes: int) -> bytes:
        from openmined.storage import get_ref

        with refused_downloads(ref.purpose):
            return get_ref(self._store, ref, most_bytes)

    def _train(
        self,
        job: Job,
        keys: DownloadedKeys,
        model: ModelManifest,
        ciphertexts: tuple[bytes, ...],
    ) -> Trained:
        campaign, version = job.view.campaign, job.view.version

        def progress(part: str, done: int, of: int) -> None:
            self._log.say(
                "training", campaign=campaign, version=version, part=part, done=done, of=of
            )

        training = TrainingJob(
            folder=self._folder,
            identity=self._secrets.identity,
            campaign=job.manifest,
            spec_digest=job.view.spec,
            datasets=job.datasets,
            parameters=keys.manifest.parameters,
            keys=keys.files,
            packing=model.packing,
            model=ciphertexts,
            cpu_share=job.cpu_share,
            executor=self.settings.training.executor,
        )
        limits = self.settings.limits
        return train_limited(
            training, memory_mb=limits.memory_mb, seconds=limits.seconds, progress=progress
        )

    def _seal(
        self, job: Job, keys: KeysManifest, trained: Trained, submission: Submission
    ) -> Submission:
        body = GradientBody(
            chain=self._chain,
            campaign=job.view.campaign,
            version=job.view.version,
            epoch=job.view.epoch,
            miner=self._secrets.wallet.address,
            kind=_kind(job.manifest),
            samples=trained.samples,
            ciphertexts=trained.ciphertexts,
        )
        envelope = seal_gradient(body, keys.certificate)
        write_private(self._outbox(submission), envelope)
        digest = manifest_digest(self._gradient_manifest(envelope)).hex()
        return self._advance(
            submission, Step.SEALED, envelope=digest, left_mine=1, bond=job.view.bond
        )

    def _upload(self, submission: Submission) -> Submission:
        self._upload_bytes(submission)
        return self._advance(submission, Step.UPLOADED)

    def _upload_bytes(self, submission: Submission) -> None:
        from openmined.storage import put_manifest, put_ref

        envelope = self._outbox(submission).read_bytes()
        ref = put_ref(self._store, envelope, ENVELOPE_PURPOSE)
        digest = put_manifest(self._store, GradientManifest(envelope=ref))
        if digest.hex() != submission.envelope:
            raise TrainingFailed("the sealed gradient in the outbox was changed: it is not sent")

    def _submit(self, view: CampaignView, submission: Submission) -> Submission:
        assert submission.envelope is not None
        submission = self._advance(submission, Step.SUBMITTING)
        return self._send(view, submission)

    def _send(self, view: CampaignView, submission: Submission) -> Submission:
        assert submission.envelope is not None
        sent = self._contract.submit_gradient(
            view.campaign, submission.version, _raw(submission.envelope)
        )
        return self.submitted(submission, sent.gradient, sent.transaction)

    def submitted(self, submission: Submission, gradient: int, tx: str) -> Submission:
        """Write down that the chain knows a gradient; its envelope need not be kept any longer."""
        done = self._advance(submission, Step.SUBMITTED, gradient=gradient, tx=tx)
        self._outbox(submission).unlink(missing_ok=True)
        return done

    def _recover(self, view: CampaignView, submission: Submission) -> Submission:
        # The ledger said "submitting" and the chain shows no such gradient. A transaction that is
        # still under way may be it: wait. With none under way, the next takes the very nonce that
        # a lost one had, and so only one of them can ever be mined.
        assert submission.envelope is not None
        address = self._secrets.wallet.address
        if transactions_under_way(self.settings.network.rpc_url, address):
            return submission
        # It may have been mined since the chain was read last: read again, after the count.
        fresh = self._refresh().get(view.campaign, view)
        found = fresh.with_envelope(submission.envelope)
        if found is not None:
            return self.submitted(submission, found.gradient, found.tx)
        return self._send(view, submission)

    def abandon(self, view: CampaignView, submission: Submission) -> Submission:
        """Give up a gradient of a campaign that has ended, unless it may still be mined."""
        address = self._secrets.wallet.address
        if submission.step == Step.SUBMITTING:
            if transactions_under_way(self.settings.network.rpc_url, address):
                return submission
            fresh = self._refresh().get(view.campaign, view)
            if fresh.with_envelope(submission.envelope or "") is not None:
                return submission
        return self.fail(submission, "the campaign ended first")

    def fail(self, submission: Submission, problem: str) -> Submission:
        """Write down that a gradient will not be submitted, and why."""
        self._outbox(submission).unlink(missing_ok=True)
        return self._advance(submission, Step.FAILED, problem=problem[:400])

    def _advance(self, submission: Submission, step: Step, **facts: Any) -> Submission:
        done = self._ledger.advance(submission.campaign, submission.version, step, **facts)
        self._reached(done)
        return done

    def _reached(self, submission: Submission) -> None:
        said: dict[str, Any] = {"campaign": submission.campaign, "version": submission.version}
        for name in ("gradient", "tx", "samples", "problem"):
            if getattr(submission, name) is not None:
                said[name] = getattr(submission, name)
        self._log.say(submission.step, **said)
        self._at_step(submission.step)

    def _gradient_manifest(self, envelope: bytes) -> GradientManifest:
        from openmined.storage import cid_of_bytes

        ref = BlobRef(cid=str(cid_of_bytes(envelope)), size=len(envelope), purpose=ENVELOPE_PURPOSE)
        manifest = GradientManifest(envelope=ref)
        assert encode_manifest(manifest)
        return manifest

    def _outbox(self, submission: Submission) -> Path:
        return self._folder.outbox / f"{submission.campaign}-{submission.version}.pgp"


def refuse_unsupported(manifest: CampaignManifest) -> None:
    """Refuse what this mine cannot give.

    Raises:
        TermsRefused: if the campaign asks for it.
    """
    network = manifest.algorithm.kind == "mlp-classifier"
    if network and row_privacy(manifest) is not None:
        raise TermsRefused(
            "it asks for differential privacy of rows from a network that is trained by "
            "backpropagation, where this mine can give none"
        )
    if network and manifest.update.kind != "gradient":
        raise TermsRefused("a network is trained by plain gradients: its manifest says otherwise")


def _kind(manifest: CampaignManifest) -> Literal["gradient", "local-steps", "mlp-gradient"]:
    if manifest.algorithm.kind == "mlp-classifier":
        return "mlp-gradient"
    return manifest.update.kind


def _raw(digest: str) -> bytes:
    return bytes.fromhex(digest)
