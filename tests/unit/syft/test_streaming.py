"""Statistics over Arrow record batches, in the memory of a chunk."""

import resource

import numpy as np
import pyarrow as pa
import pytest

from openmined.syft import (
    DataError,
    ForkExecutor,
    LinearClassifier,
    LinearRegression,
    SpecError,
    accumulate_statistics,
    array_features,
    encode_targets,
    stream_statistics,
)
from openmined.syft._streaming import CHUNK_ROWS

FEATURES = array_features(6)
SPEC = LinearClassifier(inputs=7, classes=("a", "b"), features=FEATURES)


def make_batch(rows, seed):
    generator = np.random.default_rng(seed)
    flat = generator.standard_normal(6 * rows)
    labels = np.array(["a", "b"])[generator.integers(0, 2, rows)]
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat), 6)
    return pa.record_batch({"x": column, "y": pa.array(labels)})


def test_streams_equal_the_whole():
    batches = [make_batch(rows, seed) for seed, rows in enumerate((100, 1, 250))]
    table = pa.Table.from_batches(batches)
    seen = []
    streamed = stream_statistics(SPEC, iter(batches), ["y"], seen.append)
    Z, Y = FEATURES.transform(table), encode_targets(SPEC, table["y"])
    whole = accumulate_statistics([(Z, Y)])
    assert streamed.n == 351
    assert seen == [100, 101, 351]
    np.testing.assert_allclose(streamed.gram, whole.gram)
    np.testing.assert_allclose(streamed.cross, whole.cross)
    reader = pa.RecordBatchReader.from_batches(table.schema, batches)
    np.testing.assert_array_equal(stream_statistics(SPEC, reader, ["y"]).gram, streamed.gram)


def test_large_batches_are_cut():
    seen = []
    stream_statistics(SPEC, [make_batch(CHUNK_ROWS + 5, 0)], ["y"], seen.append)
    assert seen == [CHUNK_ROWS, CHUNK_ROWS + 5]


def test_memory_does_not_grow_with_rows():
    """Two million rows pass (96 MB of numbers); the process grows by less than half of that."""
    batch = make_batch(50_000, 0)
    stream_statistics(SPEC, [batch], ["y"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    regression = LinearRegression(inputs=7, features=FEATURES)
    numbers = batch.set_column(1, "y", pa.array(np.zeros(batch.num_rows)))
    statistics = stream_statistics(regression, (numbers for _ in range(40)), ["y"])
    assert statistics.n == 2_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48_000


def test_several_targets():
    spec = LinearRegression(inputs=7, outputs=2, features=FEATURES)
    batch = make_batch(10, 0)
    batch = batch.set_column(1, "u", pa.array(np.arange(10.0))).append_column(
        "v", pa.array(np.ones(10))
    )
    statistics = stream_statistics(spec, [batch], ["u", "v"])
    assert statistics.cross[-1].tolist() == [45.0, 10.0]


def test_bad_streams_are_refused():
    with pytest.raises(DataError, match="no rows"):
        stream_statistics(SPEC, [], ["y"])
    with pytest.raises(DataError, match="no column"):
        stream_statistics(SPEC, [make_batch(3, 0)], ["z"])
    with pytest.raises(SpecError, match="feature map"):
        stream_statistics(LinearRegression(inputs=7), [make_batch(3, 0)], ["y"])
    with pytest.raises(SpecError, match="no spec"):
        stream_statistics(None, [make_batch(3, 0)], ["y"])


@pytest.mark.parametrize("executor", [None, ForkExecutor(1)])
@pytest.mark.parametrize("targets", [[], None, "y", [1], ["y", "y"]])
def test_targets_are_named_as_the_task_has_them(targets, executor):
    with pytest.raises(DataError, match="list of one column's name"):
        stream_statistics(SPEC, [make_batch(3, 0)], targets, executor=executor)
    regression = LinearRegression(inputs=7, features=FEATURES)
    with pytest.raises(DataError):
        stream_statistics(regression, [make_batch(3, 0)], targets, executor=executor)


@pytest.mark.parametrize("executor", [None, ForkExecutor(1)])
@pytest.mark.parametrize("batches", [None, 5, [5], ["x"], [{"x": [1]}], [lambda: 5]])
def test_what_are_no_record_batches_is_refused(batches, executor):
    with pytest.raises(DataError, match="give"):
        stream_statistics(SPEC, batches, ["y"], executor=executor)
