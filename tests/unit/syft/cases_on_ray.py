"""The same functions on a local Ray cluster; run by `test_ray.py` in a process of its own."""

import functools
import secrets

import numpy as np
import pyarrow as pa
import pytest

from openmined.syft import (
    Call,
    DataError,
    LimitError,
    LinearClassifier,
    LinearRegression,
    MLPClassifier,
    RayExecutor,
    accumulate_statistics,
    apply_update,
    array_features,
    choose_parameters,
    compute_mlp_update,
    compute_update,
    decrypt_update,
    encode_targets,
    encrypt_model,
    generate_keys,
    initial_weights,
    map_arrays,
    mlp_gradient,
    open_executor,
    stream_statistics,
)

pytestmark = [
    # Ray leaves its sockets and subprocesses to the interpreter's end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers on this machine; its token is kept out of the home folder."""
    token = tmp_path_factory.mktemp("ray") / "token"
    token.write_text(secrets.token_hex(32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        with RayExecutor(workers=2) as executor:
            yield executor


def make_batches(label):
    generator = np.random.default_rng(0)
    for rows in (20_000, 9):
        column = pa.FixedSizeListArray.from_arrays(pa.array(generator.random(6 * rows)), 6)
        yield pa.record_batch({"x": column, label: pa.array(generator.choice(["a", "b"], rows))})


def test_statistics_on_a_cluster(cluster):
    spec = LinearClassifier(inputs=7, classes=("a", "b"), features=array_features(6))
    alone = stream_statistics(spec, make_batches("y"), ["y"])
    seen = []
    shared = stream_statistics(spec, make_batches("y"), ["y"], seen.append, cluster)
    parts = [functools.partial(make_batches, "y")] * 2
    opened = stream_statistics(spec, parts, ["y"], executor=cluster)
    assert seen == [16_384, 20_000, 20_009]
    assert opened.n == 2 * shared.n == 2 * alone.n
    np.testing.assert_allclose(shared.gram, alone.gram)
    np.testing.assert_allclose(opened.cross, 2 * alone.cross)


@pytest.mark.parametrize("rows", [300, 8])
def test_linear_update_on_a_cluster(cluster, bits, rows):
    spec = LinearRegression(inputs=64, outputs=3)
    keys = generate_keys(choose_parameters(spec, few_rows=True), spec)
    generator = np.random.default_rng(0)
    X = generator.standard_normal((rows, 64))
    statistics = accumulate_statistics([(X, X[:, :3])])
    W = 0.1 * generator.standard_normal((64, 3))
    seen = []
    gradient = compute_update(
        encrypt_model(W, keys),
        keys.public,
        statistics,
        spec.update,
        spec.l2,
        lambda done, total: seen.append((done, total)),
        executor=cluster,
    )
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)]
    assert (
        bits(decrypt_update(gradient, keys), apply_update(W, statistics, spec.update, spec.l2))
        >= 12
    )


def test_network_gradient_on_a_cluster(cluster, bits):
    spec = MLPClassifier(inputs=5, hidden=64, classes=("a", "b"))
    keys = generate_keys(choose_parameters(spec), spec)
    generator = np.random.default_rng(0)
    X = generator.standard_normal((200, 5))  # two blocks of 128
    Y = encode_targets(spec, generator.choice(["a", "b"], 200))
    W = initial_weights(spec)
    model = encrypt_model(W, keys)
    gradient = compute_mlp_update(model, keys.public, X, Y, executor=cluster)
    assert bits(decrypt_update(gradient, keys), mlp_gradient(W, X, Y)) >= 6


def test_scores_on_a_cluster(cluster):
    truth = np.arange(6.0)
    guesses = [truth + error for error in (0.0, 1.0, 2.0)]
    found = map_arrays(mean_error, [(guess,) for guess in guesses], cluster, shared=(truth,))
    assert [float(error) for error in found] == [0.0, 1.0, 2.0]


def mean_error(truth, guess):
    return np.abs(truth - guess).mean()


def refuse(_tick):
    raise DataError("row 5: age is 'x'")


def fail(_tick):
    raise ZeroDivisionError


def test_errors_come_back_by_name(cluster):
    with pytest.raises(DataError, match="row 5: age is 'x'"):
        list(cluster.run([Call(refuse, ())], lambda: None))
    with pytest.raises(LimitError, match="worker on the Ray cluster failed"):
        list(cluster.run([Call(fail, ())], lambda: None))


def test_a_setting_joins_the_cluster_in_use(cluster):
    assert open_executor("ray").workers == cluster.workers
