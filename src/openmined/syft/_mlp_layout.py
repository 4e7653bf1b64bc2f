"""Where everything of a two-layer network lies in the slots of ciphertexts.

S = N/2 slots are H blocks of P, a block per hidden unit, cyclic; inside a block a slot per sample:

    slot = unit * P + sample                     rotating by P slots turns the units

Samples are right-aligned in their block. Inputs and classes come in complex pairs.

- W1: pairs of inputs w_q = W1[2q] + i W1[2q+1] in groups of a period p that divides P; slot
  (unit, s) of a group's ciphertext holds pair s mod p of its group. The sample in slot s reads pair
  q at a distance delta with s + delta = q (mod p) inside the block: backwards where it can, else
  forwards, so -p < delta < p. The ciphertext is sent rotated by p - 1, so that all rotations are
  the one way. A last group that fills its period badly is split in two where that saves work.
- W2: classes w_k = W2[:, 2k] + i W2[:, 2k+1], padded to a power of two K = A B; ciphertext (a, b)
  holds W2[unit + b, unit - a B mod K] in every slot of a unit's block.
- outputs: slot (unit, sample) holds class unit mod K, so each class is there H/K times.
- dW2: product (a, b) holds unit + b and class unit - a B mod K: zero for classes of padding. With
  K = 8 (A = 2, B = 4) and e = 1 or 2 classes more than B, products (0, b) and (1, b) are both other
  than zero only at units u with u mod B < e. So their sums y_b say nearly all, and

      v_j[u] = sum over m of (0, j + m e)[u + m e],   j < e,   m < B / e

  the rest: each of its slots has one term that y does not tell. 4 + e ciphertexts instead of 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openmined.syft._errors import CiphertextError, ParameterError
from openmined.syft._parameters import next_power_of_two

if TYPE_CHECKING:
    from openmined.protocol import MLPPacking

Floats = NDArray[np.float64]
Slots = NDArray[np.complex128]
Indices = NDArray[np.intp]


# In units of one more distance (an encoding, a multiplication there and one back):
_BABY_STEP = 9.0  # a rotation at the first level, one at the last
_CIPHERTEXT = 3.0
_USUAL_BABY = 16
_BATCH = 256  # samples for which rotations are fewest


@dataclass(frozen=True)
class Group:
    """Pairs of inputs that share a ciphertext: the first, how many, and their period."""

    first: int
    count: int
    period: int

    @property
    def shift(self) -> int:
        """How far the group's ciphertext is rotated ahead."""
        return self.period - 1

    @property
    def distances(self) -> int:
        """How many distances there are between its pairs and the samples of a full block."""
        return self.period - 1 + self.count

    def babies(self, baby: int) -> int:
        """Baby steps, of `baby` at most, that its distances need."""
        return min(baby, self.distances)

    def shift_back(self, baby: int) -> int:
        """How far the group's gradient is rotated ahead: its baby steps too only go the one way."""
        return self.shift - (self.babies(baby) - 1)


