from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from openmined.protocol import (
    MAX_WEI,
    PPM,
    CampaignManifest,
    GradientManifest,
    ManifestError,
    batch_payout_wei,
    decode_gradient_body,
    decode_manifest,
    share_payout_wei,
)


@given(
    bounty=st.integers(1, MAX_WEI),
    data=st.data(),
    path=st.lists(st.integers(0, PPM), max_size=40),
    step=st.integers(1, 50_000),
)
def test_no_path_of_scores_pays_more_than_the_mines_part(
    bounty: int, data: st.DataObject, path: list[int], step: int
) -> None:
    fee = data.draw(st.integers(0, bounty - 1))
    target = data.draw(st.integers(1, PPM))
    start = best = data.draw(st.integers(0, target - 1))
    paid = 0
    for accuracy in path:
        total = batch_payout_wei(
            bounty_wei=bounty, fee_wei=fee, best_ppm=best, accuracy_ppm=accuracy,
            target_ppm=target, min_improvement_ppm=step,
        )  # fmt: skip
        if total or accuracy >= target or accuracy - best >= step:
            best = max(best, min(accuracy, target))
        paid += total
    assert paid <= Fraction(best - start, target) * (bounty - fee)


@given(total=st.integers(0, MAX_WEI), cuts=st.lists(st.integers(0, PPM), max_size=15))
def test_shares_never_pay_more_than_the_total(total: int, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), PPM]
    shares = [b - a for a, b in pairwise(edges)]
    paid = sum(share_payout_wei(total, share) for share in shares)
    assert total - len(shares) < paid <= total


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_and_nothing_else(data: bytes) -> None:
    for decode in (
        lambda: decode_manifest(data, GradientManifest),
        lambda: decode_manifest(data, CampaignManifest),
        lambda: decode_gradient_body(data),
    ):
        try:
            decode()
        except ManifestError:
            continue
        raise AssertionError(f"accepted {data!r}")
