"""Updates of the linear family on encrypted weights: one product, whatever the rows and epochs.

With G = Z'Z/n + l2 I and C = Z'Y/n in the clear at the mine (DESIGN 6.1):

- gradient:     G W - C
- local steps:  W_K = A W + B,  A = (I - eta G)^K,  B = (I - A) G^-1 C,  eta = rate / lambda_max(G)

(Charles and Konecny, AISTATS 2021, section 3). A and B come from the eigendecomposition of G, so
that a million steps cost what one does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from openmined.protocol import InterleavedPacking, LocalSteps, PlainGradient, UpdateKind
from openmined.syft._errors import CiphertextError, DataError, KeyMismatch, RangeError
from openmined.syft._keys import PublicKeys, SecretKeys, galois_element, rotation_steps
from openmined.syft._noise import flood_deviation
from openmined.syft._packing import pack_columns, unpack_columns, unused_slots
from openmined.syft._parameters import norm_bound, value_bound, weight_bound
from openmined.syft._product import multiply_matrix
from openmined.syft._protection import protect
from openmined.syft._seal import Kind, check_key_id, frame, make_context, save
from openmined.syft._states import EncryptedGradient, EncryptedModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from openmined.syft._statistics import Statistics

Floats = NDArray[np.float64]


def affine_map(statistics: Statistics, update: UpdateKind, l2: float) -> tuple[Floats, Floats]:
    """Return (M, B) such that the update is M W + B; shapes (p, p) and (p, k).

    Raises:
        DataError: if l2 is not positive.
    """
    if not (np.isfinite(l2) and l2 > 0):
        raise DataError(f"l2 = {l2} must be positive")
    G = statistics.gram / statistics.n + l2 * np.eye(len(statistics.gram))
    C = statistics.cross / statistics.n
    if isinstance(update, PlainGradient):
        return G, -C
    return _local_steps(G, C, update)


def _local_steps(G: Floats, C: Floats, update: LocalSteps) -> tuple[Floats, Floats]:
    eigenvalues, V = np.linalg.eigh(G)
    eigenvalues = np.maximum(eigenvalues, np.finfo(np.float64).tiny)
    # (1 - x)^K and (1 - (1 - x)^K) / lambda, without cancellation for small x
    log_power = update.steps * np.log1p(
        -np.minimum(update.rate * eigenvalues / eigenvalues[-1], 1 - 1e-16)
    )
    A = (V * np.exp(log_power)) @ V.T
    B = (V * (-np.expm1(log_power) / eigenvalues)) @ (V.T @ C)
    return A, B


def apply_update(weights: Floats, statistics: Statistics, update: UpdateKind, l2: float) -> Floats:
    """Compute in the clear what `compute_update` computes on ciphertexts."""
    M, B = affine_map(statistics, update, l2)
    return np.asarray(M @ weights + B)


def compute_update(
    model: EncryptedModel,
    public: PublicKeys,
    statistics: Statistics,
    update: UpdateKind,
    l2: float,
    progress: Callable[[int, int], None] | None = None,
) -> EncryptedGradient:
    """Compute a protected update on encrypted weights.

    Cost and size do not depend on the number of rows or of local steps.

    Args:
        model: the encrypted weights.
        public: the keys they were encrypted under.
        statistics: of the mine's rows.
        update: which kind.
        l2: the campaign's regularisation.
        progress: called with (done, all).

    Raises:
        KeyMismatch: if model and keys do not belong together.
        DataError: if the statistics do not fit the model.
        RangeError: if the data are larger than the parameters have room for.
    """
    packing = _linear_packing(model)
    _check_keys(model, public, packing)
    wanted = ((packing.rows, packing.rows), (packing.rows, packing.columns))
    if (statistics.gram.shape, statistics.cross.shape) != wanted:
        raise DataError(
            f"statistics of {statistics.gram.shape} and {statistics.cross.shape} do not fit "
            f"a model of {wanted[1]}"
        )
    M, B = affine_map(statistics, update, l2)
    _check_room(M, B, public)
    galois = public.galois_keys if rotation_steps(packing) else None
    parameters = public.parameters
    products = multiply_matrix(M, model.ciphertexts, galois, parameters, packing, progress)
    return _finish(products, B, public, packing)


def _finish(
    products: list[Any], B: Floats, public: PublicKeys, packing: InterleavedPacking
) -> EncryptedGradient:
    parameters = public.parameters
    context = make_context(parameters)
    evaluator, encoder = seal.Evaluator(context), seal.CKKSEncoder(context)
    deviation = flood_deviation(parameters, packing, norm_bound(parameters))
    drown = value_bound(parameters) / 8.0
    blobs = []
    for item, constant, unused in zip(
        products, pack_columns(B, packing), unused_slots(packing), strict=True
    ):
        plain = seal.Plaintext()
        encoder.encode(constant.tolist(), item.parms_id(), item.scale, plain)
        evaluator.add_plain_inplace(item, plain)
        protect(item, public.public_key, parameters, deviation, unused, drown)
        blobs.append(frame(Kind.GRADIENT, public.key_id, save(item)))
    return EncryptedGradient(packing, parameters, public.key_id, tuple(blobs))


def _linear_packing(state: EncryptedModel | EncryptedGradient) -> InterleavedPacking:
    if not isinstance(state.packing, InterleavedPacking):
        raise DataError(f"a model packed as {state.packing.kind!r} is not of the linear family")
    return state.packing


def _check_keys(model: EncryptedModel, public: PublicKeys, packing: InterleavedPacking) -> None:
    check_key_id(model.key_id, public.key_id, "the encrypted model")
    if model.parameters != public.parameters:
        raise KeyMismatch("model and keys have different CKKS parameters")
    degree = public.parameters.poly_modulus_degree
    for step in rotation_steps(packing):
        if not public.galois_keys.has_key(galois_element(degree, step)):
            raise CiphertextError(
                f"the Galois keys lack the rotation by {step} slots that this packing needs: "
                "model and keys do not belong together"
            )


def _check_room(M: Floats, B: Floats, public: PublicKeys) -> None:
    norm, bound = float(np.linalg.norm(M)), norm_bound(public.parameters)
    if norm > bound:
        raise RangeError(
            f"the matrix of this update has norm {norm:.4g}, above the public bound {bound:g}: "
            "centre and scale the features so that rows stay within the campaign's radius"
        )
    largest, room = float(np.abs(B).max()), bound * weight_bound()
    if largest > room:
        raise RangeError(f"a constant of {largest:.4g} is above {room:g}: scale the targets down")


def decrypt_update(gradient: EncryptedGradient, keys: SecretKeys) -> Floats:
    """Decrypt an update; shape (inputs, outputs). Only the key holder can, and must not publish it.

    A decrypted value is noisy on purpose; publishing it in full would still weaken the key (Li and
    Micciancio, EUROCRYPT 2021): release models through `release_weights` only.

    Raises:
        KeyMismatch: if the update was made under other keys.
        RangeError: if the values are beyond what an honest update can carry: a forged ciphertext.
    """
    check_key_id(gradient.key_id, keys.key_id, "the encrypted gradient")
    if gradient.packing != keys.packing or gradient.parameters != keys.parameters:
        raise KeyMismatch("gradient and keys have different packing or parameters")
    if not isinstance(gradient.packing, InterleavedPacking):
        from openmined.syft._mlp import decrypt_mlp

        return decrypt_mlp(gradient, keys)
    slots = [decrypt_slots(item, keys) for item in gradient.ciphertexts]
    values = unpack_columns(slots, gradient.packing)
    check_plausible(values, norm_bound(keys.parameters) * weight_bound() * 2.0)
    return values


def decrypt_slots(ciphertext: Any, keys: SecretKeys) -> NDArray[np.complex128]:
    """Decrypt one ciphertext to complex slots."""
    context = make_context(keys.parameters)
    plain = seal.Plaintext()
    seal.Decryptor(context, keys.secret_key).decrypt(ciphertext, plain)
    return np.asarray(seal.CKKSEncoder(context).decode_complex(plain), dtype=np.complex128)


def check_plausible(values: Floats, bound: float) -> None:
    """Refuse values that no honest update carries.

    Raises:
        RangeError: if a value is not finite or above `bound`.
    """
    largest = float(np.abs(values).max())
    if not largest <= bound:
        raise RangeError(
            f"a decrypted value of {largest:.4g} is above {bound:g}, beyond any honest update: "
            "the ciphertext is forged or damaged"
        )
