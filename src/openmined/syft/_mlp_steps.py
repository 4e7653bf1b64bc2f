"""The steps of backpropagation on the slots of ciphertexts, by the operations of a `Machine`.

Rows Z and targets Y are plaintext, W1 and W2 are encrypted; see `_mlp` for the formulas and
`_mlp_layout` for the slots. l is the number of primes left; depth six, no bootstrapping.

| l | step |
|---|---|
| 7 | T = Z/2 * W1 over the distances, baby and giant steps by Horner's rule; rescale |
| 6 | U = T + conj T; H = U^2, relinearize; rescale |
| 5 | the sum over b of rot_b(H) * W2[a, b], relinearize; rescale |
| 4 | O by rotating and adding over a and over the units; E = O - Y, conj E |
| 4 | the sum over a of rot(conj E) * W2[a, b], relinearize; rescale |
| 3 | E W2' by rotating and adding over b, and adding the conjugate; D = 2 E W2' U; rescale |
| 2 | Z' D: the same plaintexts, transposed |
| 4 | rot_b(H) * rot(conj E), summed over blocks of samples, relinearize; rescale: Z-free, for dW2 |
| 3, 2 | folded over the samples, up to four of them in one ciphertext |

Blocks of samples are added before the steps that do not depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openmined.syft._mlp_decode import MASK_BITS
from openmined.syft._mlp_keys import LAST, TOP
from openmined.syft._randomness import dither

if TYPE_CHECKING:
    from openmined.syft._executors import Tick
    from openmined.syft._mlp_layout import Group, MLPLayout
    from openmined.syft._mlp_machine import Machine

Floats = NDArray[np.float64]
Slots = NDArray[np.complex128]
Place = tuple[int, int, int]  # giant step, baby step, group

_DITHER_COEFFICIENTS = 1.5


@dataclass(frozen=True, eq=False)
class Weights:
    """The baby steps of W1 by group, W2, and W2 at the level of the way back."""

    shifts: list[list[Any]]
    outputs: list[Any]
    lower: list[Any]


@dataclass(eq=False)
class Sums:
    """What is added up over blocks of samples: Z'D by (group, baby step), and dW2 by (a, b)."""

    inputs: dict[tuple[int, int], Any]
    outputs: list[Any]


def prepare_weights(machine: Machine, W1: list[Any], W2: list[Any]) -> Weights:
    """Do once what every block of samples needs of the encrypted weights."""
    groups = zip(W1, machine.layout.groups, strict=True)
    shifts = [_baby_shifts(machine, item, group) for item, group in groups]
    return Weights(shifts, W2, [machine.lower(item, 4) for item in W2])


def add_blocks(
    machine: Machine, weights: Weights, rows: Floats, targets: Floats, tick: Tick
) -> Sums:
    """Sum over the blocks of samples."""
    layout = machine.layout
    sums = Sums({}, [None] * layout.padded_classes)
    for start in range(0, len(rows), layout.block):
        stop = start + layout.block
        _add_block(machine, weights, rows[start:stop], targets[start:stop], sums)
        tick()
    return sums


def assemble(machine: Machine, sums: Sums) -> tuple[list[Any], list[NDArray[np.bool_]]]:
    """Bring the sums together in few ciphertexts; mark the slots that are read of each."""
    layout = machine.layout
    parts = [_finish_inputs(machine, sums, group) for group in range(len(layout.groups))]
    marks = layout.input_marks()
    for items in _add_outputs(machine, sums.outputs):
        folded, chosen = _fold(machine, items)
        parts += folded
        marks += chosen
    return parts, marks


def _baby_shifts(machine: Machine, item: Any, group: Group) -> list[Any]:
    shifts = [item]
    for _ in range(group.babies(machine.layout.baby) - 1):
        shifts.append(machine.rotate(shifts[-1], 1))
    return shifts


def _add_block(
    machine: Machine, weights: Weights, rows: Floats, targets: Floats, sums: Sums
) -> None:
    """Add one block of samples to the sums."""
    U, diagonals = _forward_inputs(machine, weights.shifts, rows)
    turned = _hidden(machine, U)
    E = _forward_outputs(machine, turned, weights.outputs, targets)
    D = _backward_outputs(machine, E, weights.lower, U)
    _backward_inputs(machine, D, diagonals, sums)
    layout = machine.layout
    for a in range(layout.giant_classes):
        for b in range(layout.baby_classes):
            place = a * layout.baby_classes + b
            product = machine.multiply(machine.lower(turned[b], 4), E[a])
            sums.outputs[place] = machine.add(sums.outputs[place], product)


