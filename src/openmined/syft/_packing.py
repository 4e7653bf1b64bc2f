"""Interleaved complex columns: weights (rows, columns) <-> slots of ciphertexts.

Two real columns share a complex one: z_c = W[:, 2c] + i W[:, 2c+1]. With D = `dimension` rows
(padded with zeros) and K = `columns_per_ciphertext` = (N/2)/D complex columns in a ciphertext,

    slot = row * K + column

so that a rotation by K moves every column down by one row, cyclically. A real plaintext matrix acts
on both halves of a complex number alike, so the pairing halves every cost. (The protocol's
`columns_per_ciphertext` counts slot columns; each holds two columns of weights.)

The columns are spread evenly over the ciphertexts, on the first `used_columns` of each. A product
multiplies the others by zero: a key holder that hid more columns there would be told M times each.
So an update answers for 2 x used columns x ciphertexts columns, which are the k of the task and
what is left over where they do not come out even (12 for ten in two ciphertexts).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openmined.syft._parameters import ciphertexts_needed, used_columns

if TYPE_CHECKING:
    from openmined.protocol import InterleavedPacking

Floats = NDArray[np.float64]
Slots = NDArray[np.complex128]


def pack_columns(weights: Floats, packing: InterleavedPacking) -> list[Slots]:
    """Lay (rows, columns) real numbers into complex slots, one array per ciphertext."""
    rows, columns = weights.shape
    used, count = used_columns(packing), ciphertexts_needed(packing)
    real = np.zeros((packing.dimension, 2 * count * used))
    real[:rows, :columns] = weights
    pairs = real[:, 0::2] + 1j * real[:, 1::2]
    spare = packing.columns_per_ciphertext - used
    parts = np.split(pairs, count, axis=1)
    return [np.pad(part, ((0, 0), (0, spare))).reshape(-1) for part in parts]


def unpack_columns(slots: list[Slots], packing: InterleavedPacking) -> Floats:
    """Undo `pack_columns`."""
    used = used_columns(packing)
    parts = [part.reshape(packing.dimension, -1)[:, :used] for part in slots]
    pairs = np.concatenate(parts, axis=1)
    real = np.empty((packing.dimension, 2 * pairs.shape[1]))
    real[:, 0::2], real[:, 1::2] = pairs.real, pairs.imag
    return real[: packing.rows, : packing.columns].copy()


def unused_slots(packing: InterleavedPacking) -> list[Slots]:
    """Mark what carries no weight: 1 in the real and i in the imaginary part, per ciphertext."""
    used = pack_columns(np.ones((packing.rows, packing.columns)), packing)
    return [(1.0 - part.real) + 1j * (1.0 - part.imag) for part in used]
