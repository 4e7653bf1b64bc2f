"""How large the secret-dependent noise of a product can be, and the noise that hides it.

The key holder knows every error e in the ciphertexts of a model, and decrypts M W + (M applied to
errors): that second term is a function of M which a protocol must not reveal. It is hidden by
Gaussian noise sized from *public* quantities only (DESIGN 6.5).

Errors, in coefficients, of variance (sigma^2 = 10.5 for SEAL's centred binomial, N the degree):

    fresh, symmetric            sigma^2
    one key switch              sum_i (q_i^2 N / 12) sigma^2 / P^2  +  (1 + 2N/3) / 12

the first term for digits modulo the data primes q_i, the second for dividing by the special prime
P with a ternary secret. In slots each is multiplied by N. Baby step i has undergone i chained
rotations, at most b - 1. Slot r of the product carries sum_d M[r, r+d] e_d, so by Cauchy-Schwarz

    |error|_2 over all slots <= |M|_F sqrt(K) (sqrt(D) + 9) sd(e)

where (sqrt(D) + 9) sd bounds the length of D slot errors except with probability e^(-81/2) < 2^-58
(Gaussian concentration), and K slot columns share M. Giant-step key switches depend on M through
their digits; they come after the multiplication and add little, but are counted.

Noise of standard deviation tau per real slot component hides a shift of length s up to a total
variation of 0.4 s / tau; tau = 2^flood_bits s is used: 2^-31 per ciphertext for 30 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from openmined.syft._scales import matrix_scale_bits

if TYPE_CHECKING:
    from openmined.protocol import CKKSParameters, InterleavedPacking

FRESH_VARIANCE = 10.5
_TAIL = 9.0


def key_switch_variance(degree: int, data_bits: tuple[int, ...], special_bits: int) -> float:
    """Return the variance of a coefficient's error after one key switch at these primes."""
    digits = sum(2.0 ** (2 * (bits - special_bits)) for bits in data_bits)
    return digits * degree / 12.0 * FRESH_VARIANCE + (1.0 + 2.0 * degree / 3.0) / 12.0


def error_bound(parameters: CKKSParameters, packing: InterleavedPacking, norm: float) -> float:
    """Bound the length over all slots of a product's secret-dependent error, in its scale.

    Args:
        parameters: the CKKS parameters.
        packing: the layout.
        norm: a public bound on |M|_F.
    """
    degree = parameters.poly_modulus_degree
    *data, special = parameters.coeff_modulus_bits
    switch = key_switch_variance(degree, tuple(data), special)
    baby, dimension = packing.giant_step, packing.dimension
    before = np.sqrt(degree * (FRESH_VARIANCE + (baby - 1) * switch))
    between = 2.0 ** (matrix_scale_bits(parameters) - parameters.data_scale_bits) * max(1.0, norm)
    after = between * np.sqrt(degree * (dimension / baby + baby) * switch)
    scaled = norm * 2.0 ** matrix_scale_bits(parameters)
    columns = np.sqrt(packing.columns_per_ciphertext)
    matrix_part = scaled * columns * (np.sqrt(dimension) + _TAIL) * before
    switch_part = (np.sqrt(degree / 2) + _TAIL) * after
    return float(matrix_part + switch_part)


def flood_deviation(parameters: CKKSParameters, packing: InterleavedPacking, norm: float) -> float:
    """Return tau, the standard deviation of the hiding noise per slot component, in its scale."""
    return float(2.0**parameters.flood_bits * error_bound(parameters, packing, norm))


def rounding_deviation(degree: int) -> float:
    """Return the deviation per real slot component of the error of one rescale."""
    return float(np.sqrt((1.0 + 2.0 * degree / 3.0) / 12.0 * degree / 2.0))


def rounding_bound(degree: int, entries: int) -> float:
    """Bound the length, over so many real slot components, of the error of one rescale."""
    return float((np.sqrt(entries) + _TAIL) * rounding_deviation(degree))
