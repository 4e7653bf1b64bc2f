"""Updates on encrypted weights equal updates in the clear, to a stated precision."""

import numpy as np
import pytest

from openmined.protocol import LocalSteps, PlainGradient
from openmined.syft import (
    DataError,
    EncryptedGradient,
    EncryptedModel,
    KeyMismatch,
    PublicKeys,
    RangeError,
    Statistics,
    apply_update,
    compute_update,
    decrypt_update,
    encrypt_model,
    evaluate,
    initial_weights,
)
from openmined.syft._estimators import solve_clear
from openmined.syft._updates import affine_map

MINIMUM_BITS = 12.0


def over_the_wire(weights, keys, statistics, update, l2):
    """One round as in life: everything passes through bytes."""
    sent = encrypt_model(weights, keys)
    public = PublicKeys.from_blobs(keys.parameters, keys.public.to_blobs())
    model = EncryptedModel.from_blobs(sent.packing, sent.to_blobs(), keys.parameters)
    gradient = compute_update(model, public, statistics, update, l2)
    back = EncryptedGradient.from_blobs(gradient.packing, gradient.to_blobs(), keys.parameters)
    return decrypt_update(back, keys)


@pytest.mark.parametrize(
    ("inputs", "outputs", "steps"),
    [(1, 1, None), (2, 3, None), (17, 1, None), (64, 10, None), (100, 7, 25), (256, 20, 100)],
)
@pytest.mark.parametrize("start", ["zero", "random"])
def test_update_is_precise(make_task, bits, inputs, outputs, steps, start):
    spec, keys, statistics = make_task(inputs, outputs, steps)
    W = initial_weights(spec)
    if start == "random":
        W = W + np.random.default_rng(5).standard_normal(W.shape) / np.sqrt(inputs)
    found = over_the_wire(W, keys, statistics, spec.update, spec.l2)
    wanted = apply_update(W, statistics, spec.update, spec.l2)
    assert found.shape == (inputs, outputs)
    assert bits(found, wanted) >= MINIMUM_BITS


def test_gradient_is_that_of_the_objective(statistics, rows, classifier, weights):
    """G W - C is the derivative of |XW - Y|^2 / 2n + l2 |W|^2 / 2, by central differences."""
    X, labels = rows
    Y = np.eye(3)[np.array(labels, dtype=int)]

    def objective(W):
        return ((X @ W - Y) ** 2).sum() / (2 * len(X)) + classifier.l2 * (W**2).sum() / 2

    gradient = apply_update(weights, statistics, PlainGradient(), classifier.l2)
    step = np.zeros_like(weights)
    step[3, 1] = 1e-5
    numeric = (objective(weights + step) - objective(weights - step)) / 2e-5
    assert gradient[3, 1] == pytest.approx(numeric, rel=1e-7)


@pytest.mark.parametrize("steps", [1, 2, 50])
@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_local_steps_are_gradient_descent(statistics, classifier, weights, steps, rate):
    G, negative_c = affine_map(statistics, PlainGradient(), classifier.l2)
    eta = rate / np.linalg.eigvalsh(G)[-1]
    expected = weights
    for _ in range(steps):
        expected = expected - eta * (G @ expected + negative_c)
    found = apply_update(weights, statistics, LocalSteps(steps=steps, rate=rate), classifier.l2)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_many_steps_reach_the_optimum(statistics, rows, classifier, weights):
    X, labels = rows
    Y = np.eye(3)[np.array(labels, dtype=int)]
    update = LocalSteps(steps=10_000_000)
    found = apply_update(weights, statistics, update, classifier.l2)
    np.testing.assert_allclose(found, solve_clear(classifier, X, Y), atol=1e-9)