def _diagonals(layout: MLPLayout, rows: Floats) -> dict[Place, Slots]:
    """Return (Z_a - i Z_b) / 2 along the distances: a block of slots each, the same in all."""
    count = len(rows)
    padded = np.zeros((layout.block, 2 * layout.pairs))
    padded[layout.block - count :, : rows.shape[1]] = rows
    paired = (padded[:, 0::2] - 1j * padded[:, 1::2]) / 2.0
    found = {}
    for (group, distance), (slots, pairs) in layout.distances(count).items():
        giant, baby = divmod(distance, layout.baby)
        pattern = np.zeros(layout.block, dtype=np.complex128)
        pattern[slots] = paired[slots, pairs]
        found[giant, baby, group] = np.roll(pattern, giant * layout.baby)
    return found


def _encode_diagonal(machine: Machine, pattern: Slots) -> Any:
    """Encode a diagonal at the top level.

    As in the linear family the encoding is randomised, so that its error tells nothing of Z.
    """
    layout = machine.layout
    scale = 2.0**machine.parameters.data_scale_bits
    spread = _DITHER_COEFFICIENTS * np.sqrt(layout.slots) / scale
    values = np.tile(pattern, layout.units)
    values += (dither((layout.slots, 2)) * spread).view(np.complex128)[:, 0]
    return machine.encode(values, TOP, scale)


def _forward_inputs(
    machine: Machine, shifts: list[list[Any]], rows: Floats
) -> tuple[Any, dict[Place, Any]]:
    """Return U at six primes, and the encoded diagonals at the last level for the way back.

    A diagonal is lowered as soon as it was used: at seven primes it takes 0.9 MB, at two 0.3 MB.
    """
    diagonals = _diagonals(machine.layout, rows)
    plains, total = {}, None
    for giant in range(max(place[0] for place in diagonals), -1, -1):
        if total is not None:
            total = machine.rotate(total, machine.layout.baby)
        for place in [place for place in diagonals if place[0] == giant]:
            plain = _encode_diagonal(machine, diagonals[place])
            total = machine.add(total, machine.times(shifts[place[2]][place[1]], plain))
            machine.lower_plain(plain, LAST)
            plains[place] = plain
    U = machine.rescale(total)
    return machine.add(U, machine.conjugate(U)), plains


def _hidden(machine: Machine, U: Any) -> list[Any]:
    """Return H = U^2 rotated by 0 ... B - 1 units, at five primes."""
    turned = [machine.rescale(machine.relinearize(machine.square(U)))]
    for _ in range(machine.layout.baby_classes - 1):
        turned.append(machine.rotate(turned[-1], machine.layout.block))
    return turned


def _forward_outputs(
    machine: Machine, turned: list[Any], W2: list[Any], targets: Floats
) -> list[Any]:
    """Return conj(E) rotated by -a B units for each a, at four primes."""
    layout = machine.layout
    giant, baby = layout.giant_classes, layout.baby_classes
    outputs = None
    for a in reversed(range(giant)):
        part = None
        for b in range(baby):
            part = machine.add(part, machine.multiply(turned[b], W2[a * baby + b]))
        part = machine.rescale(machine.relinearize(part))
        outputs = part if outputs is None else machine.add(part, machine.turn(outputs, baby))
    span = layout.padded_classes
    while span < layout.units:
        outputs = machine.add(machine.turn(outputs, span), outputs)
        span *= 2
    assert outputs is not None
    plain = machine.encode(layout.spread_targets(targets), 4, outputs.scale)
    machine.evaluator.sub_plain_inplace(outputs, plain)
    rotated = [machine.conjugate(outputs)]
    for _ in range(giant - 1):
        rotated.append(machine.turn(rotated[-1], baby))
    return [rotated[-a % giant] for a in range(giant)]


def _backward_outputs(machine: Machine, E: list[Any], W2: list[Any], U: Any) -> Any:
    """Return D = 2 (E W2') U at the last level."""
    layout = machine.layout
    baby = layout.baby_classes
    total = None
    for b in reversed(range(baby)):
        part = None
        for a in range(layout.giant_classes):
            part = machine.add(part, machine.multiply(E[a], W2[a * baby + b]))
        part = machine.rescale(machine.relinearize(part))
        total = part if total is None else machine.add(part, machine.rotate(total, -layout.block))
    total = machine.add(total, machine.conjugate(total))
    product = machine.multiply(total, machine.lower(U, 3))
    return machine.rescale(machine.relinearize(product))


