"""M W for a plaintext matrix and encrypted columns, at depth one, by baby and giant steps.

With D rows, b = `giant_step`, and rot_s the rotation down by s rows,

    M w = sum_d diag_d(M) * rot_d(w),            diag_d(M)[r] = M[r, (r + d) mod D]
        = sum_j rot_{jb}( sum_i u_{j,i} * rot_i(w) )
    u_{j,i}[r] = M[(r - jb) mod D, (r + i) mod D]

(Halevi and Shoup, CRYPTO 2014, section 4.3; baby-step giant-step: CRYPTO 2018). The outer sum is
taken by Horner's rule, acc <- rot_b(acc) + inner_j from the last block to the first, and rot_i by
chaining rot_1: two Galois keys. Operations for c ciphertexts: D encodings, c D plaintext
multiplications, c (b - 1 + D/b - 1) rotations.

A matrix with R rows or C columns below D (powers of two) has min(R, C) diagonals only, with the
indices above taken modulo R and C: a tall one reads a vector that repeats every C rows, a wide one
leaves D/R partial sums to be added (see `_low_rank`). Slot columns that carry no weights are
multiplied by zero, which rotations by whole rows keep apart (see `_packing`).

The encoding of u is randomised: noise of standard deviation 1.5 per coefficient before rounding
makes the rounding error independent of M (to about 2^-64, the decay of a Gaussian's Fourier
transform at the first nonzero frequency), so that slots without weights carry nothing of M.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from openmined.syft._executors import Call
from openmined.syft._parameters import used_columns
from openmined.syft._randomness import dither
from openmined.syft._seal import load, make_context, save

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openmined.protocol import CKKSParameters, InterleavedPacking
    from openmined.syft._executors import Executor, Tick

Floats = NDArray[np.float64]

_DITHER_COEFFICIENTS = 1.5


@dataclass(frozen=True, eq=False)
class PlainMatrix:
    """A padded plaintext matrix with its scale; its diagonals encoded, or encoded when needed.

    Attributes:
        values: (R, C), powers of two at most the packing's dimension.
        scale_bits: of the encoding.
        parameters: the CKKS parameters.
        packing: the layout of the ciphertexts it multiplies.
        blocks: encoded diagonals by giant step. They are a third of a product's time and do not
            depend on the weights, so they may be kept across rounds: R or C x degree x data
            primes x 8 bytes.
    """

    values: Floats
    scale_bits: int
    parameters: CKKSParameters
    packing: InterleavedPacking
    blocks: tuple[tuple[Any, ...], ...] = ()

    @property
    def count(self) -> int:
        """Giant steps."""
        return max(1, int(min(self.values.shape)) // self.packing.giant_step)

    def plains(self, block: int) -> Sequence[Any]:
        """Return u_{j,0} ... u_{j,b-1} for giant step j = `block`."""
        return self.blocks[block] if self.blocks else self._encode(block)

    def encoded(self) -> PlainMatrix:
        """Return the same with every diagonal encoded."""
        blocks = tuple(tuple(self._encode(block)) for block in range(self.count))
        return PlainMatrix(self.values, self.scale_bits, self.parameters, self.packing, blocks)

    def _encode(self, block: int) -> list[Any]:
        encoder = seal.CKKSEncoder(make_context(self.parameters))
        plains = []
        for values in self.block_slots(block):
            plain = seal.Plaintext()
            encoder.encode(values.tolist(), 2.0**self.scale_bits, plain)
            plains.append(plain)
        return plains

    def block_slots(self, block: int) -> Floats:
        """Return the slots of a block's diagonals with their dither, (baby steps, slots)."""
        baby = self.packing.giant_step
        height, width = self.values.shape
        row = np.arange(self.packing.dimension)
        diagonals = self.values[
            (row - block * baby)[None, :] % height,
            (row[None, :] + np.arange(baby)[:, None]) % width,
        ]
        slots = spread_rows(diagonals, self.packing)
        # Real slots v of variance s^2 have coefficients of variance s^2 / N.
        spread = _DITHER_COEFFICIENTS * np.sqrt(self.parameters.poly_modulus_degree)
        slots += dither(slots.shape) * (spread / 2.0**self.scale_bits)
        return slots


def spread_rows(values: Floats, packing: InterleavedPacking) -> Floats:
    """Repeat (..., D) values, one a row, in all slot columns that carry weights; (..., slots)."""
    column = np.arange(packing.columns_per_ciphertext)
    spread = values[..., None] * (column < used_columns(packing))
    return spread.reshape(*values.shape[:-1], -1)


def pad_matrix(matrix: Floats, height: int, width: int) -> Floats:
    """Pad a matrix with zeros to (height, width)."""
    padded = np.zeros((height, width))
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded


@dataclass(frozen=True, eq=False)
class Ring:
    """What rotating and adding needs: an evaluator, the rotation keys, the layout."""

    parameters: CKKSParameters
    packing: InterleavedPacking
    galois_keys: Any

    @property
    def evaluator(self) -> Any:
        """SEAL's evaluator."""
        return seal.Evaluator(make_context(self.parameters))

    def rotate_giant(self, ciphertext: Any, count: int) -> None:
        """Rotate in place by `count` giant steps, chained: there is one key for them."""
        step = self.packing.columns_per_ciphertext * self.packing.giant_step
        evaluator = self.evaluator
        for _ in range(count):
            evaluator.rotate_vector_inplace(ciphertext, step, self.galois_keys)

    def baby_steps(self, ciphertext: Any) -> list[Any]:
        """Return the ciphertext rotated by 0 ... b - 1 rows."""
        evaluator = self.evaluator
        shifts = [ciphertext]
        for _ in range(self.packing.giant_step - 1):
            turned = seal.Ciphertext()
            row = self.packing.columns_per_ciphertext
            evaluator.rotate_vector(shifts[-1], row, self.galois_keys, turned)
            shifts.append(turned)
        return shifts


