"""What of decrypted values may leave: the final model, flooded and rounded, entered in a ledger.

Whoever learns decrypted CKKS values in full precision, and the ciphertexts and the plaintexts they
should have been, solves for the secret key (Li and Micciancio, EUROCRYPT 2021; ePrint 2020/1533).
The data scientist gets the model, and may be in league with mines. So Gaussian noise is added that
hides the secret-dependent error of decryption (Li, Micciancio, Schultz, Sorrell, CRYPTO 2022;
ePrint 2022/816; the formula as in OpenFHE's CKKS_NOISE_FLOODING.md):

    sigma = sqrt(12 tau) 2^(s/2) err

with tau the number of decryptions under the key, err the deviation of the secret-dependent error
(the rounding of the last rescale; what comes before it is drowned by the mine's own flooding), and
s the bits of statistical security. Then weights are rounded to a grid of sigma's power of two.

Noise costs accuracy, so s is what the campaign can afford: it starts at the configured bits and is
lowered until the metric stands, never below `MIN_SECURITY_BITS`. The bits reached stand in the
ledger and on the model's card.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np

from openmined.capsule._context import Array
from openmined.capsule._errors import ReleaseRefused
from openmined.capsule._evaluation import ValidationSet
from openmined.protocol import CKKSParameters

MIN_SECURITY_BITS = 8


@dataclass(frozen=True)
class Release:
    """A model that may leave, and what protects it."""

    weights: Array
    security_bits: int
    sigma: float
    accuracy: float


def decryption_error(parameters: CKKSParameters) -> float:
    """Return the deviation of the secret-dependent error of one decrypted number.

    The error of a rescale with a ternary secret has variance (1 + 2N/3) / 12 in each of N
    coefficients; a slot's real part is a sum of N of them with weights of mean square 1/2.
    """
    degree = parameters.poly_modulus_degree
    scale_bits = parameters.weight_scale_bits + parameters.data_scale_bits
    dropped_bits = sum(parameters.coeff_modulus_bits[1:-1])
    deviation = math.sqrt((1.0 + 2.0 * degree / 3.0) / 12.0 * degree / 2.0)
    return float(deviation * 2.0 ** (dropped_bits - scale_bits))


def release_model(
    weights: Array,
    validation: ValidationSet,
    parameters: CKKSParameters,
    *,
    decryptions: int,
    security_bits: int,
    tolerance: float,
) -> Release:
    """Flood and round the final weights.

    Args:
        weights: what was reached, shape (inputs, outputs).
        validation: measures what the noise costs.
        parameters: of the key that decrypted.
        decryptions: how many updates were decrypted under it (tau).
        security_bits: the s aimed at.
        tolerance: how much of the metric may be lost.

    Raises:
        ReleaseRefused: if even the least noise that protects costs more than that.
    """
    exact = validation.score(validation.outputs(weights))
    error = decryption_error(parameters) * math.sqrt(12.0 * max(1, decryptions))
    noise = gaussian(weights.shape)
    for bits in range(security_bits, MIN_SECURITY_BITS - 1, -1):
        sigma = error * 2.0 ** (bits / 2.0)
        released = round_to_grid(weights + sigma * noise, sigma)
        accuracy = validation.score(validation.outputs(released))
        if accuracy >= exact - tolerance:
            return Release(released, bits, sigma, accuracy)
    raise ReleaseRefused(
        f"protecting the model with {MIN_SECURITY_BITS} bits after {decryptions} decryptions would "
        f"cost more than {tolerance:.4f} of its metric: rotate the campaign's keys and score again"
    )


def round_to_grid(weights: Array, sigma: float) -> Array:
    """Round to multiples of the largest power of two that is at most sigma."""
    grid = 2.0 ** math.floor(math.log2(sigma))
    rounded: Array = np.round(weights / grid) * grid
    return rounded


def gaussian(shape: tuple[int, ...]) -> Array:
    """Draw standard normal numbers from the system's randomness (Box and Muller)."""
    count = math.prod(shape)
    raw = np.frombuffer(os.urandom(16 * count), dtype=np.uint64).reshape(2, count)
    first, second = (raw.astype(np.float64) + 0.5) / 2.0**64
    drawn: Array = np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second)
    return drawn.reshape(shape)
