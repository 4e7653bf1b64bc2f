"""Submitting gradients: who, when, which version, with which bond."""

import boa
import pytest
from sonar_world import ENVELOPE, ETH, KEYS, MODEL, PENDING, PPM, World, events, life_slot, reverts


def test_a_gradient_is_recorded_and_its_bond_held(world: World) -> None:
    campaign = world.launch_open(bond=10)
    for expected, miner in enumerate(world.miners[:3]):
        gradient = world.submit(campaign, sender=miner)
        assert gradient == expected
        assert events(world.sonar) == [
            (
                "GradientSubmitted",
                {
                    "campaign": campaign,
                    "miner": miner,
                    "gradient": gradient,
                    "version": 1,
                    "envelope": ENVELOPE,
                },
            )
        ]
        assert world.sonar.gradient(campaign, gradient) == (miner, 1, PENDING)
    state = world.sonar.campaign(campaign)
    assert (state.gradients, state.pending, state.unspent) == (3, 3, 1000)
    assert world.sonar.escrow(ETH) == 1030 == world.balance(world.sonar)
    assert world.sonar.gradient(campaign, 3) == (ETH, 0, 0)


def test_gradients_of_different_campaigns_do_not_meet(world: World) -> None:
    first, second = world.launch_open(), world.launch_open()
    assert world.submit(first, sender=world.miners[0]) == 0
    assert world.submit(second, sender=world.miners[1]) == 0
    assert world.sonar.gradient(first, 0)[0] == world.miners[0]
    assert world.sonar.gradient(second, 0)[0] == world.miners[1]


@pytest.mark.parametrize("value", [0, 9, 11])
def test_the_bond_is_exact(world: World, value: int) -> None:
    campaign = world.launch_open(bond=10)
    with reverts("Sonar: wrong amount of ETH"):
        world.submit(campaign, value=value)


def test_without_a_bond_nothing_is_sent(world: World) -> None:
    campaign = world.launch_open(bond=0)
    with reverts("Sonar: wrong amount of ETH"):
        world.submit(campaign, value=1)
    world.submit(campaign)
    assert world.sonar.escrow(ETH) == 1000


def test_a_bond_in_a_token(world: World) -> None:
    token = world.token()
    campaign = world.launch_open(token=token.address, bond=10)
    with reverts("Sonar: ETH with a token"):
        world.submit(campaign, value=10)
    world.submit(campaign)
    assert world.sonar.escrow(token) == 1010 == token.balances(world.sonar)


def test_without_a_bond_the_token_is_not_called(world: World) -> None:
    token = world.token()
    campaign = world.launch_open(token=token.address, bond=0)
    token.set_mood(5)
    assert world.submit(campaign) == 0


def test_only_while_open(world: World) -> None:
    campaign = world.launch()
    with reverts("Sonar: not open"):
        world.submit(campaign)
    world.sonar.cancel_campaign(campaign, sender=world.data_scientist)
    with reverts("Sonar: not open"):
        world.submit(campaign)
    delivered = world.launch_open(max_gradients=1)
    world.score(delivered, PPM, (world.submit(delivered), PPM, 0))
    world.deliver(delivered)
    with reverts("Sonar: not open"):
        world.submit(delivered)


def test_until_the_deadline(world: World) -> None:
    campaign = world.launch_open()
    world.at_deadline(campaign, -1)
    world.submit(campaign)
    world.at_deadline(campaign)
    with reverts("Sonar: past the deadline"):
        world.submit(campaign)


def test_until_the_target_is_reached(world: World) -> None:
    campaign = world.launch_open()
    world.score(campaign, 799_999, (world.submit(campaign), PPM, 0))
    world.score(campaign, 800_000, (world.submit(campaign), PPM, 0))
    with reverts("Sonar: target reached"):
        world.submit(campaign)
    with reverts("Sonar: target reached"):
        world.sonar.top_up(campaign, 1, value=1, sender=world.stranger)


def test_on_a_version_that_was_published(world: World) -> None:
    campaign = world.launch_open()
    with reverts("Sonar: versions start at 1"):
        world.submit(campaign, version=0)
    with reverts("Sonar: version not published"):
        world.submit(campaign, version=2)
    world.rotate(campaign)
    assert world.sonar.gradient(campaign, world.submit(campaign, version=2))[1] == 2
    assert world.sonar.gradient(campaign, world.submit(campaign, version=1))[1] == 1
    with reverts("Sonar: version not published"):
        world.submit(campaign, version=2**256 - 1)


def test_no_more_than_the_campaign_allows(world: World) -> None:
    campaign = world.launch_open(max_gradients=2)
    world.submit(campaign)
    world.submit(campaign)
    with reverts("Sonar: no gradients left"):
        world.submit(campaign)


def test_rotating_keys_starts_an_epoch_and_a_version(world: World) -> None:
    campaign = world.launch()
    with reverts("Sonar: not open"):
        world.rotate(campaign)
    world.open(campaign)
    with reverts("Sonar: not the capsule"):
        world.rotate(campaign, sender=world.data_scientist)
    world.at_end_of_grace(campaign)
    world.rotate(campaign)
    assert events(world.sonar) == [
        (
            "KeysRotated",
            {"campaign": campaign, "epoch": 2, "version": 2, "keys": KEYS, "model": MODEL},
        )
    ]
    state = world.sonar.campaign(campaign)
    assert (state.epoch, state.version) == (2, 2)
    world.at_end_of_grace(campaign, 1)
    with reverts("Sonar: grace is over"):
        world.rotate(campaign)


def widen(world: World, campaign: int, shift: int) -> None:
    """Set a 32-bit counter of the campaign's hot word to its largest value."""
    slot = life_slot(campaign)
    word = boa.env.get_storage(world.sonar.address, slot)
    boa.env.set_storage(world.sonar.address, slot, word | (2**32 - 1) << shift)


@pytest.mark.parametrize("shift", [8, 40])
def test_a_counter_never_spills_into_its_neighbour(world: World, shift: int) -> None:
    campaign = world.launch_open()
    widen(world, campaign, shift)
    before = world.sonar.campaign(campaign)
    with reverts("Sonar: counter exhausted"):
        world.rotate(campaign)
    assert world.sonar.campaign(campaign) == before


def test_the_last_version_is_reached(world: World) -> None:
    campaign = world.launch_open()
    slot = life_slot(campaign)
    word = boa.env.get_storage(world.sonar.address, slot)
    boa.env.set_storage(world.sonar.address, slot, word + ((2**32 - 3) << 8))
    gradient = world.submit(campaign, version=1)
    assert world.sonar.campaign(campaign).version == 2**32 - 2
    world.score(campaign, 200_000, (gradient, PPM, 0))
    assert world.sonar.campaign(campaign).version == 2**32 - 1
    last = world.submit(campaign, version=2**32 - 1)
    assert world.sonar.gradient(campaign, last) == (world.miner, 2**32 - 1, PENDING)
    with reverts("Sonar: counter exhausted"):
        world.score(campaign, 300_000, (last, PPM, 0))
    world.score(campaign, 300_000, (last, PPM, 0), model=bytes(32))
