"""What is no matrix of real numbers of the right shape is a `DataError`, never a wrong number."""

import numpy as np
import pytest

import openmined.syft as syft
from openmined.protocol import PlainGradient

BAD = {
    "nothing": None,
    "text": "abc",
    "a column of text": np.array(["x"]),
    "no rows": np.zeros((0, 3)),
    "another shape": np.zeros((4, 7)),
    "too deep": np.zeros((2, 2, 2)),
    "a number": 1.0,
    "ragged": [[1, 2], [3]],
    "a mapping": {},
    "not finite": np.full((20, 3), np.nan),
    "complex": np.full((3, 2), 1j),
    "complex rows": np.full((20, 3), 1j),
}
SPEC = syft.LinearClassifier(inputs=3, classes=("a", "b"), l2=0.1)
Z = np.hstack([np.random.default_rng(0).standard_normal((20, 2)), np.ones((20, 1))])
Y = np.eye(2)[np.arange(20) % 2]
W = syft.initial_weights(SPEC)


@pytest.fixture(scope="module")
def secret_keys():
    return syft.generate_keys(syft.choose_parameters(SPEC), SPEC)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_no_function_takes_what_is_no_matrix(bad, secret_keys):
    statistics = syft.accumulate_statistics([(Z, Y)])
    calls = [
        lambda: syft.encrypt_model(bad, secret_keys),
        lambda: syft.accumulate_statistics([(bad, Y)]),
        lambda: syft.accumulate_statistics([(Z, bad)]),
        lambda: syft.apply_update(bad, statistics, PlainGradient(), SPEC.l2),
        lambda: syft.evaluate(SPEC, bad, Z, Y),
        lambda: syft.evaluate(SPEC, W, bad, Y),
        lambda: syft.evaluate(SPEC, W, Z, bad),
        lambda: syft.estimator_from_weights(SPEC, bad),
        lambda: syft.release_weights(bad, secret_keys, syft.ReleaseLedger()),
        lambda: SPEC.fit(bad, ["a", "b"] * 10),
    ]
    for optimizer in (syft.SGD(0.1), syft.Adam(0.1), syft.Anderson(0.1)):
        state = optimizer.step(W, W, optimizer.start(W))[1]
        calls.append(lambda one=optimizer, state=state: one.step(W, bad, state))
        calls.append(lambda one=optimizer, state=state: one.step(bad, W, state))
    for call in calls:
        with pytest.raises(syft.DataError):
            call()


@pytest.mark.parametrize("number", [-1, 0.5, np.nan, True, "1"], ids=str)
def test_a_ledger_counts_whole_numbers_forwards(number):
    with pytest.raises(syft.DataError, match="is no count"):
        syft.ReleaseLedger().count_decryption(number)
    for name in ("decryptions", "releases", "max_decryptions", "max_releases"):
        with pytest.raises(syft.DataError, match=f"{name} = "):
            syft.ReleaseLedger(**{name: number})
