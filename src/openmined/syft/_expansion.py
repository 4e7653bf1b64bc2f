"""Public random weights from a seed, by a construction that any language can repeat.

For a seed in hexadecimal and a label in ASCII, the stream is

    SHAKE-256("openmined/random@1" || 0x00 || label || 0x00 || seed bytes)

read as little-endian 64-bit words x_0, x_1, ... (FIPS 202 for SHAKE-256).

- uniform:  u_i = (floor(x_i / 2^11) + 1/2) / 2^53, in (0, 1)
- gaussian: words are taken in pairs (u, v); each gives sqrt(-2 ln u) cos(2 pi v), then
  sqrt(-2 ln u) sin(2 pi v) (Box and Muller, 1958)
- below n:  floor(u_i n)

Matrices are filled row by row. `tests/vectors/features` holds values for other languages; the
logarithm and the cosine of two mathematical libraries may differ in the last bits, so compare
to 1e-12.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from openmined.syft._errors import SpecError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_DOMAIN = b"openmined/random@1"


def _words(seed: str, label: str, count: int) -> NDArray[np.uint64]:
    if len(seed) % 2:
        raise SpecError(f"seed {seed!r} has an odd number of hexadecimal digits: add one")
    message = b"\x00".join([_DOMAIN, label.encode("ascii"), bytes.fromhex(seed)])
    return np.frombuffer(hashlib.shake_256(message).digest(8 * count), dtype="<u8")


@lru_cache(maxsize=32)
def expand_uniform(seed: str, label: str, shape: tuple[int, ...]) -> Floats:
    """Return uniform numbers in (0, 1) of the given shape; read-only."""
    words = _words(seed, label, int(np.prod(shape))) >> np.uint64(11)
    return _frozen((words + 0.5) * 2.0**-53, shape)


@lru_cache(maxsize=32)
def expand_gaussian(seed: str, label: str, shape: tuple[int, ...]) -> Floats:
    """Return standard normal numbers of the given shape; read-only."""
    count = int(np.prod(shape))
    pairs = (count + 1) // 2
    draws = expand_uniform.__wrapped__(seed, label, (pairs, 2))
    radius = np.sqrt(-2.0 * np.log(draws[:, 0]))
    angle = 2.0 * np.pi * draws[:, 1]
    both = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return _frozen(both.reshape(-1)[:count].copy(), shape)


def expand_below(seed: str, label: str, count: int, limit: int) -> Integers:
    """Return `count` integers in [0, limit)."""
    draws = expand_uniform(seed, label, (count,))
    return cast("Integers", np.floor(draws * limit).astype(np.int64))


def _frozen(values: NDArray[Any], shape: tuple[int, ...]) -> Floats:
    shaped = values.reshape(shape)
    shaped.setflags(write=False)
    return shaped
