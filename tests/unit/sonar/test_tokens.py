"""Campaigns in ERC-20 tokens, honest and not."""

from __future__ import annotations

import pytest
from tests.unit.sonar.conftest import ENVELOPE, KEYS, MODEL, RECEIPT, World
from tests.unit.sonar.token import Token

from openmined.sonar import ETH, NotEnoughFunds, Reverted, Score
from openmined.sonar._send import Call

NO_ANSWER, TAKES_FEE, SAYS_FALSE, REVERTS, LIES = 1, 3, 4, 5, 6


@pytest.fixture
def token(world: World) -> Token:
    return Token(world.stranger)


@pytest.mark.parametrize("mood", [0, NO_ANSWER])
def test_a_campaign_in_a_token(world: World, token: Token, mood: int) -> None:
    token.set_mood(mood)
    token.mint(world.data_scientist.wallet, 1100)
    token.mint(world.miner.wallet, 20)
    terms = world.terms(token=token.address, bounty=1000, bond=10)
    campaign = world.data_scientist.launch_campaign(token.address.encode()[:32], terms)
    assert world.data_scientist.balance(world.address, token.address) == 1000
    world.data_scientist.top_up(campaign, 100)
    world.capsule.open_campaign(campaign, KEYS, MODEL, 100_000)
    for _ in range(2):
        world.miner.submit_gradient(campaign, 1, ENVELOPE)
    world.capsule.score_batch(
        campaign, 1, 1, 800_000, bytes(32), RECEIPT, [Score(0, 1_000_000), Score(1, 0)]
    )
    earned = 700_000 * 1100 // 800_000
    miner = world.miner.wallet
    assert miner is not None
    assert world.miner.credit(token.address, miner.address) == earned + 20
    assert world.miner.credit(ETH, miner.address) == 0
    world.miner.withdraw(token.address)
    assert world.miner.balance(miner.address, token.address) == earned + 20


def test_no_more_is_approved_than_is_taken(world: World, token: Token) -> None:
    token.mint(world.data_scientist.wallet, 5000)
    terms = world.terms(token=token.address)
    world.data_scientist.launch_campaign(b"\7" * 32, terms)
    owner = world.data_scientist.wallet
    assert owner is not None
    from openmined.sonar import _erc20

    (left,) = world.data_scientist._ask(
        _erc20.ALLOWANCE, token.address, owner.address, world.address
    )
    assert left == 0


def test_an_earlier_smaller_allowance_is_raised(world: World, token: Token) -> None:
    token.mint(world.data_scientist.wallet, 5000)
    assert world.data_scientist._sender is not None
    from openmined.sonar import _erc20

    data = _erc20.APPROVE.encode(world.address, 1)
    world.data_scientist._sender.send(Call(token.address, data))
    campaign = world.data_scientist.launch_campaign(b"\10" * 32, world.terms(token=token.address))
    assert campaign


def test_not_enough_of_the_token(world: World, token: Token) -> None:
    token.mint(world.data_scientist.wallet, 999)
    with pytest.raises(NotEnoughFunds, match="needs 1000 units of token") as caught:
        world.data_scientist.launch_campaign(b"\11" * 32, world.terms(token=token.address))
    assert (caught.value.need, caught.value.have) == (1000, 999)
    assert caught.value.token == token.address or caught.value.token is not None


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        (TAKES_FEE, "Sonar: token took another amount"),
        (SAYS_FALSE, "Sonar: token said no"),
        (REVERTS, "Sonar: token call failed"),
        (LIES, "Sonar: token took another amount"),
    ],
)
def test_a_token_that_lies_takes_nothing(
    world: World, token: Token, mood: int, reason: str
) -> None:
    token.mint(world.data_scientist.wallet, 5000)
    token.set_mood(mood)
    owner = world.data_scientist.wallet
    assert owner is not None
    with pytest.raises(Reverted) as caught:
        world.data_scientist.launch_campaign(b"\12" * 32, world.terms(token=token.address))
    assert caught.value.reason == reason
    assert world.data_scientist.balance(owner.address, token.address) == 5000


def test_what_is_no_token(world: World) -> None:
    nothing = "0x" + "56" * 20
    with pytest.raises(Exception, match=r"cannot be read|no token"):
        world.data_scientist.launch_campaign(b"\13" * 32, world.terms(token=nothing))
