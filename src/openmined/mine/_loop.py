"""The mine's loop: read the chain, follow what was sent, decide, train, submit. Nobody calls it.

One thread; each pass is safe to be killed in. What has to be waited for is written down with its
reason and tried again later; nothing but a stop ends the loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openmined.mine._campaigns import CampaignView, MyGradient, fold_events
from openmined.mine._chain import open_cursor, poll_chain
from openmined.mine._errors import (
    CampaignUnusable,
    ClusterAway,
    DatasetDamaged,
    DiskFull,
    TrainingFailed,
)
from openmined.mine._folder import MineFolder, Secrets
from openmined.mine._judge import Judge
from openmined.mine._ledger import Submission
from openmined.mine._progress import ProgressLog
from openmined.mine._reporting import Reporter
from openmined.mine._steps import Step
from openmined.mine._withdraw import pay_out
from openmined.mine._work import Worker
from openmined.protocol import ManifestError, OpenMinedError, Phase, Reason, SonarRef

if TYPE_CHECKING:
    from openmined.sonar import SonarContract
    from openmined.storage import Store

_RECHECK_S = 15.0
_DOUBT_S = 5.0
_LOST_BONDS = 2
_START_OVER = (Step.INTENDED, Step.DOWNLOADED, Step.TRAINED)


@dataclass(slots=True)
class _Due:
    """When a campaign is to be looked at again (monotonic seconds)."""

    at: float = 0.0


class MineLoop:
    """Everything a running mine does by itself."""

    def __init__(
        self,
        folder: MineFolder,
        secrets: Secrets,
        contract: SonarContract,
        store: Store,
        log: ProgressLog,
        *,
        at_step: Callable[[Step], None] = lambda _step: None,
    ) -> None:
        self._folder, self._secrets = folder, secrets
        self._contract, self._store, self._log = contract, store, log
        self._at_step = at_step
        self.settings = folder.settings()
        self.ledger = folder.ledger()
        network = self.settings.network
        self._cursor = open_cursor(contract, self.ledger, network.from_block)
        self._head: tuple[int, str] | None = None
        self._read_to = -1
        self._folded = False
        self.views: Mapping[int, CampaignView] = {}
        self._due: dict[int, _Due] = {}
        self._seen: set[tuple[int, int]] = set()
        self._marks: tuple[object, ...] = ()
        self._doubted: set[tuple[int, int]] = set()
        self._doubt_at = 0.0
        self._judge = Judge(folder, self.settings, self.ledger, store, log, at_step)
        self._worker = self._make_worker()
        self._worker.tidy()
        chain = SonarRef(chain_id=contract.chain_id, sonar=contract.address)
        self._reporter = Reporter(folder, self.ledger, secrets.wallet, chain, log)
        self._fold()

    def close(self) -> None:
        """Close the ledger and the connections to chain and store."""
        self.ledger.close()
        self._contract.close()
        close_store = getattr(self._store, "close", None)
        if close_store is not None:
            close_store()

    def run(self, stop: Callable[[], bool], pause: Callable[[float], object] = time.sleep) -> None:
        """Work until `stop()`; failures of chain, store and disk are waited out."""
        silent_until = 0.0
        while not stop():
            try:
                self.run_once()
            except (OpenMinedError, OSError) as error:
                now = time.monotonic()
                if now >= silent_until:
                    self._log.say("problem", text=str(error))
                    silent_until = now + self.settings.loop.retry_s
            pause(self.settings.loop.poll_interval_s)

    def run_once(self) -> None:
        """One pass: read, follow, decide, work.

        Raises:
            OpenMinedError: if chain, store or disk cannot be used; the next pass may succeed.
        """
        self._notice_changes()
        self._read_chain()
        if time.monotonic() >= self._doubt_at:
            self._doubt_at = time.monotonic() + min(_DOUBT_S, self.settings.loop.retry_s)
            self._find_lost()
        pay_out(self.ledger, self._contract, self._secrets.wallet.address, self._log)
        self._reporter.report(self.settings)
        for view in list(self.views.values()):
            due = self._due.setdefault(view.campaign, _Due())
            if time.monotonic() >= due.at:
                due.at = time.monotonic() + _RECHECK_S
                self._look_after(view, due)

    # --- what changed ---------------------------------------------------------------------------

    def _notice_changes(self) -> None:
        """Take up edits of mine.toml, new datasets, and the owner's answers at once."""
        marks = (
            _mtime(self._folder.path / "mine.toml"),
            _mtime(self._folder.datasets),
            *(_mtime(entry) for entry in sorted(self._folder.datasets.glob("*/dataset.json"))),
            self.ledger.changes(),
        )
        if marks == self._marks:
            return
        self._marks = marks
        self.settings = self._folder.settings()
        self._worker.settings = self._judge.settings = self.settings
        self._due.clear()

    def _read_chain(self) -> None:
        head = self._contract.head()
        if head == self._head:
            return
        self._refresh()
        # After a long absence one look does not reach the newest block: look again at once.
        self._head = head if self._read_to >= head[0] else None

    def _refresh(self) -> Mapping[int, CampaignView]:
        poll = poll_chain(self._cursor, self.ledger, self._secrets.wallet.address)
        self._read_to = poll.block_number
        if poll.rolled_back_to is not None:
            self._log.say("reorganised", to_block=poll.rolled_back_to)
        if poll.events or poll.rolled_back_to is not None or not self._folded:
            self._fold()
        if poll.rolled_back_to is not None:
            self._find_lost(at_once=True)
        return self.views

    def _fold(self) -> None:
        before, self._folded = self.views, False
        try:
            self._take_up(before)
        except BaseException:
            # What was not written down (a full disk) is seen as new again.
            self.views = before
            raise
        self._folded = True

    def _take_up(self, before: Mapping[int, CampaignView]) -> None:
        self.views = fold_events(self.ledger.events(), self._secrets.wallet.address)
        for number, view in self.views.items():
            known = number in before and before[number].spec == view.spec
            if not known and self.ledger.remember_campaign(number, view.spec):
                self._log.say("reorganised", campaign=number)
            if before.get(number) != view:
                self._due.pop(number, None)
                self._reconcile(view)
                if view.phase == Phase.OPEN and (number, view.version) not in self._seen:
                    self._seen.add((number, view.version))
                    self._log.say(
                        Step.SEEN, campaign=number, version=view.version, best_ppm=view.best_ppm
                    )
                    self._at_step(Step.SEEN)

    # --- what was sent --------------------------------------------------------------------------

    def _reconcile(self, view: CampaignView) -> None:
        """Make the ledger agree with the chain about this mine's gradients."""
        for gradient in view.mine:
            submission = self._find_submission(view, gradient)
            if submission.step not in (Step.SUBMITTED, Step.OUTCOME):
                submission = self._worker.submitted(submission, gradient.gradient, gradient.tx)
            if gradient.status != "pending" and submission.step != Step.OUTCOME:
                self._record_outcome(submission, gradient)
            elif gradient.status == "pending" and submission.step == Step.OUTCOME:
                self._worker.submitted(submission, gradient.gradient, gradient.tx)

    def _find_lost(self, *, at_once: bool = False) -> None:
        """Doubt what was submitted and the chain does not show: twice in a row, or `at_once`.

        Doubting is safe: sending again takes the nonce that the lost transaction had.
        """
        missing = {
            (submission.campaign, submission.version)
            for submission in self.ledger.submissions()
            if submission.step in (Step.SUBMITTED, Step.OUTCOME)
            and (view := self.views.get(submission.campaign)) is not None
            and view.with_envelope(submission.envelope or "") is None
        }
        for campaign, version in missing if at_once else missing & self._doubted:
            self.ledger.advance(campaign, version, Step.SUBMITTING)
            self._due.pop(campaign, None)
        self._doubted = missing

    def _find_submission(self, view: CampaignView, gradient: MyGradient) -> Submission:
        known = self.ledger.submissions(view.campaign)
        for submission in known:
            if submission.envelope == gradient.envelope:
                return submission
        for submission in known:
            if submission.version == gradient.version:
                return submission
        # The ledger is older than the chain (a backup): take over what the chain knows.
        self.ledger.claim(view.campaign, gradient.version, view.epoch, [])
        return self.ledger.advance(
            view.campaign,
            gradient.version,
            Step.SUBMITTING,
            envelope=gradient.envelope,
            left_mine=1,
            bond=view.bond,
        )

    def _record_outcome(self, submission: Submission, gradient: MyGradient) -> None:
        reason = gradient.reason
        known = reason in Reason.__members__.values()
        name = Reason(reason).name.lower().replace("_", "-") if known else str(reason)
        self.ledger.advance(
            submission.campaign,
            submission.version,
            Step.OUTCOME,
            share_ppm=gradient.share_ppm,
            payout=gradient.payout,
            bond_returned=gradient.bond_returned,
            reason=reason,
            problem=f"rejected: {name}" if gradient.status == "rejected" else None,
        )
        self._log.say(
            Step.OUTCOME,
            campaign=submission.campaign,
            version=submission.version,
            gradient=gradient.gradient,
            outcome=gradient.status,
            share_ppm=gradient.share_ppm,
            payout_wei=str(gradient.payout),
            reason=name if gradient.status == "rejected" else "",
        )
        self._at_step(Step.OUTCOME)

    # --- what to do -----------------------------------------------------------------------------

    def _look_after(self, view: CampaignView, due: _Due) -> None:
        open_work = [s for s in self.ledger.submissions(view.campaign) if not s.final]
        if view.phase.final:
            for submission in open_work:
                if submission.step != Step.SUBMITTED:
                    self._worker.abandon(view, submission)
            return
        if view.phase != Phase.OPEN:
            return
        with self._waiting_out(view, due):
            if open_work:
                self._go_on(view, open_work[0], due)
            elif self._may_begin(view):
                self._begin(view)

    def _go_on(self, view: CampaignView, submission: Submission, due: _Due) -> None:
        if submission.step == Step.SUBMITTED:
            return
        if submission.step == Step.SUBMITTING:
            due.at = time.monotonic() + min(1.0, self.settings.loop.retry_s)
            self._work(view, lambda: self._worker.bring(view, submission))
            found = self.ledger.submission(submission.campaign, submission.version)
            if found is not None and found.step == Step.SUBMITTING:
                text = "a transaction of this mine is under way: it may be the gradient's"
                self._judge.note(view, "wait", "under-way", text)
            return
        if not self._still_open(view):
            self._worker.fail(submission, "the campaign closed before it was submitted")
        elif submission.step in _START_OVER or not self._worker.outbox_has(submission):
            if submission.version != view.version:
                self._worker.fail(submission, f"version {view.version} came first")
                due.at = 0.0
                return
            job = self._judge.decide(view)
            if job is None:
                self._worker.fail(submission, "it is no longer permitted")
            else:
                self._work(view, lambda: self._worker.make_again(job, submission))
        else:
            self._work(view, lambda: self._worker.bring(view, submission))

    def _may_begin(self, view: CampaignView) -> bool:
        if not self._still_open(view):
            return False
        done = self.ledger.submissions(view.campaign)
        if any(submission.version == view.version for submission in done):
            return False
        problem = fruitless(done, self.settings.loop.patience)
        if problem:
            self._judge.note(view, "refuse", "fruitless", problem)
        return not problem

    def _still_open(self, view: CampaignView) -> bool:
        return (
            view.phase == Phase.OPEN
            and view.best_ppm < view.target_ppm
            and self._contract.now() < view.deadline
        )

    def _begin(self, view: CampaignView) -> None:
        job = self._judge.decide(view)
        if job is None:
            return
        state = self._contract.campaign(view.campaign)
        if state.gradients >= view.max_gradients:
            self._judge.note(view, "refuse", "full", "the campaign takes no more gradients")
            return
        self._check_funds(view)
        self._work(view, lambda: self._worker.begin(job))

    def _check_funds(self, view: CampaignView) -> None:
        """Find out before training whether the bond can be paid at all."""
        from openmined.sonar import ETH, NotEnoughFunds

        address = self._secrets.wallet.address
        have = self._contract.balance(address, view.token)
        least = view.bond + (1 if view.token == ETH else 0)
        if have < least:
            raise NotEnoughFunds(least, have, address, None if view.token == ETH else view.token)

    def _work(self, view: CampaignView, work: Callable[[], Submission]) -> None:
        from openmined.sonar import Reverted
        from openmined.syft import SyftError

        try:
            work()
        except (
            CampaignUnusable,
            TrainingFailed,
            DatasetDamaged,
            ManifestError,
            SyftError,
        ) as error:
            self._give_up(view, str(error), "unusable")
        except Reverted as error:
            self._give_up(view, error.reason or str(error), "refused-by-contract")

    def _give_up(self, view: CampaignView, problem: str, code: str) -> None:
        for submission in self.ledger.submissions(view.campaign):
            if not submission.final and submission.step != Step.SUBMITTED:
                self._worker.fail(submission, problem)
        self._judge.note(view, "refuse", code, problem)

    @contextmanager
    def _waiting_out(self, view: CampaignView, due: _Due) -> Iterator[None]:
        """Turn failures that may pass into a decision to wait, and look again later."""
        from openmined.sonar import ChainError, TransactionError
        from openmined.storage import StorageError

        try:
            yield
        except (StorageError, TransactionError, ChainError, DiskFull, ClusterAway) as error:
            due.at = time.monotonic() + self.settings.loop.retry_s
            code = "funds" if type(error).__name__ == "NotEnoughFunds" else "waiting"
            self._judge.note(view, "wait", code, str(error))

    def _make_worker(self) -> Worker:
        return Worker(
            self._folder,
            self._secrets,
            self.settings,
            self.ledger,
            self._contract,
            self._store,
            self._log,
            refresh=self._refresh,
            at_step=self._at_step,
        )


def fruitless(done: Sequence[Submission], patience: int) -> str:
    """Say why a mine leaves a campaign alone, from its gradients so far; empty if it goes on."""
    tail = [s for s in done if s.reason != Reason.STALE][-patience:]
    if len(tail) == patience and not any(s.share_ppm for s in tail):
        return f"its last {patience} gradients earned nothing"
    lost = [s for s in tail[-_LOST_BONDS:] if s.reason and s.reason < Reason.STALE]
    if len(lost) == _LOST_BONDS:
        return f"its last {_LOST_BONDS} gradients lost their bonds"
    return ""


def _mtime(path: object) -> int:
    try:
        return int(path.stat().st_mtime_ns)  # type: ignore[attr-defined]
    except OSError:
        return 0
