"""The whole life of a campaign, and the worked example of the design."""

import boa
from sonar_world import (
    DELIVERED,
    ETH,
    LAUNCHED,
    OPEN,
    PPM,
    SCORED,
    World,
)


def test_two_points_of_eighty_percent_of_a_bounty_of_1000_pay_25(world: World) -> None:
    campaign = world.launch_open(bounty=1000, fee=0, target_ppm=800_000, accuracy_ppm=100_000)
    gradient = world.submit(campaign)

    world.score(campaign, 120_000, (gradient, PPM, 0))

    assert world.sonar.campaign(campaign).paid == 25
    assert world.credit(world.miner) == 25 + 10  # and its bond


def test_a_campaign_from_launch_to_the_last_withdrawal(world: World) -> None:
    sonar = world.sonar
    campaign = world.launch(bounty=10_000, fee=400, bond=7)
    assert campaign == 1 == sonar.campaign_count()
    assert sonar.campaign(campaign).phase == LAUNCHED
    assert sonar.campaign(campaign).unspent == 10_000

    world.open(campaign, 100_000)
    assert sonar.campaign(campaign).phase == OPEN
    first, second, third = (
        world.submit(campaign, sender=world.miners[index]) for index in range(3)
    )
    assert (first, second, third) == (0, 1, 2)
    assert sonar.escrow(ETH) == 10_000 + 3 * 7 == world.balance(sonar)

    # 100 000 -> 300 000 ppm of 800 000: a quarter of 9600, split 70 : 30; the third loses its bond.
    world.score(campaign, 300_000, (first, 700_000, 0), (second, 300_000, 0), (third, 0, 1))
    assert world.credit(world.miners[0]) == 1680 + 7
    assert world.credit(world.miners[1]) == 720 + 7
    assert world.credit(world.miners[2]) == 0
    state = sonar.campaign(campaign)
    assert (state.best_ppm, state.version, state.batches, state.pending) == (300_000, 2, 1, 0)
    assert (state.terms.bounty, state.paid, state.unspent) == (10_007, 2400, 7607)

    # 300 000 -> the target, overshot: 500 000 of 800 000 of 9607 is 6004.375.
    last = world.submit(campaign, version=2, sender=world.miners[1])
    world.score(campaign, 950_000, (last, PPM, 0))
    assert world.credit(world.miners[1]) == 720 + 7 + 6004 + 7
    assert sonar.gradient(campaign, last) == (world.miners[1], 2, SCORED)

    world.deliver(campaign)
    state = sonar.campaign(campaign)
    assert (state.phase, state.paid, state.unspent) == (DELIVERED, 8404, 0)
    assert world.credit(world.capsule) == 400
    assert world.credit(world.data_scientist) == 10_007 - 8404 - 400

    for account in (world.data_scientist, world.capsule, *world.miners[:2]):
        credit, before = world.credit(account), world.balance(account)
        sonar.withdraw(ETH, sender=account)
        assert world.balance(account) == before + credit
        assert world.credit(account) == 0
    assert sonar.escrow(ETH) == 0 == world.balance(sonar)
    assert boa.env.get_balance(sonar.address) == 0
