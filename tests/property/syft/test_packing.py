"""Packing: what goes in comes out, and rotations move rows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from openmined.protocol import InterleavedPacking
from openmined.syft._packing import pack_columns, unpack_columns, unused_slots
from openmined.syft._parameters import ciphertexts_needed, next_power_of_two


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
    from openmined.protocol import CKKSParameters
    from openmined.syft._product import _block_slots

    generator = np.random.default_rng(seed)
    matrix = np.zeros((packing.dimension, packing.dimension))
    matrix[: packing.rows, : packing.rows] = generator.standard_normal((packing.rows,) * 2)
    weights = generator.standard_normal((packing.rows, packing.columns))
    parameters = CKKSParameters(
        poly_modulus_degree=4096,
        coeff_modulus_bits=(40, 40),
        weight_scale_bits=30,
        data_scale_bits=60,
    )
    row, products = packing.columns_per_ciphertext, []
    for slots in pack_columns(weights, packing):
        total = np.zeros_like(slots)
        for block in reversed(range(packing.dimension // packing.giant_step)):
            inner = sum(
                diagonal * np.roll(slots, -baby * row)
                for baby, diagonal in enumerate(_block_slots(matrix, block, parameters, packing))
            )
            total = np.roll(total, -packing.giant_step * row) + inner
        products.append(total)
    np.testing.assert_allclose(
        unpack_columns(products, packing),
        matrix[: packing.rows, : packing.rows] @ weights,
        atol=1e-9,
    )


@given(packing=packings())
@settings(max_examples=60, deadline=None)
def test_unused_slots_are_the_rest(packing):
    used = pack_columns(np.ones((packing.rows, packing.columns)), packing)
    for one, mark in zip(used, unused_slots(packing), strict=True):
        np.testing.assert_array_equal(one + mark, np.full(len(one), 1 + 1j))
