"""An audit passes on an honest campaign, and names the batch in which anything was altered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.sonar.conftest import DELIVERY, Scene

from openmined.protocol import Reason
from openmined.sonar import (
    AuditReport,
    BatchScored,
    BondReclaimed,
    Campaign,
    CampaignDelivered,
    GradientScored,
    GradientSubmitted,
    History,
    Score,
    Sonar,
    SonarEvent,
    connect_sonar,
    fold_history,
)
from openmined.sonar._audit import audit_history
from openmined.storage import CID

ALL = 1_000_000


def run_honestly(scene: Scene, falsify: dict[int, dict[str, Any]] | None = None) -> Campaign:
    """Three batches: one that pays two miners and punishes one, one below the step, one more."""
    campaign = scene.launch(bond=10, target_accuracy=0.9, min_improvement_ppm=10_000)
    scene.capsule.open(campaign.id)
    lies = falsify or {}
    start = campaign.state().start_ppm
    for _ in range(3):
        scene.submit(campaign)
    scores = [Score(0, 700_000), Score(1, 300_000), Score(2, 0, Reason.HARMFUL)]
    scene.capsule.score(campaign.id, start + 100_000, scores, **lies.get(1, {}))
    scene.submit(campaign, version=2)
    scores = [Score(3, 0)]
    scene.capsule.score(campaign.id, start + 105_000, scores, publish=False, **lies.get(2, {}))
    scene.submit(campaign, version=2)
    scores = [Score(4, ALL)]
    scene.capsule.score(campaign.id, 950_000, scores, **lies.get(3, {}))
    return campaign


def audit_events(scene: Scene, campaign: Campaign, events: list[SonarEvent]) -> AuditReport:
    contract = scene.world.stranger
    return audit_history(contract, scene.store, fold_history(events), campaign.state())


def test_an_honest_campaign_passes_without_any_key(scene: Scene) -> None:
    campaign = run_honestly(scene)
    with connect_sonar(scene.world.anvil.url, scene.world.address) as contract:
        reader = Sonar(contract, scene.store)
        report = reader.campaign(campaign.id).audit()
        assert report.ok, str(report)
        assert (report.batches, report.receipts, len(report.payouts)) == (3, 3, 5)
        assert report.paid == campaign.spend().paid > 0
        assert report.bad_batches == ()
        assert "all 5 payouts of 3 batches follow" in str(report)
    scene.world.capsule.deliver(campaign.id, 3, DELIVERY)
    assert campaign.audit().ok
    assert campaign.audit().to_json()["ok"] is True


LIES: list[tuple[str, dict[str, Any]]] = [
    ("share", {"entries": {4: {"share_ppm": 999_999}}}),
    ("reason", {"entries": {4: {"reason": 6}}}),
    ("miner", {"entries": {4: {"miner": "0x" + "12" * 20}}}),
    ("envelope", {"entries": {4: {"envelope": "cd" * 32}}}),
    ("version", {"entries": {4: {"version": 1}}}),
    ("gradients", {"entries": {4: {"gradient": 3}}}),
    ("accuracy is", {"receipt": {"accuracy_after_ppm": 949_999}}),
    ("accuracy before", {"receipt": {"accuracy_before_ppm": 1}}),
    ("parent model", {"receipt": {"parent_model": "ee" * 32}}),
    ("model is", {"receipt": {"model": "ee" * 32}}),
    ("campaign", {"receipt": {"campaign": 999}}),
    ("batch", {"receipt": {"batch": 2}}),
    ("validation set", {"receipt": {"validation": "ee" * 32}}),
]


@pytest.mark.parametrize(("named", "lie"), LIES, ids=[name for name, _ in LIES])
def test_a_receipt_that_does_not_say_what_the_chain_says(
    scene: Scene, named: str, lie: dict[str, Any]
) -> None:
    report = run_honestly(scene, {3: lie}).audit()
    assert not report.ok
    assert report.bad_batches == (3,)
    assert any(named in finding.text for finding in report.findings), str(report)


def test_a_receipt_whose_bytes_were_altered(scene: Scene) -> None:
    campaign = run_honestly(scene)
    receipt = campaign.history().batches[1].event.receipt
    blocks: dict[Any, bytes] = scene.store.blocks._blocks  # type: ignore[attr-defined]
    (place,) = [key for key in blocks if CID.parse(str(key)).digest == receipt]
    blocks[place] = blocks[place].replace(b"a test", b"a fest")
    report = campaign.audit()
    assert report.bad_batches == (2,)
    assert "receipt cannot be read" in str(report)
    del blocks[place]
    assert campaign.audit().bad_batches == (2,)


def alter(kind: type[SonarEvent], batch: int, **changes: int) -> Callable[[SonarEvent], SonarEvent]:
    def change(event: SonarEvent) -> SonarEvent:
        if isinstance(event, kind) and getattr(event, "batch", 0) == batch:
            return replace(event, **changes)
        return event

    return change


ALTERED = [
    ("share", alter(GradientScored, 3, share_ppm=999_999)),
    ("payout", alter(GradientScored, 3, payout=1)),
    ("bond", alter(GradientScored, 3, bond_returned=0)),
    ("accuracy", alter(BatchScored, 3, accuracy_ppm=600_000)),
    ("paid", alter(BatchScored, 3, paid=1)),
    ("best", alter(BatchScored, 3, best_ppm=800_000)),
    ("bounty", alter(BatchScored, 3, bounty=1)),
    ("forfeited", alter(BatchScored, 3, forfeited=10)),
    ("version", alter(BatchScored, 3, version=9)),
]


@pytest.mark.parametrize(("what", "change"), ALTERED, ids=[name for name, _ in ALTERED])
def test_a_node_that_alters_an_event(
    scene: Scene, what: str, change: Callable[[SonarEvent], SonarEvent]
) -> None:
    campaign = run_honestly(scene)
    events = campaign.events()
    assert audit_events(scene, campaign, events).ok
    report = audit_events(scene, campaign, [change(event) for event in events])
    assert not report.ok, what
    assert report.bad_batches == (3,)


@pytest.mark.parametrize("left_out", [GradientSubmitted, GradientScored, BatchScored])
def test_a_node_that_hides_an_event(scene: Scene, left_out: type[SonarEvent]) -> None:
    campaign = run_honestly(scene)
    events = campaign.events()
    last = max(i for i, event in enumerate(events) if isinstance(event, left_out))
    assert not audit_events(scene, campaign, events[:last] + events[last + 1 :]).ok


def test_a_node_that_hides_the_launch(scene: Scene) -> None:
    campaign = run_honestly(scene)
    report = audit_events(scene, campaign, campaign.events()[1:])
    assert not report.ok
    assert "earlier block" in str(report)


def test_a_refund_that_does_not_add_up(scene: Scene) -> None:
    campaign = run_honestly(scene)
    scene.world.capsule.deliver(campaign.id, 3, DELIVERY)
    events = [
        replace(event, refund=event.refund + 1) if isinstance(event, CampaignDelivered) else event
        for event in campaign.events()
    ]
    report = audit_events(scene, campaign, events)
    assert not report.ok
    assert "refund" in str(report)


def test_bonds_reclaimed_after_the_end_are_no_fault(own_scene: Scene) -> None:
    scene = own_scene
    campaign = run_honestly(scene)
    scene.world.capsule.deliver(campaign.id, 3, DELIVERY)
    assert not any(isinstance(event, BondReclaimed) for event in campaign.events())
    other = scene.launch(repeat=1, bond=10)
    scene.capsule.open(other.id)
    scene.submit(other)
    scene.world.anvil.travel(3600 + 601)
    other.expire()
    scene.world.stranger.reclaim_bonds(other.id, [0])
    report = other.audit()
    assert report.ok, str(report)
    assert isinstance(other.history(), History)
    assert other.history().pending == 0
