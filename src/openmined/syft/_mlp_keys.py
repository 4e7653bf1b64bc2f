"""Keys and ciphertexts of an encrypted two-layer network.

The chain of primes is 57, 55, 57, 57, 57, 57, 38 bits and a special one of 60: all of the 438 bits
that ring degree 16,384 allows at 128-bit security. Primes three bits below the special one make key
switching as precise as dividing is. W1 is encrypted at a larger scale, 2^71, so that its many
rotations leave almost no error: the first rescale, by 38 bits, undoes that. A gradient is sent on
the last two primes: dividing by one more would round, the rounding depends on the secret key, and
the noise that must hide it when a model is released would drown the model (see `_release`).

Every rotation and relinearization happens at known levels. Its key is made once, in the context of
the highest of them and with the secret key's residues there: a key for l primes has l (l + 1)
polynomials, so that late levels cost little, and serves all levels below at their price.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import tenseal.sealapi as seal

from openmined.protocol import CKKSParameters, MLPPacking
from openmined.syft._columns import require_finite
from openmined.syft._errors import CiphertextError, DataError, ParameterError, RangeError
from openmined.syft._keys import (
    GALOIS_KEYS,
    PUBLIC_KEY,
    RELINEARIZATION_KEYS,
    KeyWriter,
    PublicKeys,
    SecretKeys,
    galois_element,
    make_public_key,
)
from openmined.syft._mlp import row_length, split_mlp
from openmined.syft._mlp_layout import MLPLayout, choose_block
from openmined.syft._seal import (
    KEY_ID_BYTES,
    Kind,
    frame,
    make_context,
    make_level_context,
    parms_id_at,
    save,
    slice_secret_key,
)
from openmined.syft._states import EncryptedModel, load_ciphertext

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from openmined.protocol import Packing
    from openmined.syft._specs import MLPClassifier

PRIME_BITS = (57, 55, 57, 57, 57, 57, 38, 60)
DEGREE = 16_384
TOP = 7
SQUARE_LEVEL = 6  # where products begin: relinearization and conjugation are needed from here on
OUTPUT_LEVEL = 5  # W2 is multiplied when five primes are left
LAST = 2
WEIGHT_BOUND = 64.0
_PARAMETERS = CKKSParameters(
    poly_modulus_degree=DEGREE,
    coeff_modulus_bits=PRIME_BITS,
    weight_scale_bits=57,
    data_scale_bits=24,
    flood_bits=15,
)
MAX_SAMPLES = 10**9


def choose_mlp_parameters(spec: MLPClassifier) -> CKKSParameters:
    """Return the parameters of a network; all sizes share one chain.

    Raises:
        ParameterError: if inputs, units or classes are too many.
    """
    if spec.inputs > 1024:
        raise ParameterError(f"{spec.inputs} inputs are above 1,024: use fewer features")
    choose_block(DEGREE, spec.hidden, spec.outputs)
    return _PARAMETERS


def mlp_packing(spec: MLPClassifier) -> MLPPacking:
    """Return the packing of a network."""
    return MLPPacking(
        inputs=spec.inputs,
        hidden=spec.hidden,
        outputs=spec.outputs,
        block=choose_block(DEGREE, spec.hidden, spec.outputs),
        row_length=row_length(spec),
    )


def check_mlp_packing(spec: MLPClassifier, packing: Packing) -> None:
    """See that a model is packed as its campaign's network is.

    Raises:
        CiphertextError: if its shape, or the rows it is protected for, are other ones.
    """
    wanted = mlp_packing(spec)
    # The last bit of a radius may depend on the machine.
    near = isinstance(packing, MLPPacking) and math.isclose(
        packing.row_length, wanted.row_length, rel_tol=1e-9
    )
    if not near or packing.model_copy(update={"row_length": wanted.row_length}) != wanted:
        raise CiphertextError(
            f"the model is packed as ({packing}), its campaign's network as ({wanted}): whoever "
            "encrypted it follows another campaign, or wants gradients with too little noise"
        )


def layout_of(packing: MLPPacking, parameters: CKKSParameters) -> MLPLayout:
    """Return the layout of a network under these parameters.

    Raises:
        CiphertextError: if packing and parameters do not belong together.
    """
    if parameters != _PARAMETERS:
        raise CiphertextError(
            f"a network is encrypted under ({_PARAMETERS}), not under ({parameters}): keys and "
            "model are not of one campaign, or were forged"
        )
    return MLPLayout(packing, parameters.poly_modulus_degree // 2)


def key_levels(layout: MLPLayout) -> dict[int, int]:
    """Return the Galois elements needed, each with the level that its key is made at.

    SEAL switches keys with the first components of a key, as many as the ciphertext has primes, and
    the one of the special prime: a key made at one level serves those below, and costs no more
    there than one of their own.
    """
    degree = 2 * layout.slots
    levels = {2 * degree - 1: SQUARE_LEVEL}  # conjugation
    for level, steps in _steps(layout).items():
        for step in steps:
            if step % layout.slots:
                levels.setdefault(galois_element(degree, step % layout.slots), level)
    return levels


def _steps(layout: MLPLayout) -> dict[int, list[int]]:
    """Return the rotations, in slots, by the number of primes left, falling."""
    block, baby = layout.block, layout.baby
    unit = [block] if layout.baby_classes > 1 else []
    giant = [baby] if layout.giant > 1 else []
    joined = min(layout.padded_classes, block)
    repeats = [
        group.period << power
        for group in layout.groups
        for power in range((block // group.period).bit_length() - 1)
    ]
    folds = [block >> power for power in range(1, block.bit_length())]
    return {
        7: [1, *giant] if baby > 1 else giant,
        5: unit,
        4: [units * block for units in layout.turns.values()],
        3: [-step for step in unit] + ([block // 2, -(block // 2)] if joined > 1 else []),
        2: [-step for step in giant] + repeats + folds + ([-(block // 4)] if joined > 2 else []),
    }


def generate_mlp_keys(
    parameters: CKKSParameters, spec: MLPClassifier, folder: Path | None = None
) -> SecretKeys:
    """Make the keys of a network; see `generate_keys`."""
    make_context(parameters)
    if parameters != choose_mlp_parameters(spec):
        raise ParameterError(f"({parameters}) are not for a network: use choose_parameters(spec)")
    packing = mlp_packing(spec)
    layout = layout_of(packing, parameters)
    secret_key = seal.KeyGenerator(make_context(parameters)).secret_key()
    writer = KeyWriter(os.urandom(KEY_ID_BYTES), folder)
    levels = key_levels(layout)
    for level in sorted({*levels.values(), LAST}, reverse=True):
        context = make_level_context(parameters, level)
        sliced = slice_secret_key(secret_key, parameters, level)
        generator = seal.KeyGenerator(context, sliced)
        elements = [element for element, at in levels.items() if at == level]
        if elements:
            galois = generator.create_galois_keys(elements)
            writer.add(f"{GALOIS_KEYS}-{level}", Kind.GALOIS_KEYS, galois)
        if level == SQUARE_LEVEL:
            relinearization = generator.create_relin_keys()
            writer.add(
                f"{RELINEARIZATION_KEYS}-{level}", Kind.RELINEARIZATION_KEYS, relinearization
            )
        if level == LAST:
            writer.add(f"{PUBLIC_KEY}-{level}", Kind.PUBLIC_KEY, make_public_key(context, sliced))
    public = PublicKeys(parameters, writer.key_id, writer.blobs)
    return SecretKeys(parameters, packing, public, save(secret_key))


def encrypt_mlp(weights: NDArray[np.float64], keys: SecretKeys) -> EncryptedModel:
    """Encrypt a network's weights: W1 at the top level, W2 where five primes are left.

    Raises:
        DataError: if the shape is wrong or a value is not finite.
        RangeError: if a weight is above 64.
    """
    packing = keys.packing
    assert isinstance(packing, MLPPacking)
    wanted = (packing.inputs + packing.outputs, packing.hidden)
    if weights.shape != wanted:
        raise DataError(f"weights of shape {weights.shape} are not {wanted}")
    require_finite(weights, "the weights")
    largest = float(np.abs(weights).max())
    if largest > WEIGHT_BOUND:
        raise RangeError(f"a weight of {largest:.4g} is above {WEIGHT_BOUND:g}: lower the step")
    layout = layout_of(packing, keys.parameters)
    W1, W2 = split_mlp(weights, packing.inputs)
    first, second = weight_scales(keys.parameters)
    blobs = [_encrypt(slots, TOP, first, keys) for slots in layout.spread_inputs(W1)]
    blobs += [_encrypt(slots, OUTPUT_LEVEL, second, keys) for slots in layout.spread_outputs(W2)]
    return EncryptedModel(packing, keys.parameters, keys.key_id, tuple(blobs))


def weight_scales(parameters: CKKSParameters) -> tuple[float, float]:
    """Return the scales of W1 and of W2."""
    second = parameters.weight_scale_bits
    first = second + parameters.coeff_modulus_bits[TOP - 1] - parameters.data_scale_bits
    return 2.0**first, 2.0**second


def _encrypt(slots: NDArray[np.complex128], primes: int, scale: float, keys: SecretKeys) -> bytes:
    context = make_context(keys.parameters)
    plain = seal.Plaintext()
    level = parms_id_at(keys.parameters, primes)
    seal.CKKSEncoder(context).encode(slots.tolist(), level, scale, plain)
    encryptor = seal.Encryptor(context, keys.secret_key)
    return frame(Kind.MODEL, keys.key_id, save(encryptor.encrypt_symmetric(plain)))


def load_mlp_model(model: EncryptedModel) -> tuple[list[Any], list[Any]]:
    """Load and check the ciphertexts of W1 and of W2.

    Raises:
        CiphertextError: if they are not what the packing says.
    """
    assert isinstance(model.packing, MLPPacking)
    layout = layout_of(model.packing, model.parameters)
    inputs = len(layout.groups)
    wanted = inputs + layout.padded_classes
    if len(model.blobs) != wanted:
        raise CiphertextError(f"{len(model.blobs)} ciphertexts in a model, {wanted} are wanted")
    scales = weight_scales(model.parameters)

    def read(blob: bytes, primes: int, scale: float) -> Any:
        level = parms_id_at(model.parameters, primes)
        return load_ciphertext(blob, Kind.MODEL, model.parameters, level, scale, "encrypted model")

    first = [read(blob, TOP, scales[0]) for blob in model.blobs[:inputs]]
    return first, [read(blob, OUTPUT_LEVEL, scales[1]) for blob in model.blobs[inputs:]]


def check_mlp_keys(public: PublicKeys, layout: MLPLayout) -> None:
    """See that every key of a network is there, at its level, before work begins.

    Raises:
        CiphertextError: if one is missing, or is no key of these parameters.
        KeyMismatch: if one belongs to other keys.
    """
    public.load(f"{PUBLIC_KEY}-{LAST}")
    if not public.load(f"{RELINEARIZATION_KEYS}-{SQUARE_LEVEL}").has_key(2):
        raise CiphertextError(
            f"no key for products in {RELINEARIZATION_KEYS}-{SQUARE_LEVEL}: fetch the keys again"
        )
    for element, level in key_levels(layout).items():
        if not public.load(f"{GALOIS_KEYS}-{level}").has_key(element):
            raise CiphertextError(
                f"no key for Galois element {element} in {GALOIS_KEYS}-{level}, which a network of "
                f"this shape needs: fetch the keys again, and check whose they are"
            )
