"""Model files: safetensors, with a card of text in the header. Nothing is ever pickled.

One tensor of float64, `weights`, laid out as `initial_weights` of the spec does. The card
is the header's `__metadata__`: a flat map from text to text.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openmined.syft._columns import real_array, require_finite
from openmined.syft._errors import DataError, ModelFileError

Floats = NDArray[np.float64]

MAX_MODEL_BYTES = 256 << 20
_FORMAT = "openmined/weights@1"


def save_model(weights: NDArray[np.floating], card: Mapping[str, str] | None = None) -> bytes:
    """Write weights and a card as safetensors bytes.

    Raises:
        ModelFileError: if the weights are no finite matrix, or the card is not text to text, or
            names a `format`, which is ours to write.
    """
    from safetensors.numpy import save

    array = np.ascontiguousarray(_check_weights(weights))
    entries = {} if card is None else card
    if not isinstance(entries, Mapping) or not all(
        _is_text(item) for item in chain(*entries.items())
    ):
        raise ModelFileError("a model card maps text to text, in Unicode: convert its values")
    if "format" in entries:
        raise ModelFileError(f"a model card's `format` is always {_FORMAT}: use another name")
    return bytes(save({"weights": array}, metadata={"format": _FORMAT, **entries}))


def _check_weights(weights: Any) -> Floats:
    try:
        array = require_finite(real_array(weights, "weights"), "weights", "save what is finite")
    except DataError as error:
        raise ModelFileError(str(error)) from error
    if array.ndim != 2 or not array.size:
        raise ModelFileError(f"weights of shape {array.shape} must be a matrix, and not empty")
    return array


def _is_text(item: Any) -> bool:
    if not isinstance(item, str):
        return False
    try:
        item.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def load_model(data: bytes) -> tuple[Floats, dict[str, str]]:
    """Read weights and card from untrusted bytes.

    Raises:
        ModelFileError: if the bytes are too large, no safetensors file, or not of our format.
    """
    import json

    from safetensors import SafetensorError
    from safetensors.numpy import load

    if not isinstance(data, bytes | bytearray | memoryview):
        raise ModelFileError(f"a model file is bytes, not {type(data).__name__}: read it first")
    data = bytes(data)
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
    card.pop("format")
    return _check_weights(weights), {str(key): str(value) for key, value in card.items()}
