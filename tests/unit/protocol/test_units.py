from __future__ import annotations

import pytest

from openmined.protocol import (
    UnitError,
    accuracy_to_ppm,
    batch_payout_wei,
    ether_to_wei,
    format_wei,
    mines_part_wei,
    ppm_to_percent,
    share_payout_wei,
)

SEED = {"bounty_wei": 1000, "fee_wei": 0, "target_ppm": 800_000, "min_improvement_ppm": 1}


def test_the_example_of_the_design_pays_25() -> None:
    assert batch_payout_wei(**SEED, best_ppm=500_000, accuracy_ppm=520_000) == 25


def test_overshoot_is_not_paid() -> None:
    to_target = batch_payout_wei(**SEED, best_ppm=790_000, accuracy_ppm=800_000)
    assert batch_payout_wei(**SEED, best_ppm=790_000, accuracy_ppm=990_000) == to_target == 12


@pytest.mark.parametrize(
    ("accuracy_ppm", "paid"),
    [
        (504_999, 0),  # below the Ladder step
        (505_000, 6),  # at the step
        (499_000, 0),  # worse
        (500_000, 0),  # the same
    ],
)
def test_a_gain_below_the_ladder_step_pays_nothing(accuracy_ppm: int, paid: int) -> None:
    terms = SEED | {"min_improvement_ppm": 5_000}
    assert batch_payout_wei(**terms, best_ppm=500_000, accuracy_ppm=accuracy_ppm) == paid


def test_the_last_gain_counts_even_below_the_step() -> None:
    terms = SEED | {"min_improvement_ppm": 5_000}
    assert batch_payout_wei(**terms, best_ppm=799_000, accuracy_ppm=800_000) == 1


def test_the_fee_is_set_aside_first() -> None:
    assert mines_part_wei(1200, 200) == 1000
    terms = SEED | {"bounty_wei": 1200, "fee_wei": 200}
    assert batch_payout_wei(**terms, best_ppm=500_000, accuracy_ppm=520_000) == 25
    with pytest.raises(UnitError, match="fee of 7"):
        mines_part_wei(7, 7)


def test_shares_round_down() -> None:
    assert [share_payout_wei(25, share) for share in (333_333, 333_333, 333_334)] == [8, 8, 8]


@pytest.mark.parametrize(
    ("accuracy", "step", "ppm"),
    [(0.97129, 1, 971_290), (0.97129, 1000, 971_000), (-3.0, 1, 0), (1.0, 300_000, 900_000)],
)
def test_accuracy_is_rounded_to_the_step(accuracy: float, step: int, ppm: int) -> None:
    assert accuracy_to_ppm(accuracy, step) == ppm


@pytest.mark.parametrize("accuracy", [float("nan"), float("inf"), 1.0001])
def test_an_impossible_accuracy_is_refused(accuracy: float) -> None:
    with pytest.raises(UnitError, match="accuracy"):
        accuracy_to_ppm(accuracy)


def test_a_step_must_be_positive() -> None:
    with pytest.raises(UnitError, match="step of 0"):
        accuracy_to_ppm(0.5, 0)


@pytest.mark.parametrize(("text", "wei"), [("1", 10**18), ("0.000000000000000001", 1), (0, 0)])
def test_ether_is_exact(text: str | int, wei: int) -> None:
    assert ether_to_wei(text) == wei


@pytest.mark.parametrize("text", [0.1, "1e-19", "-1", "much", "NaN", "Infinity", "1" * 60])
def test_other_amounts_of_ether_are_refused(text: object) -> None:
    with pytest.raises(UnitError):
        ether_to_wei(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wei", "text"),
    [(10**18, "1 ETH"), (10**17, "0.1 ETH"), (0, "0 ETH"), (17, "17 wei"), (10**21, "1000 ETH")],
)
def test_amounts_are_written_for_people(wei: int, text: str) -> None:
    assert format_wei(wei) == text


def test_percentages_are_written_for_people() -> None:
    assert ppm_to_percent(971_300) == "97.1 %"
