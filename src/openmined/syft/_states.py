"""The encrypted states: a model on its way down, a gradient on its way up."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import tenseal.sealapi as seal

from openmined.protocol import CKKSParameters, InterleavedPacking, MLPPacking
from openmined.syft._columns import real_array, require_finite
from openmined.syft._errors import CiphertextError, DataError, RangeError
from openmined.syft._keys import SecretKeys
from openmined.syft._packing import pack_columns
from openmined.syft._parameters import ciphertexts_needed
from openmined.syft._scales import kept_primes, product_scale_bits, weight_bound
from openmined.syft._seal import (
    Kind,
    check_encrypted,
    check_key_id,
    frame,
    load,
    make_context,
    parms_id_at,
    save,
    unframe,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, eq=False)
class _Encrypted:
    packing: InterleavedPacking | MLPPacking
    parameters: CKKSParameters
    key_id: bytes
    blobs: tuple[bytes, ...] = field(repr=False)

    def to_blobs(self) -> list[bytes]:
        """Return the framed ciphertexts, as they go to the store."""
        return list(self.blobs)


@dataclass(frozen=True, eq=False)
class EncryptedModel(_Encrypted):
    """Weights under the key holder's key: two polynomials each, one of them sent as a seed.

    An observer learns the shape of the weights and nothing else.
    """

    @classmethod
    def from_blobs(
        cls,
        packing: InterleavedPacking | MLPPacking,
        blobs: Sequence[bytes],
        parameters: CKKSParameters,
    ) -> EncryptedModel:
        """Read and check a model from untrusted bytes.

        Raises:
            CiphertextError: if a blob is missing, superfluous, or no ciphertext of these
                parameters at the first level and the right scale.
            KeyMismatch: if the blobs belong to different keys.
        """
        blobs = _listed(blobs, "encrypted model")
        if isinstance(packing, MLPPacking):
            from openmined.syft._mlp_keys import load_mlp_model

            key_id = _common_key_id(blobs, Kind.MODEL, "encrypted model")
            model = cls(packing, parameters, key_id, blobs)
            load_mlp_model(model)
            return model
        _check_packing(packing, parameters)
        _check_count(blobs, ciphertexts_needed(packing), "encrypted model")
        key_id = _common_key_id(blobs, Kind.MODEL, "encrypted model")
        model = cls(packing, parameters, key_id, blobs)
        assert model.ciphertexts
        return model

    @cached_property
    def ciphertexts(self) -> tuple[Any, ...]:
        """SEAL's ciphertexts, at the first level."""
        context = make_context(self.parameters)
        scale = 2.0**self.parameters.weight_scale_bits
        return load_ciphertexts(self, Kind.MODEL, context.first_parms_id(), scale)


@dataclass(frozen=True, eq=False)
class EncryptedGradient(_Encrypted):
    """A protected update.

    The key holder learns the update to its noise and nothing else (DESIGN 6.5); others only the
    shape.
    """

    @classmethod
    def from_blobs(
        cls,
        packing: InterleavedPacking | MLPPacking,
        blobs: Sequence[bytes],
        parameters: CKKSParameters,
    ) -> EncryptedGradient:
        """Read and check an update from untrusted bytes; see `EncryptedModel.from_blobs`."""
        blobs = _listed(blobs, "encrypted gradient")
        if isinstance(packing, MLPPacking):
            from openmined.syft._mlp_decode import load_mlp_gradient

            key_id = _common_key_id(blobs, Kind.GRADIENT, "encrypted gradient")
            gradient = cls(packing, parameters, key_id, blobs)
            load_mlp_gradient(gradient)
            return gradient
        _check_packing(packing, parameters)
        _check_count(blobs, ciphertexts_needed(packing), "encrypted gradient")
        key_id = _common_key_id(blobs, Kind.GRADIENT, "encrypted gradient")
        gradient = cls(packing, parameters, key_id, blobs)
        assert gradient.ciphertexts
        return gradient

    @cached_property
    def ciphertexts(self) -> tuple[Any, ...]:
        """SEAL's ciphertexts, at the level of an update."""
        level = parms_id_at(self.parameters, kept_primes(self.parameters))
        return load_ciphertexts(self, Kind.GRADIENT, level, update_scale(self.parameters))


def require_state(found: object, wanted: type, function: str) -> None:
    """Refuse another state than a function works on.

    Raises:
        DataError: if it is another.
    """
    if not isinstance(found, wanted):
        raise DataError(f"{function} wants {wanted.__name__}, not {type(found).__name__}")