def multiply_matrix(
    matrix: PlainMatrix,
    ciphertexts: Sequence[Any],
    galois_keys: Any,
    tick: Callable[[], None],
    executor: Executor | None = None,
) -> list[Any]:
    """Multiply a plaintext matrix with encrypted columns; see the module.

    Args:
        matrix: what to multiply with.
        ciphertexts: the packed columns.
        galois_keys: for `rotation_steps(packing)`; not needed for one row.
        tick: called after each giant step.
        executor: shares the giant steps among workers; None does all here.
    """
    ring = Ring(matrix.parameters, matrix.packing, galois_keys)
    factors = _Factors(ring, matrix, tuple(ciphertexts))
    if executor is None:
        return _sum_blocks(ring, matrix, factors.shifts, range(matrix.count), tick)
    workers = min(executor.workers, matrix.count)
    edges = [worker * matrix.count // workers for worker in range(workers + 1)]
    ranges = [range(first, last) for first, last in pairwise(edges)]
    found = list(executor.run([_Blocks(factors, blocks) for blocks in ranges], tick))
    context = make_context(ring.parameters)
    sums: list[Any] = []
    for blocks, saved in zip(reversed(ranges), reversed(found), strict=True):
        partial = [load(seal.Ciphertext(), context, item, "result") for item in saved]
        sums = _join(ring, partial, sums, len(blocks))
    return sums


@dataclass(frozen=True, eq=False)
class _Factors:
    """Both factors of a product, as objects of this process and as plain data for another."""

    ring: Ring
    matrix: PlainMatrix
    ciphertexts: tuple[Any, ...]

    @cached_property
    def shifts(self) -> list[list[Any]]:
        """The ciphertexts rotated by each baby step."""
        return [self.ring.baby_steps(item) for item in self.ciphertexts]

    @cached_property
    def plain(self) -> tuple[Any, ...]:
        """The first arguments of `_sum_blocks_there`."""
        matrix = self.matrix
        keys = b"" if self.ring.galois_keys is None else save(self.ring.galois_keys)
        saved = [save(item) for item in self.ciphertexts]
        return matrix.parameters, matrix.packing, matrix.scale_bits, matrix.values, keys, saved


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Some giant steps of a product, for an executor."""

    factors: _Factors
    blocks: range

    def here(self, tick: Tick) -> list[bytes]:
        factors = self.factors
        sums = _sum_blocks(factors.ring, factors.matrix, factors.shifts, self.blocks, tick)
        return [save(item) for item in sums]

    def call(self) -> Call:
        return Call(_sum_blocks_there, (self.blocks.start, self.blocks.stop), self.factors.plain)


def _sum_blocks_there(
    tick: Tick,
    parameters: CKKSParameters,
    packing: InterleavedPacking,
    scale_bits: int,
    values: Floats,
    keys: bytes,
    saved: list[bytes],
    first: int,
    last: int,
) -> list[bytes]:
    """Do `_Blocks` where only plain data have come."""
    context = make_context(parameters)
    galois_keys = load(seal.GaloisKeys(), context, keys, "galois keys") if keys else None
    ciphertexts = [load(seal.Ciphertext(), context, item, "ciphertext") for item in saved]
    matrix = PlainMatrix(values, scale_bits, parameters, packing)
    factors = _Factors(Ring(parameters, packing, galois_keys), matrix, tuple(ciphertexts))
    return _Blocks(factors, range(first, last)).here(tick)


def _sum_blocks(
    ring: Ring,
    matrix: PlainMatrix,
    shifts: Sequence[Sequence[Any]],
    blocks: range,
    tick: Callable[[], None],
) -> list[Any]:
    """Return sum_j rot_{(j - first) b}(inner_j) over consecutive blocks, by Horner's rule."""
    evaluator = ring.evaluator
    sums: list[Any] = []
    for block in reversed(blocks):
        plains = matrix.plains(block)
        inner = [_inner_product(evaluator, shift, plains) for shift in shifts]
        sums = _join(ring, inner, sums, 1)
        tick()
    return sums


def _join(ring: Ring, low: list[Any], high: list[Any], blocks: int) -> list[Any]:
    """Return low + rot_{blocks b}(high); the first time there is no high part."""
    for total, item in zip(low, high or [], strict=bool(high)):
        ring.rotate_giant(item, blocks)
        ring.evaluator.add_inplace(total, item)
    return low


def _inner_product(evaluator: Any, ciphertexts: Sequence[Any], plains: Sequence[Any]) -> Any:
    total, product = seal.Ciphertext(), seal.Ciphertext()
    evaluator.multiply_plain(ciphertexts[0], plains[0], total)
    for ciphertext, plain in zip(ciphertexts[1:], plains[1:], strict=True):
        evaluator.multiply_plain(ciphertext, plain, product)
        evaluator.add_inplace(total, product)
    return total
