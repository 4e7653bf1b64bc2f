"""What a network's gradient is sent as: its noise, its ciphertexts, and how they decode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from openmined.protocol import MLPPacking
from openmined.syft._errors import CiphertextError
from openmined.syft._mlp import join_mlp
from openmined.syft._mlp_keys import LAST, MAX_SAMPLES, layout_of, weight_scales
from openmined.syft._noise import key_switch_variance
from openmined.syft._seal import (
    Kind,
    check_encrypted,
    load,
    make_context,
    parms_id_at,
    unframe,
)

if TYPE_CHECKING:
    from openmined.protocol import CKKSParameters
    from openmined.syft._keys import SecretKeys
    from openmined.syft._mlp_layout import MLPLayout
    from openmined.syft._states import EncryptedGradient

Floats = NDArray[np.float64]
Slots = NDArray[np.complex128]

MASK_BITS = 24  # of the last join's mask


def flood_deviation(parameters: CKKSParameters, packing: MLPPacking, samples: int) -> float:
    """Return the standard deviation of the hiding noise, as a value of the summed gradient.

    Public, from shapes alone. A key switch, a rescale or a fresh encryption errs by at most about
    eps = sqrt(N v) / 2^57 in a slot (see `_noise`); W1's own are 2^14 times smaller. For a working
    range of rows of the packing's length r, and of units U and H, errors E and rows and columns of
    W2 of root mean square, or length, one, the error grows layer by layer, with units, K, B and e
    as in `_mlp_layout`, to

        e_U = 2 eps                    e_H = 2 e_U + 3 eps
        e_E = e_H + (3 sqrt(units / K) + sqrt(hidden) / 8 + 2) eps
        e_D = 2 e_U + 2 (e_E + 2 sqrt(B) eps) + 2 eps

    per entry. Summed over n samples the lengths over all entries are

        dW1:  r sqrt(hidden) e_D n
        dW2:  f sqrt(hidden) (e_H + sqrt(pairs of classes) e_E) n

    with f = sqrt(2 + B / e) for the sums that products are sent as, else one; the larger of the two
    is taken. What lies beyond the range is hidden in proportion less: rows or units twice as
    large on average cost two bits of the thirty; rows four times as large are refused. sigma =
    2^(s/2) times that length is the noise of Li, Micciancio, Schultz and Sorrell (CRYPTO 2022) for
    s = 30 bits.
    """
    layout = layout_of(packing, parameters)
    degree = parameters.poly_modulus_degree
    *data, special = parameters.coeff_modulus_bits
    variance = key_switch_variance(degree, tuple(data), special)
    eps = float(np.sqrt(degree * variance)) / 2.0**parameters.weight_scale_bits
    e_u = 2.0 * eps
    e_h = 2.0 * e_u + 3.0 * eps
    turns = 3.0 * np.sqrt(layout.units / layout.padded_classes)
    e_e = e_h + (turns + np.sqrt(packing.hidden) / 8.0 + 2.0) * eps
    e_d = 2.0 * e_u + 2.0 * (e_e + 2.0 * np.sqrt(layout.baby_classes) * eps) + 2.0 * eps
    sums = np.sqrt(2.0 + layout.baby_classes / layout.extras) if layout.extras else 1.0
    second = sums * (e_h + np.sqrt(layout.classes) * e_e)
    length = max(packing.row_length * e_d, second) * np.sqrt(packing.hidden) * samples
    return float(2.0**parameters.flood_bits * length)


def mlp_noise(parameters: CKKSParameters, packing: MLPPacking) -> float:
    """Return the part of a mean gradient's noise that a mine cannot know; see `_release`."""
    return flood_deviation(parameters, packing, 1) / 2.0**parameters.flood_bits


