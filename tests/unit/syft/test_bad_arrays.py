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
    "text of numbers": np.full((20, 3), "1"),
    "dates": np.full((20, 3), "2020-01-01", dtype="datetime64[s]"),
    "masked": np.ma.masked_array(np.ones((20, 3)), mask=np.eye(20, 3)),
    "objects": np.full((20, 3), object()),
    "an integer beyond floats": [[10**400] * 3] * 20,
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


NETWORK = syft.MLPClassifier(inputs=3, hidden=4, classes=("a", "b"))


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_no_function_of_a_network_takes_what_is_no_matrix(bad):
    weights = syft.initial_weights(NETWORK)
    for function, third in (
        (lambda w, z, y: syft.mlp_gradient(w, z, y), Y),
        (lambda w, z, y: syft.mlp_pullback(w, y, z), Y),
        (lambda w, z, y: syft.mlp_tangent(w, y, z), weights),
    ):
        function(weights, Z, third)
        for arguments in ((bad, Z, third), (weights, bad, third), (weights, Z, bad)):
            with pytest.raises(syft.DataError):
                function(*arguments)
    for make in (lambda: syft.MLPEstimator(NETWORK, bad), lambda: syft.LinearEstimator(SPEC, bad)):
        with pytest.raises(syft.DataError):
            make()


@pytest.mark.parametrize("targets", [np.ones(2), np.ones((1, 2)), 5.0, np.ones((20, 1))])
def test_targets_of_a_network_are_not_repeated(targets):
    with pytest.raises(syft.DataError, match="instead of"):
        syft.mlp_gradient(syft.initial_weights(NETWORK), Z, targets)
    with pytest.raises(syft.DataError, match="instead of"):
        syft.mlp_tangent(syft.initial_weights(NETWORK), np.ones((5, 1)), Z)


@pytest.mark.parametrize(
    "compute",
    [
        lambda: syft.LinearRegression(inputs=3).fit(1e200 * Z[:, :2], Z[:, 0]),
        lambda: syft.mlp_gradient(syft.initial_weights(NETWORK), 1e200 * Z, Y),
        lambda: syft.estimator_from_weights(NETWORK, np.ones((5, 4))).predict_proba(
            1e200 * Z[:, :2]
        ),
        lambda: syft.estimator_from_weights(SPEC, np.full((3, 2), 1e200)).predict(1e200 * Z[:, :2]),
        lambda: syft.evaluate(SPEC, np.full((3, 2), 1e200), 1e200 * Z, Y),
        lambda: syft.evaluate(syft.LinearRegression(inputs=3), np.full((3, 1), 1e200), Z, Z[:, :1]),
    ],
)
def test_what_overflows_is_to_be_scaled(compute):
    with pytest.raises(syft.DataError, match="too large"):
        compute()


@pytest.mark.parametrize("l2", [1e-300, 1e-17])
def test_columns_that_depend_on_each_other_need_a_ridge(l2):
    twice = np.hstack([Z[:, :1], Z[:, :1], Z[:, 2:]])
    with pytest.raises(syft.DataError, match="larger one"):
        syft.LinearRegression(inputs=3, l2=l2).fit(twice, Z[:, 0])
    fitted = syft.LinearRegression(inputs=3, l2=1e-9).fit(twice, Z[:, 0])
    np.testing.assert_allclose(fitted.predict(twice), Z[:, 0], atol=1e-6)
    assert syft.LinearRegression(inputs=3, l2=l2).fit(Z, Z[:, 0]).score(Z, Z[:, 0]) > 0.999


def test_an_update_of_sums_beyond_doubles_or_of_another_kind_is_refused(statistics, weights):
    huge = syft.Statistics(1, np.eye(11) * 1e308, np.ones((11, 3)) * 1e308)
    wrong = [
        (weights * 1e5, huge, PlainGradient(), 0.01),
        (weights, statistics, PlainGradient(), "x"),
        (weights, statistics, "gradient", 0.01),
        (weights, None, PlainGradient(), 0.01),
    ]
    for arguments in wrong:
        with pytest.raises(syft.DataError):
            syft.apply_update(*arguments)
