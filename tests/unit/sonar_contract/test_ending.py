"""How campaigns end: delivered or expired; what becomes of fee, remainder and pending bonds."""

import pytest
from sonar_world import (
    DELIVERED,
    DELIVERY,
    ETH,
    EXPIRED,
    PENDING,
    PPM,
    RECLAIMED,
    World,
    events,
    reverts,
)


def test_delivery_pays_the_fee_and_refunds_the_rest(world: World) -> None:
    campaign = world.launch_open(bounty=1000, fee=200)
    world.score(campaign, 800_000, (world.submit(campaign), PPM, 0))
    world.deliver(campaign)
    assert events(world.sonar) == [
        (
            "CampaignDelivered",
            {"campaign": campaign, "delivery": DELIVERY, "fee": 200, "refund": 100},
        )
    ]
    assert world.credit(world.capsule) == 200
    assert world.credit(world.data_scientist) == 100
    state = world.sonar.campaign(campaign)
    assert (state.phase, state.paid, state.unspent) == (DELIVERED, 700, 0)
    assert (state.version, state.gradients, state.best_ppm) == (2, 1, 800_000)
    with reverts("Sonar: not open"):
        world.deliver(campaign)


def test_delivery_without_a_fee(world: World) -> None:
    campaign = world.launch_open(fee=0)
    world.at_deadline(campaign)
    world.deliver(campaign)
    assert world.credit(world.capsule) == 0
    assert world.credit(world.data_scientist) == 1000


def test_delivery_waits_for_target_deadline_or_the_last_gradient(world: World) -> None:
    campaign = world.launch_open(max_gradients=2)
    with reverts("Sonar: not finished"):
        world.deliver(campaign)
    first = world.submit(campaign)
    world.score(campaign, 799_999, (first, PPM, 0))
    with reverts("Sonar: not finished"):  # nothing pending, but one may still come
        world.deliver(campaign)
    second = world.submit(campaign)
    with reverts("Sonar: not finished"):  # all came, one is pending
        world.deliver(campaign)
    world.score(campaign, 0, (second, 0, 0))
    world.deliver(campaign)


def test_delivery_at_the_target_needs_nothing_else(world: World) -> None:
    campaign = world.launch_open()
    first = world.submit(campaign)
    world.submit(campaign)
    world.score(campaign, 800_000, (first, PPM, 0))
    world.deliver(campaign)
    assert world.sonar.campaign(campaign).pending == 1


def test_delivery_from_the_deadline_to_the_end_of_grace(world: World) -> None:
    early, last, late = (world.launch_open() for _ in range(3))
    world.at_deadline(early, -1)
    with reverts("Sonar: not finished"):
        world.deliver(early)
    world.at_deadline(early)
    world.deliver(early)
    world.at_end_of_grace(last)
    world.deliver(last)
    world.at_end_of_grace(late, 1)
    with reverts("Sonar: grace is over"):
        world.deliver(late)


@pytest.mark.parametrize("batch", [0, 2, 2**32 + 1, 2**256 - 1])
def test_a_delivery_names_the_last_batch(world: World, batch: int) -> None:
    campaign = world.launch_open()
    world.score(campaign, 200_000, (world.submit(campaign), PPM, 0))
    world.at_deadline(campaign)
    with reverts("Sonar: not the last batch"):
        world.deliver(campaign, batch=batch)
    world.deliver(campaign, batch=1)


def test_only_the_capsule_delivers_an_open_campaign(world: World) -> None:
    campaign = world.launch()
    world.at_deadline(campaign)
    with reverts("Sonar: not open"):
        world.deliver(campaign)
    campaign = world.launch_open(deadline=world.sonar.campaign(campaign).terms.deadline + 9)
    world.at_deadline(campaign)
    for account in (world.data_scientist, world.miner, world.stranger):
        with reverts("Sonar: not the capsule"):
            world.deliver(campaign, sender=account)


@pytest.mark.parametrize("opened", [False, True])
def test_a_silent_capsule_costs_the_data_scientist_nothing(world: World, opened: bool) -> None:
    campaign = world.launch(bounty=1000, fee=200)
    if opened:
        world.open(campaign)
    world.at_end_of_grace(campaign)
    with reverts("Sonar: grace not over"):
        world.sonar.expire_campaign(campaign, sender=world.stranger)
    world.at_end_of_grace(campaign, 1)
    world.sonar.expire_campaign(campaign, sender=world.stranger)
    assert events(world.sonar) == [
        ("CampaignExpired", {"campaign": campaign, "sender": world.stranger, "refund": 1000})
    ]
    assert world.credit(world.data_scientist) == 1000
    assert world.credit(world.capsule) == 0
    state = world.sonar.campaign(campaign)
    assert (state.phase, state.unspent) == (EXPIRED, 0)
    with reverts("Sonar: campaign has ended"):
        world.sonar.expire_campaign(campaign, sender=world.stranger)


def test_expiry_refunds_what_was_not_paid(world: World) -> None:
    campaign = world.launch_open(bounty=1000, fee=200)
    world.score(campaign, 300_000, (world.submit(campaign), PPM, 0))
    world.at_end_of_grace(campaign, 1)
    world.sonar.expire_campaign(campaign, sender=world.stranger)
    assert world.credit(world.data_scientist) == 800
    assert world.sonar.campaign(campaign).paid == 200


