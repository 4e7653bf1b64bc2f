"""A network trained by backpropagation on ciphertexts."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from openmined.protocol import MLPPacking, PlainGradient
from openmined.syft import (
    Adam,
    CiphertextError,
    DataError,
    EncryptedGradient,
    EncryptedModel,
    KeyMismatch,
    MLPClassifier,
    ParameterError,
    PublicKeys,
    RangeError,
    ReleaseLedger,
    SecretKeys,
    SpecError,
    Statistics,
    choose_parameters,
    compute_mlp_update,
    compute_update,
    decrypt_update,
    encrypt_model,
    estimator_from_weights,
    evaluate,
    generate_keys,
    initial_weights,
    load_model,
    mlp_gradient,
    release_weights,
    save_model,
    train_update,
)
from openmined.syft._mlp import join_mlp, split_mlp
from openmined.syft._mlp_decode import flood_deviation
from openmined.syft._mlp_keys import key_levels, layout_of, mlp_packing

MINIMUM_BITS = 6.0
ROUNDS = 9
SPEC = MLPClassifier(inputs=11, hidden=6, classes=("a", "b", "c"))


def make_batch(samples, inputs, outputs, seed=0):
    generator = np.random.default_rng(seed)
    X = np.hstack([generator.standard_normal((samples, inputs - 1)), np.ones((samples, 1))])
    return X, np.eye(outputs)[generator.integers(0, outputs, samples)]


@pytest.fixture(scope="module")
def mlp_keys():
    return generate_keys(choose_parameters(SPEC), SPEC)


@pytest.fixture(scope="module")
def wide_keys():
    """Ten classes make four ciphertexts fold into one; inputs of two groups."""
    spec = MLPClassifier(inputs=35, hidden=32, classes=tuple("0123456789"))
    return spec, generate_keys(choose_parameters(spec), spec)


@pytest.mark.parametrize("samples", [1, 500])
def test_gradient_is_precise(mlp_keys, bits, samples):
    X, Y = make_batch(samples, 11, 3)
    W = initial_weights(SPEC)
    sent = encrypt_model(W, mlp_keys)
    parameters = mlp_keys.parameters
    public = PublicKeys.from_blobs(parameters, mlp_keys.public.to_blobs())
    model = EncryptedModel.from_blobs(sent.packing, sent.to_blobs(), parameters)
    gradient = compute_mlp_update(model, public, X, Y)
    back = EncryptedGradient.from_blobs(gradient.packing, gradient.to_blobs(), parameters)
    found, wanted = decrypt_update(back, mlp_keys), mlp_gradient(W, X, Y)
    assert bits(found[:11], wanted[:11]) >= MINIMUM_BITS
    assert bits(found[11:], wanted[11:]) >= MINIMUM_BITS


@pytest.mark.parametrize(("samples", "processes"), [(256, 1), (300, 2)])
def test_wide_gradient_is_precise(wide_keys, bits, samples, processes):
    """A full block reads inputs both ways; two blocks are added."""
    spec, keys = wide_keys
    X, Y = make_batch(samples, 35, 10)
    W = initial_weights(spec)
    seen = []
    gradient = compute_mlp_update(
        encrypt_model(W, keys),
        keys.public,
        X,
        Y,
        lambda done, total: seen.append((done, total)),
        processes=processes,
    )
    found, wanted = decrypt_update(gradient, keys), mlp_gradient(W, X, Y)
    assert bits(found[:35], wanted[:35]) >= MINIMUM_BITS
    assert bits(found[35:], wanted[35:]) >= MINIMUM_BITS
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)]
    assert len(seen) == -(-samples // keys.packing.block)


@pytest.mark.parametrize("length", [2.0, 4.0])
def test_a_thousand_inputs_of_short_rows_are_precise(bits, length):
    """What a feature map's radius bounds, random ReLU's for instance, needs less noise."""
    spec = MLPClassifier(inputs=1024, hidden=8, classes=("a", "b", "c"), radius=length)
    keys = generate_keys(choose_parameters(spec), spec)
    assert keys.packing.row_length == length
    X, Y = make_batch(6, 1024, 3)
    X *= length / np.linalg.norm(X, axis=1, keepdims=True)
    W = initial_weights(spec)
    assert (X @ W[:1024]).std() == pytest.approx(0.25, rel=0.3)
    found = decrypt_update(compute_mlp_update(encrypt_model(W, keys), keys.public, X, Y), keys)
    wanted = mlp_gradient(W, X, Y)
    assert bits(found[:1024], wanted[:1024]) >= MINIMUM_BITS
    assert bits(found[1024:], wanted[1024:]) >= MINIMUM_BITS


def test_rows_are_protected_for_the_length_their_features_allow():
    columns = MLPClassifier(inputs=65, hidden=4, classes=("a", "b"))
    short = replace(columns, radius=1.5)
    assert mlp_packing(columns).row_length == pytest.approx(np.sqrt(65) / 2)
    assert mlp_packing(short).row_length == 1.5
    parameters = choose_parameters(columns)
    noise = [flood_deviation(parameters, mlp_packing(spec), 1) for spec in (columns, short)]
    assert noise[0] > 2.0 * noise[1]


def test_another_campaigns_packing_is_refused(mlp_keys):
    """A Capsule that understates the rows' length would get gradients with too little noise."""
    model = encrypt_model(initial_weights(SPEC), mlp_keys)
    batches = [make_batch(4, 11, 3)]
    assert train_update(SPEC, model, mlp_keys.public, batches).samples == 4
    understated = mlp_keys.packing.model_copy(update={"row_length": 0.01})
    for forged in (understated, mlp_keys.packing.model_copy(update={"block": 4096})):
        with pytest.raises(CiphertextError, match="too little noise"):
            train_update(SPEC, replace(model, packing=forged), mlp_keys.public, batches)


