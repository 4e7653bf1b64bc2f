"""The two-product form: cheap updates from few rows (DESIGN 6.4).

A mine with n rows below the p features has a Gram matrix of rank r <= n, and every update's matrix
is c I + U V for thin factors. With r padded to R, a power of two that divides D,

    y = V w       R diagonals; slot row s of the sum holds the part of row s mod R from R columns,
                  and adding rotations by R, 2R, 4R ... makes every slot row s hold y[s mod R]
    U y + c w     R diagonals

so 2R encodings and multiplications replace D, at the price of a second plaintext multiplication
before the rescale (`multiplications(parameters)` is two). From G0 = Z'Z/n = Q L Q', the r columns
of Q with positive eigenvalues kept:

    gradient      c = l2,                V = L^(1/2) Q',  U = Q L^(1/2)
    local steps   c = (1 - eta l2)^K,    V = Q',          U = Q diag((1 - eta (L + l2))^K - c)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from openmined.protocol import InterleavedPacking, PlainGradient, UpdateKind
from openmined.syft._parameters import next_power_of_two
from openmined.syft._product import PlainMatrix, Ring, multiply_matrix, pad_matrix, spread_rows
from openmined.syft._scales import matrix_scale_bits, multiplications
from openmined.syft._seal import make_context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openmined.protocol import CKKSParameters
    from openmined.syft._executors import Executor
    from openmined.syft._statistics import Statistics

Floats = NDArray[np.float64]

_RANK_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class LowRankMatrix:
    """The matrix c I + U V, with U (p, r) and V (r, p)."""

    identity: float
    wide: PlainMatrix
    tall: PlainMatrix

    @property
    def count(self) -> int:
        """Giant steps in all."""
        return self.wide.count + self.tall.count

    def encoded(self) -> LowRankMatrix:
        """Return the same with every diagonal encoded."""
        return LowRankMatrix(self.identity, self.wide.encoded(), self.tall.encoded())


def low_rank_pays(rows: int, parameters: CKKSParameters, packing: InterleavedPacking) -> bool:
    """Say whether a mine with so many rows should use the two-product form."""
    padded = max(packing.giant_step, next_power_of_two(rows))
    return multiplications(parameters) == 2 and 4 * padded <= packing.dimension


def factor_update(
    statistics: Statistics, update: UpdateKind, l2: float
) -> tuple[float, Floats, Floats]:
    """Return (c, U, V) such that the update's matrix is c I + U V."""
    eigenvalues, Q = np.linalg.eigh(statistics.gram / statistics.n)
    keep = eigenvalues > _RANK_TOLERANCE * max(float(eigenvalues[-1]), 0.0)
    eigenvalues, Q = eigenvalues[keep], Q[:, keep]
    if isinstance(update, PlainGradient):
        root = np.sqrt(eigenvalues)
        return l2, Q * root, root[:, None] * Q.T
    top = (float(eigenvalues[-1]) if len(eigenvalues) else 0.0) + l2
    powers = np.exp(update.steps * np.log1p(-_step(eigenvalues + l2, top, update.rate)))
    identity = float(np.exp(update.steps * np.log1p(-_step(l2, top, update.rate))))
    return identity, Q * (powers - identity), Q.T


def _step(eigenvalues: Any, top: float, rate: float) -> Any:
    return np.minimum(rate * eigenvalues / top, 1.0 - 1e-16)


def make_low_rank(
    factors: tuple[float, Floats, Floats], parameters: CKKSParameters, packing: InterleavedPacking
) -> LowRankMatrix:
    """Pad the factors and give them their scales."""
    identity, U, V = factors
    rank = max(packing.giant_step, next_power_of_two(max(1, U.shape[1])))
    bits = parameters.data_scale_bits
    wide = PlainMatrix(pad_matrix(V, rank, packing.dimension), bits, parameters, packing)
    tall = PlainMatrix(pad_matrix(U, packing.dimension, rank), bits, parameters, packing)
    return LowRankMatrix(identity, wide, tall)


def multiply_low_rank(
    matrix: LowRankMatrix,
    ciphertexts: Sequence[Any],
    galois_keys: Any,
    tick: Callable[[], None],
    executor: Executor | None = None,
) -> list[Any]:
    """Multiply c I + U V with encrypted columns; see the module and `multiply_matrix`."""
    parameters, packing = matrix.wide.parameters, matrix.wide.packing
    ring = Ring(parameters, packing, galois_keys)
    thin = multiply_matrix(matrix.wide, ciphertexts, galois_keys, tick, executor)
    for item in thin:
        _repeat(ring, item, matrix.wide.values.shape[0])
    products = multiply_matrix(matrix.tall, thin, galois_keys, tick, executor)
    encoder, plain = seal.CKKSEncoder(make_context(parameters)), seal.Plaintext()
    identity = spread_rows(np.full(packing.dimension, matrix.identity), packing)
    encoder.encode(identity.tolist(), 2.0 ** matrix_scale_bits(parameters), plain)
    part = seal.Ciphertext()
    for product, ciphertext in zip(products, ciphertexts, strict=True):
        ring.evaluator.multiply_plain(ciphertext, plain, part)
        ring.evaluator.add_inplace(product, part)
    return products


def _repeat(ring: Ring, ciphertext: Any, period: int) -> None:
    """Replace slot row s by the sum of all rows congruent to s modulo `period`."""
    while period < ring.packing.dimension:
        turned = seal.Ciphertext()
        step = ring.packing.columns_per_ciphertext * ring.packing.giant_step
        ring.evaluator.rotate_vector(ciphertext, step, ring.galois_keys, turned)
        ring.rotate_giant(turned, period // ring.packing.giant_step - 1)
        ring.evaluator.add_inplace(ciphertext, turned)
        period *= 2