def load_mlp_gradient(gradient: EncryptedGradient) -> list[Any]:
    """Load and check the ciphertexts of a gradient.

    Raises:
        CiphertextError: if their number, level or scale is not what the packing says.
    """
    assert isinstance(gradient.packing, MLPPacking)
    layout = layout_of(gradient.packing, gradient.parameters)
    groups = len(layout.groups)
    joined = min(4, layout.padded_classes, layout.block)
    wanted = groups + layout.padded_classes // joined
    if len(gradient.blobs) != wanted:
        raise CiphertextError(
            f"{len(gradient.blobs)} ciphertexts in a gradient, {wanted} are wanted"
        )
    context = make_context(gradient.parameters)
    level = parms_id_at(gradient.parameters, LAST)
    items = []
    for blob in gradient.blobs:
        _, payload = unframe(blob, Kind.GRADIENT, "encrypted gradient")
        item = load(seal.Ciphertext(), context, payload, "encrypted gradient")
        if item.parms_id() != level or item.size() != 2 or not item.is_ntt_form():
            raise CiphertextError(
                "encrypted gradient: a ciphertext is not of two polynomials at the right level"
            )
        check_encrypted(item, "encrypted gradient")
        items.append(item)
    _check_scales(gradient, items, groups)
    return items


def _check_scales(gradient: EncryptedGradient, items: list[Any], groups: int) -> None:
    inputs, outputs = _base_scales(gradient.parameters)
    samples = items[-1].scale / outputs
    if not (0.5 < samples <= MAX_SAMPLES and abs(samples - round(samples)) < 1e-6 * samples):
        raise CiphertextError(f"encrypted gradient: scale {items[-1].scale:g} fits no sample count")
    for index, item in enumerate(items):
        wanted = inputs * samples / 2.0 if index < groups else outputs * samples
        if not np.isclose(item.scale, wanted, rtol=1e-9, atol=0.0):
            raise CiphertextError(f"encrypted gradient: scale {item.scale:g} is not {wanted:g}")


def _base_scales(parameters: CKKSParameters) -> tuple[float, float]:
    """Return the scales that the sums of dW1 and dW2 are sent at."""
    moduli = make_context(parameters).first_context_data().parms().coeff_modulus()
    q = [float(modulus.value()) for modulus in moduli]
    first, second = weight_scales(parameters)
    data = 2.0**parameters.data_scale_bits
    units = first * data / q[6]
    hidden = units * units / q[5]
    outputs = hidden * second / q[4]
    D = outputs * second / q[3] * units / q[2]
    return D * data, hidden * outputs / q[3] * 2.0**MASK_BITS


def decrypt_mlp(gradient: EncryptedGradient, keys: SecretKeys) -> Floats:
    """Decrypt a mean gradient, laid out like the weights; see `decrypt_update`."""
    from openmined.syft._updates import check_plausible, decrypt_slots

    packing = gradient.packing
    assert isinstance(packing, MLPPacking)
    layout = layout_of(packing, gradient.parameters)
    slots = [decrypt_slots(item, keys) for item in load_mlp_gradient(gradient)]
    weights = gather_gradient(layout, slots)
    check_plausible(weights, 2.0**16)
    return weights


def gather_gradient(layout: MLPLayout, slots: list[Slots]) -> Floats:
    """Read the slots of a gradient's ciphertexts; its layout is that of the weights."""
    groups = len(layout.groups)
    return join_mlp(layout.gather_inputs(slots[:groups]), _gather_outputs(layout, slots[groups:]))


def _gather_outputs(layout: MLPLayout, vectors: list[Slots]) -> Floats:
    """Read dW2 from the folded ciphertexts."""
    if layout.extras:
        sums = _read_folded(layout, vectors[0], layout.baby_classes)
        items = layout.separate_outputs(sums, _read_folded(layout, vectors[1], layout.extras))
    else:
        joined = layout.padded_classes // len(vectors)
        items = [item for vector in vectors for item in _read_folded(layout, vector, joined)]
    paired = np.zeros((layout.units, layout.padded_classes), dtype=np.complex128)
    for place, item in enumerate(items):
        units, classes = layout.output_index(*divmod(place, layout.baby_classes))
        paired[units, classes] = item.conj()
    real = np.empty((layout.units, 2 * layout.padded_classes))
    real[:, 0::2], real[:, 1::2] = paired.real, paired.imag
    return real[: layout.packing.hidden, : layout.packing.outputs]


def _read_folded(layout: MLPLayout, vector: Slots, joined: int) -> list[Slots]:
    """Return what is folded into a ciphertext, a value per unit: see `_fold` for the order."""
    blocks = vector.reshape(layout.units, layout.block)
    places = {1: [0], 2: [0, 1], 4: [0, 2, 1, 3]}[joined]
    return [blocks[:, place * layout.block // joined] for place in places]
