"""Withdrawals, and every way in which an ERC-20 may answer."""

from typing import Any

import pytest
from sonar_world import (
    BALANCE_REVERTS,
    BALANCE_SHORT,
    BALANCE_WRITES,
    BURNS_MORE,
    ETH,
    GIVES_MORE,
    LIES,
    LONG_ANSWER,
    NO_ANSWER,
    PLAIN,
    PPM,
    REVERTS,
    SAYS_FALSE,
    SAYS_TWO,
    SHORT_ANSWER,
    TAKES_FEE,
    World,
    actor,
    events,
    reverts,
)

INTACT = [PLAIN, NO_ANSWER, LONG_ANSWER]
TAKING = [
    (TAKES_FEE, "Sonar: token took another amount"),
    (GIVES_MORE, "Sonar: token took another amount"),
    (LIES, "Sonar: token took another amount"),
    (SAYS_FALSE, "Sonar: token said no"),
    (SAYS_TWO, "Sonar: token said no"),
    (SHORT_ANSWER, "Sonar: token answered nonsense"),
    (REVERTS, "Sonar: token call failed"),
    (BALANCE_REVERTS, "Sonar: token has no balance"),
    (BALANCE_SHORT, "Sonar: token balance is nonsense"),
    (BALANCE_WRITES, "Sonar: token has no balance"),
]
GIVING = [
    (BURNS_MORE, "Sonar: token gave another amount"),
    (LIES, "Sonar: token gave another amount"),
    *TAKING[3:],
]


def earn(world: World, token: Any = ETH) -> int:
    """A credit of 25 for the miner, 975 for the data scientist."""
    campaign = world.launch_open(token=getattr(token, "address", token), bond=0)
    world.score(campaign, 120_000, (world.submit(campaign), PPM, 0))
    world.at_deadline(campaign)
    world.deliver(campaign)
    return campaign


def test_a_withdrawal_pays_the_whole_credit_once(world: World) -> None:
    earn(world)
    before = world.balance(world.miner)
    world.sonar.withdraw(ETH, sender=world.miner)
    assert events(world.sonar) == [
        ("Withdrawn", {"token": ETH, "account": world.miner, "amount": 25})
    ]
    assert world.balance(world.miner) == before + 25
    assert world.credit(world.miner) == 0
    assert world.sonar.escrow(ETH) == 975 == world.balance(world.sonar)
    with reverts("Sonar: no credit"):
        world.sonar.withdraw(ETH, sender=world.miner)
    with reverts("Sonar: no credit"):
        world.sonar.withdraw(ETH, sender=world.stranger)


def test_the_smallest_amounts_count(world: World) -> None:
    campaign = world.launch_open(bounty=1, bond=1)
    world.submit(campaign)
    assert world.sonar.escrow(ETH) == 2 == world.balance(world.sonar)
    world.score(campaign, 0, (0, 0, 0))
    assert world.credit(world.miner) == 1
    before = world.balance(world.miner)
    world.sonar.withdraw(ETH, sender=world.miner)
    assert world.balance(world.miner) == before + 1
    assert world.sonar.escrow(ETH) == 1 == world.balance(world.sonar)


def test_credits_add_up_over_campaigns(world: World) -> None:
    earn(world)
    world.at(1_900_000_000)
    earn(world)
    assert world.credit(world.miner) == 50
    assert world.credit(world.data_scientist) == 1950
    world.sonar.withdraw(ETH, sender=world.data_scientist)
    assert world.sonar.escrow(ETH) == 50 == world.balance(world.sonar)


def test_each_token_has_its_own_books(world: World) -> None:
    one, other = world.token(), world.token()
    earn(world, one)
    assert world.credit(world.miner, one) == 25
    assert world.credit(world.miner, other) == 0
    for token in (other.address, ETH):
        with reverts("Sonar: no credit"):
            world.sonar.withdraw(token, sender=world.miner)
    before = one.balances(world.miner)
    world.sonar.withdraw(one, sender=world.miner)
    assert one.balances(world.miner) == before + 25
    assert one.balances(world.sonar) == 975 == world.sonar.escrow(one)


@pytest.mark.parametrize("mood", INTACT)
def test_tokens_may_answer_true_more_or_nothing(world: World, mood: int) -> None:
    token = world.token(mood)
    campaign = world.launch_open(token=token.address, bounty=1000, bond=10)
    world.score(campaign, 120_000, (world.submit(campaign), PPM, 0))
    world.sonar.top_up(campaign, 5, sender=world.stranger)
    assert token.balances(world.sonar) == 1015 == world.sonar.escrow(token)
    before = token.balances(world.miner)
    world.sonar.withdraw(token, sender=world.miner)
    assert token.balances(world.miner) == before + 35
    assert token.balances(world.sonar) == 980 == world.sonar.escrow(token)


@pytest.mark.parametrize(("mood", "reason"), TAKING)
def test_a_deposit_that_a_token_spoils_is_no_deposit(world: World, mood: int, reason: str) -> None:
    token = world.token()
    campaign = world.launch_open(token=token.address)
    escrow = world.sonar.escrow(token)
    token.set_mood(mood)
    with reverts(reason):
        world.launch(token=token.address)
    with reverts(reason):
        world.submit(campaign)
    with reverts(reason):
        world.sonar.top_up(campaign, 5, sender=world.stranger)
    assert world.sonar.campaign_count() == 1
    assert world.sonar.campaign(campaign).gradients == 0
    assert world.sonar.escrow(token) == escrow == token.balances(world.sonar)


@pytest.mark.parametrize(("mood", "reason"), GIVING)
def test_a_withdrawal_that_a_token_spoils_keeps_the_credit(
    world: World, mood: int, reason: str
) -> None:
    token = world.token()
    earn(world, token)
    token.set_mood(mood)
    with reverts(reason):
        world.sonar.withdraw(token, sender=world.miner)
    assert world.credit(world.miner, token) == 25
    assert world.sonar.escrow(token) == 1000 == token.balances(world.sonar)
    token.set_mood(PLAIN)
    world.sonar.withdraw(token, sender=world.miner)


def test_a_token_without_code_is_named(world: World) -> None:
    with reverts("Sonar: token has no code"):
        world.launch(token=world.stranger)


def test_sonar_is_no_token(world: World) -> None:
    with reverts("Sonar: token has no balance"):
        world.launch(token=world.sonar.address)


def test_a_poor_or_unwilling_payer_is_named(world: World) -> None:
    token = world.token()
    poor = actor("poor")
    token.approve(world.sonar, 2**256 - 1, sender=poor)
    with reverts("Sonar: token call failed"):
        world.launch(token=token.address, sender=poor)
    token.approve(world.sonar, 999, sender=world.data_scientist)
    with reverts("Sonar: token call failed"):
        world.launch(token=token.address, bounty=1000)
    world.launch(token=token.address, bounty=999)