@pytest.mark.parametrize("how", ["cancelled", "rejected", "delivered"])
def test_what_has_ended_stays_ended(world: World, how: str) -> None:
    sonar, campaign = world.sonar, world.launch()
    if how == "cancelled":
        sonar.cancel_campaign(campaign, sender=world.data_scientist)
    elif how == "rejected":
        sonar.reject_campaign(campaign, "no", sender=world.capsule)
    else:
        world.open(campaign)
        world.at_deadline(campaign)
        world.deliver(campaign)
        world.at_deadline(campaign, -1)
    ended = sonar.campaign(campaign)
    with reverts("Sonar: campaign has ended"):
        sonar.top_up(campaign, 1, value=1, sender=world.stranger)
    with reverts("Sonar: not open"):
        world.submit(campaign)
    with reverts("Sonar: not awaiting the capsule"):
        world.open(campaign)
    with reverts("Sonar: not awaiting the capsule"):
        sonar.cancel_campaign(campaign, sender=world.data_scientist)
    world.at_end_of_grace(campaign, 1)
    with reverts("Sonar: campaign has ended"):
        sonar.expire_campaign(campaign, sender=world.stranger)
    assert sonar.campaign(campaign) == ended
    assert world.credit(world.data_scientist) == 1000


@pytest.mark.parametrize("how", ["delivered", "expired"])
def test_bonds_of_unscored_gradients_go_back_to_their_miners(world: World, how: str) -> None:
    campaign = world.launch_open(bounty=1000, bond=10, fee=30)
    for miner in world.miners[:4]:
        world.submit(campaign, sender=miner)
    world.score(campaign, 0, (1, 0, 1))
    with reverts("Sonar: campaign has not ended"):
        world.sonar.reclaim_bonds(campaign, [0], sender=world.miners[0])
    if how == "delivered":
        world.at_deadline(campaign)
        world.deliver(campaign)
    else:
        world.at_end_of_grace(campaign, 1)
        world.sonar.expire_campaign(campaign, sender=world.stranger)
    refund = world.credit(world.data_scientist)

    world.sonar.reclaim_bonds(campaign, [3, 0], sender=world.stranger)

    assert events(world.sonar) == [
        (
            "BondReclaimed",
            {"campaign": campaign, "miner": world.miners[n], "gradient": n, "amount": 10},
        )
        for n in (3, 0)
    ]
    assert [world.credit(miner) for miner in world.miners[:4]] == [10, 0, 0, 10]
    assert world.sonar.gradient(campaign, 0) == (world.miners[0], 1, RECLAIMED)
    assert world.sonar.gradient(campaign, 2) == (world.miners[2], 1, PENDING)
    state = world.sonar.campaign(campaign)
    assert (state.pending, state.gradients) == (1, 4)
    assert world.credit(world.data_scientist) == refund
    assert world.sonar.escrow(ETH) == 1000 + 4 * 10 == world.balance(world.sonar)


def test_reclaiming_passes_over_what_is_not_pending(world: World) -> None:
    campaign = world.launch_open(bond=10)
    for miner in world.miners[:3]:
        world.submit(campaign, sender=miner)
    world.score(campaign, 0, (0, 0, 0))
    world.at_deadline(campaign)
    world.deliver(campaign)
    world.sonar.reclaim_bonds(campaign, [1], sender=world.stranger)
    world.sonar.reclaim_bonds(campaign, [1, 0, 2, 2, 99, 2**256 - 1], sender=world.stranger)
    assert [world.credit(miner) for miner in world.miners[:3]] == [10, 10, 10]
    assert world.sonar.campaign(campaign).pending == 0
    for nothing in ([], [0, 1, 2], [99]):
        with reverts("Sonar: no bond to reclaim"):
            world.sonar.reclaim_bonds(campaign, nothing, sender=world.stranger)


def test_there_are_no_bonds_in_a_campaign_that_never_opened(world: World) -> None:
    for end in ("cancel", "reject"):
        campaign = world.launch()
        if end == "cancel":
            world.sonar.cancel_campaign(campaign, sender=world.data_scientist)
        else:
            world.sonar.reject_campaign(campaign, "no", sender=world.capsule)
        with reverts("Sonar: campaign has not ended"):
            world.sonar.reclaim_bonds(campaign, [0], sender=world.stranger)


def test_without_bonds_reclaiming_only_settles_the_books(world: World) -> None:
    campaign = world.launch_open(bond=0)
    world.submit(campaign)
    world.at_deadline(campaign)
    world.deliver(campaign)
    world.sonar.reclaim_bonds(campaign, [0], sender=world.stranger)
    assert world.sonar.campaign(campaign).pending == 0
    assert world.credit(world.miner) == 0


def test_sixty_four_bonds_at_once(world: World) -> None:
    campaign = world.launch_open(bond=10)
    for _ in range(64):
        world.submit(campaign)
    world.at_deadline(campaign)
    world.deliver(campaign)
    with reverts(None):
        world.sonar.reclaim_bonds(campaign, list(range(65)), sender=world.stranger)
    world.sonar.reclaim_bonds(campaign, list(range(64)), sender=world.stranger)
    assert world.credit(world.miner) == 640
