"""What the key holder may publish of what it decrypted, and how often (DESIGN 6.6).

A decrypted CKKS value carries the ciphertext's noise; published in full it is a linear equation in
the secret key (Li and Micciancio, EUROCRYPT 2021). Before a model is released, Gaussian noise

    sigma = sqrt(12 tau) 2^(s/2) err

is added to every weight (Li, Micciancio, Schultz and Sorrell, CRYPTO 2022; OpenFHE's
CKKS_NOISE_FLOODING), with s = 30 bits of statistical security, tau the decryptions made under the
keys, and err a public bound on the noise of an update that a mine cannot know (everything but its
own flooding): its length over all weights released. Then the weights are rounded to a power of two
of about sigma: finer digits are noise. Accuracy is released rounded to the scoring step
(`openmined.protocol.accuracy_to_ppm`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openmined.protocol import InterleavedPacking
from openmined.syft._columns import real_array, require_finite
from openmined.syft._errors import DataError, RangeError, ReleaseRefused
from openmined.syft._noise import error_bound, rounding_bound
from openmined.syft._randomness import gaussian
from openmined.syft._scales import dropped_bits, norm_bound
from openmined.syft._states import update_scale

if TYPE_CHECKING:
    from openmined.protocol import CKKSParameters, MLPPacking
    from openmined.syft._keys import SecretKeys

Floats = NDArray[np.float64]

STATISTICAL_BITS = 30
LARGEST_WEIGHT = 2.0**40


@dataclass(frozen=True)
class ReleaseLedger:
    """Counts what was decrypted and released under one key pair; a value, for its owner to store.

    Attributes:
        decryptions: updates decrypted so far.
        releases: models released so far.
        max_decryptions: after so many, new keys are due.
        max_releases: models that may be released.
    """

    decryptions: int = 0
    releases: int = 0
    max_decryptions: int = 100_000
    max_releases: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            _check_count(value, name)

    def count_decryption(self, number: int = 1) -> ReleaseLedger:
        """Return the ledger after `number` more decryptions.

        Raises:
            DataError: if the number is no count.
            ReleaseRefused: if the budget of decryptions is used up.
        """
        _check_count(number, "the number of decryptions")
        if self.decryptions + number > self.max_decryptions:
            raise ReleaseRefused(
                f"{self.decryptions} of {self.max_decryptions} decryptions are used up under these "
                "keys: start a new key epoch"
            )
        return replace(self, decryptions=self.decryptions + number)


def _check_count(value: object, what: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DataError(f"{what} = {value!r} is no count: give a whole number, 0 or more")


def release_deviation(
    parameters: CKKSParameters, packing: InterleavedPacking | MLPPacking, decryptions: int
) -> float:
    """Return sigma, the standard deviation of the noise on each released weight."""
    err = _unknown_noise(parameters, packing)
    root = np.sqrt(12.0 * max(1, decryptions))
    return float(root * 2.0 ** (STATISTICAL_BITS / 2) * err)


def _unknown_noise(parameters: CKKSParameters, packing: InterleavedPacking | MLPPacking) -> float:
    if not isinstance(packing, InterleavedPacking):
        from openmined.syft._mlp_decode import mlp_noise

        return mlp_noise(parameters, packing)
    # The product's noise, divided by the dropped primes, and the rounding of dividing.
    scale = update_scale(parameters)
    dropped = 2.0 ** dropped_bits(parameters)
    product = error_bound(parameters, packing, norm_bound(parameters)) / dropped
    entries = packing.rows * packing.columns
    return (product + rounding_bound(parameters.poly_modulus_degree, entries)) / scale


def _shape(packing: InterleavedPacking | MLPPacking) -> tuple[int, ...]:
    if isinstance(packing, InterleavedPacking):
        return packing.rows, packing.columns
    return packing.inputs + packing.outputs, packing.hidden


def release_weights(
    weights: Floats, keys: SecretKeys, ledger: ReleaseLedger
) -> tuple[Floats, ReleaseLedger]:
    """Add noise to a model and round it, for its one release; return it with the new ledger.

    Args:
        weights: the final model in the clear.
        keys: under which updates were decrypted.
        ledger: of these keys; store the one returned before you publish.

    Raises:
        ReleaseRefused: if the budget of releases is used up.
        DataError: if the weights are not of these keys' model, or not finite.
        RangeError: if they are beyond any model that updates under these keys can make.
    """
    if ledger.releases >= ledger.max_releases:
        raise ReleaseRefused(
            f"{ledger.releases} of {ledger.max_releases} releases are used up under these keys: "
            "publish the model released before, or start a campaign with new keys"
        )
    array = require_finite(real_array(weights, "the weights"), "the weights")
    if array.shape != (wanted := _shape(keys.packing)):
        raise DataError(f"weights of shape {array.shape} are not {wanted}: of another campaign")
    sigma = release_deviation(keys.parameters, keys.packing, ledger.decryptions)
    grid = 2.0 ** np.floor(np.log2(sigma))
    if (largest := float(np.abs(array).max())) > LARGEST_WEIGHT:
        raise RangeError(
            f"a weight of {largest:.4g} is above {LARGEST_WEIGHT:.4g}, beyond any model that can "
            "be encrypted: release what was learned"
        )
    noisy = array + sigma * gaussian(array.size).reshape(array.shape)
    return np.asarray(np.round(noisy / grid) * grid), replace(ledger, releases=ledger.releases + 1)