@dataclass(frozen=True)
class MLPLayout:
    """The layout of a network; see the module."""

    packing: MLPPacking
    slots: int

    def __post_init__(self) -> None:
        block = self.packing.block
        if block & (block - 1) or block > self.slots or self.units < self.padded_classes:
            raise CiphertextError(f"blocks of {block} samples do not fit {self.slots} slots")
        if self.units < self.packing.hidden:
            raise CiphertextError(f"{self.packing.hidden} units do not fit {self.units} blocks")

    @property
    def block(self) -> int:
        """P, slots per unit."""
        return self.packing.block

    @property
    def units(self) -> int:
        """H, units with padding."""
        return self.slots // self.packing.block

    @property
    def pairs(self) -> int:
        """Pairs of inputs."""
        return (self.packing.inputs + 1) // 2

    @property
    def classes(self) -> int:
        """Pairs of outputs."""
        return (self.packing.outputs + 1) // 2

    @property
    def padded_classes(self) -> int:
        """K, pairs of outputs with padding."""
        return next_power_of_two(self.classes)

    @property
    def baby_classes(self) -> int:
        """B."""
        return 1 << (self.padded_classes.bit_length() // 2)

    @property
    def giant_classes(self) -> int:
        """A."""
        return self.padded_classes // self.baby_classes

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The groups of pairs: full blocks, then a remainder in one or two powers of two."""
        full = range(0, self.pairs - self.block + 1, self.block)
        found = [Group(first, self.block, self.block) for first in full]
        rest = self.pairs - len(found) * self.block
        return (*found, *_divide(self.pairs - rest, rest, self.block))

    @cached_property
    def baby(self) -> int:
        """b, the baby steps of the fewest rotations for 256 samples; the larger of several."""
        reach = max(group.distances for group in self.groups)
        blocks = -(-_BATCH // self.block)

        def count(baby: int) -> int:
            babies = sum(group.babies(baby) - 1 for group in self.groups)
            return blocks * (-(-reach // baby) - 1) + babies

        return min(range(reach, 0, -1), key=count)

    @property
    def giant(self) -> int:
        """Giant steps."""
        return -(-max(group.distances for group in self.groups) // self.baby)

    @cached_property
    def turns(self) -> dict[int, int]:
        """By how many units outputs are turned, and how many the key turns that is used for it.

        Where half a turn has a key it is used twice: a rotation more, a key less.
        """
        held = {1} if self.baby_classes > 1 else set()
        turns = {}
        if self.giant_classes > 1:
            turns[self.baby_classes] = self.baby_classes
        span = self.padded_classes
        while span < self.units:
            turns[span] = span // 2 if span // 2 in held | set(turns.values()) else span
            span *= 2
        return turns

    def spread_inputs(self, W1: Floats) -> list[Slots]:
        """Return the slots of W1, (inputs, hidden), a vector per group."""
        paired = _pair_rows(W1, self.pairs)
        position = np.arange(self.block)
        vectors = []
        for group in self.groups:
            block = np.zeros((self.units, self.block), dtype=np.complex128)
            place = position % group.period
            used = place < group.count
            block[: W1.shape[1], used] = paired[group.first + place[used]].T
            vectors.append(np.roll(block.reshape(-1), group.shift))
        return vectors

    def gather_inputs(self, vectors: list[Slots]) -> Floats:
        """Return the gradient of W1 from the slots of the groups' ciphertexts (conjugated)."""
        paired = np.zeros((self.pairs, self.packing.hidden), dtype=np.complex128)
        for group, vector in zip(self.groups, vectors, strict=True):
            block = np.roll(vector, -group.shift_back(self.baby)).reshape(self.units, self.block)
            chosen = block[: self.packing.hidden, : group.count]
            paired[group.first : group.first + group.count] = chosen.T.conj()
        return _unpair_rows(paired, self.packing.inputs)

    def input_marks(self) -> list[NDArray[np.bool_]]:
        """Mark the slots that `gather_inputs` reads."""
        marks = []
        for group in self.groups:
            block = np.zeros((self.units, self.block), dtype=np.bool_)
            block[: self.packing.hidden, : group.count] = True
            marks.append(np.roll(block.reshape(-1), group.shift_back(self.baby)))
        return marks

    def spread_outputs(self, W2: Floats) -> list[Slots]:
        """Return the slots of W2, (hidden, outputs), a vector per (a, b), b fastest."""
        paired = np.zeros((self.units, self.padded_classes), dtype=np.complex128)
        paired[: W2.shape[0], : self.classes] = _pair_rows(W2.T, self.classes).T
        vectors = []
        for a in range(self.giant_classes):
            for b in range(self.baby_classes):
                units, classes = self.output_index(a, b)
                vectors.append(np.repeat(paired[units, classes], self.block))
        return vectors

    def output_index(self, a: int, b: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the unit and class that each block of ciphertext (a, b) stands for."""
        unit = np.arange(self.units)
        shifted = (unit - a * self.baby_classes) % self.padded_classes
        return (unit + b) % self.units, shifted

    @property
    def extras(self) -> int:
        """e, the sums v_j that dW2 is sent with; none: its products are sent as they are."""
        spare = self.classes - self.baby_classes
        return spare if self.padded_classes == 8 and spare in (1, 2) else 0

    def separate_outputs(self, sums: list[Slots], extras: list[Slots]) -> list[Slots]:
        """Return the products (0, b), then (1, b), of dW2 from all y_b and v_j, a value a unit."""
        unit = np.arange(self.units)
        live = unit % self.padded_classes < self.classes
        also = (unit - self.baby_classes) % self.padded_classes < self.classes
        first = [np.where(live & ~also, item, 0.0) for item in sums]
        for j, extra in enumerate(extras):
            terms = range(j, self.baby_classes, self.extras)
            rest = extra - sum(np.roll(first[b], j - b) for b in terms)
            for b in terms:
                first[b] = np.where(live & also, np.roll(rest, b - j), first[b])
        second = [np.where(also, y - x, 0.0) for y, x in zip(sums, first, strict=True)]
        return first + second

    def distances(self, samples: int) -> dict[tuple[int, int], tuple[Indices, Indices]]:
        """Return, by (group, distance + its shift), the slots and pairs that meet at that distance.

        Args:
            samples: in the block, right-aligned.
        """
        slot = np.arange(self.block - samples, self.block)
        found: dict[tuple[int, int], tuple[Indices, Indices]] = {}
        for number, group in enumerate(self.groups):
            pair = np.arange(group.count)[:, None]
            delta = -((slot - pair) % group.period)
            delta = np.where(slot + delta >= 0, delta, delta + group.period).reshape(-1)
            order = np.argsort(delta, kind="stable")
            values, starts = np.unique(delta[order], return_index=True)
            for distance, meeting in zip(values, np.split(order, starts[1:]), strict=True):
                pairs, slots = np.divmod(meeting, samples)
                key = (number, int(distance) + group.shift)
                found[key] = (slot[slots], group.first + pairs)
        return found

    def spread_targets(self, Y: Floats) -> Slots:
        """Return the slots of targets (samples, outputs)."""
        paired = np.zeros((self.padded_classes, self.block), dtype=np.complex128)
        paired[: self.classes, self.block - len(Y) :] = _pair_rows(Y.T, self.classes)
        return np.tile(paired, (self.units // self.padded_classes, 1)).reshape(-1)


def _divide(first: int, count: int, block: int) -> tuple[Group, ...]:
    """Lay out less than a block of pairs: in one group, or in a full one and what remains."""
    if not count:
        return ()
    whole = (Group(first, count, next_power_of_two(count)),)
    if count == whole[0].period:
        return whole
    half = whole[0].period // 2
    parts = (Group(first, half, half), *_divide(first + half, count - half, block))
    return min(whole, parts, key=lambda groups: sum(_cost(group, block) for group in groups))


def _cost(group: Group, block: int) -> float:
    repeats = (block // group.period).bit_length() - 1
    steps = group.babies(_USUAL_BABY) - 1
    return group.distances + _BABY_STEP * steps + repeats + _CIPHERTEXT


def _pair_rows(matrix: Floats, pairs: int) -> Slots:
    padded = np.zeros((2 * pairs, matrix.shape[1]))
    padded[: len(matrix)] = matrix
    return padded[0::2] + 1j * padded[1::2]


def _unpair_rows(paired: Slots, rows: int) -> Floats:
    real = np.empty((2 * len(paired), paired.shape[1]))
    real[0::2], real[1::2] = paired.real, paired.imag
    return real[:rows]


def choose_block(degree: int, hidden: int, outputs: int) -> int:
    """Return P, the samples that a block holds.

    Raises:
        ParameterError: if units and classes do not fit.
    """
    classes = next_power_of_two((outputs + 1) // 2)
    units = max(next_power_of_two(hidden), classes)
    if units > degree // 2:
        raise ParameterError(f"{hidden} units and {outputs} outputs do not fit {degree // 2} slots")
    return degree // 2 // units
