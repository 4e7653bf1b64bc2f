"""Launching: every term is checked at its boundary, and frozen."""

from typing import Any

import boa
import pytest
from eth.exceptions import Revert
from sonar_world import (
    DAY_S,
    ETH,
    KEYS,
    LAUNCHED,
    MODEL,
    PPM,
    START_S,
    World,
    actor,
    events,
    reverts,
    sonar_deployer,
)

WORD = 2**256 - 1
MAX_GRACE_S = 30 * DAY_S


def test_what_was_launched_is_what_is_seen(world: World) -> None:
    terms = world.terms(
        spec=b"\x5a" * 32,
        bounty=123_456,
        fee=789,
        bond=17,
        start_ppm=111_111,
        start_tolerance_ppm=2_222,
        target_ppm=933_333,
        min_improvement_ppm=4_444,
        deadline=START_S + 55_555,
        grace=6_666,
        max_gradients=77_777,
        max_batch=63,
    )
    nonce = b"\x07" * 32

    campaign = world.sonar.launch_campaign(nonce, terms, value=123_456, sender=world.data_scientist)

    assert events(world.sonar) == [
        (
            "CampaignLaunched",
            {
                "campaign": campaign,
                "data_scientist": world.data_scientist,
                "capsule": world.capsule,
                "nonce": nonce,
                "terms": terms,
            },
        )
    ]
    state = world.sonar.campaign(campaign)
    assert state.data_scientist == world.data_scientist
    assert tuple(state.terms) == terms
    assert state.phase == LAUNCHED
    assert state.unspent == 123_456
    progress = (state.version, state.epoch, state.start_ppm, state.best_ppm, state.gradients)
    assert progress == (0, 0, 0, 0, 0)
    assert (state.pending, state.batches, state.paid) == (0, 0, 0)
    assert world.sonar.campaign_of(world.data_scientist, nonce) == campaign
    assert world.sonar.escrow(ETH) == 123_456 == world.balance(world.sonar)


def test_campaigns_are_numbered_from_one(world: World) -> None:
    assert [world.launch() for _ in range(3)] == [1, 2, 3]
    assert world.sonar.campaign_count() == 3


def test_a_launch_sent_twice_is_one_campaign(world: World) -> None:
    nonce = b"\x01" * 32
    campaign = world.launch(nonce=nonce)
    with reverts("Sonar: nonce used"):
        world.launch(nonce=nonce, bounty=5)
    assert world.sonar.campaign_of(world.data_scientist, nonce) == campaign
    assert world.sonar.campaign_count() == 1


def test_nonces_of_different_senders_do_not_meet(world: World) -> None:
    nonce = b"\x01" * 32
    first = world.launch(nonce=nonce)
    second = world.launch(nonce=nonce, sender=world.stranger)
    assert world.sonar.campaign_of(world.data_scientist, nonce) == first
    assert world.sonar.campaign_of(world.stranger, nonce) == second


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"capsule": ETH}, "Sonar: no capsule"),
        ({"bounty": 0}, "Sonar: no bounty"),
        ({"bounty": 0, "fee": 1}, "Sonar: no bounty"),
        ({"fee": 1000}, "Sonar: fee not below bounty"),
        ({"fee": WORD}, "Sonar: fee not below bounty"),
        ({"bond": 2**96}, "Sonar: bond too large"),
        ({"bond": WORD}, "Sonar: bond too large"),
        ({"target_ppm": PPM + 1}, "Sonar: target above 100 %"),
        ({"target_ppm": 100_000}, "Sonar: target not above start"),
        ({"start_ppm": 800_000}, "Sonar: target not above start"),
        ({"start_ppm": WORD}, "Sonar: target not above start"),
        ({"start_tolerance_ppm": PPM + 1}, "Sonar: tolerance above 100 %"),
        ({"min_improvement_ppm": 0}, "Sonar: no improvement step"),
        ({"min_improvement_ppm": PPM + 1}, "Sonar: step above 100 %"),
        ({"deadline": START_S}, "Sonar: deadline in the past"),
        ({"deadline": 0}, "Sonar: deadline in the past"),
        ({"deadline": 2**40}, "Sonar: deadline too far"),
        ({"grace": 0}, "Sonar: no grace"),
        ({"grace": MAX_GRACE_S + 1}, "Sonar: grace too long"),
        ({"max_gradients": 0}, "Sonar: no gradients allowed"),
        ({"max_gradients": 2**32}, "Sonar: too many gradients"),
        ({"max_batch": 0}, "Sonar: no batch allowed"),
        ({"max_batch": 65}, "Sonar: batches too large"),
    ],
)
def test_terms_out_of_bounds_are_refused(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    with reverts(reason):
        world.launch(**changes)
    assert world.sonar.campaign_count() == 0
    assert world.balance(world.sonar) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"bounty": 1},
        {"fee": 999},
        {"bond": 0},
        {"bond": 2**96 - 1},
        {"target_ppm": PPM},
        {"target_ppm": 100_001},
        {"start_ppm": 0, "target_ppm": 1},
        {"start_ppm": 799_999},
        {"start_tolerance_ppm": 0},
        {"start_tolerance_ppm": PPM},
        {"min_improvement_ppm": 1},
        {"min_improvement_ppm": PPM},
        {"deadline": START_S + 1},
        {"deadline": 2**40 - 1},
        {"grace": 1},
        {"grace": MAX_GRACE_S},
        {"max_gradients": 1},
        {"max_gradients": 2**32 - 1},
        {"max_batch": 1},
        {"max_batch": 64},
    ],
)
def test_terms_at_their_bounds_are_kept(world: World, changes: dict[str, Any]) -> None:
    campaign = world.launch(**changes)
    assert tuple(world.sonar.campaign(campaign).terms) == world.terms(**changes)


