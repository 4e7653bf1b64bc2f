"""Backpropagation on ciphertexts: the gradient of a two-layer network at encrypted weights.

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

Blocks of samples are added before the steps that do not depend on them. The scale of what is sent
is multiplied by the number of samples, so that it decodes to their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from openmined.protocol import MLPPacking
from openmined.syft._columns import require_finite
from openmined.syft._errors import DataError, RangeError
from openmined.syft._executors import Call, choose_executor, count_ticks
from openmined.syft._keys import PUBLIC_KEY, PublicKeys
from openmined.syft._mlp_decode import MASK_SCALE, flood_deviation, row_length
from openmined.syft._mlp_keys import LAST, MAX_SAMPLES, TOP, layout_of, load_mlp_model
from openmined.syft._mlp_machine import Machine
from openmined.syft._protection import protect
from openmined.syft._randomness import dither
from openmined.syft._seal import (
    Kind,
    check_key_id,
    frame,
    load,
    make_level_context,
    parms_id_at,
    save,
)
from openmined.syft._states import EncryptedGradient, EncryptedModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from openmined.protocol import CKKSParameters
    from openmined.syft._executors import Executor, Tick
    from openmined.syft._mlp_layout import Group, MLPLayout


Floats = NDArray[np.float64]
Slots = NDArray[np.complex128]

_ROOM_BITS = 107.0  # of the 112 of the last two primes
_DITHER_COEFFICIENTS = 1.5


@dataclass(eq=False)
class _Sums:
    """What is added up over blocks of samples: Z'D by (group, baby step), and dW2 by (a, b)."""

    inputs: dict[tuple[int, int], Any]
    outputs: list[Any]


