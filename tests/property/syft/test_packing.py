"""Packing: what goes in comes out, and rotations move rows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from openmined.protocol import CKKSParameters, InterleavedPacking
from openmined.syft._packing import pack_columns, unpack_columns, unused_slots
from openmined.syft._parameters import ciphertexts_needed, next_power_of_two
from openmined.syft._product import PlainMatrix, pad_matrix

PARAMETERS = CKKSParameters(
    poly_modulus_degree=4096, coeff_modulus_bits=(40, 40), weight_scale_bits=30, data_scale_bits=60
)


@st.composite
def packings(draw):
    rows = draw(st.integers(1, 40))
    dimension = next_power_of_two(rows)
    return InterleavedPacking(
        rows=rows,
        columns=draw(st.integers(1, 30)),
        dimension=dimension,
        columns_per_ciphertext=draw(st.sampled_from([1, 2, 4, 8])),
        giant_step=draw(st.sampled_from([s for s in (1, 2, 4, 8) if dimension % s == 0])),
    )


@given(packing=packings(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_unpacking_undoes_packing(packing, seed):
    weights = np.random.default_rng(seed).standard_normal((packing.rows, packing.columns))
    slots = pack_columns(weights, packing)
    assert len(slots) == ciphertexts_needed(packing)
    assert all(len(one) == packing.dimension * packing.columns_per_ciphertext for one in slots)
    np.testing.assert_array_equal(unpack_columns(slots, packing), weights)


@given(packing=packings(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_baby_and_giant_steps_multiply(packing, seed):
    """The product's formula on plain slots, with np.roll for rotations."""
    generator = np.random.default_rng(seed)
    M = generator.standard_normal((packing.rows, packing.rows))
    weights = generator.standard_normal((packing.rows, packing.columns))
    padded = pad_matrix(M, packing.dimension, packing.dimension)
    products = [roll_product(padded, slots, packing) for slots in pack_columns(weights, packing)]
    np.testing.assert_allclose(unpack_columns(products, packing), M @ weights, atol=1e-9)


@given(packing=packings(), seed=st.integers(0, 2**32 - 1), data=st.data())
@settings(max_examples=60, deadline=None)
def test_wide_then_tall_matrices_multiply(packing, seed, data):
    """The two-product form on plain slots: R diagonals, partial sums added, R diagonals."""
    sizes = [
        1 << power for power in range(10) if packing.giant_step <= 1 << power <= packing.dimension
    ]
    rank = data.draw(st.sampled_from(sizes))
    generator = np.random.default_rng(seed)
    V = generator.standard_normal((rank, packing.rows))
    U = generator.standard_normal((packing.rows, rank))
    weights = generator.standard_normal((packing.rows, packing.columns))
    products = []
    for slots in pack_columns(weights, packing):
        thin = roll_product(pad_matrix(V, rank, packing.dimension), slots, packing)
        period = rank
        while period < packing.dimension:
            thin = thin + np.roll(thin, -period * packing.columns_per_ciphertext)
            period *= 2
        products.append(roll_product(pad_matrix(U, packing.dimension, rank), thin, packing))
    np.testing.assert_allclose(unpack_columns(products, packing), U @ V @ weights, atol=1e-9)


def roll_product(padded, slots, packing):
    matrix = PlainMatrix(padded, 60, PARAMETERS, packing)
    row, total = packing.columns_per_ciphertext, np.zeros_like(slots)
    for block in reversed(range(matrix.count)):
        inner = sum(
            diagonal * np.roll(slots, -baby * row)
            for baby, diagonal in enumerate(matrix.block_slots(block))
        )
        total = np.roll(total, -packing.giant_step * row) + inner
    return total


@given(packing=packings())
@settings(max_examples=60, deadline=None)
def test_unused_slots_are_the_rest(packing):
    used = pack_columns(np.ones((packing.rows, packing.columns)), packing)
    for one, mark in zip(used, unused_slots(packing), strict=True):
        np.testing.assert_array_equal(one + mark, np.full(len(one), 1 + 1j))
