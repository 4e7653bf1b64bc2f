"""Duplicates, found on decrypted updates: exact, scaled, negated, or with noise added.

Two tests, on sketches of the updates:

1. Angle. Honest updates differ by sampling noise; a copy differs from its original by CKKS noise
   only, whatever factor it was multiplied with. 1 - |cos| below 1e-7 is a copy.
2. Residual. Honest updates of one version share a direction, what the data have in common, and
   differ by independent sampling errors. What is left of two updates after the mean direction of
   all others is taken out is nearly uncorrelated between honest mines and nearly equal between an
   original and its noisy copy. The noise needed to escape this test is larger than the update's own
   sampling error, so such a copy is worth little and Shapley pays it little.

Measured on digits, breast cancer and diabetes among ten honest mines, local steps and gradients:
residual correlation at most 0.65 with 32 numbers or more, 0.94 below; copies with 10 % noise reach
0.93 to 0.99. The thresholds below stand above all honest values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SKETCH_NUMBERS = 1024
_SAME_ANGLE = 1e-7
_MANY_NUMBERS = 32
_RESIDUAL_MANY = 0.95
_RESIDUAL_FEW = 0.999
_MIN_OTHERS = 2


@dataclass(frozen=True)
class Fingerprint:
    """A sketch of one update, and whose it is. Sketches preserve angles to about 3 %."""

    gradient: int
    miner: str
    version: int
    sketch: Array


def sketch_update(update: Array, key: bytes) -> Array:
    """Reduce an update to at most 1024 numbers of unit length (a count sketch).

    Each number is added, with a random sign, to a random place of the sketch; signs and places come
    from `key`, which only Capsule knows, so that nobody can aim at collisions.
    Source: Charikar, Chen, Farach-Colton, "Finding frequent items in data streams", 2004.
    """
    flat = np.asarray(update, dtype=np.float64).ravel()
    if flat.size > SKETCH_NUMBERS:
        random = np.random.Generator(np.random.PCG64(_seed(key)))
        places = random.integers(0, SKETCH_NUMBERS, flat.size)
        signs = random.integers(0, 2, flat.size) * 2.0 - 1.0
        flat = np.bincount(places, flat * signs, SKETCH_NUMBERS).astype(np.float64)
    length = float(np.linalg.norm(flat))
    return flat / length if length > 0.0 else flat


def find_duplicates(new: Sequence[Fingerprint], known: Sequence[Fingerprint]) -> dict[int, int]:
    """Return, for each new gradient that copies another, the gradient it copies.

    Of a pair the one submitted later is the copy. One mine's updates of different versions are
    never held against each other: with the same data they are honestly alike.
    """
    copies = _search([*known], new, {})
    while True:
        # Many copies of one update bend the common direction towards it and hide one another there.
        found = _search([*known], new, copies)
        if found == copies:
            return copies
        copies = found


def _search(
    accepted: list[Fingerprint], new: Sequence[Fingerprint], copies: dict[int, int]
) -> dict[int, int]:
    """Look for copies, the common direction taken without those that are known already."""
    found = dict(copies)
    field = _Field([*accepted, *(one for one in new if one.gradient not in copies)])
    for candidate in sorted(new, key=lambda f: f.gradient):
        if candidate.gradient in copies:
            continue
        original = next((f for f in accepted if _is_copy(candidate, f, field)), None)
        if original is None:
            accepted.append(candidate)
        else:
            found[candidate.gradient] = original.gradient
    return found


class _Field:
    """The sums of all sketches by version, from which the mean of all but two follows."""

    def __init__(self, prints: Sequence[Fingerprint]) -> None:
        self._sums: dict[tuple[int, int], Array] = {}
        self._counts: dict[tuple[int, int], int] = {}
        for one in prints:
            key = (one.version, one.sketch.size)
            self._sums[key] = self._sums.get(key, np.zeros(one.sketch.size)) + one.sketch
            self._counts[key] = self._counts.get(key, 0) + 1

    def direction_without(self, first: Fingerprint, second: Fingerprint) -> Array | None:
        """Return the unit mean direction of all others of that version, None if too few."""
        key = (first.version, first.sketch.size)
        if self._counts[key] - 2 < _MIN_OTHERS:
            return None
        rest = self._sums[key] - first.sketch - second.sketch
        length = float(np.linalg.norm(rest))
        return rest / length if length > 0.0 else None


def _is_copy(later: Fingerprint, earlier: Fingerprint, field: _Field) -> bool:
    if later.miner.lower() == earlier.miner.lower() and later.version != earlier.version:
        return False
    if not later.sketch.any() or later.sketch.shape != earlier.sketch.shape:
        return False
    cosine = float(later.sketch @ earlier.sketch)
    if 1.0 - abs(cosine) < _SAME_ANGLE:
        return True
    if later.version != earlier.version or abs(cosine) < 0.5:
        return False
    common = field.direction_without(later, earlier)
    if common is None:
        return False
    first = _without(later.sketch if cosine > 0 else -later.sketch, common)
    second = _without(earlier.sketch, common)
    bound = _RESIDUAL_MANY if later.sketch.size >= _MANY_NUMBERS else _RESIDUAL_FEW
    return float(first @ second) > bound


def _without(sketch: Array, direction: Array) -> Array:
    left = sketch - (sketch @ direction) * direction
    length = float(np.linalg.norm(left))
    return left / length if length > 0.0 else left


def _seed(key: bytes) -> int:
    return int.from_bytes(hashlib.sha256(b"openmined/sketch@1" + key).digest()[:16])
