"""One campaign in a data scientist's hands."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openmined.protocol import (
    CampaignManifest,
    DeliveryManifest,
    KeysManifest,
    Phase,
    SonarRef,
)
from openmined.sonar._audit import AuditReport, audit_campaign
from openmined.sonar._currency import Currency
from openmined.sonar._cursor import EventCursor
from openmined.sonar._errors import CampaignError, DeliveryRefused, NotDelivered
from openmined.sonar._events import SonarEvent
from openmined.sonar._history import History, fold_history
from openmined.sonar._models import EncryptedModelRecord, list_models
from openmined.sonar._progress import (
    Progress,
    ProgressPoint,
    Spend,
    Waiting,
    describe,
    measure_progress,
    measure_spend,
    trace_progress,
)
from openmined.sonar._types import CampaignState, Receipt
from openmined.storage import StorageError, get_manifest, get_ref

if TYPE_CHECKING:
    from openmined.sonar._sonar import Sonar

MAX_DELIVERY_BYTES = 300 << 20
_REORGANISATION_BLOCKS = 128


class Campaign:
    """A campaign: what it asks, where it stands, what it cost, what came of it.

    Get one from `Sonar.launch_campaign`, `Sonar.campaign` or `Sonar.campaigns`.
    """

    def __init__(self, sonar: Sonar, number: int) -> None:
        self._sonar = sonar
        self._first_block = sonar.first_block
        self.id = number

    def __repr__(self) -> str:
        return f"Campaign({self.id} of {self._sonar.contract.address})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Campaign) and self._place == other._place

    def __hash__(self) -> int:
        return hash(self._place)

    @property
    def _place(self) -> tuple[int, str, int]:
        return self._sonar.contract.chain_id, self._sonar.contract.address, self.id

    # What it is.

    def state(self) -> CampaignState:
        """Return what the contract knows of it now."""
        return self._sonar.contract.campaign(self.id)

    @cached_property
    def manifest(self) -> CampaignManifest:
        """What it asks for, from the store, verified.

        Raises:
            StorageError, ManifestError: if it cannot be had or read.
        """
        return get_manifest(self._sonar.store, self.state().terms.spec, CampaignManifest)

    @cached_property
    def currency(self) -> Currency:
        """What its amounts are counted in."""
        return self._sonar.contract.currency(self.state().terms.token)

    def history(self) -> History:
        """Return everything its events tell, folded."""
        return fold_history(self.events())

    def now(self) -> int:
        """Return the chain's time: deadlines are measured by it."""
        return self._sonar.contract.now()

    def events(self) -> list[SonarEvent]:
        """Return its events so far."""
        events = self._sonar.contract.events(self._first_block, campaign=self.id)
        if events:
            # Where it was launched, give or take a reorganisation: no need to look earlier again.
            first = events[0].block_number - _REORGANISATION_BLOCKS
            self._first_block = max(self._sonar.first_block, first)
        return events

    # Where it stands.

    def status(self) -> Progress:
        """Say where it stands now, and who is waited for."""
        return measure_progress(self.history(), self.now(), currency=self.currency)

    def progress(self) -> list[ProgressPoint]:
        """Return the steps of its accuracy: the opening, then each scored batch."""
        return trace_progress(self.history())

    def spend(self) -> Spend:
        """Say where its money is."""
        return measure_spend(self.history(), self.currency)

    def watch(
        self,
        *,
        timeout_s: float | None = None,
        poll_s: float | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Progress]:
        """Yield where it stands after each event, from the launch on, until it has ended.

        Something is also yielded, with `event` None, when the one who is waited for changes by
        time alone. When the chain takes events back, `rolled_back` says so.

        Args:
            timeout_s: give up after this long without an end; None waits for ever.
            poll_s: pause between looks at the chain; by default by the chain.
            stop: ends the watch early.

        Raises:
            CampaignError: if the time is over; it names who is waited for.
        """
        contract = self._sonar.contract
        pause = poll_s if poll_s is not None else self._sonar.poll_s
        stop = stop or threading.Event()
        end = None if timeout_s is None else time.monotonic() + timeout_s
        cursor = EventCursor(contract, self._first_block, campaign=self.id)
        events: list[SonarEvent] = []
        last: Progress | None = None
        while not stop.is_set():
            poll = cursor.poll()
            back = poll.rolled_back_to
            kept = events if back is None else [e for e in events if e.block_number <= back]
            rolled_back = len(kept) < len(events)
            events = kept
            for event in poll.events:
                events.append(event)
                now = event.timestamp
                last = measure_progress(
                    fold_history(events),
                    now,
                    currency=self.currency,
                    event=event,
                    rolled_back=rolled_back,
                )
                rolled_back = False
                yield last
            if last is not None and not rolled_back and last.phase.final:
                return
            if events:
                current = measure_progress(
                    fold_history(events),
                    contract.now(),
                    currency=self.currency,
                    rolled_back=rolled_back,
                )
                if rolled_back or last is None or current.waiting != last.waiting:
                    last = current
                    yield last
            if end is not None and time.monotonic() > end:
                waited = describe(last) if last else "its launch"
                raise CampaignError(
                    f"campaign {self.id} has not ended within {timeout_s:.0f} s: waiting for "
                    f"{waited}"
                )
            stop.wait(pause)

    def plot(self, axes: Any = None) -> Any:
        """Draw accuracy and spend over time with matplotlib; return the axes.

        Raises:
            CampaignError: if matplotlib is not installed.
        """
        from openmined.sonar._plot import plot_campaign

        return plot_campaign(self, axes)

    # What came of it.

    def result(self) -> Any:
        """Fetch the delivered model, verify Capsule's signature, decrypt it; return the estimator.

        Raises:
            NotDelivered: if there is none (yet); it says why, and who is waited for.
            DeliveryRefused: if what was delivered is not this campaign's model, not signed by its
                Capsule, or does not open with this PGP key.
            StorageError: if the store does not have it.
        """
        from openmined.syft import SyftError, estimator_from_weights, load_model

        data = self._open_delivery(self.history())
        try:
            weights, card = load_model(data)
            self._check_card(card)
            return estimator_from_weights(self.manifest, weights)
        except SyftError as error:
            raise DeliveryRefused(f"the delivered model cannot be used: {error}") from error

    def save_result(self, path: Path) -> dict[str, str]:
        """Write the delivered model as a safetensors file, for `load_model`; return its card.

        Raises:
            NotDelivered, DeliveryRefused: as `result`.
            CampaignError: if the file exists or cannot be written.
        """
        from openmined.syft import SyftError, load_model

        data = self._open_delivery(self.history())
        try:
            _, card = load_model(data)
            self._check_card(card)
        except SyftError as error:
            raise DeliveryRefused(f"the delivered model cannot be used: {error}") from error
        try:
            with path.open("xb") as file:
                file.write(data)
        except OSError as error:
            raise CampaignError(f"cannot write {path}: {error.strerror}") from error
        return card

    def model_card(self) -> dict[str, str]:
        """Return the card that Capsule delivered with the model. Raises as `result`."""
        from openmined.syft import SyftError, load_model

        try:
            return load_model(self._open_delivery(self.history()))[1]
        except SyftError as error:
            raise DeliveryRefused(f"the delivered model cannot be read: {error}") from error

    def models(self) -> list[EncryptedModelRecord]:
        """Return every encrypted version of its model, verified against the chain."""
        return list_models(self._sonar.contract, self._sonar.store, self.id, self.history())

    def audit(self) -> AuditReport:
        """Recompute every payout from chain and store alone; needs no key."""
        contract, store = self._sonar.contract, self._sonar.store
        return audit_campaign(contract, store, self.id, self._first_block)

    # What one can do.

    def top_up(self, amount: int) -> Receipt:
        """Add to the bounty, in the token's smallest unit."""
        return self._sonar.contract.top_up(self.id, amount)

    def cancel(self) -> Receipt:
        """Take it back before Capsule has opened it; the bounty is credited, then `withdraw`."""
        return self._sonar.contract.cancel_campaign(self.id)

    def expire(self) -> Receipt:
        """End it when Capsule let deadline and grace pass; the remainder is credited."""
        return self._sonar.contract.expire_campaign(self.id)

    def withdraw(self) -> Receipt | None:
        """Be paid what is credited to this wallet in its token; None if there is nothing."""
        return self._sonar.withdraw(self.state().terms.token)

    def _repr_html_(self) -> str:
        from openmined.sonar._html import campaign_html

        return campaign_html(self, self.history(), self._sonar.contract.now())

    # Inside.

    def _open_delivery(self, history: History) -> bytes:
        sonar = self._sonar
        delivered = history.delivered
        if delivered is None:
            raise NotDelivered(self._why_not(history))
        if sonar.pgp is None:
            raise NotDelivered(
                "the delivered model is encrypted: connect with pgp=PgpKey.load(...) and the key "
                "whose certificate the campaign names"
            )
        try:
            manifest = get_manifest(sonar.store, delivered.delivery, DeliveryManifest)
            keys = get_manifest(sonar.store, history.keys[-1].digest, KeysManifest)
            self._check_bound("delivery", manifest.chain, manifest.campaign)
            self._check_bound("keys", keys.chain, keys.campaign)
            message = get_ref(sonar.store, manifest.message, MAX_DELIVERY_BYTES)
        except StorageError as error:
            raise DeliveryRefused(
                f"campaign {self.id} was delivered, and the store does not give it: {error}. Ask "
                "Capsule to publish it again"
            ) from error
        return sonar.pgp.open_signed(message, keys.certificate)

    def _check_bound(self, what: str, chain: SonarRef, campaign: int) -> None:
        contract = self._sonar.contract
        wanted = (contract.chain_id, contract.address.lower(), self.id)
        if (chain.chain_id, chain.sonar.lower(), campaign) != wanted:
            raise DeliveryRefused(
                f"the {what} manifest is of campaign {campaign} of {chain.sonar} on chain "
                f"{chain.chain_id}: Capsule published another campaign's"
            )

    def _check_card(self, card: dict[str, str]) -> None:
        # Signed together with the weights: what Capsule once delivered for another campaign of
        # hers cannot pass for this one's.
        contract = self._sonar.contract
        wanted = {
            "chain_id": str(contract.chain_id),
            "sonar": contract.address.lower(),
            "campaign": str(self.id),
        }
        for name, value in wanted.items():
            if card.get(name, value).lower() != value:
                raise DeliveryRefused(
                    f"the delivered model is of {name} {card[name][:64]}, not {value}: Capsule "
                    "delivered another campaign's"
                )

    def _why_not(self, history: History) -> str:
        if history.phase.final:
            reason = getattr(history.ending, "reason", "")
            because = f" ({reason})" if reason else ""
            return (
                f"campaign {self.id} ended as {history.phase.name.lower()}{because}: there is no "
                "model; what is left of the bounty is credited, take it with withdraw()"
            )
        if history.phase == Phase.NONE:
            return f"campaign {self.id} does not exist"
        progress = measure_progress(history, self._sonar.contract.now())
        overdue = progress.waiting == Waiting.ANYBODY_TO_EXPIRE
        advice = "expire() it to get the money back" if overdue else "watch() it"
        return f"campaign {self.id} is not delivered: waiting for {describe(progress)}; {advice}"
