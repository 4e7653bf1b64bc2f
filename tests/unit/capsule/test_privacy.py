"""Client-level privacy: the accountant, the clipping, the noise, and what is paid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.unit.capsule.test_scoring import KEY, L2, Digits, direction

from openmined.capsule._privacy import (
    ClientPrivacy,
    clip,
    expand_gaussian,
    noisy_mean,
    own_norm,
    plan_privacy,
    score_privately,
    zcdp_of,
)
from openmined.capsule._scoring import Rules, ScoredBatch, Standing, Update, score_local_steps
from openmined.protocol import PPM, LocalSteps, PrivacyRequest
from openmined.syft import LinearClassifier

SPEC = LinearClassifier(inputs=512, classes=tuple("0123456789"), l2=L2, update=LocalSteps(steps=30))


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0, 100.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-6])
def test_the_accountant_inverts_bun_and_steinke(epsilon: float, delta: float) -> None:
    rho = zcdp_of(epsilon, delta)
    assert rho + 2 * math.sqrt(rho * math.log(1 / delta)) == pytest.approx(epsilon)


def test_clipping_shortens_and_never_lengthens() -> None:
    update = np.full((3, 3), 2.0)
    assert np.linalg.norm(clip(update, 1.0)) == pytest.approx(1.0)
    np.testing.assert_array_equal(clip(update, 100.0), update)
    np.testing.assert_array_equal(clip(np.zeros((2, 2)), 1.0), np.zeros((2, 2)))


def test_the_noise_is_normal_repeatable_and_bound_to_its_key() -> None:
    drawn = expand_gaussian(b"key", (400, 400))
    assert abs(drawn.mean()) < 0.01
    assert drawn.std() == pytest.approx(1.0, abs=0.01)
    assert np.mean(np.abs(drawn) > 1.96) == pytest.approx(0.05, abs=0.003)
    np.testing.assert_array_equal(drawn, expand_gaussian(b"key", (400, 400)))
    assert not np.allclose(drawn, expand_gaussian(b"other", (400, 400)))


def update(gradient: int, miner: int, move: np.ndarray) -> Update:
    return Update(gradient, f"0x{miner:040x}", 1, 10, move)


def test_one_mine_moves_the_mean_by_no_more_than_its_part() -> None:
    random = np.random.default_rng(0)
    moves = [random.normal(size=(50, 4)) for _ in range(5)]
    quiet = ClientPrivacy(norm=1.0, rho=1e30, left=1)
    rest = noisy_mean([update(i, i, m) for i, m in enumerate(moves[:4])], quiet, KEY)
    for huge in (moves[4], 1e9 * moves[4]):
        everyone = [*(update(i, i, m) for i, m in enumerate(moves[:4])), update(4, 4, huge)]
        mean = noisy_mean(everyone, quiet, KEY)
        assert np.linalg.norm(5 * mean - 4 * rest) <= 1.0 + 1e-6


def test_sending_twice_counts_once() -> None:
    move = np.ones((4, 4))
    quiet = ClientPrivacy(norm=1.0, rho=1e30, left=1)
    once = noisy_mean([update(0, 0, move), update(1, 1, -move)], quiet, KEY)
    often = [update(0, 0, move), update(2, 0, move), update(3, 0, move), update(1, 1, -move)]
    np.testing.assert_allclose(noisy_mean(often, quiet, KEY), once, atol=1e-9)


def test_the_noise_has_the_deviation_of_the_formula() -> None:
    privacy = ClientPrivacy(norm=3.0, rho=0.02, left=1)
    updates = [update(i, i, np.zeros((300, 300))) for i in range(4)]
    noise = noisy_mean(updates, privacy, KEY)
    assert noise.std() == pytest.approx(3.0 / 4 / math.sqrt(2 * 0.02), rel=0.02)


def run(digits: Digits, privacy: ClientPrivacy, mines: int = 10) -> ScoredBatch:
    standing = Standing(1, digits.start)
    rules = Rules(100_000, 990_000, 1000, 100)
    updates = [
        Update(i, f"0x{i:040x}", 1, mine.n, direction("local-steps", mine, digits.start))
        for i, mine in enumerate(digits.mines(mines))
    ]

    def score(found: list[Update]) -> ScoredBatch:
        return score_local_steps(digits.validation, standing, found, rules, sketch_key=KEY)

    return score_privately(
        digits.validation,
        standing,
        updates,
        rules,
        privacy,
        score,  # type: ignore[arg-type]
        sketch_key=KEY,
        noise_key=KEY,
    )


def test_a_private_batch_learns_and_pays_alike(digits: Digits) -> None:
    request = PrivacyRequest(epsilon=200.0, delta=1e-5, level="client")
    privacy = plan_privacy(request, 4, 0, SPEC, digits.validation, digits.start)
    scored = run(digits, privacy)
    assert scored.accuracy_ppm > 500_000
    assert scored.attribution == "none"
    assert [v.share_ppm for v in scored.verdicts.values()] == [PPM // 10] * 10


def test_less_privacy_budget_is_more_noise(digits: Digits) -> None:
    def accuracy(epsilon: float) -> float:
        request = PrivacyRequest(epsilon=epsilon, delta=1e-5, level="client")
        privacy = plan_privacy(request, 4, 0, SPEC, digits.validation, digits.start)
        return run(digits, privacy).accuracy

    assert accuracy(0.5) < accuracy(1000.0) - 0.2


def test_after_the_last_batch_nothing_is_learned(digits: Digits) -> None:
    request = PrivacyRequest(epsilon=100.0, delta=1e-5, level="client")
    privacy = plan_privacy(request, 4, 4, SPEC, digits.validation, digits.start)
    assert privacy.left == 0
    scored = run(digits, privacy)
    assert scored.weights is None
    assert all(v.share_ppm == 0 and not v.reason for v in scored.verdicts.values())


def test_the_clipping_norm_comes_from_the_data_scientists_rows(digits: Digits) -> None:
    statistics = digits.mines(1)[0]
    honest = direction("local-steps", statistics, digits.start)
    norm = own_norm(SPEC, digits.validation, digits.start)
    assert norm == pytest.approx(float(np.linalg.norm(honest)), rel=0.3)
