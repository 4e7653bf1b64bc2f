"""A machine without encryption: the steps of a network on plain slots, exact and counted.

It holds what SEAL would enforce: levels of operands agree, and a rotation has a key made at the
level of the ciphertext or above.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from openmined.protocol import MLPPacking
from openmined.syft import MLPClassifier, choose_parameters
from openmined.syft._keys import galois_element
from openmined.syft._mlp import join_mlp, split_mlp
from openmined.syft._mlp_decode import gather_gradient
from openmined.syft._mlp_keys import LAST, OUTPUT_LEVEL, SQUARE_LEVEL, TOP, key_levels
from openmined.syft._mlp_layout import MLPLayout
from openmined.syft._mlp_steps import add_blocks, assemble, prepare_weights

PARAMETERS = choose_parameters(MLPClassifier(inputs=2, hidden=2, classes=("a", "b"))).model_copy(
    update={"data_scale_bits": 60}  # dithers rows by next to nothing
)


@dataclass(eq=False)
class Slots:
    values: Any
    level: int
    relinear: bool = True
    scale: float = 1.0


class PlainMachine:
    """What `Machine` does, on slots in the clear."""

    def __init__(self, layout: MLPLayout) -> None:
        self.layout = layout
        self.parameters = PARAMETERS
        self.primes = [1.0] * TOP
        self.evaluator = self
        self.levels = key_levels(layout)
        self.used: set[int] = set()
        self.counts: Counter[str] = Counter()

    def rotate(self, item: Slots, step: int) -> Slots:
        slots = self.layout.slots
        self._switch(item, galois_element(2 * slots, step % slots))
        return Slots(np.roll(item.values, -step), item.level)

    def turn(self, item: Slots, units: int) -> Slots:
        step = self.layout.turns[units]
        for _ in range(units // step):
            item = self.rotate(item, step * self.layout.block)
        return item

    def conjugate(self, item: Slots) -> Slots:
        self._switch(item, 4 * self.layout.slots - 1)
        return Slots(item.values.conj(), item.level)

    def _switch(self, item: Slots, element: int) -> None:
        assert item.relinear
        assert item.level <= self.levels[element]
        self.used.add(element)
        self.counts["rotations"] += 1

    def relinearize(self, item: Slots) -> Slots:
        assert not item.relinear
        assert item.level <= SQUARE_LEVEL
        item.relinear = True
        self.counts["relinearizations"] += 1
        return item

    def rescale(self, item: Slots) -> Slots:
        item.level -= 1
        return item

    def lower(self, item: Slots, level: int) -> Slots:
        assert level <= item.level
        return Slots(item.values, level)

    def add(self, total: Slots | None, item: Slots) -> Slots:
        if total is None:
            return item
        assert total.level == item.level
        total.values = total.values + item.values
        return total

    def multiply(self, one: Slots, other: Slots) -> Slots:
        assert one.level == other.level
        assert one.relinear
        assert other.relinear
        self.counts["ciphertext multiplications"] += 1
        return Slots(one.values * other.values, one.level, relinear=False)

    def square(self, item: Slots) -> Slots:
        return self.multiply(item, item)

    def times(self, item: Slots, plain: Slots) -> Slots:
        assert item.level == plain.level
        self.counts["plaintext multiplications"] += 1
        return Slots(item.values * plain.values, item.level)

    def raise_scale(self, item: Slots, bits: int) -> Slots:
        return item

    def encode(self, values: Any, level: int, scale: float) -> Slots:
        return Slots(values, level)

    def lower_plain(self, plain: Slots, level: int) -> None:
        plain.level = level

    # What `evaluator` is asked directly.
    def sub_inplace(self, one: Slots, other: Slots) -> None:
        assert one.level == other.level
        one.values = one.values - other.values

    sub_plain_inplace = sub_inplace


def make_layout(inputs: int, hidden: int, outputs: int, block: int, slots: int) -> MLPLayout:
    packing = MLPPacking(inputs=inputs, hidden=hidden, outputs=outputs, block=block, row_length=1)
    return MLPLayout(packing, slots)


def run_plain(
    layout: MLPLayout, weights: np.ndarray, X: np.ndarray, Y: np.ndarray
) -> tuple[np.ndarray, PlainMachine]:
    """Follow every step to the gradient, as the key holder would read it; drown what is unread."""
    machine = PlainMachine(layout)
    W1, W2 = split_mlp(weights, layout.packing.inputs)
    first = [Slots(values, TOP) for values in layout.spread_inputs(W1)]
    second = [Slots(values, OUTPUT_LEVEL) for values in layout.spread_outputs(W2)]
    prepared = prepare_weights(machine, first, second)
    parts, marks = assemble(machine, add_blocks(machine, prepared, X, Y, lambda: None))
    assert {part.level for part in parts} == {LAST}
    sent = [np.where(mark, part.values, 1e9) for part, mark in zip(parts, marks, strict=True)]
    dW1, dW2 = split_mlp(gather_gradient(layout, sent), layout.packing.inputs)
    return join_mlp(2.0 * dW1, dW2) / len(X), machine
