"""What strangers may send a network, or a mine may feed it: a typed error that names it."""

import os
from dataclasses import replace

import numpy as np
import pytest
import tenseal.sealapi as seal

from openmined.protocol import CKKSParameters, MLPPacking
from openmined.syft import (
    CiphertextError,
    DataError,
    EncryptedModel,
    KeyMismatch,
    MLPClassifier,
    ParameterError,
    PublicKeys,
    RangeError,
    choose_parameters,
    compute_mlp_update,
    decrypt_update,
    encode_targets,
    encrypt_model,
    generate_keys,
    initial_weights,
    train_update,
)
from openmined.syft._mlp_keys import _encrypt, weight_scales
from openmined.syft._seal import (
    FRAME_BYTES,
    Kind,
    frame,
    load,
    make_context,
    make_level_context,
    save,
)

SPEC = MLPClassifier(inputs=5, hidden=3, classes=("a", "b", "c"))
ROWS = np.full((4, 5), 0.5)
TARGETS = np.eye(3)[[0, 1, 2, 0]]


@pytest.fixture(scope="module")
def holder():
    return generate_keys(choose_parameters(SPEC), SPEC)


@pytest.fixture(scope="module")
def stranger():
    return generate_keys(choose_parameters(SPEC), SPEC)


@pytest.fixture(scope="module")
def model(holder):
    return encrypt_model(initial_weights(SPEC), holder)


@pytest.fixture(scope="module")
def gradient(holder, model):
    return compute_mlp_update(model, holder.public, ROWS, TARGETS)


@pytest.fixture(params=["model", "gradient"])
def state(request):
    return request.getfixturevalue(request.param)


def read(state, blobs, **changes):
    given = {"packing": state.packing, "parameters": state.parameters} | changes
    return type(state).from_blobs(given["packing"], blobs, given["parameters"])


def damage(whole):
    """Cut, swollen, random and empty bytes, and a frame of another kind."""
    noise = whole[: FRAME_BYTES + 16] + os.urandom(len(whole) - FRAME_BYTES - 16)
    other = whole[:8] + bytes([99]) + whole[9:]
    return [b"", whole[:20], whole[:-1], whole + b"x", os.urandom(len(whole)), noise, other]


def test_damaged_ciphertexts_are_refused(state):
    first, *rest = state.to_blobs()
    for data in damage(first):
        with pytest.raises(CiphertextError):
            read(state, [data, *rest])
    for blobs in ([], rest, [first, first, *rest]):
        with pytest.raises(CiphertextError, match="ciphertexts"):
            read(state, blobs)


def test_ciphertexts_of_two_campaigns_are_refused(state, stranger):
    first, *rest = state.to_blobs()
    with pytest.raises(KeyMismatch, match="another campaign"):
        read(state, [frame(Kind(first[8]), stranger.key_id, first[FRAME_BYTES:]), *rest])


def forge(state, change):
    """Change the first ciphertext of a state with SEAL, so that only our own checks are left."""
    first, *rest = state.to_blobs()
    context = make_context(state.parameters)
    item = load(seal.Ciphertext(), context, first[FRAME_BYTES:], "forged")
    item = change(item, seal.Evaluator(context)) or item
    return [frame(Kind(first[8]), state.key_id, save(item)), *rest]


def _double_scale(item, evaluator):
    item.scale *= 2.0


def _no_scale(item, evaluator):
    item.scale = float("nan")


def _square(item, evaluator):
    item.scale = 1.0
    product = seal.Ciphertext()
    evaluator.square(item, product)
    return product


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_double_scale, "scale"),
        (_no_scale, "scale"),
        (_square, "two polynomials"),
    ],
)
def test_forged_ciphertexts_are_refused(state, change, text):
    with pytest.raises(CiphertextError, match=text):
        read(state, forge(state, change))


