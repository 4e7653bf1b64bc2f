"""Parameters: 128 bits always, room for the public bounds, precision as promised."""

import numpy as np
import pytest

from openmined.protocol import CKKSParameters, LocalSteps
from openmined.syft import LinearClassifier, LinearRegression, ParameterError, choose_parameters
from openmined.syft._parameters import (
    TARGET_BITS,
    choose_packing,
    expected_bits,
    expected_entry,
    plan_parameters,
    required_norm,
)
from openmined.syft._scales import multiplications, norm_bound, room_bits
from openmined.syft._seal import make_context

SHAPES = [(1, 1), (11, 1), (64, 10), (785, 10), (1024, 2), (2048, 100), (4096, 3)]


@pytest.mark.parametrize(("inputs", "outputs"), SHAPES)
@pytest.mark.parametrize("update", [{}, {"update": LocalSteps(steps=3)}])
def test_plans_are_safe_roomy_and_precise(inputs, outputs, update):
    spec = LinearRegression(inputs=inputs, outputs=outputs, **update)
    plan = plan_parameters(spec)
    make_context(plan.parameters)  # raises below 128 bits
    assert norm_bound(plan.parameters) >= required_norm(spec)
    assert expected_bits(plan.parameters, plan.packing, expected_entry(spec)) >= TARGET_BITS
    assert plan.parameters.flood_bits == 30
    special = plan.parameters.coeff_modulus_bits[-1]
    assert special == max(plan.parameters.coeff_modulus_bits)


def test_plan_of_mnist_is_small():
    spec = LinearClassifier(inputs=785, classes=tuple("0123456789"))
    plan = plan_parameters(spec)
    assert plan.parameters.poly_modulus_degree == 8192
    assert plan.bytes_keys < 2_000_000
    assert plan.bytes_update < 350_000


def test_small_radius_costs_fewer_bits():
    wide = choose_parameters(LinearRegression(inputs=512, radius=45.0))
    narrow = choose_parameters(LinearRegression(inputs=512, radius=1.5))
    assert sum(narrow.coeff_modulus_bits) < sum(wide.coeff_modulus_bits)


@pytest.mark.parametrize(("inputs", "outputs"), SHAPES)
def test_room_for_a_second_multiplication(inputs, outputs):
    spec = LinearRegression(inputs=inputs, outputs=outputs)
    one, two = plan_parameters(spec), plan_parameters(spec, few_rows=True)
    assert multiplications(one.parameters) == 1
    assert multiplications(two.parameters) == 2
    assert norm_bound(two.parameters) >= required_norm(spec)
    assert abs(room_bits(one.parameters) - room_bits(two.parameters)) <= 2
    if inputs <= 256:
        assert two.parameters.poly_modulus_degree == one.parameters.poly_modulus_degree
        assert two.bytes_update <= 1.6 * one.bytes_update


def test_impossible_norms_are_refused():
    with pytest.raises(ParameterError, match="scale the features"):
        choose_parameters(LinearRegression(inputs=8, radius=1e150))


def test_too_many_rows_are_refused():
    with pytest.raises(ParameterError, match="larger ring"):
        choose_packing(8192, 5000, 1)


@pytest.mark.parametrize("degree", [4096, 8192, 16384, 32768])
def test_contexts_below_128_bits_are_refused(degree):
    limit = {4096: 109, 8192: 218, 16384: 438, 32768: 881}[degree]
    count = -(-limit // 55)
    bits = tuple(limit // count + (index < limit % count) for index in range(count))
    settings = {
        "poly_modulus_degree": degree,
        "weight_scale_bits": 30,
        "data_scale_bits": 10,
    }
    make_context(CKKSParameters(coeff_modulus_bits=bits, **settings))
    over = (*bits[:-1], bits[-1] + 1)
    with pytest.raises(ParameterError, match="128-bit"):
        make_context(CKKSParameters(coeff_modulus_bits=over, **settings))


def test_giant_steps_balance_rotations():
    parameters = choose_parameters(LinearRegression(inputs=785))
    packing = choose_packing(parameters.poly_modulus_degree, 785, 1)
    assert packing.giant_step == 32
    assert packing.dimension == 1024
    slots = parameters.poly_modulus_degree // 2
    assert packing.dimension * packing.columns_per_ciphertext == slots
    assert np.log2(packing.giant_step).is_integer()
