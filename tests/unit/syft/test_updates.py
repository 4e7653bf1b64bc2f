"""Updates on encrypted weights equal updates in the clear, to a stated precision."""

import numpy as np
import pytest

from openmined.protocol import LocalSteps, PlainGradient
from openmined.syft import (
    DataError,
    EncryptedGradient,
    EncryptedModel,
    KeyMismatch,
    LinearRegression,
    PublicKeys,
    RangeError,
    Statistics,
    UpdateCache,
    accumulate_statistics,
    apply_update,
    choose_parameters,
    compute_update,
    decrypt_update,
    encrypt_model,
    evaluate,
    generate_keys,
    initial_weights,
)
from openmined.syft._estimators import solve_clear
from openmined.syft._low_rank import factor_update, low_rank_pays
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


@pytest.fixture(scope="module")
def few_rows_task():
    """Forty rows of 199 features: fewer than a quarter of the 256 padded rows."""
    generator = np.random.default_rng(4)
    X = np.hstack([generator.standard_normal((40, 199)), np.ones((40, 1))])
    Y = X @ generator.standard_normal((200, 5)) / 14.0
    return X, Y


@pytest.mark.parametrize("steps", [None, 30])
@pytest.mark.parametrize("processes", [1, 2])
def test_two_product_form(few_rows_task, bits, steps, processes):
    update = PlainGradient() if steps is None else LocalSteps(steps=steps)
    spec = LinearRegression(inputs=200, outputs=5, update=update)
    keys = generate_keys(choose_parameters(spec, few_rows=True), spec)
    statistics = accumulate_statistics([few_rows_task])
    assert low_rank_pays(statistics.n, keys.parameters, keys.packing)
    W = 0.1 * np.random.default_rng(6).standard_normal((200, 5))
    seen = []
    gradient = compute_update(
        encrypt_model(W, keys),
        keys.public,
        statistics,
        update,
        spec.l2,
        lambda done, total: seen.append((done, total)),
        processes=processes,
    )
    giant_steps = 2 * 64 // keys.packing.giant_step
    assert seen == [(done, giant_steps) for done in range(1, giant_steps + 1)]
    wanted = apply_update(W, statistics, update, spec.l2)
    assert bits(decrypt_update(gradient, keys), wanted) >= MINIMUM_BITS


@pytest.mark.parametrize("steps", [None, 3])
def test_factors_make_the_matrix(few_rows_task, steps):
    update = PlainGradient() if steps is None else LocalSteps(steps=steps, rate=0.7)
    statistics = accumulate_statistics([few_rows_task])
    identity, U, V = factor_update(statistics, update, 0.01)
    assert U.shape[1] == 40
    M, _ = affine_map(statistics, update, 0.01)
    np.testing.assert_allclose(identity * np.eye(200) + U @ V, M, atol=1e-10)


def test_many_rows_use_one_product_under_the_same_parameters(make_task, bits):
    spec, _, statistics = make_task(64, 3, rows=500)
    keys = generate_keys(choose_parameters(spec, few_rows=True), spec)
    assert not low_rank_pays(statistics.n, keys.parameters, keys.packing)
    W = 0.1 * np.random.default_rng(6).standard_normal((64, 3))
    found = over_the_wire(W, keys, statistics, spec.update, spec.l2)
    assert bits(found, apply_update(W, statistics, spec.update, spec.l2)) >= MINIMUM_BITS


@pytest.mark.parametrize("processes", [2, 3, 64])
def test_processes_share_the_work(keys, statistics, classifier, weights, bits, processes):
    seen = []
    gradient = compute_update(
        encrypt_model(weights, keys),
        keys.public,
        statistics,
        PlainGradient(),
        classifier.l2,
        lambda done, total: seen.append((done, total)),
        processes=processes,
    )
    wanted = apply_update(weights, statistics, PlainGradient(), classifier.l2)
    assert bits(decrypt_update(gradient, keys), wanted) >= MINIMUM_BITS
    assert seen == [(done, 4) for done in range(1, 5)]


def test_cache_serves_rounds_and_notices_new_data(keys, statistics, classifier, weights, bits):
    cache = UpdateCache()
    doubled = statistics + statistics
    changed = Statistics(statistics.n, 1.5 * statistics.gram, statistics.cross)
    for W, data in ((weights, statistics), (2 * weights, statistics), (weights, changed)):
        before = cache._entry
        model = encrypt_model(W, keys)
        gradient = compute_update(
            model, keys.public, data, PlainGradient(), classifier.l2, cache=cache
        )
        wanted = apply_update(W, data, PlainGradient(), classifier.l2)
        assert bits(decrypt_update(gradient, keys), wanted) >= MINIMUM_BITS
        assert (cache._entry is before) == (W is not weights)
    assert doubled.n == 2 * statistics.n