def _backward_inputs(machine: Machine, D: Any, diagonals: dict[Place, Any], sums: Sums) -> None:
    """Add sum_j u_{j,i} * rot_{-j b}(D) to the sums, for each baby step i and group."""
    turned = D
    for giant in range(max(place[0] for place in diagonals) + 1):
        if giant:
            turned = machine.rotate(turned, -machine.layout.baby)
        for place in [place for place in diagonals if place[0] == giant]:
            key = (place[2], place[1])
            product = machine.times(turned, diagonals[place])
            sums.inputs[key] = machine.add(sums.inputs.get(key), product)


def _finish_inputs(machine: Machine, sums: Sums, group: int) -> Any:
    """Return Z'D of a group: Horner's rule over baby steps, then the repeats added.

    Baby step i is to be undone by i slots; all are turned ahead instead, the first one most, so
    that the key of the way there serves, and the result is read a little aside.
    """
    layout = machine.layout
    total = None
    for baby in range(layout.groups[group].babies(layout.baby)):
        total = None if total is None else machine.rotate(total, 1)
        part = sums.inputs.get((group, baby))
        if part is not None:
            total = part if total is None else machine.add(total, part)
    assert total is not None
    span = layout.groups[group].period
    while span < layout.block:
        total = machine.add(total, machine.rotate(total, span))
        span *= 2
    return total


def _add_outputs(machine: Machine, products: list[Any]) -> list[list[Any]]:
    """Return the products of dW2 at three primes, or fewer sums that tell them: see the layout."""
    layout = machine.layout
    baby, extras = layout.baby_classes, layout.extras
    if not extras:
        return [[machine.rescale(machine.relinearize(item)) for item in products]]
    pairs = zip(products[baby:], products[:baby], strict=True)
    sums = [machine.add(second, first) for second, first in pairs]
    sums, firsts = (
        [machine.rescale(machine.relinearize(item)) for item in items]
        for items in (sums, products[:baby])
    )
    return [sums, [_add_turned(machine, firsts[j::extras]) for j in range(extras)]]


def _add_turned(machine: Machine, items: list[Any]) -> Any:
    """Return the sum of item m turned by m e units, by Horner's rule."""
    total = items[-1]
    for item in reversed(items[:-1]):
        for _ in range(machine.layout.extras):
            total = machine.rotate(total, machine.layout.block)
        total = machine.add(total, item)
    return total


def _fold(machine: Machine, items: list[Any]) -> tuple[list[Any], list[NDArray[np.bool_]]]:
    """Add over the samples of each block, up to four ciphertexts packed into one.

    Two are folded to opposite halves of the block and joined by one mask, B + mask (A - B), whose
    scale is the prime that the rescale then divides by; two of these again in the same way.
    """
    layout = machine.layout
    position = np.arange(layout.slots) % layout.block
    width = layout.block
    if len(items) > 1 and width > 1:
        width //= 2
        mask = machine.encode((position < width).astype(float), 3, machine.primes[2])
        items = [
            _join_exact(machine, one, other, width, mask)
            for one, other in zip(items[::2], items[1::2], strict=True)
        ]
    else:
        items = [machine.lower(item, LAST) for item in items]
    starts = [0] if width == layout.block else [0, width]
    if len(items) > 1 and width > 1:
        width //= 2
        low = (position % (2 * width) < width).astype(float)
        mask = machine.encode(low, LAST, 2.0**MASK_BITS)
        items = [
            _join(machine, one, other, width, mask)
            for one, other in zip(items[::2], items[1::2], strict=True)
        ]
        starts = sorted([*starts, *[start + width for start in starts]])
    else:
        items = [machine.raise_scale(item, MASK_BITS) for item in items]
    while width > 1:
        width //= 2
        items = [machine.add(item, machine.rotate(item, width)) for item in items]
    return items, [np.isin(position, starts)] * len(items)


def _join_exact(machine: Machine, one: Any, other: Any, width: int, mask: Any) -> Any:
    other, difference = _fold_apart(machine, one, other, width)
    return machine.add(machine.rescale(machine.times(difference, mask)), machine.lower(other, LAST))


def _join(machine: Machine, one: Any, other: Any, width: int, mask: Any) -> Any:
    other, difference = _fold_apart(machine, one, other, width)
    return machine.add(machine.times(difference, mask), machine.raise_scale(other, MASK_BITS))


def _fold_apart(machine: Machine, one: Any, other: Any, width: int) -> tuple[Any, Any]:
    """Fold two to opposite halves of twice `width`; return the second, and first minus second."""
    one = machine.add(machine.rotate(one, width), one)
    other = machine.add(machine.rotate(other, -width), other)
    machine.evaluator.sub_inplace(one, other)
    return other, one