def test_all_fields_at_their_widest_do_not_touch(world: World) -> None:
    widest = {
        "bounty": 2**128 - 1 - (2**96 - 1) * (2**31),
        "fee": 2**127 - 1,
        "bond": 2**96 - 1,
        "start_ppm": PPM - 1,
        "start_tolerance_ppm": PPM,
        "target_ppm": PPM,
        "min_improvement_ppm": PPM,
        "deadline": 2**40 - 1,
        "grace": MAX_GRACE_S,
        "max_gradients": 2**31,
        "max_batch": 64,
    }
    boa.env.set_balance(world.data_scientist, 2**130)
    campaign = world.launch(**widest)
    assert tuple(world.sonar.campaign(campaign).terms) == world.terms(**widest)


def test_the_bounty_fits_128_bits_together_with_all_bonds(world: World) -> None:
    boa.env.set_balance(world.data_scientist, 2**200)
    with reverts("Sonar: bounty too large"):
        world.launch(bounty=2**128, bond=0)
    with reverts("Sonar: bonds too large"):
        world.launch(bounty=2**128 - 1, bond=1, max_gradients=1)
    with reverts("Sonar: bonds too large"):
        world.launch(bounty=2**128 - 7 * 5, bond=7, max_gradients=5)
    world.launch(bounty=2**128 - 1, bond=0)
    world.launch(bounty=2**128 - 1 - 7 * 5, bond=7, max_gradients=5)


def test_a_capsule_does_not_pay_itself(world: World) -> None:
    with reverts("Sonar: capsule is the payer"):
        world.launch(sender=world.capsule)


@pytest.mark.parametrize("value", [0, 999, 1001])
def test_the_deposit_is_the_bounty_to_the_wei(world: World, value: int) -> None:
    with reverts("Sonar: wrong amount of ETH"):
        world.launch(bounty=1000, value=value)


def test_a_token_campaign_takes_no_eth(world: World) -> None:
    token = world.token()
    with reverts("Sonar: ETH with a token"):
        world.launch(token=token.address, value=1)
    world.launch(token=token.address)
    assert token.balances(world.sonar) == 1000 == world.sonar.escrow(token)
    assert world.balance(world.sonar) == 0


def test_deployment_takes_no_eth() -> None:
    bytecode = sonar_deployer().compiler_data.bytecode
    sender = actor("deployer")
    with pytest.raises(Revert):
        boa.env.deploy_code(bytecode=bytecode, value=1, sender=sender)
    boa.env.deploy_code(bytecode=bytecode, sender=sender)


@pytest.mark.parametrize("data", [b"", b"\xde\xad\xbe\xef"])
def test_plain_eth_is_refused(world: World, data: bytes) -> None:
    with pytest.raises(Revert):
        boa.env.raw_call(world.sonar.address, data=data, value=1, sender=world.stranger)


def test_calls_that_take_no_money_refuse_it(world: World) -> None:
    sonar = world.sonar
    campaign = world.launch()
    calls = [
        (sonar.open_campaign, (campaign, KEYS, MODEL, 100_000), world.capsule),
        (sonar.cancel_campaign, (campaign,), world.data_scientist),
        (sonar.reject_campaign, (campaign, "no"), world.capsule),
        (sonar.expire_campaign, (campaign,), world.stranger),
        (sonar.withdraw, (ETH,), world.stranger),
        (sonar.deliver, (campaign, 0, KEYS), world.capsule),
        (sonar.rotate_keys, (campaign, 1, KEYS, MODEL), world.capsule),
        (sonar.score_batch, (campaign, 1, 1, 1, MODEL, KEYS, []), world.capsule),
        (sonar.reclaim_bonds, (campaign, []), world.stranger),
    ]
    for call, arguments, sender in calls:
        with reverts(None):
            call(*arguments, value=1, sender=sender)
