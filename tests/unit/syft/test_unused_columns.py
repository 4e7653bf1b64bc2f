"""What a key holder hides where no weights belong is multiplied by nothing."""

import numpy as np
import pytest

from openmined.protocol import LocalSteps, PlainGradient
from openmined.syft import (
    EncryptedModel,
    LinearClassifier,
    accumulate_statistics,
    choose_parameters,
    compute_update,
    generate_keys,
)
from openmined.syft._packing import unused_slots
from openmined.syft._scales import value_bound
from openmined.syft._states import encrypt_slots
from openmined.syft._updates import apply_update, decrypt_slots

PLAIN = PlainGradient()


@pytest.fixture(scope="module", params=["one product", "two products"])
def scene(request):
    """Eleven rows of weights and three outputs (two complex columns of 256), and few rows."""
    few = request.param == "two products"
    spec = LinearClassifier(inputs=33 if few else 11, classes=("a", "b", "c"), l2=0.01)
    keys = generate_keys(choose_parameters(spec, few_rows=few), spec)
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((6 if few else 40, spec.inputs)) / 2.0
    targets = np.eye(3)[generator.integers(0, 3, len(rows))]
    return spec, keys, accumulate_statistics([(rows, targets)])


def hide(spec, keys, amplitude):
    """A model of zeros with weights in every slot column that carries none."""
    shape = keys.packing.dimension, keys.packing.columns_per_ciphertext
    hidden = np.random.default_rng(1).choice([-amplitude, amplitude], shape)
    (unused,) = unused_slots(keys.packing)
    columns = unused.reshape(shape)[0].real == 1.0
    blobs = encrypt_slots([(hidden * columns + 0j).reshape(-1)], keys)
    model = EncryptedModel.from_blobs(keys.packing, blobs, keys.parameters)
    return model, hidden, columns


@pytest.mark.parametrize("update", [PLAIN, LocalSteps(steps=5)], ids=["gradient", "local-steps"])
def test_hidden_columns_are_not_answered(scene, update):
    spec, keys, statistics = scene
    amplitude = 8.0 * value_bound(keys.parameters) / spec.inputs
    model, hidden, columns = hide(spec, keys, amplitude)
    found = compute_update(model, keys.public, statistics, update, spec.l2)
    slots = decrypt_slots(found.ciphertexts[0], keys).reshape(hidden.shape)
    matrix = apply_update(np.eye(spec.inputs)[:, :3], statistics, update, spec.l2) - apply_update(
        np.zeros((spec.inputs, 3)), statistics, update, spec.l2
    )
    # The first three columns of the matrix, as they would be read off the hidden columns.
    answers = slots[: spec.inputs, columns].real / amplitude
    signs = hidden[: spec.inputs, columns] / amplitude
    guess = answers @ np.linalg.pinv(signs)
    correlation = np.corrcoef(guess[:, :3].ravel(), matrix.ravel())[0, 1]
    assert abs(correlation) < 0.6
    assert np.linalg.norm(guess[:, :3] - matrix) > 0.5 * np.linalg.norm(matrix)
