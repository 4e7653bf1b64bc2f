"""Duplicates: copies are found under factors, signs and noise; honest likeness is no offence."""

from __future__ import annotations

import numpy as np
import pytest

from openmined.capsule._duplicates import Fingerprint, find_duplicates, sketch_update
from openmined.protocol import LocalSteps, PlainGradient
from openmined.syft import accumulate_statistics, apply_update

KEY = b"key"
Array = np.ndarray


def honest_updates(name: str, kind: str, mines: int = 10) -> list[Array]:
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

    random = np.random.default_rng(7)
    data = {"digits": load_digits, "cancer": load_breast_cancer, "diabetes": load_diabetes}[name]()
    X = (data.data - data.data.mean(axis=0)) / (data.data.std(axis=0) + 1e-9)
    Z = np.c_[X, np.ones(len(X))] / np.sqrt(X.shape[1])
    labels = data.target
    Y = np.eye(int(labels.max()) + 1)[labels.astype(int)]
    if name == "diabetes":
        Y = (labels[:, None] - labels.mean()) / labels.std()
    update = LocalSteps(steps=50) if kind == "local-steps" else PlainGradient()
    start = np.zeros((Z.shape[1], Y.shape[1]))
    parts = np.array_split(random.permutation(len(Z)), mines)
    return [
        apply_update(start, accumulate_statistics([(Z[part], Y[part])]), update, 1e-3)
        for part in parts
    ]


def prints(updates: list[Array], first: int = 0, version: int = 1) -> list[Fingerprint]:
    return [
        Fingerprint(first + i, f"0x{first + i:040x}", version, sketch_update(update, KEY))
        for i, update in enumerate(updates)
    ]


cases = pytest.mark.parametrize(
    ("name", "kind"),
    [(n, k) for n in ("digits", "cancer", "diabetes") for k in ("local-steps", "gradient")],
)


@cases
def test_honest_mines_are_no_duplicates(name: str, kind: str) -> None:
    assert find_duplicates(prints(honest_updates(name, kind)), []) == {}


@cases
@pytest.mark.parametrize("factor", [1.0, 1000.0, 1e-3, -1.0])
def test_a_multiple_is_a_duplicate(name: str, kind: str, factor: float) -> None:
    updates = honest_updates(name, kind)
    known = prints(updates)
    assert find_duplicates(prints([factor * updates[4]], first=10), known) == {10: 4}


@pytest.mark.parametrize(("name", "kind"), [("digits", "local-steps"), ("cancer", "local-steps")])
@pytest.mark.parametrize("noise", [1e-4, 0.01, 0.05])
def test_a_noisy_multiple_is_a_duplicate(name: str, kind: str, noise: float) -> None:
    updates = honest_updates(name, kind)
    random = np.random.default_rng(1)
    scale = np.linalg.norm(updates[0]) / np.sqrt(updates[0].size)
    drawn = random.normal(scale=scale, size=updates[0].shape)
    copy = 3.0 * (updates[0] + noise * drawn)
    assert find_duplicates(prints([copy], first=10), prints(updates)) == {10: 0}


def test_the_later_one_is_the_copy_even_inside_one_batch() -> None:
    updates = honest_updates("cancer", "local-steps")
    batch = [*prints([updates[0]], first=5), *prints([2 * updates[0]], first=3)]
    assert find_duplicates(batch, []) == {5: 3}


def test_one_mine_may_send_the_same_for_two_versions() -> None:
    update = honest_updates("cancer", "local-steps")[0]
    first, again = prints([update])[0], prints([update], version=2)[0]
    assert find_duplicates([Fingerprint(9, first.miner, 2, again.sketch)], [first]) == {}
    assert find_duplicates([Fingerprint(9, "0x" + "9" * 40, 2, again.sketch)], [first]) == {9: 0}


def test_a_copy_of_a_copy_leads_to_the_original() -> None:
    updates = honest_updates("cancer", "local-steps")
    batch = prints([updates[0], 2 * updates[0], -3 * updates[0]])
    assert find_duplicates(batch, []) == {1: 0, 2: 0}


def test_zero_updates_are_no_duplicates_of_each_other() -> None:
    zero = np.zeros((9, 3))
    assert find_duplicates(prints([zero, zero]), []) == {}


def test_sketches_keep_angles_and_depend_on_the_key() -> None:
    random = np.random.default_rng(3)
    a = random.normal(size=(512, 10))
    b = 0.6 * a + 0.8 * random.normal(size=(512, 10))
    cosine = float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))
    first, second = sketch_update(a, KEY), sketch_update(b, KEY)
    assert float(first @ second) == pytest.approx(cosine, abs=0.1)
    assert len(first) == 1024
    assert not np.allclose(first, sketch_update(a, b"other"))
