"""Before the first gradient: open, reject, cancel, top up."""

import boa
import pytest
from sonar_world import (
    CANCELLED,
    ETH,
    KEYS,
    MODEL,
    OPEN,
    REJECTED,
    World,
    events,
    reverts,
)


def test_opening_starts_version_and_epoch_at_one(world: World) -> None:
    campaign = world.launch()
    world.open(campaign, 102_000)
    assert events(world.sonar) == [
        (
            "CampaignOpened",
            {"campaign": campaign, "keys": KEYS, "model": MODEL, "accuracy_ppm": 102_000},
        )
    ]
    state = world.sonar.campaign(campaign)
    assert (state.phase, state.version, state.epoch) == (OPEN, 1, 1)
    assert (state.start_ppm, state.best_ppm) == (102_000, 102_000)
    assert tuple(state.terms) == world.terms()
    assert state.unspent == 1000


@pytest.mark.parametrize("accuracy_ppm", [95_000, 100_000, 105_000])
def test_a_start_within_the_tolerance_is_accepted(world: World, accuracy_ppm: int) -> None:
    world.open(world.launch(start_ppm=100_000, start_tolerance_ppm=5_000), accuracy_ppm)


def test_a_start_outside_the_tolerance_is_refused(world: World) -> None:
    campaign = world.launch(start_ppm=100_000, start_tolerance_ppm=5_000)
    with reverts("Sonar: start below the claim"):
        world.open(campaign, 94_999)
    with reverts("Sonar: start above the claim"):
        world.open(campaign, 105_001)
    with reverts("Sonar: start not below target"):
        world.open(campaign, 2**256 - 1)


def test_a_tolerance_wider_than_the_claim_reaches_zero(world: World) -> None:
    world.open(world.launch(start_ppm=3, start_tolerance_ppm=5), 0)


def test_a_start_at_the_target_is_refused(world: World) -> None:
    campaign = world.launch(start_ppm=790_000, start_tolerance_ppm=20_000)
    with reverts("Sonar: start not below target"):
        world.open(campaign, 800_000)
    world.open(campaign, 799_999)


def test_only_its_capsule_opens_and_only_once(world: World) -> None:
    campaign = world.launch()
    for account in (world.data_scientist, world.miner, world.stranger):
        with reverts("Sonar: not the capsule"):
            world.open(campaign, sender=account)
    world.open(campaign)
    with reverts("Sonar: not awaiting the capsule"):
        world.open(campaign)


def test_opening_ends_at_the_deadline(world: World) -> None:
    late, timely = world.launch(), world.launch()
    world.at_deadline(timely, -1)
    world.open(timely)
    world.at_deadline(late)
    with reverts("Sonar: past the deadline"):
        world.open(late)


def test_rejecting_refunds_everything_with_a_reason(world: World) -> None:
    campaign = world.launch(bounty=1000, fee=300)
    reason = "x" * 96
    for account in (world.data_scientist, world.stranger):
        with reverts("Sonar: not the capsule"):
            world.sonar.reject_campaign(campaign, reason, sender=account)
    world.sonar.reject_campaign(campaign, reason, sender=world.capsule)
    assert events(world.sonar) == [
        ("CampaignRejected", {"campaign": campaign, "reason": reason, "refund": 1000})
    ]
    assert world.credit(world.data_scientist) == 1000
    assert world.credit(world.capsule) == 0
    state = world.sonar.campaign(campaign)
    assert (state.phase, state.unspent, state.paid) == (REJECTED, 0, 0)
    assert world.sonar.escrow(ETH) == 1000
    with reverts("Sonar: not awaiting the capsule"):
        world.sonar.reject_campaign(campaign, reason, sender=world.capsule)


def test_cancelling_refunds_everything(world: World) -> None:
    campaign = world.launch(bounty=1000, fee=300)
    for account in (world.capsule, world.stranger):
        with reverts("Sonar: not the data scientist"):
            world.sonar.cancel_campaign(campaign, sender=account)
    world.sonar.cancel_campaign(campaign, sender=world.data_scientist)
    assert events(world.sonar) == [("CampaignCancelled", {"campaign": campaign, "refund": 1000})]
    assert world.credit(world.data_scientist) == 1000
    assert world.sonar.campaign(campaign).phase == CANCELLED
    with reverts("Sonar: not awaiting the capsule"):
        world.sonar.cancel_campaign(campaign, sender=world.data_scientist)


def test_an_open_campaign_is_neither_cancelled_nor_rejected(world: World) -> None:
    campaign = world.launch_open()
    with reverts("Sonar: not awaiting the capsule"):
        world.sonar.cancel_campaign(campaign, sender=world.data_scientist)
    with reverts("Sonar: not awaiting the capsule"):
        world.sonar.reject_campaign(campaign, "no", sender=world.capsule)


