"""The loop: follow the chain, and do for each campaign the one thing that is due.

Nothing but the chain and the clock sets work in motion. What is due is decided anew in every turn
from the chain's state and the state file, so a Capsule that was killed, or that was away for hours,
goes on by itself.
"""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from openmined.capsule import _batches, _delivery, _gathering, _opening, _reports
from openmined.capsule._bench import Bench, load_bench
from openmined.capsule._context import Context
from openmined.capsule._errors import (
    CampaignRefused,
    NotValidNow,
    NotWritten,
    ReplayFailed,
    StateError,
)
from openmined.capsule._history import Unsettled, settle_history
from openmined.capsule._rotation import rotate_keys, rotation_is_due
from openmined.capsule._shares import load_solver
from openmined.capsule._state import CampaignRow, Pending, SeenEvent
from openmined.capsule._steps import Step
from openmined.protocol import OpenMinedError, Phase
from openmined.sonar import (
    CampaignEvent,
    CampaignLaunched,
    CampaignState,
    CursorState,
    EventCursor,
    NotEnoughFunds,
    Poll,
    Reverted,
    SonarError,
    Terms,
)
from openmined.storage import BlockNotFound, StorageError

_FINAL_ROWS = ("ended", "foreign")
_OPEN_BENCHES = 16
"""Campaigns whose validation sets are in memory at a time."""

_SHOW_EVERY_S = 5.0
_CLOCK_S = 600.0
"""Signatures made with a clock further ahead than this are refused by those who verify them."""

_DISPLACED = ("Sonar: another batch is due", "Sonar: another version is current")
"""What the contract says of a report that was made for another place than where it stands."""

_FINALITY_S = 600.0
"""After a final event, secrets are kept this long, so that a reorganisation finds them."""