def compute_mlp_update(
    model: EncryptedModel,
    public: PublicKeys,
    X: Any,
    Y: Any,
    progress: Callable[[int, int], None] | None = None,
    *,
    processes: int = 1,
    executor: Executor | None = None,
) -> EncryptedGradient:
    """Compute a protected gradient of a network at encrypted weights.

    Args:
        model: the encrypted weights.
        public: the keys they were encrypted under.
        X: rows Z with their bias, (samples, inputs), at most 2 sqrt(inputs) long as root
            mean square, as a feature map leaves them; training goes best at about four.
        Y: targets, (samples, outputs), each at most 1 in magnitude.
        progress: called with (blocks of samples done, blocks in all).
        processes: forked processes that share the blocks.
        executor: shares the blocks in another way, on a Ray cluster for instance.

    Raises:
        KeyMismatch: if model and keys do not belong together.
        CiphertextError: if the model is damaged or keys are missing.
        DataError: on wrong shapes, no rows, or non-finite values.
        RangeError: on rows or targets that are too large.
        LimitError: if a worker died.
    """
    check_key_id(model.key_id, public.key_id, "the encrypted model")
    if not isinstance(model.packing, MLPPacking):
        raise DataError(f"a model packed as {model.packing.kind!r} is no MLP")
    rows, targets = _check_batch(X, Y, model.packing)
    network = _Network(public, model)
    block = network.layout.block
    count = -(-len(rows) // block)
    tick = count_ticks(progress, count)
    executor = choose_executor(executor, processes)
    if executor is None or count == 1:
        sums = network.add_blocks(rows, targets, tick)
    else:
        workers = min(executor.workers, count)
        edges = [block * (worker * count // workers) for worker in range(workers + 1)]
        works = [_Blocks(network, rows[a:b], targets[a:b]) for a, b in pairwise(edges)]
        sums = _Sums({}, [None] * network.layout.padded_classes)
        for saved in executor.run(works, tick):
            network.add_saved(saved, sums)
    return _finish(network.machine, public, model.packing, sums, len(rows))


@dataclass(frozen=True, eq=False)
class _Network:
    """Keys and encrypted weights, ready to be multiplied."""

    public: PublicKeys
    model: EncryptedModel

    @property
    def layout(self) -> MLPLayout:
        assert isinstance(self.model.packing, MLPPacking)
        return layout_of(self.model.packing, self.model.parameters)

    @cached_property
    def machine(self) -> Machine:
        return Machine(self.public, self.layout)

    @cached_property
    def _weights(self) -> tuple[list[list[Any]], list[Any], list[Any]]:
        """The baby steps of W1, W2, and W2 at the level of the way back."""
        W1, W2 = load_mlp_model(self.model)
        groups = zip(W1, self.layout.groups, strict=True)
        shifts = [_baby_shifts(self.machine, item, group) for item, group in groups]
        return shifts, W2, [self.machine.lower(item, 4) for item in W2]

    def add_blocks(self, rows: Floats, targets: Floats, tick: Tick) -> _Sums:
        """Sum over the blocks of samples."""
        shifts, W2, lower = self._weights
        sums = _Sums({}, [None] * self.layout.padded_classes)
        for start in range(0, len(rows), self.layout.block):
            stop = start + self.layout.block
            _add_block(
                self.machine, shifts, (W2, lower), rows[start:stop], targets[start:stop], sums
            )
            tick()
        return sums

    def add_saved(self, saved: list[bytes], sums: _Sums) -> None:
        """Add what a worker has summed, as `_Blocks.here` saves it."""
        split = len(saved) - self.layout.padded_classes
        for data in saved[:split]:
            key = (data[0], data[1])
            sums.inputs[key] = self.machine.add(sums.inputs.get(key), self._load(data[2:]))
        for place, data in enumerate(saved[split:]):
            sums.outputs[place] = self.machine.add(sums.outputs[place], self._load(data))

    def _load(self, data: bytes) -> Any:
        return load(seal.Ciphertext(), self.machine.context, data, "a worker's result")

    @cached_property
    def plain(self) -> tuple[Any, ...]:
        """The first arguments of `_add_blocks_there`."""
        model, public = self.model, self.public
        keys = public.to_blobs()
        return model.parameters, model.packing, public.key_id, keys, model.to_blobs()


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Some blocks of samples, for an executor."""

    network: _Network
    rows: Floats
    targets: Floats

    def here(self, tick: Tick) -> list[bytes]:
        sums = self.network.add_blocks(self.rows, self.targets, tick)
        inputs = [bytes(key) + save(item) for key, item in sums.inputs.items()]
        return inputs + [save(item) for item in sums.outputs]

    def call(self) -> Call:
        return Call(_add_blocks_there, (self.rows, self.targets), self.network.plain)


def _add_blocks_there(
    tick: Tick,
    parameters: CKKSParameters,
    packing: MLPPacking,
    key_id: bytes,
    keys: dict[str, bytes],
    weights: list[bytes],
    rows: Floats,
    targets: Floats,
) -> list[bytes]:
    """Do `_Blocks` where only plain data have come."""
    public = PublicKeys(parameters, key_id, keys)
    model = EncryptedModel(packing, parameters, key_id, tuple(weights))
    return _Blocks(_Network(public, model), rows, targets).here(tick)


def _check_batch(X: Any, Y: Any, packing: MLPPacking) -> tuple[Floats, Floats]:
    rows, targets = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != packing.inputs or not len(rows):
        raise DataError(f"rows of shape {rows.shape} are not (1 or more, {packing.inputs})")
    if targets.shape != (len(rows), packing.outputs):
        raise DataError(f"targets of shape {targets.shape} are not {(len(rows), packing.outputs)}")
    if len(rows) > MAX_SAMPLES:
        raise DataError(f"{len(rows)} rows are above {MAX_SAMPLES}")
    require_finite(rows, "the rows")
    require_finite(targets, "the targets")
    length = float(np.sqrt((rows**2).sum(axis=1).mean()))
    limit = 4.0 * row_length(packing.inputs)
    if length > limit:
        raise RangeError(
            f"rows are {length:.4g} long (root mean square), above {limit:.4g}: scale the features"
        )
    if np.abs(targets).max() > 1.0:
        raise RangeError(f"a target of {np.abs(targets).max():.4g} is above 1 in magnitude")
    return rows, targets


def _baby_shifts(machine: Machine, item: Any, group: Group) -> list[Any]:
    shifts = [item]
    for _ in range(group.babies(machine.layout.baby) - 1):
        shifts.append(machine.rotate(shifts[-1], 1))
    return shifts


def _add_block(
    machine: Machine,
    shifts: list[list[Any]],
    W2: tuple[list[Any], list[Any]],
    rows: Floats,
    targets: Floats,
    sums: _Sums,
) -> None:
    """Add one block of samples to the sums."""
    diagonals = _encode_rows(machine, rows)
    U = _forward_inputs(machine, shifts, diagonals)
    turned = _hidden(machine, U)
    E = _forward_outputs(machine, turned, W2[0], targets)
    D = _backward_outputs(machine, E, W2[1], U)
    _backward_inputs(machine, D, diagonals, sums)
    layout = machine.layout
    for a in range(layout.giant_classes):
        for b in range(layout.baby_classes):
            place = a * layout.baby_classes + b
            product = machine.multiply(machine.lower(turned[b], 4), E[a])
            sums.outputs[place] = machine.add(sums.outputs[place], product)


def _encode_rows(machine: Machine, rows: Floats) -> dict[tuple[int, int, int], Any]:
    """Encode (Z_a - i Z_b) / 2 along the distances, by (giant step, baby step, group).

    As in the linear family the encoding is randomised, so that its error tells nothing of Z.
    """
    layout = machine.layout
    count = len(rows)
    padded = np.zeros((layout.block, 2 * layout.pairs))
    padded[layout.block - count :, : rows.shape[1]] = rows
    paired = (padded[:, 0::2] - 1j * padded[:, 1::2]) / 2.0
    scale = 2.0**machine.parameters.data_scale_bits
    spread = _DITHER_COEFFICIENTS * np.sqrt(layout.slots) / scale
    plains = {}
    for (group, distance), (slots, pairs) in layout.distances(count).items():
        giant, baby = divmod(distance, layout.baby)
        pattern = np.zeros(layout.block, dtype=np.complex128)
        pattern[slots] = paired[slots, pairs]
        values = np.tile(np.roll(pattern, giant * layout.baby), layout.units)
        noise = dither((2, layout.slots)) * spread
        plains[giant, baby, group] = machine.encode(values + noise[0] + 1j * noise[1], TOP, scale)
    return plains


def _forward_inputs(
    machine: Machine, shifts: list[list[Any]], diagonals: dict[tuple[int, int, int], Any]
) -> Any:
    """Return U at six primes; lower the diagonals to the last level for the way back."""
    evaluator = machine.evaluator
    last = parms_id_at(machine.parameters, LAST)
    total = None
    for giant in range(max(key[0] for key in diagonals), -1, -1):
        if total is not None:
            total = machine.rotate(total, machine.layout.baby)
        for key in [key for key in diagonals if key[0] == giant]:
            total = machine.add(total, machine.times(shifts[key[2]][key[1]], diagonals[key]))
            evaluator.mod_switch_to_inplace(diagonals[key], last)
    U = machine.rescale(total)
    return machine.add(U, machine.conjugate(U))


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
        turn = baby * layout.block
        outputs = part if outputs is None else machine.add(part, machine.rotate(outputs, turn))
    span = layout.padded_classes
    while span < layout.units:
        outputs = machine.add(outputs, machine.rotate(outputs, span * layout.block))
        span *= 2
    assert outputs is not None
    plain = machine.encode(layout.spread_targets(targets), 4, outputs.scale)
    machine.evaluator.sub_plain_inplace(outputs, plain)
    rotated = [machine.conjugate(outputs)]
    for _ in range(giant - 1):
        rotated.append(machine.rotate(rotated[-1], baby * layout.block))
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


def _backward_inputs(
    machine: Machine, D: Any, diagonals: dict[tuple[int, int, int], Any], sums: _Sums
) -> None:
    """Add sum_j u_{j,i} * rot_{-j b}(D) to the sums, for each baby step i and group."""
    turned = D
    for giant in range(max(key[0] for key in diagonals) + 1):
        if giant:
            turned = machine.rotate(turned, -machine.layout.baby)
        for key in [key for key in diagonals if key[0] == giant]:
            place = (key[2], key[1])
            product = machine.times(turned, diagonals[key])
            sums.inputs[place] = machine.add(sums.inputs.get(place), product)


def _finish(
    machine: Machine, public: PublicKeys, packing: MLPPacking, sums: _Sums, samples: int
) -> EncryptedGradient:
    layout = machine.layout
    parts = [_finish_inputs(machine, sums, group) for group in range(len(layout.groups))]
    marks = layout.input_marks()
    folded, chosen = _fold(machine, [machine.rescale(machine.relinearize(s)) for s in sums.outputs])
    parts += folded
    marks += chosen
    context = make_level_context(machine.parameters, LAST)
    public_key = public.load(f"{PUBLIC_KEY}-{LAST}")
    blobs = []
    for index, (item, mark) in enumerate(zip(parts, marks, strict=True)):
        factor = samples / 2.0 if index < len(layout.groups) else float(samples)
        deviation = flood_deviation(machine.parameters, packing, samples) * item.scale
        unused = np.where(mark, 0.0, 1.0 + 1.0j)
        drown = 2.0 ** (_ROOM_BITS - np.log2(item.scale))
        protect(item, public_key, context, deviation, unused, drown, LAST)
        item.scale *= factor
        blobs.append(frame(Kind.GRADIENT, public.key_id, save(item)))
    return EncryptedGradient(packing, machine.parameters, public.key_id, tuple(blobs))


def _finish_inputs(machine: Machine, sums: _Sums, group: int) -> Any:
    """Return Z'D of a group: Horner's rule over baby steps, then the repeats added."""
    layout = machine.layout
    total = None
    for baby in reversed(range(layout.baby)):
        total = None if total is None else machine.rotate(total, -1)
        part = sums.inputs.get((group, baby))
        if part is not None:
            total = part if total is None else machine.add(total, part)
    assert total is not None
    span = layout.groups[group].period
    while span < layout.block:
        total = machine.add(total, machine.rotate(total, span))
        span *= 2
    return total


def _fold(machine: Machine, items: list[Any]) -> tuple[list[Any], list[NDArray[np.bool_]]]:
    """Add over the samples of each block, up to four ciphertexts packed into one.

    Two are folded to opposite halves of the block and joined by one mask, B + mask (A - B), whose
    scale is the prime that the rescale then divides by; two of these again, by two masks.
    """
    layout = machine.layout
    position = np.arange(layout.slots) % layout.block
    width = layout.block
    if len(items) > 1 and width > 1:
        width //= 2
        lower = machine.encode((position < width).astype(float), 3, machine.primes[2])
        items = [
            _join_exact(machine, one, other, width, lower)
            for one, other in zip(items[::2], items[1::2], strict=True)
        ]
    else:
        items = [machine.lower(item, LAST) for item in items]
    starts = [0] if width == layout.block else [0, width]
    if len(items) > 1 and width > 1:
        width //= 2
        low = machine.encode((position % (2 * width) < width).astype(float), LAST, MASK_SCALE)
        high = machine.encode((position % (2 * width) >= width).astype(float), LAST, MASK_SCALE)
        items = [
            machine.add(
                machine.times(machine.add(machine.rotate(one, width), one), low),
                machine.times(machine.add(machine.rotate(other, -width), other), high),
            )
            for one, other in zip(items[::2], items[1::2], strict=True)
        ]
        starts = sorted([*starts, *[start + width for start in starts]])
    else:
        one = machine.encode(1.0, LAST, MASK_SCALE)
        items = [machine.times(item, one) for item in items]
    while width > 1:
        width //= 2
        items = [machine.add(item, machine.rotate(item, width)) for item in items]
    mark = np.isin(position, starts) & (np.arange(layout.slots) // layout.block < layout.units)
    return items, [mark] * len(items)


def _join_exact(machine: Machine, one: Any, other: Any, width: int, mask: Any) -> Any:
    one = machine.add(machine.rotate(one, width), one)
    other = machine.add(machine.rotate(other, -width), other)
    machine.evaluator.sub_inplace(one, other)
    return machine.add(machine.rescale(machine.times(one, mask)), machine.lower(other, LAST))
