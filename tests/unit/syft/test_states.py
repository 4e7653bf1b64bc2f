"""Untrusted bytes: cut, swollen, random, foreign."""

import os

import numpy as np
import pytest

from openmined.protocol import CKKSParameters, InterleavedPacking, PlainGradient
from openmined.syft import (
    CiphertextError,
    DataError,
    EncryptedGradient,
    EncryptedModel,
    KeyMismatch,
    ParameterError,
    PublicKeys,
    RangeError,
    SecretKeys,
    SyftError,
    choose_parameters,
    compute_mlp_update,
    compute_update,
    decrypt_update,
    encrypt_model,
    generate_keys,
    run_limited,
)
from openmined.syft._seal import FRAME_BYTES

FEW = 5


@pytest.fixture(scope="module")
def blobs(keys, statistics, classifier):
    model = encrypt_model(np.zeros((11, 3)), keys)
    gradient = compute_update(model, keys.public, statistics, PlainGradient(), classifier.l2)
    return {"model": model.to_blobs()[0], "gradient": gradient.to_blobs()[0]}


def damaged(blob):
    """Give name and bytes of many ways to damage a blob."""
    generator = np.random.default_rng(3)
    yield "empty", b""
    yield "frame alone", blob[:FRAME_BYTES]
    yield "random", os.urandom(len(blob))
    yield "random behind the frame", blob[:FRAME_BYTES] + os.urandom(len(blob) - FRAME_BYTES)
    yield "swollen", blob + b"\x00"
    yield "twice", blob + blob[FRAME_BYTES:]
    for cut in (1, 100, len(blob) // 2, len(blob) - FRAME_BYTES - 10):
        yield f"cut by {cut}", blob[:-cut]
    for _ in range(FEW):  # SEAL's header claims another size, and so on
        place = int(generator.integers(0, FRAME_BYTES + 32))
        changed = bytearray(blob)
        changed[place] ^= int(generator.integers(1, 256))
        yield f"byte {place} flipped", bytes(changed)


@pytest.mark.parametrize("state", ["model", "gradient"])
def test_damaged_ciphertexts_are_refused_or_harmless(keys, blobs, state):
    kind = {"model": EncryptedModel, "gradient": EncryptedGradient}[state]

    def load(data):
        loaded = kind.from_blobs(keys.packing, [data], keys.parameters)
        return loaded.key_id

    for name, data in damaged(blobs[state]):
        try:
            key_id = run_limited(load, data, memory_mb=512, seconds=20)
        except SyftError:
            continue
        # Only a flipped key id (caught where keys meet) or version byte leaves it loadable.
        assert "flipped" in name, name
        assert len(key_id) == 16


def test_cut_swollen_and_random_are_named(keys, blobs):
    for name, data in damaged(blobs["model"]):
        if "flipped" not in name:
            with pytest.raises(CiphertextError):
                EncryptedModel.from_blobs(keys.packing, [data], keys.parameters)


def test_a_gradient_is_no_model(keys, blobs):
    with pytest.raises(CiphertextError, match="encrypted model expected"):
        EncryptedModel.from_blobs(keys.packing, [blobs["gradient"]], keys.parameters)


def test_the_number_of_ciphertexts_is_checked(keys, blobs):
    for wrong in ([], [blobs["model"]] * 2):
        with pytest.raises(CiphertextError, match="ciphertexts"):
            EncryptedModel.from_blobs(keys.packing, wrong, keys.parameters)


def test_packing_must_fill_the_slots(keys, blobs):
    packing = InterleavedPacking(
        rows=11, columns=3, dimension=16, columns_per_ciphertext=2, giant_step=4
    )
    with pytest.raises(CiphertextError, match="do not belong together"):
        EncryptedModel.from_blobs(packing, [blobs["model"]], keys.parameters)


def test_ciphertext_of_other_parameters_is_refused(keys, blobs, make_task):
    _, larger, _ = make_task(256, 2)
    assert larger.parameters != keys.parameters
    with pytest.raises(CiphertextError):
        EncryptedModel.from_blobs(larger.packing, [blobs["model"]], larger.parameters)


def test_wrong_scale_is_refused(keys, blobs):
    other = keys.parameters.model_copy(
        update={"weight_scale_bits": keys.parameters.weight_scale_bits - 1}
    )
    with pytest.raises(CiphertextError, match="scale"):
        EncryptedModel.from_blobs(keys.packing, [blobs["model"]], other)


def test_mixed_key_ids_are_refused(keys, other_keys, blobs, make_task):
    _, wide, _ = make_task(256, 40)
    blobs = encrypt_model(np.zeros((256, 40)), wide).to_blobs()
    assert len(blobs) > 1
    foreign = blobs[1].replace(wide.key_id, other_keys.key_id, 1)
    with pytest.raises(KeyMismatch):
        EncryptedModel.from_blobs(wide.packing, [blobs[0], foreign], wide.parameters)


def test_damaged_public_keys_are_refused(keys):
    whole = keys.public.to_blobs()
    for purpose, blob in whole.items():
        for name, data in damaged(blob):
            if "flipped" in name:
                continue
            with pytest.raises(CiphertextError):
                PublicKeys.from_blobs(keys.parameters, {**whole, purpose: data})


def test_missing_and_foreign_public_keys_are_refused(keys, other_keys):
    ours, theirs = keys.public.to_blobs(), other_keys.public.to_blobs()
    with pytest.raises(CiphertextError, match="public-key"):
        PublicKeys.from_blobs(keys.parameters, {})
    with pytest.raises(KeyMismatch):
        PublicKeys.from_blobs(keys.parameters, {**ours, "galois-keys": theirs["galois-keys"]})


def test_missing_rotation_is_named(keys, statistics, classifier, make_task):
    """Galois keys made for another shape lack the giant step."""
    _, larger, _ = make_task(64, 3)
    assert larger.packing != keys.packing
    public = keys.public.to_blobs()
    forged = PublicKeys(
        keys.parameters, keys.key_id, {name: public[name] for name in ("public-key", "galois-keys")}
    )
    packing = InterleavedPacking(
        rows=11, columns=3, dimension=16, columns_per_ciphertext=256, giant_step=8
    )
    model = encrypt_model(np.zeros((11, 3)), keys)
    moved = EncryptedModel(packing, keys.parameters, keys.key_id, model.blobs)
    with pytest.raises(CiphertextError, match="rotation"):
        compute_update(moved, forged, statistics, PlainGradient(), classifier.l2)


def test_secret_keys_survive_their_bytes(keys, weights, statistics, classifier, bits):
    from openmined.syft import apply_update, decrypt_update

    again = SecretKeys.from_bytes(keys.to_bytes())
    assert again.key_id == keys.key_id
    assert again.packing == keys.packing
    model = encrypt_model(weights, again)
    gradient = compute_update(model, keys.public, statistics, PlainGradient(), classifier.l2)
    wanted = apply_update(weights, statistics, PlainGradient(), classifier.l2)
    assert bits(decrypt_update(gradient, keys), wanted) > 12


def test_damaged_secret_keys_are_refused_without_quoting_them(keys):
    whole = keys.to_bytes()
    for data in (
        b"",
        whole[:8],
        whole[:-1],
        whole + b"\x01",
        b"{}",
        whole.replace(b"ckks", b"cxks"),
    ):
        with pytest.raises(CiphertextError) as caught:
            SecretKeys.from_bytes(data)
        assert caught.value.__cause__ is None or len(str(caught.value.__cause__)) < 300


def test_secrets_are_not_in_repr(keys):
    assert "_secret" not in repr(keys)
    assert len(repr(keys)) < 3000


@pytest.mark.parametrize(
    ("weights", "error", "text"),
    [
        (np.zeros((11, 4)), DataError, r"\(11, 4\)"),
        (np.full((11, 3), np.nan), DataError, "nan"),
        (np.full((11, 3), np.inf), DataError, "inf"),
        (np.full((11, 3), 1e3), RangeError, "above 128"),
    ],
)
def test_bad_weights_are_refused(keys, weights, error, text):
    with pytest.raises(error, match=text):
        encrypt_model(weights, keys)


def test_weak_parameters_are_refused(classifier):
    weak = CKKSParameters(
        poly_modulus_degree=4096,
        coeff_modulus_bits=(60, 60),
        weight_scale_bits=20,
        data_scale_bits=20,
    )
    with pytest.raises(ParameterError, match="128-bit"):
        generate_keys(weak, classifier)


def test_too_small_parameters_are_refused(classifier):
    small = choose_parameters(classifier).model_copy(update={"weight_scale_bits": 90})
    with pytest.raises(ParameterError, match="choose_parameters"):
        generate_keys(small, classifier)


def test_a_decompression_bomb_is_refused(keys, blobs):
    """SEAL inflates before it looks: the child's memory limit is what stops it."""
    import pyarrow as pa

    zeros = pa.Codec("zstd").compress(bytes(400 << 20), asbytes=True)
    header = bytearray(blobs["model"][FRAME_BYTES : FRAME_BYTES + 16])
    header[8:16] = (16 + len(zeros)).to_bytes(8, "little")
    bomb = blobs["model"][:FRAME_BYTES] + bytes(header) + zeros
    assert len(bomb) < 100_000

    def load(data):
        return EncryptedModel.from_blobs(keys.packing, [data], keys.parameters).key_id

    with pytest.raises(SyftError):
        run_limited(load, bomb, memory_mb=128, seconds=30)


@pytest.mark.parametrize("purpose", ["secret-key", "galois-keys-99", "galois-keys--1", "x" * 500])
def test_keys_of_unknown_purpose_are_refused(keys, purpose):
    blobs = keys.public.to_blobs()
    with pytest.raises(CiphertextError, match="unknown"):
        PublicKeys.from_blobs(keys.parameters, {**blobs, purpose: blobs["galois-keys"]})


def test_states_are_told_apart(keys, statistics, classifier, weights):
    model = encrypt_model(weights, keys)
    gradient = compute_update(model, keys.public, statistics, PlainGradient(), classifier.l2)
    rest = statistics, PlainGradient(), classifier.l2
    wrong = [
        (lambda: decrypt_update(model, keys), "EncryptedGradient, not EncryptedModel"),
        (lambda: decrypt_update(gradient, keys.public), "SecretKeys, not PublicKeys"),
        (lambda: compute_update(gradient, keys.public, *rest), "EncryptedModel, not EncryptedGrad"),
        (lambda: compute_update(model, keys, *rest), "PublicKeys, not SecretKeys"),
        (lambda: encrypt_model(weights, keys.public), "SecretKeys, not PublicKeys"),
        (lambda: compute_mlp_update(gradient, keys.public, weights, weights), "EncryptedModel"),
    ]
    for call, words in wrong:
        with pytest.raises(DataError, match=words):
            call()


@pytest.mark.parametrize("blobs", [None, [None], [5], ["text"]], ids=str)
def test_what_is_no_bytes_is_no_state(keys, blobs):
    for state in (EncryptedModel, EncryptedGradient):
        with pytest.raises(CiphertextError):
            state.from_blobs(keys.packing, blobs, keys.parameters)
