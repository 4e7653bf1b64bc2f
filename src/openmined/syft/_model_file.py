"""Model files: safetensors, with a card of text in the header. Nothing is ever pickled.

Tensors are float64: `weights` for the linear family, `hidden` and `output` for an MLP. The card
is the header's `__metadata__`: a flat map from text to text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openmined.syft._errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = NDArray[np.float64]

MAX_MODEL_BYTES = 256 << 20
_FORMAT = "openmined/weights@1"


def save_model(weights: NDArray[np.floating], card: Mapping[str, str] | None = None) -> bytes:
    """Write weights and a card as safetensors bytes.

    Raises:
        ModelFileError: if a weight is not finite or the card is not text to text.
    """
    from safetensors.numpy import save

    array = np.ascontiguousarray(weights, dtype=np.float64)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ModelFileError(f"weights of shape {array.shape} must be a finite matrix")
    metadata = {"format": _FORMAT, **(card or {})}
    if any(not isinstance(item, str) for pair in metadata.items() for item in pair):
        raise ModelFileError("a model card maps text to text: convert its values")
    return bytes(save({"weights": array}, metadata=metadata))


def load_model(data: bytes) -> tuple[Floats, dict[str, str]]:
    """Read weights and card from untrusted bytes.

    Raises:
        ModelFileError: if the bytes are too large, no safetensors file, or not of our format.
    """
    import json

    from safetensors import SafetensorError
    from safetensors.numpy import load

    if len(data) > MAX_MODEL_BYTES:
        raise ModelFileError(f"a model file of {len(data)} bytes is above {MAX_MODEL_BYTES}")
    try:
        tensors = load(data)
        size = int.from_bytes(data[:8], "little")
        card = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{len(data)} bytes are no safetensors file: {error}") from error
    if not isinstance(card, dict) or card.get("format") != _FORMAT:
        raise ModelFileError(
            "this safetensors file is no OpenMined model: its card lacks our format"
        )
    weights = tensors.get("weights")
    if set(tensors) != {"weights"} or weights is None or weights.dtype != np.float64:
        raise ModelFileError(f"expected one float64 tensor `weights`, found {sorted(tensors)}")
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ModelFileError(f"weights of shape {weights.shape} must be a finite matrix")
    card.pop("format")
    return weights, {str(key): str(value) for key, value in card.items()}
