"""What an update goes through before it leaves the mine (DESIGN 6.5).

1. A fresh encryption of zero is added: without it the ciphertext is a public linear combination
   of the model's ciphertexts, and anybody could solve for the matrix.
2. Slots that carry no weight are drowned.
3. Gaussian noise hides the secret-dependent noise from the key holder; see `_noise`. A second,
   2^40 times smaller layer fills the bits that doubles leave bare in the first.
4. Everything is rescaled to few primes, which are shorter to send. This comes after the noise, so
   it is post-processing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tenseal.sealapi as seal

from openmined.syft._randomness import complex_gaussian, uniform

if TYPE_CHECKING:
    from openmined.syft._packing import Slots

_SECOND_LAYER = 2.0**-40


def protect(
    ciphertext: Any,
    public_key: Any,
    context: Any,
    deviation: float,
    unused: Slots,
    drown: float,
    primes: int,
) -> Any:
    """Protect one ciphertext in place and bring it to the level it is sent at.

    Args:
        ciphertext: the product, not yet rescaled.
        public_key: the key holder's, for the encryption of zero.
        context: SEAL's context that the public key belongs to.
        deviation: standard deviation of the noise per slot component, in the product's scale.
        unused: marks of slots to drown; see `unused_slots`.
        drown: largest magnitude to drown them with, as a value.
        primes: how many to leave.
    """
    evaluator, encoder = seal.Evaluator(context), seal.CKKSEncoder(context)
    level, scale = ciphertext.parms_id(), ciphertext.scale
    zero = seal.Ciphertext()
    seal.Encryptor(context, public_key).encrypt_zero(level, zero)
    zero.scale = scale
    evaluator.add_inplace(ciphertext, zero)
    noise = complex_gaussian(len(unused)) * (deviation / scale)
    plain = seal.Plaintext()
    fine = complex_gaussian(len(unused)) * (deviation * _SECOND_LAYER / scale)
    for layer in (noise + _drowning(unused, drown), fine):
        encoder.encode(layer.tolist(), level, scale, plain)
        evaluator.add_plain_inplace(ciphertext, plain)
    while ciphertext.coeff_modulus_size() > primes:
        evaluator.rescale_to_next_inplace(ciphertext)
    return ciphertext


def _drowning(unused: Slots, drown: float) -> Slots:
    draws = (2.0 * uniform(2 * len(unused)) - 1.0) * drown
    half = len(unused)
    real, imaginary = draws[:half] * unused.real, draws[half:] * unused.imag
    return np.asarray(real + 1j * imaginary)
