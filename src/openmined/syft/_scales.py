"""Scales, room and public bounds that CKKS parameters imply for a linear update.

Let w and d be the bits of the weights' and the data's scale, q those of the data primes together,
and m the plaintext multiplications in a row that the parameters have room for, one or two:

    product scale   2^(w + m d); a single multiplication encodes its matrix at 2^(m d)
    room            q - w - m d: bits above the scale, for |M|_F |W| and a margin

The bounds follow from the parameters alone, so that mine and key holder agree on them without
looking at data: each column of W is at most 2^7 long, and |M|_F at most 2^(room - 11). Of the
eleven bits two are for primes below their nominal size and the sign, one for the plaintext B, and
one for two real columns in one complex slot. m is two where room - d still leaves those eleven.

An update travels on as few primes as leave, above the room, 44 + (room - 11)/2 bits: dividing by
the dropped primes rounds, the rounding depends on the secret key, and the noise that hides it when
a model is released (see `_release`) must stay small: about 2^-6 in the outputs for a hundred
decryptions and rows of length R, with |M|_F about R^2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openmined.protocol import CKKSParameters

WEIGHT_BOUND_BITS = 7
RESERVED_BITS = WEIGHT_BOUND_BITS + 4
_RELEASE_BITS = 44


def multiplications(parameters: CKKSParameters) -> int:
    """Return m, how many plaintext matrices may be multiplied in a row: one or two."""
    spare = sum(parameters.coeff_modulus_bits[:-1]) - parameters.weight_scale_bits
    return 2 if spare - 2 * parameters.data_scale_bits >= RESERVED_BITS else 1


def matrix_scale_bits(parameters: CKKSParameters) -> int:
    """Return the bits of the plaintext part of a product's scale, m d."""
    return multiplications(parameters) * parameters.data_scale_bits


def product_scale_bits(parameters: CKKSParameters) -> int:
    """Return the bits of a product's scale, w + m d."""
    return parameters.weight_scale_bits + matrix_scale_bits(parameters)


def room_bits(parameters: CKKSParameters) -> int:
    """Return the bits above a product's scale."""
    return sum(parameters.coeff_modulus_bits[:-1]) - product_scale_bits(parameters)


def kept_primes(parameters: CKKSParameters) -> int:
    """Return how many primes an update travels on."""
    *data, _ = parameters.coeff_modulus_bits
    room = room_bits(parameters)
    wanted = room + _RELEASE_BITS + (room - RESERVED_BITS) / 2
    for count in range(1, len(data)):
        if sum(data[:count]) >= wanted:
            return count
    return len(data)


def dropped_bits(parameters: CKKSParameters) -> int:
    """Return the bits of the primes that an update is divided by."""
    return sum(parameters.coeff_modulus_bits[kept_primes(parameters) : -1])


def norm_bound(parameters: CKKSParameters) -> float:
    """Return the public bound on the Frobenius norm of the plaintext matrix."""
    return float(2.0 ** (room_bits(parameters) - RESERVED_BITS))


def weight_bound() -> float:
    """Return the public bound on the length of a column of weights."""
    return float(2.0**WEIGHT_BOUND_BITS)


def value_bound(parameters: CKKSParameters) -> float:
    """Return the largest magnitude that an update can carry."""
    return float(2.0 ** (room_bits(parameters) - 2))