class Capsule:
    """An unsealed Capsule at work. Call `turn` again and again, or `run`."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._benches: dict[int, Bench] = {}
        self._retry: dict[int, tuple[float, float]] = {}
        self._waiting_since = 0.0
        self._written_cursor = ""
        self._shown_at = 0.0
        self._clock_off_s = 0.0
        kept = ctx.state.meta("cursor")
        network = ctx.settings.network
        self._cursor = EventCursor(
            ctx.contract,
            network.from_block,
            state=CursorState.model_validate_json(kept) if kept else None,
            confirmations=network.confirmations,
        )

    def run(self, stop: Callable[[], bool]) -> None:
        """Work until `stop()`; errors that pass are said and waited out."""
        load_solver()
        loop = self._ctx.settings.loop
        pause_s = loop.poll_interval_s
        while not stop():
            try:
                busy = self.turn()
                self._say_resumed()
                pause_s = 0.0 if busy else loop.poll_interval_s
            except (SonarError, StorageError, StateError) as error:
                pause_s = min(loop.retry_s, max(2.0 * pause_s, loop.poll_interval_s))
                self._say_waiting(error)
            if pause_s:
                wait(pause_s, stop)

    def _say_waiting(self, error: Exception) -> None:
        self._waiting_since = self._waiting_since or time.monotonic()
        whom, cause = who_can_help(error), describe(error)
        self._ctx.log.write_change("loop", "waiting", whom=whom, cause=cause)

    def _say_resumed(self) -> None:
        if self._waiting_since:
            seconds = round(time.monotonic() - self._waiting_since, 1)
            self._ctx.log.write("resumed", after_s=seconds)
            self._ctx.log.forget_change("loop")
            self._waiting_since = 0.0

    def turn(self) -> bool:
        """Look at the chain once and do what is due; return whether anything was done."""
        busy = self._follow()
        self._show_turning()
        for event in self._ctx.state.launched():
            row = self._ctx.state.campaign(event.campaign)
            if row is not None and row.launch == _launch_of(event) and row.phase in _FINAL_ROWS:
                continue
            busy = self._advance_safely(event) or busy
        return busy

    # ------------------------------------------------------------------ follow

    def _follow(self) -> bool:
        kept = self._cursor.state
        try:
            return self._remember(self._cursor.poll())
        except BaseException:
            # What could not be written down (a full disk) has to be read again.
            self._cursor.state = kept
            raise

    def _remember(self, poll: Poll) -> bool:
        mine = [_remembered(event) for event in self._ours(poll)]
        if poll.rolled_back_to is not None:
            self._ctx.log.write("reorganised", back_to=poll.rolled_back_to)
        if mine or poll.rolled_back_to is not None:
            self._ctx.on_step(Step.FOLLOW)
        cursor = poll.state.model_dump_json()
        if cursor != self._written_cursor:
            self._ctx.state.add_events(mine, cursor, rolled_back_to=poll.rolled_back_to)
            self._written_cursor = cursor
        for event in mine:
            self._ctx.log.write("seen", what=event.kind, campaign=event.campaign, block=event.block)
        return bool(mine)

    def _ours(self, poll: Poll) -> list[CampaignEvent]:
        """Return the events of campaigns that name this Capsule."""
        events = [event for event in poll.events if isinstance(event, CampaignEvent)]
        launches = [event for event in events if isinstance(event, CampaignLaunched)]
        address = self._ctx.address.lower()
        ours = {launch.campaign for launch in self._ctx.state.launched()}
        ours -= {launch.campaign for launch in launches}
        ours |= {launch.campaign for launch in launches if launch.capsule.lower() == address}
        return [event for event in events if event.campaign in ours]

    def _show_turning(self) -> None:
        """Let the HTTP interface know that the loop turns; now and then, to spare the disk."""
        now = time.time()
        if not 0.0 <= now - self._shown_at < _SHOW_EVERY_S:
            self._ctx.state.set_meta("turned_at", f"{now:.3f}")
            self._shown_at = now
            self._compare_clocks()

    def _compare_clocks(self) -> None:
        ahead_s = self._clock_off_s = time.time() - self._ctx.contract.now()
        if abs(ahead_s) > _CLOCK_S:
            minutes = round(abs(ahead_s) / 60.0)
            side = "ahead of" if ahead_s > 0.0 else "behind"
            what = f"this machine's clock is {minutes} minutes {side} the chain's: set it right"
            self._ctx.log.write_change("clock", "clock", what=what)
        else:
            self._ctx.log.forget_change("clock")

    # ----------------------------------------------------------------- advance

    def _advance_safely(self, event: SeenEvent) -> bool:
        campaign = event.campaign
        retry_at, waited = self._retry.get(campaign, (0.0, 0.0))
        if time.monotonic() < retry_at:
            return False
        try:
            busy = self._advance(event)
        except Exception as error:  # noqa: BLE001 -- no campaign may hold up the others
            loop = self._ctx.settings.loop
            pause_s = min(loop.retry_s, max(2.0 * waited, loop.poll_interval_s))
            self._retry[campaign] = (time.monotonic() + pause_s, pause_s)
            self._ctx.log.write_change(
                f"campaign {campaign}",
                "waiting" if isinstance(error, StorageError | SonarError) else "stuck",
                campaign=campaign,
                whom=who_can_help(error),
                cause=describe(error),
            )
            return False
        self._retry.pop(campaign, None)
        return busy

    def _advance(self, event: SeenEvent) -> bool:
        ctx, launch = self._ctx, _launch_of(event)
        chain = ctx.contract.campaign(event.campaign)
        if chain.phase == Phase.NONE or chain.terms.spec.hex() != event.facts["terms"]["spec"]:
            return False  # the chain is moving; the cursor will tell
        row = ctx.state.campaign(event.campaign)
        if row is not None and row.launch != launch:
            ctx.log.write("replaced", campaign=row.id)
            ctx.state.drop_campaign(row.id)
            _delivery.delete_keys(ctx, row.id)
            self._benches.pop(row.id, None)
            row = None
        if chain.phase == Phase.LAUNCHED:
            return self._advance_launched(chain, row, launch)
        if chain.phase == Phase.OPEN:
            return self._advance_open(chain, row, launch)
        return self._advance_ended(chain, row, launch)

    def _advance_launched(self, chain: CampaignState, row: CampaignRow | None, launch: str) -> bool:
        ctx = self._ctx
        if chain.closes_at < ctx.contract.now():
            return self._wait_for(chain.id, "anyone", "the campaign to be expired")
        if row is not None and row.phase in ("open", "foreign"):
            row = replace(row, phase="opening")  # the opening was reorganised away
            ctx.state.put_campaign(row)
        if row is None:
            try:
                checked = self._check(chain)
                _opening.prepare_opening(ctx, chain, checked, launch)
            except CampaignRefused as refusal:
                if self._clock_off_s < -_CLOCK_S and isinstance(refusal, NotValidNow):
                    # With the clock right it may be good, and a rejection is for ever.
                    what = f"this machine's clock to be set right: by it, {refusal}"
                    return self._wait_for(chain.id, "operator", what)
                _opening.reject(ctx, chain, refusal)
                return True
            self._benches[chain.id] = checked.bench
        _opening.send_opening(ctx, chain.id)
        return True

    def _check(self, chain: CampaignState) -> _opening.Checked:
        ctx = self._ctx
        try:
            return _opening.check_campaign(ctx, chain)
        except BlockNotFound as error:
            since = ctx.state.missing_since(chain.id, -1)
            if time.time() - since < ctx.settings.loop.unavailable_after_s:
                raise
            raise CampaignRefused(f"not on the store: {error}") from error

    def _advance_open(self, chain: CampaignState, row: CampaignRow | None, launch: str) -> bool:
        ctx = self._ctx
        row = self._settle_opening(chain, row, launch)
        if row is None:
            return self._wait_for(chain.id, "chain", "the opening to be confirmed")
        if row.phase == "foreign":
            return False
        bench = self._bench(chain.id)
        try:
            settled = settle_history(ctx, bench, row, chain)
        except ReplayFailed as failure:
            return self._leave_to_other(row, str(failure))
        if isinstance(settled, Unsettled):
            return self._wait_for(chain.id, "chain", "the last report to be confirmed")
        row = settled
        pending = ctx.state.pending(chain.id) if chain.pending else []
        now = ctx.contract.now()
        if _delivery.delivery_is_due(chain, now):
            if self._clock_off_s > _CLOCK_S and now < chain.terms.deadline + chain.terms.grace // 2:
                what = "this machine's clock to be set right: it would sign with a time to come"
                return self._wait_for(chain.id, "operator", what)
            return self._deliver(chain, row, bench)
        return self._score(chain, row, bench, pending, closed=now >= chain.terms.deadline)

    def _settle_opening(
        self, chain: CampaignState, row: CampaignRow | None, launch: str
    ) -> CampaignRow | None:
        """Compare what the chain says was opened with what this Capsule prepared."""
        ctx = self._ctx
        opened = ctx.state.events(chain.id, "CampaignOpened")
        if row is not None and row.phase in ("open", "foreign"):
            return row
        if not opened:
            return None
        intent = ctx.state.intent(chain.id, "open", 0)
        if row is None or intent is None or intent["keys"] != opened[-1].facts["keys"]:
            ctx.log.write(
                "foreign",
                campaign=chain.id,
                cause="another Capsule of this identity opened it: stop one of the two",
            )
            foreign = CampaignRow(chain.id, launch, "foreign", row.facts if row else {})
            ctx.state.put_campaign(foreign)
            return foreign
        ctx.reach(Step.ADOPT_OPENING, chain.id)
        row = replace(row, phase="open")
        ctx.state.put_campaign(row)
        return row

    def _leave_to_other(self, row: CampaignRow, cause: str) -> bool:
        self._ctx.log.write("foreign", campaign=row.id, cause=cause)
        self._ctx.state.put_campaign(replace(row, phase="foreign"))
        self._benches.pop(row.id, None)
        return True

    # ------------------------------------------------------------------- score

    def _score(
        self,
        chain: CampaignState,
        row: CampaignRow,
        bench: Bench,
        pending: list[Pending],
        *,
        closed: bool,
    ) -> bool:
        ctx = self._ctx
        batch = row.facts["batches"] + 1
        intent = ctx.state.intent(chain.id, "batch", batch)
        if intent is not None and not _reports.intent_still_fits(
            intent, row, chain.best_ppm, pending
        ):
            ctx.state.drop_intent(chain.id, "batch", batch)
            intent = None
        if intent is None and rotation_is_due(ctx, row):
            rotate_keys(ctx, bench, row)
            return True
        if intent is None:
            if not _gathering.batch_is_due(bench, chain, pending, closed=closed):
                return self._wait_for_mines(chain, bench, pending)
            gathered = _gathering.gather(ctx, bench, chain, pending)
            if not gathered.size:
                return False
            _batches.prepare_batch(ctx, bench, row, chain, gathered)
            intent = ctx.state.intent(chain.id, "batch", batch)
            assert intent is not None
        try:
            _reports.send_batch(ctx, chain.id, batch, intent)
        except Reverted as refusal:
            ctx.log.write("refused", campaign=chain.id, batch=batch, cause=str(refusal))
            if refusal.reason in _DISPLACED:
                raise  # the report still fits once the chain is where it was, or is told otherwise
            # Another report came first, or the chain was reorganised: look again, then decide.
            if ctx.contract.campaign(chain.id).batches == chain.batches:
                ctx.state.drop_intent(chain.id, "batch", batch)
        return True

    def _wait_for_mines(self, chain: CampaignState, bench: Bench, pending: list[Pending]) -> bool:
        batch = min(bench.manifest.scoring.batch, chain.terms.max_batch)
        self._ctx.log.write_change(
            f"campaign {chain.id}",
            "waiting",
            campaign=chain.id,
            whom="mines",
            pending=len(pending),
            batch=batch,
            version=chain.version,
            best_ppm=chain.best_ppm,
            target_ppm=chain.terms.target_ppm,
        )
        return False

    # ------------------------------------------------------------------- end

    def _deliver(self, chain: CampaignState, row: CampaignRow, bench: Bench) -> bool:
        ctx = self._ctx
        intent = ctx.state.intent(chain.id, "deliver", 0)
        if intent is None or intent["batch"] != row.facts["batches"]:
            _delivery.prepare_delivery(ctx, bench, row, chain)
        try:
            _delivery.send_delivery(ctx, chain.id)
        except Reverted as refusal:
            if refusal.reason != "Sonar: not finished":
                raise
            # The node's pending block is ahead of the one that carries the delivery.
            return self._wait_for(chain.id, "chain", "its clock to reach the deadline")
        return True

    def _advance_ended(self, chain: CampaignState, row: CampaignRow | None, launch: str) -> bool:
        ctx = self._ctx
        row = row or CampaignRow(chain.id, launch, "new", {})
        returnable = chain.phase in (Phase.DELIVERED, Phase.EXPIRED)
        pending = ctx.state.pending(chain.id) if returnable and row.phase != "foreign" else []
        still = [one for one in pending if self._is_pending(chain.id, one)]
        if still:
            _delivery.return_bonds(ctx, chain.id, still, 64)
            return True
        if not self._is_settled(chain.id):
            return False
        self._benches.pop(chain.id, None)
        outcome = chain.phase.name.lower()
        _delivery.forget(ctx, row, outcome)
        ctx.log.write("ended", campaign=chain.id, phase=outcome)
        return True

    def _is_pending(self, campaign: int, one: Pending) -> bool:
        return self._ctx.contract.gradient(campaign, one.gradient).status.name == "PENDING"

    def _is_settled(self, campaign: int) -> bool:
        kinds = ("CampaignDelivered", "CampaignExpired", "CampaignRejected", "CampaignCancelled")
        ends = [e for kind in kinds for e in self._ctx.state.events(campaign, kind)]
        confirmations = self._ctx.settings.network.confirmations
        wait = _FINALITY_S if confirmations else 0.0
        return bool(ends) and time.time() - ends[-1].seen_at >= wait

    # ---------------------------------------------------------------- small

    def _bench(self, campaign: int) -> Bench:
        if campaign not in self._benches:
            while len(self._benches) >= _OPEN_BENCHES:
                self._benches.pop(next(iter(self._benches)))
            self._benches[campaign] = load_bench(self._ctx, campaign)
        return self._benches[campaign]

    def _wait_for(self, campaign: int, whom: str, what: str) -> bool:
        self._ctx.log.write_change(
            f"campaign {campaign}", "waiting", campaign=campaign, whom=whom, what=what
        )
        return False


def who_can_help(error: Exception) -> str:
    """Say who can end what `error` says: work goes on by itself when they have."""
    if isinstance(error, NotWritten):
        return "disk"
    if isinstance(error, NotEnoughFunds) or not isinstance(error, StorageError | SonarError):
        return "operator"
    return "store" if isinstance(error, StorageError) else "chain"


def describe(error: Exception) -> str:
    """Say what failed. Of an error that nobody foresaw only where: its text may quote a row."""
    name = type(error).__name__
    if isinstance(error, OpenMinedError):
        return f"{name}: {error}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"unforeseen {name} in {Path(place.filename).name}, line {place.lineno}: report it"


def wait(seconds: float, stop: Callable[[], bool]) -> None:
    """Wait, or until `stop()`."""
    until = time.monotonic() + seconds
    while not stop() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))


def _remembered(event: CampaignEvent) -> SeenEvent:
    facts = {name: _plain(value) for name, value in event.arguments().items()}
    return SeenEvent(
        event.block_number,
        event.log_index,
        event.campaign,
        event.name,
        facts.get("gradient"),
        facts,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Terms):
        return {"spec": value.spec.hex(), "deadline": value.deadline}
    return value


def _launch_of(event: SeenEvent) -> str:
    facts = event.facts
    text = f"{facts['data_scientist'].lower()} {facts['nonce']} {facts['terms']['spec']}"
    return hashlib.sha256(text.encode()).hexdigest()
