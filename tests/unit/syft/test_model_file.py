"""Model files: read back what was written, refuse the rest."""

import json

import numpy as np
import pytest
from safetensors.numpy import save

from openmined.syft import ModelFileError, load_model, save_model

CARD = {"title": "Digits", "accuracy": "0.97"}


def test_round_trip():
    weights = np.random.default_rng(0).standard_normal((5, 3))
    found, card = load_model(save_model(weights, CARD))
    np.testing.assert_array_equal(found, weights)
    assert card == CARD


def test_it_is_safetensors():
    data = save_model(np.zeros((2, 1)), CARD)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["__metadata__"]["format"] == "openmined/weights@1"
    assert header["weights"]["dtype"] == "F64"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04\x95pickle",
        save({"weights": np.zeros((2, 2))}),
        save({"weights": np.zeros((2, 2), np.float32)}, {"format": "openmined/weights@1"}),
        save({"weights": np.zeros(4)}, {"format": "openmined/weights@1"}),
        save({"weights": np.full((2, 2), np.nan)}, {"format": "openmined/weights@1"}),
        save({"other": np.zeros((2, 2))}, {"format": "openmined/weights@1"}),
        save_model(np.zeros((4, 4)))[:-1],
        save_model(np.zeros((4, 4))) + b"x",
        (2**63).to_bytes(8, "little") + b"{}",
        b"\x02\x00\x00\x00\x00\x00\x00\x00[]",
        save({"weights": np.zeros((0, 2))}, {"format": "openmined/weights@1"}),
        None,
        "text",
        5,
    ],
)
def test_other_bytes_are_refused(data):
    with pytest.raises(ModelFileError):
        load_model(data)


@pytest.mark.parametrize(
    ("weights", "card"),
    [
        (np.zeros(3), {}),
        (np.full((2, 2), np.inf), {}),
        (np.zeros((2, 2)), {"accuracy": 0.9}),
        (np.ones((2, 2)) * (1 + 1j), {}),
        ([["1", "2"]], {}),
        ([[1], [1, 2]], {}),
        ("x", {}),
        (np.zeros((0, 2)), {}),
        (np.zeros((2, 2)), 5),
        (np.zeros((2, 2)), {"format": "mine"}),
        (np.zeros((2, 2)), {"title": "\ud800"}),
    ],
)
def test_bad_models_are_not_written(weights, card):
    with pytest.raises(ModelFileError):
        save_model(weights, card)
