"""The layout of a network, on plain slots with np.roll for rotations, gives the exact gradient."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from openmined.protocol import MLPPacking
from openmined.syft import mlp_gradient
from openmined.syft._mlp import join_mlp
from openmined.syft._mlp_layout import MLPLayout, choose_block

SLOTS = 256


def rotate(slots, step):
    return np.roll(slots, -step)


@st.composite
def networks(draw):
    hidden, outputs = draw(st.integers(1, 16)), draw(st.integers(1, 17))
    block = choose_block(2 * SLOTS, hidden, outputs)
    inputs = draw(st.integers(1, 40))
    layout = MLPLayout(
        MLPPacking(inputs=inputs, hidden=hidden, outputs=outputs, block=block), SLOTS
    )
    return layout, draw(st.integers(1, block)), draw(st.integers(0, 2**32 - 1))


def backpropagate(layout, W1, W2, X, Y):
    """Follow `_mlp_gradient` step by step without encryption; return dW1 and dW2, summed."""
    block, samples = layout.block, len(X)
    padded = np.zeros((samples, 2 * layout.pairs))
    padded[:, : X.shape[1]] = X
    paired = (padded[:, 0::2] - 1j * padded[:, 1::2]) / 2
    inputs, outputs = layout.spread_inputs(W1), layout.spread_outputs(W2)
    diagonals = {}
    for (group, distance), (slots, pairs) in layout.distances(samples).items():
        pattern = np.zeros(block, dtype=complex)
        pattern[slots] = paired[slots - (block - samples), pairs]
        diagonals[group, distance] = np.tile(pattern, layout.units)
    T = sum(u * rotate(inputs[group], distance) for (group, distance), u in diagonals.items())
    U = T + T.conj()
    giant, baby = layout.giant_classes, layout.baby_classes
    turned = [rotate(U**2, b * block) for b in range(baby)]
    found = sum(
        rotate(sum(turned[b] * outputs[a * baby + b] for b in range(baby)), a * baby * block)
        for a in range(giant)
    )
    span = layout.padded_classes
    while span < layout.units:
        found = found + rotate(found, span * block)
        span *= 2
    E = (found - layout.spread_targets(Y)).conj()
    errors = [rotate(E, -a * baby * block) for a in range(giant)]
    back = sum(
        rotate(sum(errors[a] * outputs[a * baby + b] for a in range(giant)), -b * block)
        for b in range(baby)
    )
    D = (back + back.conj()) * U
    sums = []
    for number, group in enumerate(layout.groups):
        total = sum(rotate(u * D, -step) for (g, step), u in diagonals.items() if g == number)
        span = group.period
        while span < block:
            total = total + rotate(total, span)
            span *= 2
        sums.append(2 * total)
    dW2 = np.zeros((layout.units, layout.padded_classes), dtype=complex)
    for a in range(giant):
        for b in range(baby):
            product = (turned[b] * errors[a]).reshape(layout.units, block).sum(axis=1)
            dW2[layout.output_index(a, b)] = product.conj()
    real = np.empty((layout.units, 2 * layout.padded_classes))
    real[:, 0::2], real[:, 1::2] = dW2.real, dW2.imag
    return layout.gather_inputs(sums), real[: W2.shape[0], : W2.shape[1]]


@given(network=networks())
@settings(max_examples=80, deadline=None)
def test_layout_backpropagates(network):
    layout, samples, seed = network
    packing = layout.packing
    generator = np.random.default_rng(seed)
    W1 = generator.standard_normal((packing.inputs, packing.hidden))
    W2 = generator.standard_normal((packing.hidden, packing.outputs))
    X = generator.standard_normal((samples, packing.inputs))
    Y = generator.standard_normal((samples, packing.outputs))
    dW1, dW2 = backpropagate(layout, W1, W2, X, Y)
    wanted = mlp_gradient(join_mlp(W1, W2), X, Y) * samples
    scale = np.abs(wanted).max() + 1
    np.testing.assert_allclose(join_mlp(dW1, dW2) / scale, wanted / scale, atol=1e-10)


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