def test_ciphertexts_of_another_level_are_refused(state, holder):
    kind, rest = Kind(state.to_blobs()[0][8]), state.to_blobs()[1:]
    higher = _encrypt(np.zeros(8192, dtype=complex), 3, 2.0**57, holder)
    with pytest.raises(CiphertextError, match="level"):
        read(state, [frame(kind, holder.key_id, higher[FRAME_BYTES:]), *rest])


def test_other_parameters_are_refused(state):
    for name, value in (
        ("weight_scale_bits", 90),
        ("data_scale_bits", 60),
        ("flood_bits", 0),
        ("coeff_modulus_bits", (57, 55, 57, 57, 57, 57, 37, 60)),
    ):
        other = state.parameters.model_copy(update={name: value})
        with pytest.raises(CiphertextError, match="is encrypted under"):
            read(state, state.to_blobs(), parameters=other)


@pytest.mark.parametrize(
    "packing",
    [
        MLPPacking(inputs=5, hidden=256, outputs=3, block=2048, row_length=1),
        MLPPacking(inputs=5, hidden=3, outputs=4096, block=2048, row_length=1),
        MLPPacking(inputs=5, hidden=3, outputs=3, block=16384, row_length=1),
        MLPPacking(inputs=1024, hidden=3, outputs=3, block=1, row_length=1),
        MLPPacking(inputs=5, hidden=3, outputs=3, block=2047, row_length=1),
    ],
)
def test_impossible_packings_are_refused(state, packing):
    with pytest.raises(CiphertextError):
        read(state, state.to_blobs(), packing=packing)


def test_weak_parameters_are_refused(state, holder):
    weak = CKKSParameters(
        poly_modulus_degree=8192,
        coeff_modulus_bits=(57, 55, 57, 57, 57, 57, 38, 60),
        weight_scale_bits=57,
        data_scale_bits=24,
    )
    with pytest.raises(ParameterError, match="128-bit"):
        generate_keys(weak, SPEC)
    with pytest.raises(ParameterError, match="128-bit"):
        PublicKeys.from_blobs(weak, holder.public.to_blobs())
    with pytest.raises(ParameterError, match="choose_parameters"):
        generate_keys(choose_parameters(SPEC).model_copy(update={"data_scale_bits": 30}), SPEC)


def test_missing_and_misplaced_keys_are_refused(holder, model):
    """Keys of too low a level, of other rotations, or none: before work begins."""
    blobs = holder.public.to_blobs()
    levels = sorted(name for name in blobs if name.startswith("galois"))
    for purpose in (*levels, "relinearization-keys-6"):
        left = {name: blob for name, blob in blobs.items() if name != purpose}
        public = PublicKeys(holder.parameters, holder.key_id, left)
        with pytest.raises(CiphertextError, match=f"no '{purpose}' among"):
            compute_mlp_update(model, public, ROWS, TARGETS)
    with pytest.raises(CiphertextError, match="no 'public-key'"):
        PublicKeys.from_blobs(holder.parameters, {name: blobs[name] for name in levels})
    low = {"public-key-2": blobs["public-key-2"], "galois-keys-6": blobs["galois-keys-2"]}
    with pytest.raises(CiphertextError, match="galois keys 6"):
        PublicKeys.from_blobs(holder.parameters, low)
    few = seal.KeyGenerator(make_level_context(holder.parameters, 2)).create_galois_keys([3])
    other = {**blobs, "galois-keys-2": frame(Kind.GALOIS_KEYS, holder.key_id, save(few))}
    public = PublicKeys(holder.parameters, holder.key_id, other)
    with pytest.raises(CiphertextError, match="no key for Galois element"):
        compute_mlp_update(model, public, ROWS, TARGETS)


def test_damaged_keys_are_refused(holder):
    blobs = holder.public.to_blobs()
    public = {"public-key-2": blobs["public-key-2"]}
    for purpose in ("galois-keys-3", "relinearization-keys-6", "public-key-2"):
        for data in damage(blobs[purpose]):
            with pytest.raises(CiphertextError):
                PublicKeys.from_blobs(holder.parameters, {**public, purpose: data})


