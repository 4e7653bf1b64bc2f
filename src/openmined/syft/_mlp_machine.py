"""SEAL's operations for a network, each at the level of its ciphertext."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tenseal.sealapi as seal

from openmined.syft._keys import GALOIS_KEYS, RELINEARIZATION_KEYS, PublicKeys, galois_element
from openmined.syft._mlp_keys import SQUARE_LEVEL, check_mlp_keys, key_levels
from openmined.syft._seal import make_context, make_level_context, parms_id_at

if TYPE_CHECKING:
    from openmined.syft._mlp_layout import MLPLayout


class Machine:
    """SEAL's operations at their levels, with the keys for them.

    Raises:
        CiphertextError: if a key is missing or damaged.
        KeyMismatch: if one belongs to other keys.
    """

    def __init__(self, public: PublicKeys, layout: MLPLayout) -> None:
        self.parameters = public.parameters
        self.context = make_context(public.parameters)
        self.encoder = seal.CKKSEncoder(self.context)
        self.evaluator = seal.Evaluator(self.context)
        self.layout = layout
        check_mlp_keys(public, layout)
        self._public = public
        self._levels = key_levels(layout)
        self._evaluators = {
            level: seal.Evaluator(make_level_context(public.parameters, level))
            for level in {*self._levels.values(), SQUARE_LEVEL}
        }
        moduli = self.context.first_context_data().parms().coeff_modulus()
        self.primes = [float(modulus.value()) for modulus in moduli]

    def rotate(self, item: Any, step: int) -> Any:
        """Return the slots rotated by `step` (left), at whatever level `item` is."""
        slots = self.layout.slots
        return self._apply(item, galois_element(2 * slots, step % slots))

    def turn(self, item: Any, units: int) -> Any:
        """Return the slots rotated by so many units, in one rotation or in two."""
        step = self.layout.turns[units]
        for _ in range(units // step):
            item = self.rotate(item, step * self.layout.block)
        return item

    def conjugate(self, item: Any) -> Any:
        """Return the slots conjugated."""
        return self._apply(item, 4 * self.layout.slots - 1)

    def _apply(self, item: Any, element: int) -> Any:
        level = self._levels[element]
        turned = seal.Ciphertext()
        keys = self._public.load(f"{GALOIS_KEYS}-{level}")
        self._evaluators[level].apply_galois(item, element, keys, turned)
        return turned

    def relinearize(self, item: Any) -> Any:
        """Bring a product back to two polynomials, in place; return it."""
        keys = self._public.load(f"{RELINEARIZATION_KEYS}-{SQUARE_LEVEL}")
        self._evaluators[SQUARE_LEVEL].relinearize_inplace(item, keys)
        return item

    def rescale(self, item: Any) -> Any:
        """Divide by the last prime, in place; return it. The scale is tracked exactly."""
        scale = item.scale / self.primes[item.coeff_modulus_size() - 1]
        self.evaluator.rescale_to_next_inplace(item)
        item.scale = scale
        return item

    def lower(self, item: Any, level: int) -> Any:
        """Return a copy at a lower level."""
        lowered = seal.Ciphertext()
        self.evaluator.mod_switch_to(item, parms_id_at(self.parameters, level), lowered)
        return lowered

    def lower_plain(self, plain: Any, level: int) -> None:
        """Bring a plaintext to a lower level, in place, and give back the memory it had above."""
        self.evaluator.mod_switch_to_inplace(plain, parms_id_at(self.parameters, level))
        plain.shrink_to_fit()

    def add(self, total: Any, item: Any) -> Any:
        """Add to `total` in place (nothing yet: None); return it."""
        if total is None:
            return item
        self.evaluator.add_inplace(total, item)
        return total

    def multiply(self, one: Any, other: Any) -> Any:
        """Return the product of two ciphertexts, of three polynomials."""
        product = seal.Ciphertext()
        self.evaluator.multiply(one, other, product)
        return product

    def square(self, item: Any) -> Any:
        """Return the square, of three polynomials."""
        product = seal.Ciphertext()
        self.evaluator.square(item, product)
        return product

    def times(self, item: Any, plain: Any) -> Any:
        """Return the product with a plaintext."""
        product = seal.Ciphertext()
        self.evaluator.multiply_plain(item, plain, product)
        return product

    def raise_scale(self, item: Any, bits: int) -> Any:
        """Multiply value and scale by 2^bits, in place, by doubling; return it."""
        for _ in range(bits):
            self.evaluator.add_inplace(item, item)
        item.scale *= 2.0**bits
        return item

    def encode(self, slots: Any, level: int, scale: float) -> Any:
        """Encode slots, or one number for all of them, at a level and a scale."""
        plain = seal.Plaintext()
        values = slots.tolist() if isinstance(slots, np.ndarray) else slots
        self.encoder.encode(values, parms_id_at(self.parameters, level), scale, plain)
        return plain
