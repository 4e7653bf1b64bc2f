"""Judging campaigns: schema, terms, permissions, privacy; every verdict is written down once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from openmined.mine._campaigns import CampaignView
from openmined.mine._datasets import Dataset, list_datasets
from openmined.mine._errors import CampaignUnusable, TermsRefused
from openmined.mine._folder import MineFolder
from openmined.mine._ledger import Ledger
from openmined.mine._permissions import (
    CampaignRequest,
    Cause,
    DatasetUse,
    Decision,
    Verdict,
    decide,
)
from openmined.mine._progress import ProgressLog
from openmined.mine._settings import MineSettings
from openmined.mine._steps import Step
from openmined.mine._training import release_datasets, row_privacy
from openmined.mine._verify import check_terms
from openmined.mine._work import Job, refuse_unsupported
from openmined.protocol import CampaignManifest, ManifestError

if TYPE_CHECKING:
    from openmined.storage import Store

WHOLE_CAMPAIGN = "*"
"""Stands for the dataset in decisions that no single dataset caused."""


class Judge:
    """Decides for an owner, by the permissions of mine.toml and the owner's answers."""

    def __init__(
        self,
        folder: MineFolder,
        settings: MineSettings,
        ledger: Ledger,
        store: Store,
        log: ProgressLog,
        at_step: Callable[[Step], None],
    ) -> None:
        self.settings = settings
        self._folder, self._ledger, self._store, self._log = folder, ledger, store, log
        self._at_step = at_step
        self._manifests: dict[str, CampaignManifest] = {}

    def decide(self, view: CampaignView) -> Job | None:
        """Ask every dataset; return the work if at least one may serve the campaign now."""
        try:
            manifest = self._manifest(view)
            check_terms(manifest, view)
            refuse_unsupported(manifest)
        except CampaignUnusable as error:
            self.note(view, "refuse", "terms", str(error))
            return None
        datasets = list_datasets(self._folder)
        if not datasets:
            self.note(view, "refuse", "no-data", "the mine has no dataset")
            return None
        accepted = [d for d in datasets if self._ask(view, manifest, d).verdict == "accept"]
        self._at_step(Step.DECIDED)
        privacy = row_privacy(manifest)
        if privacy is not None:
            accepted = self._within_release(view, accepted)
        if not accepted:
            return None
        return Job(
            view=view,
            manifest=manifest,
            datasets=tuple(accepted),
            cpu_share=min(self.settings.permission(d.name).cpu_share for d in accepted),
            epsilon=None if privacy is None else (privacy.epsilon, privacy.delta),
        )

    def _within_release(self, view: CampaignView, accepted: list[Dataset]) -> list[Dataset]:
        """Keep to the datasets of the campaign's one noisy release, once there is one."""
        names = release_datasets(self._folder, view.spec)
        if names is None:
            answered = any(s.left_mine for s in self._ledger.submissions(view.campaign))
            if answered:
                text = "its noisy release is lost, and a second one would cost more privacy"
                self.note(view, "refuse", "release-lost", text)
                return []
            return accepted
        kept = [dataset for dataset in accepted if dataset.name in names]
        if len(kept) < len(names):
            text = f"it was answered from {', '.join(names)}, and not all of them are permitted now"
            self.note(view, "refuse", "release", text)
            return []
        return kept

    def _ask(self, view: CampaignView, manifest: CampaignManifest, dataset: Dataset) -> Decision:
        missing = [
            *manifest.input.missing_from(dataset.dataset_schema),
            *manifest.output.missing_from(dataset.dataset_schema),
        ]
        if missing:
            causes = (Cause(code="schema", text="; ".join(missing[:8])),)
            decision = Decision(verdict="refuse", causes=causes)
        else:
            decision = decide(
                self.settings.permission(dataset.name),
                campaign_request(view, manifest),
                dataset_use(self._ledger, view.campaign, dataset.name),
                datetime.now(UTC),
            )
        self.record(view, dataset.name, decision)
        return decision

    def note(self, view: CampaignView, verdict: Verdict, code: str, text: str) -> None:
        decision = Decision(verdict=verdict, causes=(Cause(code=code, text=text[:600]),))
        self.record(view, WHOLE_CAMPAIGN, decision)

    def record(self, view: CampaignView, dataset: str, decision: Decision) -> None:
        if self._ledger.record_decision(view.campaign, dataset, decision):
            self._log.say(
                Step.DECIDED,
                campaign=view.campaign,
                version=view.version,
                dataset=dataset,
                verdict=decision.verdict,
                reason=decision.text,
            )

    def _manifest(self, view: CampaignView) -> CampaignManifest:
        from openmined.storage import get_manifest

        known = self._manifests.get(view.spec)
        if known is None:
            try:
                known = get_manifest(self._store, bytes.fromhex(view.spec), CampaignManifest)
            except ManifestError as error:
                raise TermsRefused(f"its manifest cannot be used: {error}") from error
            self._manifests[view.spec] = known
            self._ledger.note_title(view.campaign, known.title)
        return known


def campaign_request(view: CampaignView, manifest: CampaignManifest) -> CampaignRequest:
    """Say what a campaign asks of a dataset."""
    return CampaignRequest(
        campaign=view.campaign,
        data_scientist=view.data_scientist,
        capsule=view.capsule,
        token=view.token,
        bounty_wei=view.mines_part,
        bond_wei=view.bond,
        fields=(*manifest.input.names, *manifest.output.names),
        privacy=manifest.privacy,
        trains_network=manifest.algorithm.kind == "mlp-classifier",
    )


def dataset_use(ledger: Ledger, campaign: int, dataset: str) -> DatasetUse:
    """Say what the ledger knows of a dataset's use by a campaign."""
    return DatasetUse(
        rounds=ledger.rounds(campaign, dataset),
        epsilon_spent=ledger.epsilon_spent(dataset),
        epsilon_paid_here=ledger.privacy_paid(dataset, campaign),
        answer=ledger.answer(campaign, dataset),
    )
