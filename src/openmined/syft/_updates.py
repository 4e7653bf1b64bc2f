"""Updates of the linear family on encrypted weights: one product, whatever the rows and epochs.

With G = Z'Z/n + l2 I and C = Z'Y/n in the clear at the mine (DESIGN 6.1):

- gradient:     G W - C
- local steps:  W_K = A W + B,  A = (I - eta G)^K,  B = (I - A) G^-1 C,  eta = rate / lambda_max(G)

(Charles and Konecny, AISTATS 2021, section 3). A and B come from the eigendecomposition of G, so
that a million steps cost what one does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from openmined.protocol import InterleavedPacking, LocalSteps, PlainGradient, UpdateKind
from openmined.syft._columns import finite_result, real_array, require_finite
from openmined.syft._errors import CiphertextError, DataError, KeyMismatch, RangeError
from openmined.syft._executors import choose_executor, count_ticks
from openmined.syft._keys import PublicKeys, SecretKeys, galois_element, rotation_steps
from openmined.syft._low_rank import (
    LowRankMatrix,
    factor_update,
    low_rank_pays,
    make_low_rank,
    multiply_low_rank,
)
from openmined.syft._noise import flood_deviation
from openmined.syft._packing import pack_columns, unpack_columns, unused_slots
from openmined.syft._product import PlainMatrix, multiply_matrix, pad_matrix
from openmined.syft._protection import protect
from openmined.syft._scales import (
    kept_primes,
    matrix_scale_bits,
    norm_bound,
    value_bound,
    weight_bound,
)
from openmined.syft._seal import Kind, check_key_id, frame, make_context, save
from openmined.syft._settings import is_finite
from openmined.syft._states import EncryptedGradient, EncryptedModel, require_state
from openmined.syft._statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Callable

    from openmined.syft._executors import Executor

Floats = NDArray[np.float64]


def affine_map(statistics: Statistics, update: UpdateKind, l2: float) -> tuple[Floats, Floats]:
    """Return (M, B) such that the update is M W + B; shapes (p, p) and (p, k).

    Raises:
        DataError: if l2 is not positive, or the sums are too large to compute with.
    """
    require_state(statistics, Statistics, "an update")
    if not is_finite(l2) or l2 <= 0:
        raise DataError(f"l2 = {l2!r} must be positive")
    G = statistics.gram / statistics.n + l2 * np.eye(len(statistics.gram))
    C = statistics.cross / statistics.n
    if isinstance(update, PlainGradient):
        return G, -C
    if not isinstance(update, LocalSteps):
        raise DataError(f"{update!r} is no update: give PlainGradient() or LocalSteps(...)")
    return _local_steps(finite_result(lambda: G, "Z'Z / n"), C, update)


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
    """Compute in the clear what `compute_update` computes on ciphertexts; shape (inputs, outputs).

    Raises:
        DataError: if the weights do not fit the statistics, or are not finite.
    """
    require_state(statistics, Statistics, "an update")
    array, wanted = real_array(weights, "the weights"), statistics.cross.shape
    if array.shape != wanted:
        raise DataError(f"weights of shape {array.shape} are not {wanted}, as the statistics are")
    require_finite(array, "the weights")
    M, B = affine_map(statistics, update, l2)
    return finite_result(lambda: M @ array + B, "the update")


@dataclass(eq=False)
class UpdateCache:
    """Keeps one update's matrix encoded across rounds: encoding is a third of the first round.

    Private to the mine, like the data. One entry: give each campaign its own cache. Memory is
    about dimension x ring degree x data primes x 8 bytes (200 MB at 1,024 features).
    """

    _key: bytes = field(default=b"", repr=False, init=False)
    _entry: _Prepared | None = field(default=None, repr=False, init=False)

    def find(self, key: bytes, make: Callable[[], _Prepared]) -> _Prepared:
        """Return the entry under `key`, making it when it is another."""
        if self._entry is None or self._key != key:
            self._entry = None  # let the old one go before the new one is made
            self._entry, self._key = make(), key
        return self._entry


@dataclass(frozen=True, eq=False)
class _Prepared:
    """An update's plaintext side: M, padded and perhaps encoded, and B."""

    matrix: PlainMatrix | LowRankMatrix
    constant: Floats