def test_anyone_tops_up_before_and_after_opening(world: World) -> None:
    campaign = world.launch(bounty=1000)
    world.sonar.top_up(campaign, 5, value=5, sender=world.stranger)
    assert events(world.sonar) == [
        (
            "BountyToppedUp",
            {"campaign": campaign, "sender": world.stranger, "amount": 5, "bounty": 1005},
        )
    ]
    world.open(campaign)
    world.at_deadline(campaign, -1)
    world.sonar.top_up(campaign, 70, value=70, sender=world.data_scientist)
    state = world.sonar.campaign(campaign)
    assert (state.terms.bounty, state.unspent, state.paid) == (1075, 1075, 0)
    assert world.sonar.escrow(ETH) == 1075 == world.balance(world.sonar)


def test_top_ups_are_in_the_campaigns_token(world: World) -> None:
    token = world.token()
    campaign = world.launch(token=token.address, bounty=1000)
    with reverts("Sonar: ETH with a token"):
        world.sonar.top_up(campaign, 5, value=5, sender=world.stranger)
    world.sonar.top_up(campaign, 5, sender=world.stranger)
    assert world.sonar.escrow(token) == 1005 == token.balances(world.sonar)


@pytest.mark.parametrize("value", [0, 4, 6])
def test_a_top_up_is_exact(world: World, value: int) -> None:
    campaign = world.launch()
    with reverts("Sonar: wrong amount of ETH"):
        world.sonar.top_up(campaign, 5, value=value, sender=world.stranger)


def test_a_top_up_is_something_and_fits(world: World) -> None:
    boa.env.set_balance(world.stranger, 2**140)
    campaign = world.launch(bounty=1000, bond=3, max_gradients=11)
    room = 2**128 - 1 - 1000 - 3 * 11
    with reverts("Sonar: no amount"):
        world.sonar.top_up(campaign, 0, sender=world.stranger)
    with reverts("Sonar: amount too large"):
        world.sonar.top_up(campaign, room + 1, value=room + 1, sender=world.stranger)
    with reverts("Sonar: amount too large"):
        world.sonar.top_up(campaign, 2**128, value=2**128, sender=world.stranger)
    with reverts("Sonar: amount too large"):
        world.sonar.top_up(campaign, 2**256 - 1, sender=world.stranger)
    world.sonar.top_up(campaign, room, value=room, sender=world.stranger)
    assert world.sonar.campaign(campaign).terms.bounty == 1000 + room


def test_a_top_up_leaves_room_for_the_bonds_that_may_still_be_lost(world: World) -> None:
    boa.env.set_balance(world.stranger, 2**140)
    campaign = world.launch_open(bounty=1000, bond=3, max_gradients=11)
    for _ in range(5):
        world.submit(campaign)
    world.score(campaign, 0, (0, 0, 1), (1, 0, 1), (2, 0, 128))
    # Two bonds are in the bounty, one went back: two pending and six more can still come in.
    room = 2**128 - 1 - 1006 - 3 * (2 + 6)
    with reverts("Sonar: amount too large"):
        world.sonar.top_up(campaign, room + 1, value=room + 1, sender=world.stranger)
    world.sonar.top_up(campaign, room, value=room, sender=world.stranger)
    for _ in range(6):
        world.submit(campaign)
    world.score(campaign, 0, *[(gradient, 0, 1) for gradient in range(3, 11)])
    assert world.sonar.campaign(campaign).terms.bounty == 2**128 - 1


def test_a_campaign_that_is_not_there(world: World) -> None:
    sonar, unknown = world.sonar, "Sonar: unknown campaign"
    world.launch()
    for campaign in (0, 2, 2**256 - 1):
        assert sonar.campaign(campaign).phase == 0
        assert sonar.campaign(campaign).data_scientist == ETH
        assert sonar.campaign(campaign).unspent == 0
        assert sonar.gradient(campaign, 0) == (ETH, 0, 0)
        with reverts(unknown):
            sonar.top_up(campaign, 1, value=1, sender=world.stranger)
        with reverts(unknown):
            sonar.cancel_campaign(campaign, sender=world.data_scientist)
        with reverts(unknown):
            sonar.reject_campaign(campaign, "", sender=world.capsule)
        with reverts(unknown):
            sonar.open_campaign(campaign, KEYS, MODEL, 1, sender=world.capsule)
        with reverts(unknown):
            sonar.submit_gradient(campaign, 1, KEYS, sender=world.miner)
        with reverts(unknown):
            world.score(campaign, 1, (0, 0, 0))
        with reverts(unknown):
            world.rotate(campaign)
        with reverts(unknown):
            world.deliver(campaign)
        with reverts(unknown):
            sonar.expire_campaign(campaign, sender=world.stranger)
        with reverts(unknown):
            sonar.reclaim_bonds(campaign, [0], sender=world.stranger)