def test_encrypted_rounds_learn(statistics, rows, classifier, keys):
    X, labels = rows
    Y = np.eye(3)[np.array(labels, dtype=int)]
    W = initial_weights(classifier)
    eigenvalues = np.linalg.eigvalsh(affine_map(statistics, PlainGradient(), classifier.l2)[0])
    for _ in range(4):
        gradient = over_the_wire(W, keys, statistics, PlainGradient(), classifier.l2)
        W = W - gradient * 2 / (eigenvalues[0] + eigenvalues[-1])
    optimum = evaluate(classifier, solve_clear(classifier, X, Y), X, Y)
    assert evaluate(classifier, initial_weights(classifier), X, Y) < 0.5
    assert evaluate(classifier, W, X, Y) >= optimum - 0.03


def test_progress_is_reported(statistics, classifier, keys, weights):
    seen = []
    model = encrypt_model(weights, keys)
    compute_update(
        model,
        keys.public,
        statistics,
        PlainGradient(),
        classifier.l2,
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)]
    assert len(seen) == keys.packing.dimension // keys.packing.giant_step


def test_updates_of_one_model_share_no_bytes(statistics, classifier, keys, weights):
    """A fresh encryption of zero: the same update twice gives unrelated ciphertexts."""
    model = encrypt_model(weights, keys)
    one, two = (
        compute_update(model, keys.public, statistics, PlainGradient(), classifier.l2).blobs[0]
        for _ in range(2)
    )
    same = np.mean(
        np.frombuffer(one[500:50_000], np.uint8) == np.frombuffer(two[500:50_000], np.uint8)
    )
    assert same < 0.2


def test_statistics_of_another_shape_are_refused(keys, weights, classifier):
    model = encrypt_model(weights, keys)
    statistics = Statistics(5, np.eye(7), np.zeros((7, 3)))
    with pytest.raises(DataError, match=r"\(7, 7\)"):
        compute_update(model, keys.public, statistics, PlainGradient(), classifier.l2)


def test_features_beyond_the_radius_are_refused(keys, weights, statistics, classifier):
    model = encrypt_model(weights, keys)
    large = Statistics(statistics.n, 1e6 * statistics.gram, statistics.cross)
    with pytest.raises(RangeError, match="centre and scale"):
        compute_update(model, keys.public, large, PlainGradient(), classifier.l2)


def test_targets_beyond_the_room_are_refused(keys, weights, statistics, classifier):
    model = encrypt_model(weights, keys)
    large = Statistics(statistics.n, statistics.gram, 1e9 * statistics.cross)
    with pytest.raises(RangeError, match="scale the targets"):
        compute_update(model, keys.public, large, PlainGradient(), classifier.l2)


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan"), float("inf")])
def test_l2_must_be_positive(keys, weights, statistics, l2):
    with pytest.raises(DataError, match="l2"):
        compute_update(encrypt_model(weights, keys), keys.public, statistics, PlainGradient(), l2)


def test_model_of_another_campaign_is_refused(keys, other_keys, weights, statistics, classifier):
    model = encrypt_model(weights, other_keys)
    with pytest.raises(KeyMismatch, match=other_keys.key_id.hex()):
        compute_update(model, keys.public, statistics, PlainGradient(), classifier.l2)


def test_gradient_of_another_campaign_is_refused(keys, other_keys, weights, statistics, classifier):
    model = encrypt_model(weights, keys)
    gradient = compute_update(model, keys.public, statistics, PlainGradient(), classifier.l2)
    with pytest.raises(KeyMismatch, match="another campaign"):
        decrypt_update(gradient, other_keys)


def test_relabelled_gradient_is_refused(keys, other_keys, weights, statistics, classifier):
    """A gradient under foreign keys, its frame rewritten, decrypts to noise and is refused."""
    model = encrypt_model(weights, other_keys)
    gradient = compute_update(model, other_keys.public, statistics, PlainGradient(), classifier.l2)
    forged = [blob.replace(other_keys.key_id, keys.key_id, 1) for blob in gradient.to_blobs()]
    relabelled = EncryptedGradient.from_blobs(gradient.packing, forged, keys.parameters)
    with pytest.raises(RangeError, match="forged"):
        decrypt_update(relabelled, keys)