def compute_update(
    model: EncryptedModel,
    public: PublicKeys,
    statistics: Statistics,
    update: UpdateKind,
    l2: float,
    progress: Callable[[int, int], None] | None = None,
    *,
    processes: int = 1,
    executor: Executor | None = None,
    cache: UpdateCache | None = None,
) -> EncryptedGradient:
    """Compute a protected update on encrypted weights.

    Cost and size do not depend on the number of rows or of local steps. With few rows, and
    parameters chosen with `few_rows`, the two-product form is used.

    Args:
        model: the encrypted weights.
        public: the keys they were encrypted under.
        statistics: of the mine's rows.
        update: which kind.
        l2: the campaign's regularisation.
        progress: called with (done, all).
        processes: forked processes to share the work.
        executor: shares the work in another way, on a Ray cluster for instance.
        cache: keeps what does not change from round to round.

    Raises:
        KeyMismatch: if model and keys do not belong together.
        DataError: if the statistics do not fit the model, or an argument is another state.
        RangeError: if the data are larger than the parameters have room for.
        LimitError: if a worker died.
    """
    require_state(model, EncryptedModel, "compute_update")
    require_state(public, PublicKeys, "compute_update")
    packing = _linear_packing(model)
    _check_keys(model, public, packing)
    wanted = ((packing.rows, packing.rows), (packing.rows, packing.columns))
    if (statistics.gram.shape, statistics.cross.shape) != wanted:
        raise DataError(
            f"statistics of {statistics.gram.shape} and {statistics.cross.shape} do not fit "
            f"a model of {wanted[1]}"
        )
    if cache is None:
        prepared = _prepare(statistics, update, l2, public, packing)
    else:
        key = _fingerprint(statistics, update, l2, public, packing)
        prepared = cache.find(
            key, lambda: _encode(_prepare(statistics, update, l2, public, packing))
        )
    executor = choose_executor(executor, processes)
    galois = public.galois_keys if rotation_steps(packing) else None
    tick = count_ticks(progress, prepared.matrix.count)
    ciphertexts = model.ciphertexts
    if isinstance(prepared.matrix, LowRankMatrix):
        products = multiply_low_rank(prepared.matrix, ciphertexts, galois, tick, executor)
    else:
        products = multiply_matrix(prepared.matrix, ciphertexts, galois, tick, executor)
    return _finish(products, prepared.constant, public, packing)


def _prepare(
    statistics: Statistics,
    update: UpdateKind,
    l2: float,
    public: PublicKeys,
    packing: InterleavedPacking,
) -> _Prepared:
    M, B = affine_map(statistics, update, l2)
    _check_room(M, B, public)
    parameters = public.parameters
    if low_rank_pays(statistics.n, parameters, packing):
        factors = factor_update(statistics, update, l2)
        return _Prepared(make_low_rank(factors, parameters, packing), B)
    padded = pad_matrix(M, packing.dimension, packing.dimension)
    return _Prepared(PlainMatrix(padded, matrix_scale_bits(parameters), parameters, packing), B)


def _encode(prepared: _Prepared) -> _Prepared:
    return _Prepared(prepared.matrix.encoded(), prepared.constant)


def _fingerprint(
    statistics: Statistics,
    update: UpdateKind,
    l2: float,
    public: PublicKeys,
    packing: InterleavedPacking,
) -> bytes:
    settings = (update, l2, public.parameters, packing, statistics.n, statistics.gram.shape)
    digest = hashlib.sha256(repr(settings).encode())
    digest.update(statistics.gram.tobytes())
    digest.update(statistics.cross.tobytes())
    return digest.digest()


def _finish(
    products: list[Any], B: Floats, public: PublicKeys, packing: InterleavedPacking
) -> EncryptedGradient:
    parameters = public.parameters
    context = make_context(parameters)
    evaluator, encoder = seal.Evaluator(context), seal.CKKSEncoder(context)
    deviation = flood_deviation(parameters, packing, norm_bound(parameters))
    drown = value_bound(parameters) / 8.0
    primes = kept_primes(parameters)
    blobs = []
    for item, constant, unused in zip(
        products, pack_columns(B, packing), unused_slots(packing), strict=True
    ):
        plain = seal.Plaintext()
        encoder.encode(constant.tolist(), item.parms_id(), item.scale, plain)
        evaluator.add_plain_inplace(item, plain)
        protect(item, public.public_key, context, deviation, unused, drown, primes)
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
        DataError: if it is no `EncryptedGradient`, or the keys are no `SecretKeys`.
        KeyMismatch: if the update was made under other keys.
        RangeError: if the values are beyond what an honest update can carry: a forged ciphertext.
    """
    require_state(gradient, EncryptedGradient, "decrypt_update")
    require_state(keys, SecretKeys, "decrypt_update")
    check_key_id(gradient.key_id, keys.key_id, "the encrypted gradient")
    if gradient.packing != keys.packing or gradient.parameters != keys.parameters:
        raise KeyMismatch("gradient and keys have different packing or parameters")
    if not isinstance(gradient.packing, InterleavedPacking):
        from openmined.syft._mlp_decode import decrypt_mlp

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
