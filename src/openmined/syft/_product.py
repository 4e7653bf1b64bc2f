"""M W for a plaintext matrix and encrypted columns, at depth one, by baby and giant steps.

With D rows, b = `giant_step`, and rot_s the rotation down by s rows,

    M w = sum_d diag_d(M) * rot_d(w),            diag_d(M)[r] = M[r, (r + d) mod D]
        = sum_j rot_{jb}( sum_i u_{j,i} * rot_i(w) )
    u_{j,i}[r] = M[(r - jb) mod D, (r + i) mod D]

(Halevi and Shoup, CRYPTO 2014, section 4.3; baby-step giant-step: CRYPTO 2018). The outer sum is
taken by Horner's rule, acc <- rot_b(acc) + inner_j from the last block to the first, and rot_i by
chaining rot_1: two Galois keys. Operations for c ciphertexts: D encodings, c D plaintext
multiplications, c (b - 1 + D/b - 1) rotations. One level.

The encoding of u is randomised: noise of standard deviation 1.5 per coefficient before rounding
makes the rounding error independent of M (to about 2^-64, the decay of a Gaussian's Fourier
transform at the first nonzero frequency), so that slots without weights carry nothing of M.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from openmined.syft._randomness import dither
from openmined.syft._seal import make_context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openmined.protocol import CKKSParameters, InterleavedPacking

Floats = NDArray[np.float64]
Progress = "Callable[[int, int], None]"

_DITHER_COEFFICIENTS = 1.5


def encode_block(
    matrix: Floats, block: int, parameters: CKKSParameters, packing: InterleavedPacking
) -> list[Any]:
    """Encode u_{j,0} ... u_{j,b-1} for giant step j = `block`; `matrix` is (D, D)."""
    context = make_context(parameters)
    encoder = seal.CKKSEncoder(context)
    scale = 2.0**parameters.data_scale_bits
    plains = []
    for values in _block_slots(matrix, block, parameters, packing):
        plain = seal.Plaintext()
        encoder.encode(values.tolist(), scale, plain)
        plains.append(plain)
    return plains


def _block_slots(
    matrix: Floats, block: int, parameters: CKKSParameters, packing: InterleavedPacking
) -> Floats:
    dimension, baby = packing.dimension, packing.giant_step
    row = np.arange(dimension)
    diagonals = matrix[
        (row - block * baby)[None, :] % dimension,
        (row[None, :] + np.arange(baby)[:, None]) % dimension,
    ]
    slots = np.repeat(diagonals, packing.columns_per_ciphertext, axis=1)
    # Real slots v of variance s^2 have coefficients of variance s^2 / N.
    spread = _DITHER_COEFFICIENTS * np.sqrt(parameters.poly_modulus_degree)
    slots += dither(slots.shape) * (spread / 2.0**parameters.data_scale_bits)
    return slots


def multiply_matrix(
    matrix: Floats,
    ciphertexts: Sequence[Any],
    galois_keys: Any,
    parameters: CKKSParameters,
    packing: InterleavedPacking,
    progress: Callable[[int, int], None] | None = None,
    blocks: Sequence[Sequence[Any]] | None = None,
) -> list[Any]:
    """Multiply a plaintext matrix with encrypted columns; see the module.

    Args:
        matrix: (rows, rows) real numbers.
        ciphertexts: the packed columns.
        galois_keys: for `rotation_steps(packing)`; not needed for one row.
        parameters: the CKKS parameters.
        packing: the layout.
        progress: called with (giant steps done, giant steps in all).
        blocks: encoded diagonals from `encode_block`, to be used again.
    """
    padded = np.zeros((packing.dimension, packing.dimension))
    padded[: len(matrix), : len(matrix)] = matrix
    evaluator = seal.Evaluator(make_context(parameters))
    shifts = [_baby_steps(evaluator, item, galois_keys, packing) for item in ciphertexts]
    step = packing.columns_per_ciphertext * packing.giant_step
    count = packing.dimension // packing.giant_step
    sums: list[Any] = []
    for done, block in enumerate(reversed(range(count)), start=1):
        plains = (
            blocks[block]
            if blocks is not None
            else encode_block(padded, block, parameters, packing)
        )
        inner = [_inner_product(evaluator, shift, plains) for shift in shifts]
        if sums:
            for total, item in zip(inner, sums, strict=True):
                evaluator.rotate_vector_inplace(item, step, galois_keys)
                evaluator.add_inplace(total, item)
        sums = inner
        if progress is not None:
            progress(done, count)
    return sums


def _baby_steps(
    evaluator: Any, ciphertext: Any, galois_keys: Any, packing: InterleavedPacking
) -> list[Any]:
    shifts = [ciphertext]
    for _ in range(packing.giant_step - 1):
        turned = seal.Ciphertext()
        evaluator.rotate_vector(shifts[-1], packing.columns_per_ciphertext, galois_keys, turned)
        shifts.append(turned)
    return shifts


def _inner_product(evaluator: Any, ciphertexts: Sequence[Any], plains: Sequence[Any]) -> Any:
    total, product = seal.Ciphertext(), seal.Ciphertext()
    evaluator.multiply_plain(ciphertexts[0], plains[0], total)
    for ciphertext, plain in zip(ciphertexts[1:], plains[1:], strict=True):
        evaluator.multiply_plain(ciphertext, plain, product)
        evaluator.add_inplace(total, product)
    return total
