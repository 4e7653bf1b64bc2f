"""Scoring: the payment rule at each of its boundaries, and what a batch must be."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sonar_world import (
    DISMISSED,
    ETH,
    MODEL,
    NO_MODEL,
    PENDING,
    PPM,
    RECEIPT,
    SCORED,
    World,
    events,
    reverts,
)

from openmined.protocol import batch_payout_wei, share_payout_wei

HARMFUL, LAST_LOSING, STALE, LAST = 5, 127, 128, 255


def paid_for(world: World, accuracy_ppm: int, *, start_ppm: int = 100_000, **changes: Any) -> int:
    campaign = world.launch_open(start_ppm, start_ppm=start_ppm, **changes)
    world.score(campaign, accuracy_ppm, (world.submit(campaign), PPM, 0))
    return world.sonar.campaign(campaign).paid


@pytest.mark.parametrize(
    ("accuracy_ppm", "paid"),
    [
        (120_000, 25),  # the example of the design: 2 points of 80 % of 1000
        (101_000, 1),  # exactly the Ladder step: 1.25
        (500_000, 500),
        (800_000, 875),
        (800_001, 875),  # nothing beyond the target
        (PPM, 875),
    ],
)
def test_the_increase_over_the_target_is_the_part_of_the_bounty(
    world: World, accuracy_ppm: int, paid: int
) -> None:
    assert paid_for(world, accuracy_ppm, bounty=1000, target_ppm=800_000) == paid


def test_the_fee_is_set_aside_first(world: World) -> None:
    assert paid_for(world, 500_000, bounty=1000, fee=200, target_ppm=800_000) == 400
    assert paid_for(world, PPM, start_ppm=0, bounty=1000, fee=200) == 800


@pytest.mark.parametrize(
    ("best_ppm", "accuracy_ppm", "counts"),
    [
        (100_000, 109_999, False),  # below the step of 10 000
        (100_000, 110_000, True),
        (100_000, 100_000, False),
        (100_000, 99_999, False),
        (100_000, 0, False),
        (795_000, 799_999, False),
        (795_000, 800_000, True),  # below the step, but it reaches the target
        (795_000, 804_000, True),
    ],
)
def test_less_than_the_step_pays_nothing_unless_it_reaches_the_target(
    world: World, best_ppm: int, accuracy_ppm: int, counts: bool
) -> None:
    campaign = world.launch_open(best_ppm, start_ppm=best_ppm, min_improvement_ppm=10_000)
    gradient = world.submit(campaign)
    if counts:
        with reverts("Sonar: wrong sum of shares"):
            world.score(campaign, accuracy_ppm, (gradient, 0, 0))
        world.score(campaign, accuracy_ppm, (gradient, PPM, 0))
        assert world.sonar.campaign(campaign).best_ppm == min(accuracy_ppm, 800_000)
        assert world.sonar.campaign(campaign).paid > 0
    else:
        with reverts("Sonar: wrong sum of shares"):
            world.score(campaign, accuracy_ppm, (gradient, PPM, 0))
        world.score(campaign, accuracy_ppm, (gradient, 0, 0))
        assert world.sonar.campaign(campaign).best_ppm == best_ppm
        assert world.sonar.campaign(campaign).paid == 0
    assert world.sonar.gradient(campaign, gradient)[2] == SCORED


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_every_payment_is_the_published_formula(world: World, data: st.DataObject) -> None:
    target = data.draw(st.integers(1, PPM), "target")
    start = data.draw(st.integers(0, target - 1), "start")
    bounty = data.draw(st.integers(1, 10**21), "bounty")
    fee = data.draw(st.integers(0, bounty - 1), "fee")
    step = data.draw(st.integers(1, PPM), "step")
    accuracy = data.draw(st.integers(0, PPM), "accuracy")
    cut = data.draw(st.integers(0, PPM), "share")
    rule = {"fee_wei": fee, "target_ppm": target, "min_improvement_ppm": step}
    campaign = world.launch_open(
        start,
        bounty=bounty,
        fee=fee,
        bond=0,
        start_ppm=start,
        target_ppm=target,
        min_improvement_ppm=step,
    )
    first, second = world.submit(campaign), world.submit(campaign, sender=world.miners[1])

    total = batch_payout_wei(bounty_wei=bounty, best_ppm=start, accuracy_ppm=accuracy, **rule)
    counts = accuracy >= start + step or (accuracy >= target and accuracy > start)
    shares = (cut, PPM - cut) if counts else (0, 0)
    before = [world.credit(miner) for miner in world.miners[:2]]
    world.score(campaign, accuracy, (first, shares[0], 0), (second, shares[1], 0))

    payouts = [world.credit(m) - b for m, b in zip(world.miners[:2], before, strict=True)]
    assert payouts == [share_payout_wei(total, share) for share in shares]
    assert world.sonar.campaign(campaign).paid == sum(payouts) <= bounty - fee


def test_a_batch_says_everything(world: World) -> None:
    campaign = world.launch_open(bounty=10_000, fee=400, bond=7)
    miners = world.miners[:4]
    for miner in miners:
        world.submit(campaign, sender=miner)

    world.score(campaign, 300_000, (2, 250_000, 0), (0, 750_000, 0), (1, 0, HARMFUL), (3, 0, STALE))

    common = {"campaign": campaign, "batch": 1}
    assert events(world.sonar) == [
        (
            "GradientScored",
            common
            | {
                "miner": miners[gradient],
                "gradient": gradient,
                "share_ppm": share_ppm,
                "payout": payout,
                "reason": reason,
                "bond_returned": bond_returned,
            },
        )
        for gradient, share_ppm, payout, reason, bond_returned in [
            (2, 250_000, 600, 0, 7),
            (0, 750_000, 1800, 0, 7),
            (1, 0, 0, HARMFUL, 0),
            (3, 0, 0, STALE, 7),
        ]
    ] + [
        (
            "BatchScored",
            common
            | {
                "accuracy_ppm": 300_000,
                "best_ppm": 300_000,
                "version": 2,
                "model": MODEL,
                "receipt": RECEIPT,
                "paid": 2400,
                "forfeited": 7,
                "bounty": 10_007,
            },
        )
    ]
    assert [world.credit(miner) for miner in miners] == [1807, 0, 607, 7]
    statuses = [world.sonar.gradient(campaign, n)[2] for n in range(4)]
    assert statuses == [SCORED, DISMISSED, SCORED, DISMISSED]
    assert world.sonar.gradient(campaign, 1)[:2] == (miners[1], 1)
    state = world.sonar.campaign(campaign)
    assert (state.pending, state.gradients, state.batches) == (0, 4, 1)
    assert (state.terms.bounty, state.paid, state.unspent) == (10_007, 2400, 7607)
    assert world.sonar.escrow(ETH) == 10_000 + 4 * 7 == world.balance(world.sonar)


@pytest.mark.parametrize(
    ("reason", "lost"),
    [(1, True), (HARMFUL, True), (LAST_LOSING, True), (STALE, False), (LAST, False)],
)
def test_the_reason_decides_over_the_bond(world: World, reason: int, lost: bool) -> None:
    campaign = world.launch_open(bond=10)
    world.score(campaign, 0, (world.submit(campaign), 0, reason))
    assert world.credit(world.miner) == (0 if lost else 10)
    assert world.sonar.campaign(campaign).terms.bounty == (1010 if lost else 1000)
    assert world.sonar.gradient(campaign, 0)[2] == DISMISSED


def test_a_lost_bond_raises_later_payments_but_not_its_own_batchs(world: World) -> None:
    campaign = world.launch_open(bounty=1000, bond=800, target_ppm=800_000)
    good, bad = world.submit(campaign), world.submit(campaign, sender=world.miners[1])
    world.score(campaign, 200_000, (good, PPM, 0), (bad, 0, HARMFUL))
    assert world.sonar.campaign(campaign).paid == 125  # of 1000
    world.score(campaign, 300_000, (world.submit(campaign), PPM, 0))
    assert world.sonar.campaign(campaign).paid == 125 + 225  # of 1800


def test_a_top_up_raises_later_payments_only(world: World) -> None:
    campaign = world.launch_open(bounty=1000, target_ppm=800_000)
    world.score(campaign, 200_000, (world.submit(campaign), PPM, 0))
    world.sonar.top_up(campaign, 1000, value=1000, sender=world.stranger)
    assert world.sonar.campaign(campaign).paid == 125
    world.score(campaign, 300_000, (world.submit(campaign), PPM, 0))
    assert world.sonar.campaign(campaign).paid == 125 + 250


def test_a_model_is_the_next_version_and_none_is_not(world: World) -> None:
    campaign = world.launch_open()
    world.score(campaign, 200_000, (world.submit(campaign), PPM, 0), model=NO_MODEL)
    assert world.sonar.campaign(campaign).version == 1
    world.score(campaign, 0, (world.submit(campaign), 0, 0), model=MODEL)
    state = world.sonar.campaign(campaign)
    assert (state.version, state.epoch, state.batches) == (2, 1, 2)


@pytest.mark.parametrize("batch", [0, 1, 3, 2**32 + 2, 2**256 - 1])
def test_only_the_batch_that_is_due(world: World, batch: int) -> None:
    campaign = world.launch_open()
    world.score(campaign, 200_000, (world.submit(campaign), PPM, 0), batch=1)
    gradient = world.submit(campaign)
    with reverts("Sonar: another batch is due"):
        world.score(campaign, 300_000, (gradient, PPM, 0), batch=batch)
    world.score(campaign, 300_000, (gradient, PPM, 0), batch=2)
    numbers = [e["batch"] for name, e in events(world.sonar) if name.endswith("Scored")]
    assert numbers == [2, 2]


@pytest.mark.parametrize("version", [0, 1, 3, 2**32 + 2, 2**256 - 1])
def test_only_on_the_current_version(world: World, version: int) -> None:
    campaign = world.launch_open()
    world.rotate(campaign)
    gradient = world.submit(campaign)
    with reverts("Sonar: another version is current"):
        world.score(campaign, 200_000, (gradient, PPM, 0), version=version)
    with reverts("Sonar: another version is current"):
        world.rotate(campaign, version=version)
    world.score(campaign, 200_000, (gradient, PPM, 0), version=2)
    world.rotate(campaign, version=3)


def test_stale_gradients_are_scored_too(world: World) -> None:
    campaign = world.launch_open()
    stale = world.submit(campaign, version=1)
    world.rotate(campaign)
    world.score(campaign, 200_000, (stale, PPM, 0))
    assert world.sonar.campaign(campaign).paid == 125


def test_only_the_capsule_scores(world: World) -> None:
    campaign = world.launch_open()
    gradient = world.submit(campaign)
    for account in (world.data_scientist, world.miner, world.stranger):
        with reverts("Sonar: not the capsule"):
            world.score(campaign, 200_000, (gradient, PPM, 0), sender=account)


def test_only_while_open_and_until_the_end_of_grace(world: World) -> None:
    campaign = world.launch()
    with reverts("Sonar: not open"):
        world.score(campaign, 200_000, (0, PPM, 0))
    world.open(campaign)
    first, second = world.submit(campaign), world.submit(campaign)
    world.at_end_of_grace(campaign)
    world.score(campaign, 200_000, (first, PPM, 0))
    world.at_end_of_grace(campaign, 1)
    with reverts("Sonar: grace is over"):
        world.score(campaign, 300_000, (second, PPM, 0))
    world.sonar.expire_campaign(campaign, sender=world.stranger)
    with reverts("Sonar: not open"):
        world.score(campaign, 300_000, (second, PPM, 0))


def test_a_batch_has_one_gradient_at_least_and_no_more_than_allowed(world: World) -> None:
    campaign = world.launch_open(max_batch=2)
    for _ in range(3):
        world.submit(campaign)
    with reverts("Sonar: empty batch"):
        world.score(campaign, 0)
    with reverts("Sonar: batch too large"):
        world.score(campaign, 0, (0, 0, 0), (1, 0, 0), (2, 0, 0))
    world.score(campaign, 0, (0, 0, 0), (1, 0, 0))


def test_the_largest_batch(world: World) -> None:
    campaign = world.launch_open(bounty=10**18, max_batch=64)
    for index in range(64):
        world.submit(campaign, sender=world.miners[index % 12])
    share = PPM // 64
    scores = [(n, share, 0) for n in range(63)] + [(63, PPM - 63 * share, 0)]
    world.score(campaign, 800_000, *scores)
    assert world.sonar.campaign(campaign).pending == 0
    with reverts(None):  # more than 64 do not decode
        world.score(campaign, 800_000, *scores, (0, 0, 0))


@pytest.mark.parametrize("accuracy_ppm", [PPM + 1, 2**256 - 1])
def test_no_accuracy_is_above_100_percent(world: World, accuracy_ppm: int) -> None:
    campaign = world.launch_open()
    gradient = world.submit(campaign)
    with reverts("Sonar: accuracy above 100 %"):
        world.score(campaign, accuracy_ppm, (gradient, PPM, 0))


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([(0, 500_000, 0), (1, 499_999, 0)], "Sonar: wrong sum of shares"),
        ([(0, 500_000, 0), (1, 500_001, 0)], "Sonar: wrong sum of shares"),
        ([(0, 500_000, 0)], "Sonar: wrong sum of shares"),
        ([(0, PPM, 0), (1, PPM, 0)], "Sonar: wrong sum of shares"),
        ([(0, PPM + 1, 0)], "Sonar: share above 100 %"),
        ([(0, 2**256 - 1, 0), (1, 2, 0)], "Sonar: share above 100 %"),
        ([(0, PPM - 1, 0), (1, 1, 5)], "Sonar: share for a rejected gradient"),
        ([(0, PPM, 0), (1, 0, 256)], "Sonar: unknown reason"),
        ([(0, PPM, 0), (1, 0, 2**256 - 1)], "Sonar: unknown reason"),
        ([(0, 0, 1), (1, 0, 1)], "Sonar: wrong sum of shares"),
        ([(0, 500_000, 0), (0, 500_000, 0)], "Sonar: gradient not pending"),
        ([(0, PPM, 0), (2, 0, 0)], "Sonar: gradient not pending"),
        ([(2**256 - 1, PPM, 0)], "Sonar: gradient not pending"),
    ],
)
def test_a_batch_that_is_not_in_order_changes_nothing(
    world: World, scores: list[tuple[int, int, int]], reason: str
) -> None:
    campaign = world.launch_open()
    world.submit(campaign), world.submit(campaign)
    before = world.sonar.campaign(campaign)
    with reverts(reason):
        world.score(campaign, 200_000, *scores)
    assert world.sonar.campaign(campaign) == before
    assert world.sonar.gradient(campaign, 0)[2] == PENDING
    assert world.credit(world.miner) == 0


@pytest.mark.parametrize("verdict", [0, 1, 128])
def test_a_gradient_is_scored_once(world: World, verdict: int) -> None:
    campaign = world.launch_open()
    gradient = world.submit(campaign)
    world.score(campaign, 0, (gradient, 0, verdict))
    for again in (0, 1, 128):
        with reverts("Sonar: gradient not pending"):
            world.score(campaign, 0, (gradient, 0, again))


def test_beyond_a_reached_target_nothing_is_paid(world: World) -> None:
    campaign = world.launch_open()
    first, second, third = (world.submit(campaign) for _ in range(3))
    world.score(campaign, 800_000, (first, PPM, 0))
    paid = world.sonar.campaign(campaign).paid
    for accuracy_ppm in (800_001, 801_000, PPM):
        with reverts("Sonar: wrong sum of shares"):
            world.score(campaign, accuracy_ppm, (second, PPM, 0))
    world.score(campaign, 800_001, (second, 0, 0))
    world.score(campaign, PPM, (third, 0, 0))
    state = world.sonar.campaign(campaign)
    assert (state.paid, state.best_ppm, state.pending) == (paid, 800_000, 0)


def test_payments_in_a_token(world: World) -> None:
    token = world.token()
    campaign = world.launch_open(token=token.address)
    world.score(campaign, 120_000, (world.submit(campaign), PPM, 0))
    assert world.credit(world.miner, token) == 25 + 10
    assert world.credit(world.miner) == 0