def update_scale(parameters: CKKSParameters) -> float:
    """Return the scale of an update after its last rescale, as SEAL computes it."""
    scale = 2.0 ** product_scale_bits(parameters)
    moduli = make_context(parameters).first_context_data().parms().coeff_modulus()
    for modulus in reversed(moduli[kept_primes(parameters) :]):
        scale /= float(modulus.value())
    return scale


def load_ciphertexts(
    state: _Encrypted, kind: Kind, parms_id: list[int], scale: float
) -> tuple[Any, ...]:
    """Load a state's blobs, each at the level and scale it must have.

    Raises:
        CiphertextError: if one is not.
    """
    what = "encrypted model" if kind is Kind.MODEL else "encrypted gradient"
    return tuple(
        load_ciphertext(blob, kind, state.parameters, parms_id, scale, what) for blob in state.blobs
    )


def load_ciphertext(
    blob: bytes,
    kind: Kind,
    parameters: CKKSParameters,
    parms_id: list[int],
    scale: float,
    what: str,
) -> Any:
    """Load one framed ciphertext; see `load_ciphertexts`."""
    _, payload = unframe(blob, kind, what)
    item = load(seal.Ciphertext(), make_context(parameters), payload, what)
    if item.parms_id() != parms_id or item.size() != 2 or not item.is_ntt_form():
        raise CiphertextError(f"{what}: a ciphertext is not of two polynomials at the right level")
    if not np.isclose(item.scale, scale, rtol=1e-9, atol=0.0):
        found = float(item.scale)
        raise CiphertextError(f"{what}: a ciphertext has scale {found:g}, not {scale:g}")
    check_encrypted(item, what)
    item.scale = scale
    return item


def _listed(blobs: object, what: str) -> tuple[bytes, ...]:
    if not isinstance(blobs, list | tuple):
        raise CiphertextError(f"{what}: {type(blobs).__name__} is no list of ciphertexts")
    return tuple(blobs)


def _common_key_id(blobs: Sequence[bytes], kind: Kind, what: str) -> bytes:
    if not blobs:
        raise CiphertextError(f"{what}: there are no ciphertexts")
    key_ids = [unframe(blob, kind, what)[0] for blob in blobs]
    for key_id in key_ids:
        check_key_id(key_id, key_ids[0], what)
    return key_ids[0]


def _check_count(blobs: Sequence[bytes], wanted: int, what: str) -> None:
    if len(blobs) != wanted:
        raise CiphertextError(f"{what}: {len(blobs)} ciphertexts, {wanted} are wanted")


def _check_packing(packing: InterleavedPacking, parameters: CKKSParameters) -> None:
    slots = parameters.poly_modulus_degree // 2
    if packing.dimension * packing.columns_per_ciphertext != slots:
        raise CiphertextError(
            f"a packing of {packing.dimension} rows x {packing.columns_per_ciphertext} columns "
            f"does not fill {slots} slots: model and keys do not belong together"
        )


def encrypt_model(weights: Any, keys: SecretKeys) -> EncryptedModel:
    """Encrypt weights for the mines.

    Args:
        weights: (inputs, outputs) real numbers; each column at most 128 long.
        keys: the campaign's.

    Raises:
        DataError: if the shape is wrong or a value is not finite.
        RangeError: if a column is longer than the parameters have room for.
    """
    require_state(keys, SecretKeys, "encrypt_model")
    array = real_array(weights, "the weights")
    if isinstance(keys.packing, MLPPacking):
        from openmined.syft._mlp_keys import encrypt_mlp

        return encrypt_mlp(array, keys)
    wanted = (keys.packing.rows, keys.packing.columns)
    if array.shape != wanted:
        raise DataError(f"weights of shape {array.shape} are not {wanted}")
    require_finite(array, "the weights")
    longest = float(np.linalg.norm(array, axis=0).max())
    if longest > weight_bound():
        raise RangeError(
            f"a column of weights is {longest:.4g} long, above {weight_bound():g}: scale the "
            "targets down or the features up, or raise l2"
        )
    blobs = encrypt_slots(pack_columns(array, keys.packing), keys)
    return EncryptedModel(keys.packing, keys.parameters, keys.key_id, tuple(blobs))


def encrypt_slots(slots: Sequence[Any], keys: SecretKeys) -> list[bytes]:
    """Encrypt slot vectors at the first level and the weight scale, seed-compressed and framed."""
    context = make_context(keys.parameters)
    encoder, plain = seal.CKKSEncoder(context), seal.Plaintext()
    encryptor = seal.Encryptor(context, keys.secret_key)
    blobs = []
    for values in slots:
        encoder.encode(values.tolist(), 2.0**keys.parameters.weight_scale_bits, plain)
        blobs.append(frame(Kind.MODEL, keys.key_id, save(encryptor.encrypt_symmetric(plain))))
    return blobs
