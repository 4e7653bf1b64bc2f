"""The steps of a network on plain slots: the exact gradient, by few operations and keys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_machine import make_layout, run_plain

from openmined.syft import mlp_gradient
from openmined.syft._mlp_layout import choose_block

SLOTS = 256
DEGREE = 16_384


@st.composite
def networks(draw):
    hidden, outputs = draw(st.integers(1, 16)), draw(st.integers(1, 17))
    block = choose_block(2 * SLOTS, hidden, outputs)
    layout = make_layout(draw(st.integers(1, 40)), hidden, outputs, block, SLOTS)
    return layout, draw(st.integers(1, block)), draw(st.integers(0, 2**32 - 1))


def draw_task(packing, samples, seed):
    generator = np.random.default_rng(seed)
    weights = generator.standard_normal((packing.inputs + packing.outputs, packing.hidden))
    X = generator.standard_normal((samples, packing.inputs))
    return weights, X, generator.standard_normal((samples, packing.outputs))


def check(layout, samples, seed):
    task = draw_task(layout.packing, samples, seed)
    found, machine = run_plain(layout, *task)
    wanted = mlp_gradient(*task)
    scale = np.abs(wanted).max() + 1
    np.testing.assert_allclose(found / scale, wanted / scale, atol=1e-10)
    return machine


@given(network=networks(), blocks=st.integers(0, 1))
@settings(max_examples=80, deadline=None)
def test_steps_backpropagate(network, blocks):
    layout, samples, seed = network
    check(layout, samples + blocks * layout.block, seed)


@pytest.mark.parametrize(
    ("inputs", "hidden", "samples", "most"),
    [
        (64, 32, 128, (67, 26, 16, 62)),
        (64, 64, 128, (129, 26, 16, 71)),
        (64, 64, 512, (507, 104, 40, 143)),
        (784, 32, 256, (1807, 26, 16, 159)),
    ],
)
def test_operations_and_keys_are_few(inputs, hidden, samples, most):
    """Ten classes; the prototype: 74/26/16/71, 136/26/16/77, 508/104/40/145, 1810/26/16/164."""
    layout = make_layout(inputs, hidden, 10, choose_block(DEGREE, hidden, 10), DEGREE // 2)
    machine = check(layout, samples, seed=0)
    names = ("plaintext multiplications", "ciphertext multiplications", "relinearizations")
    assert tuple(machine.counts[name] for name in (*names, "rotations")) == most
    # A full block uses every key there is.
    assert samples < layout.block or machine.used == set(machine.levels)


@given(network=networks())
@settings(max_examples=80, deadline=None)
def test_every_pair_meets_every_sample_once(network):
    layout, samples, _ = network
    met = [
        (int(slot), int(pair))
        for slots, pairs in layout.distances(samples).values()
        for slot, pair in zip(slots, pairs, strict=True)
    ]
    assert len(met) == len(set(met)) == samples * layout.pairs
    for group, distance in layout.distances(samples):
        assert 0 <= distance < layout.groups[group].distances
        assert distance < layout.baby * layout.giant