def test_clear_gradient_by_differences():
    X, Y = make_batch(20, 5, 2)
    W = np.random.default_rng(1).standard_normal((7, 4))

    def loss(weights):
        W1, W2 = split_mlp(weights, 5)
        return (((X @ W1) ** 2 @ W2 - Y) ** 2).sum() / (2 * len(X))

    gradient = mlp_gradient(W, X, Y)
    for place in [(0, 0), (4, 3), (5, 1), (6, 2)]:
        step = np.zeros_like(W)
        step[place] = 1e-5
        numeric = (loss(W + step) - loss(W - step)) / 2e-5
        assert gradient[place] == pytest.approx(numeric, rel=1e-6)


def test_encrypted_training_learns(mlp_keys):
    """Classes by distance, which no linear model finds, in a few encrypted gradients."""
    generator = np.random.default_rng(2)
    X = np.hstack([generator.standard_normal((400, 10)), np.ones((400, 1))])
    radius = (X[:, :2] ** 2).sum(axis=1)
    Y = np.eye(3)[np.digitize(radius, [0.6, 2.5])]
    W, optimizer = initial_weights(SPEC), Adam(0.1)
    state = optimizer.start(W)
    assert evaluate(SPEC, W, X, Y) < 0.4
    for _ in range(ROUNDS):
        model = encrypt_model(W, mlp_keys)
        gradient = compute_mlp_update(model, mlp_keys.public, X, Y)
        W, state = optimizer.step(W, decrypt_update(gradient, mlp_keys), state)
    assert evaluate(SPEC, W, X, Y) > 0.55
    released, _ = release_weights(W, mlp_keys, ReleaseLedger().count_decryption(ROUNDS))
    assert evaluate(SPEC, released, X, Y) > 0.55


def test_flood_is_in_what_arrives(mlp_keys):
    X, Y = make_batch(100, 11, 3)
    W = initial_weights(SPEC)
    gradient = compute_mlp_update(encrypt_model(W, mlp_keys), mlp_keys.public, X, Y)
    error = decrypt_update(gradient, mlp_keys) - mlp_gradient(W, X, Y)
    wanted = flood_deviation(mlp_keys.parameters, mlp_keys.packing, 1)
    assert error[11:].std() > 0.5 * wanted
    assert error[:11].std() > wanted  # sums of halves: twice the noise


def test_the_error_that_is_hidden_is_within_its_public_bound(wide_keys, monkeypatch):
    """The same rows under two encryptions of the same weights: what differs came with the keys.

    Rows, units and errors are as long as the working range of `flood_deviation` says; without the
    noise that hides it, the error shows.
    """
    _, keys = wide_keys
    generator = np.random.default_rng(3)
    X, Y = make_batch(100, 35, 10)
    X *= keys.packing.row_length / np.linalg.norm(X, axis=1, keepdims=True)
    W1 = generator.standard_normal((35, 32)) / keys.packing.row_length
    weights = join_mlp(W1, generator.standard_normal((32, 10)) / np.sqrt(32))
    bound = flood_deviation(keys.parameters, keys.packing, 1) / 2**15
    monkeypatch.setattr("openmined.syft._mlp_gradient.flood_deviation", lambda *_: 1e-30)
    # What is drowned would blur the slots as they are decoded.
    monkeypatch.setattr("openmined.syft._mlp_gradient._ROOM_BITS", 60.0)
    found = []
    for _ in range(2):
        draws = np.random.default_rng(4)
        monkeypatch.setattr("openmined.syft._mlp_steps.dither", draws.standard_normal)
        gradient = compute_mlp_update(encrypt_model(weights, keys), keys.public, X, Y)
        found.append(decrypt_update(gradient, keys))
    error = (found[0] - found[1]) / np.sqrt(2.0)
    for layer in split_mlp(error, 35):
        assert bound / 1000 < np.linalg.norm(layer) < bound / 8