def test_keys_of_another_campaign_are_refused(holder, stranger, model, gradient):
    mixed = {
        "public-key-2": holder.public.blobs["public-key-2"],
        "galois-keys-7": stranger.public.blobs["galois-keys-7"],
    }
    with pytest.raises(KeyMismatch, match="galois keys 7"):
        PublicKeys.from_blobs(holder.parameters, mixed)
    with pytest.raises(KeyMismatch, match="encrypted model"):
        compute_mlp_update(model, stranger.public, ROWS, TARGETS)
    with pytest.raises(KeyMismatch):
        decrypt_update(gradient, stranger)


def test_a_value_no_gradient_has_is_refused(holder, gradient):
    """A forged message would be a step that throws the model away."""
    first, *rest = gradient.to_blobs()
    item = load(seal.Ciphertext(), make_context(holder.parameters), first[FRAME_BYTES:], "forged")
    foreign = _encrypt(np.full(8192, 1e6 + 0j), 2, item.scale, holder)
    forged = frame(Kind.GRADIENT, holder.key_id, foreign[FRAME_BYTES:])
    read_back = read(gradient, [forged, *rest])
    with pytest.raises(RangeError, match="forged or damaged"):
        decrypt_update(read_back, holder)


@pytest.mark.parametrize(
    ("X", "Y", "error", "text"),
    [
        (ROWS[:, :4], TARGETS, DataError, r"\(4, 4\)"),
        (ROWS[0], TARGETS, DataError, r"\(5,\)"),
        (ROWS[:0], TARGETS[:0], DataError, r"\(0, 5\)"),
        (ROWS, TARGETS[:3], DataError, r"\(3, 3\)"),
        (ROWS, TARGETS[:, :2], DataError, r"\(4, 2\)"),
        (np.where(np.eye(4, 5) > 0, np.nan, ROWS), TARGETS, DataError, "nan in row 0, column 0"),
        (np.where(np.eye(4, 5) > 0, -np.inf, ROWS), TARGETS, DataError, "-inf in row 0"),
        (ROWS, np.where(TARGETS > 0, np.inf, 0), DataError, "inf in row 0"),
        (ROWS * 1j, TARGETS, DataError, "complex"),
        ([["a"] * 5] * 4, TARGETS, DataError, "the rows"),
        ([[1.0], [1.0, 2.0]], TARGETS, DataError, "the rows"),
        (ROWS, [["a"] * 3] * 4, DataError, "the targets"),
        (ROWS * 1e200, TARGETS, RangeError, "scale the features"),
        (ROWS, TARGETS * 1.5, RangeError, "1.5"),
    ],
)
def test_bad_rows_are_refused(holder, model, X, Y, error, text):
    with pytest.raises(error, match=text):
        compute_mlp_update(model, holder.public, X, Y)


def test_bad_streams_are_refused(holder, model):
    with pytest.raises(DataError):
        train_update(SPEC, model, holder.public, [])
    with pytest.raises(DataError, match="'z' is none of the classes a, b, c"):
        encode_targets(SPEC, ["a", "z"])
    empty = replace(model, blobs=model.blobs[:-1])
    with pytest.raises(CiphertextError):
        compute_mlp_update(empty, holder.public, ROWS, TARGETS)


def test_scales_are_those_of_the_parameters(holder, model):
    first, second = weight_scales(holder.parameters)
    assert read(model, model.to_blobs()).key_id == holder.key_id
    slots = np.zeros(8192, dtype=complex)
    for primes, scale in ((7, second), (5, first)):
        blobs = model.to_blobs()
        blobs[0 if primes == 7 else -1] = _encrypt(slots, primes, scale, holder)
        with pytest.raises(CiphertextError, match="scale"):
            EncryptedModel.from_blobs(model.packing, blobs, holder.parameters)
