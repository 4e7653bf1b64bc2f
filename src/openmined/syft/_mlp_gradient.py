"""Backpropagation on ciphertexts: the gradient of a two-layer network at encrypted weights.

Checks, workers, and the protection of what is sent; the steps between are in `_mlp_steps`. The
scale of what is sent is multiplied by the number of samples, so that it decodes to their mean.
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
from openmined.syft._columns import real_array, require_finite
from openmined.syft._errors import DataError, RangeError
from openmined.syft._executors import Call, choose_executor, count_ticks
from openmined.syft._keys import PUBLIC_KEY, PublicKeys
from openmined.syft._mlp_decode import flood_deviation
from openmined.syft._mlp_keys import LAST, MAX_SAMPLES, layout_of, load_mlp_model
from openmined.syft._mlp_machine import Machine
from openmined.syft._mlp_steps import Sums, Weights, add_blocks, assemble, prepare_weights
from openmined.syft._protection import protect
from openmined.syft._seal import (
    Kind,
    check_key_id,
    frame,
    load,
    make_level_context,
    save,
)
from openmined.syft._states import EncryptedGradient, EncryptedModel, require_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from openmined.protocol import CKKSParameters
    from openmined.syft._executors import Executor, Tick
    from openmined.syft._mlp_layout import MLPLayout

Floats = NDArray[np.float64]

_ROOM_BITS = 107.0  # of the 112 of the last two primes


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
        X: rows Z with their bias, (samples, inputs), at most four times the packing's row length
            long as root mean square, as a feature map leaves them.
        Y: targets, (samples, outputs), each at most 1 in magnitude.
        progress: called with (blocks of samples done, blocks in all).
        processes: forked processes that share the blocks.
        executor: shares the blocks in another way, on a Ray cluster for instance.

    Raises:
        KeyMismatch: if model and keys do not belong together.
        CiphertextError: if the model is damaged or keys are missing.
        DataError: on wrong shapes, no rows, non-finite values, or another state as an argument.
        RangeError: on rows or targets that are too large.
        LimitError: if a worker died.
    """
    require_state(model, EncryptedModel, "compute_mlp_update")
    require_state(public, PublicKeys, "compute_mlp_update")
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
        sums = Sums({}, [None] * network.layout.padded_classes)
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
    def _weights(self) -> Weights:
        return prepare_weights(self.machine, *load_mlp_model(self.model))

    def add_blocks(self, rows: Floats, targets: Floats, tick: Tick) -> Sums:
        """Sum over the blocks of samples."""
        return add_blocks(self.machine, self._weights, rows, targets, tick)

    def add_saved(self, saved: list[bytes], sums: Sums) -> None:
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
    rows, targets = real_array(X, "the rows"), real_array(Y, "the targets")
    if rows.ndim != 2 or rows.shape[1] != packing.inputs or not len(rows):
        raise DataError(f"rows of shape {rows.shape} are not (1 or more, {packing.inputs})")
    if targets.shape != (len(rows), packing.outputs):
        raise DataError(f"targets of shape {targets.shape} are not {(len(rows), packing.outputs)}")
    if len(rows) > MAX_SAMPLES:
        raise DataError(f"{len(rows)} rows are above {MAX_SAMPLES}")
    require_finite(rows, "the rows")
    require_finite(targets, "the targets")
    with np.errstate(over="ignore"):
        length = float(np.sqrt((rows**2).sum(axis=1).mean()))
    limit = 4.0 * packing.row_length
    if length > limit:
        raise RangeError(
            f"rows are {length:.4g} long (root mean square), above {limit:.4g}: scale the features"
        )
    if np.abs(targets).max() > 1.0:
        raise RangeError(f"a target of {np.abs(targets).max():.4g} is above 1 in magnitude")
    return rows, targets


def _finish(
    machine: Machine, public: PublicKeys, packing: MLPPacking, sums: Sums, samples: int
) -> EncryptedGradient:
    layout = machine.layout
    parts, marks = assemble(machine, sums)
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