def test_keys_are_made_once_at_the_level_they_are_first_used_at(mlp_keys, wide_keys):
    for keys in (mlp_keys, wide_keys[1]):
        blobs = keys.public.to_blobs()
        levels = Counter(key_levels(layout_of(keys.packing, keys.parameters)).values())
        wanted = {f"galois-keys-{level}" for level in levels}
        assert set(blobs) == wanted | {"relinearization-keys-6", "public-key-2"}
        sizes = {level: len(blobs[f"galois-keys-{level}"]) / levels[level] for level in levels}
        for level, size in sizes.items():  # l (l + 1) polynomials, against 2 x 3 at the end
            assert size == pytest.approx(sizes[2] * level * (level + 1) / 6, rel=0.06)
        assert sum(map(len, blobs.values())) < 44.5e6
    again = SecretKeys.from_bytes(mlp_keys.to_bytes())
    assert again.public.to_blobs() == mlp_keys.public.to_blobs()


@pytest.mark.parametrize(
    ("X", "Y", "error"),
    [
        (np.zeros((4, 10)), np.zeros((4, 3)), DataError),
        (np.zeros((0, 11)), np.zeros((0, 3)), DataError),
        (np.zeros((4, 11)), np.zeros((4, 2)), DataError),
        (np.full((4, 11), np.nan), np.zeros((4, 3)), DataError),
        (np.zeros((4, 11)), np.full((4, 3), np.inf), DataError),
        (np.full((4, 11), 2.1), np.zeros((4, 3)), RangeError),
        (np.zeros((4, 11)), np.full((4, 3), 2.0), RangeError),
    ],
)
def test_bad_batches_are_refused(mlp_keys, X, Y, error):
    model = encrypt_model(initial_weights(SPEC), mlp_keys)
    with pytest.raises(error):
        compute_mlp_update(model, mlp_keys.public, X, Y)


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        (np.zeros((14, 7)), DataError),
        (np.full((14, 6), np.nan), DataError),
        (np.full((14, 6), 65.0), RangeError),
    ],
)
def test_bad_weights_are_refused(mlp_keys, weights, error):
    with pytest.raises(error):
        encrypt_model(weights, mlp_keys)


def test_damaged_states_are_refused(mlp_keys, wide_keys, keys):
    X, Y = make_batch(5, 11, 3)
    model = encrypt_model(initial_weights(SPEC), mlp_keys)
    gradient = compute_mlp_update(model, mlp_keys.public, X, Y)
    parameters, packing = mlp_keys.parameters, mlp_keys.packing
    for state, kind in ((model, EncryptedModel), (gradient, EncryptedGradient)):
        blobs = state.to_blobs()
        with pytest.raises(CiphertextError):
            kind.from_blobs(packing, blobs[:-1], parameters)
        with pytest.raises(CiphertextError):
            kind.from_blobs(packing, [*blobs[:-1], blobs[-1][:-9]], parameters)
    with pytest.raises(CiphertextError, match="level"):
        EncryptedModel.from_blobs(packing, model.to_blobs()[::-1], parameters)
    with pytest.raises(CiphertextError):
        EncryptedGradient.from_blobs(packing, gradient.to_blobs(), keys.parameters)
    with pytest.raises(KeyMismatch):
        compute_mlp_update(model, wide_keys[1].public, X, Y)
    bad = MLPPacking(inputs=11, hidden=6, outputs=3, block=3000, row_length=1)
    with pytest.raises(CiphertextError, match="blocks"):
        EncryptedModel.from_blobs(bad, model.to_blobs(), parameters)


def test_families_do_not_mix(mlp_keys, keys, weights, statistics):
    linear = encrypt_model(weights, keys)
    with pytest.raises(DataError, match="MLP"):
        compute_mlp_update(linear, keys.public, np.zeros((4, 11)), np.zeros((4, 3)))
    network = encrypt_model(initial_weights(SPEC), mlp_keys)
    with pytest.raises(DataError, match="linear"):
        compute_update(
            network,
            mlp_keys.public,
            Statistics(1, np.eye(11), np.zeros((11, 3))),
            PlainGradient(),
            0.1,
        )


def test_estimator_and_model_file():
    generator = np.random.default_rng(0)
    X = generator.standard_normal((300, 10))
    labels = np.where((X**2).sum(axis=1) > 9, "a", "b")
    spec = MLPClassifier(inputs=11, hidden=8, classes=("a", "b"), learning_rate=0.05)
    model = spec.fit(X, labels, epochs=40)
    assert model.score(X, labels) > 0.85
    weights, _ = load_model(save_model(model.weights_))
    again = estimator_from_weights(spec, weights)
    assert (again.predict(X) == model.predict(X)).all()
    assert again.predict_proba(X).shape == (300, 2)
    assert [part.shape for part in again.coefs_] == [(10, 8), (8, 2)]
    W1, W2 = split_mlp(weights, 11)
    np.testing.assert_array_equal(join_mlp(W1, W2), weights)
    with pytest.raises(DataError):
        estimator_from_weights(spec, weights[:-1])


def test_sizes_out_of_range_are_refused():
    with pytest.raises(SpecError):
        MLPClassifier(inputs=4, hidden=300, classes=("a", "b"))
    with pytest.raises(ParameterError, match="fewer features"):
        choose_parameters(MLPClassifier(inputs=2000, hidden=4, classes=("a", "b")))
