"""Secret randomness from the operating system, for noise that protects outputs."""

from __future__ import annotations

import os
from typing import cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def uniform(count: int) -> Floats:
    """Draw `count` uniform numbers in (0, 1) of 53 random bits each."""
    words = np.frombuffer(os.urandom(8 * count), dtype="<u8") >> np.uint64(11)
    return cast("Floats", (words + 0.5) * 2.0**-53)


def gaussian(count: int) -> Floats:
    """Draw `count` standard normal numbers (Box and Muller, 1958); none exceeds 8.6."""
    half = (count + 1) // 2
    draws = uniform(2 * half)
    radius = np.sqrt(-2.0 * np.log(draws[:half]))
    angle = 2.0 * np.pi * draws[half:]
    return cast("Floats", np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count])


def complex_gaussian(count: int) -> NDArray[np.complex128]:
    """Draw complex numbers whose real and imaginary parts are standard normal."""
    parts = gaussian(2 * count)
    return parts[:count] + 1j * parts[count:]


def dither(shape: tuple[int, ...]) -> Floats:
    """Draw uniform numbers of variance one from 16 random bits each: cheap, for rounding."""
    count = int(np.prod(shape))
    words = np.frombuffer(os.urandom(2 * count), dtype="<i2")
    scaled = (words + 0.5) * (np.sqrt(3.0) / 2.0**15)
    return cast("Floats", scaled.reshape(shape))
