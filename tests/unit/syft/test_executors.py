"""Work done elsewhere gives what it gives here, in order; failures come back by name."""

import os
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from openmined.syft import (
    Call,
    DataError,
    ForkExecutor,
    LimitError,
    LinearRegression,
    SpecError,
    accumulate_statistics,
    array_features,
    map_arrays,
    open_executor,
    stream_statistics,
)
from openmined.syft._executors import choose_executor

CHUNKS = [(np.full((3, 2), float(number)), np.ones((3, 1))) for number in range(1, 12)]


def repeat(tick, text, times):
    for _ in range(times):
        tick()
    return [text.encode()] * times


def kill_itself(_tick):
    os.kill(os.getpid(), signal.SIGKILL)


def defect(_tick):
    raise ZeroDivisionError("a row: 4711")


def refuse(_tick):
    raise DataError("row 5: age is 'x'")


def scale(factor, array):
    return factor * array


def children():
    """Processes whose parent is this one."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = entry.read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended meanwhile
            continue
        if int(parent) == os.getpid():
            found.add(entry.parent.name)
    return found


@pytest.fixture
def no_child_left():
    before = children()
    yield
    assert children() <= before


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order(no_child_left, workers):
    ticks = []
    works = (Call(repeat, (f"{number}", number % 3 + 1)) for number in range(12))
    results = list(ForkExecutor(workers).run(works, lambda: ticks.append(1)))
    assert results == [[f"{number}".encode()] * (number % 3 + 1) for number in range(12)]
    assert len(ticks) == sum(map(len, results))


def test_large_results_pass(no_child_left):
    (found,) = map_arrays(scale, [(2.0, np.ones((1000, 900)))], ForkExecutor(2))
    np.testing.assert_array_equal(found, np.full((1000, 900), 2.0))


def test_work_is_drawn_when_there_is_room():
    drawn = []

    def works():
        for number in range(100):
            drawn.append(number)
            yield Call(repeat, ("x", 1))

    results = ForkExecutor(2).run(works(), lambda: None)
    next(results)
    assert len(drawn) <= 5
    results.close()


def test_stopping_early_leaves_no_process(no_child_left):
    results = ForkExecutor(3).run((Call(repeat, ("x", 1)) for _ in range(9)), lambda: None)
    next(results)
    results.close()


@pytest.mark.parametrize("place", [0, 1])
def test_dead_workers_are_an_error(no_child_left, place):
    works = [Call(repeat, ("fine", 1)), Call(repeat, ("fine", 2))]
    works.insert(place, Call(kill_itself, ()))
    with pytest.raises(LimitError, match=r"worker process died \(status -9\)"):
        list(ForkExecutor(2).run(works, lambda: None))


def test_our_errors_keep_class_and_text(no_child_left):
    with pytest.raises(DataError, match="row 5: age is 'x'"):
        list(ForkExecutor(2).run([Call(refuse, ())], lambda: None))


def test_texts_of_defects_stay_in_the_worker(no_child_left):
    with pytest.raises(LimitError, match="ZeroDivisionError") as caught:
        list(ForkExecutor(2).run([Call(defect, ())], lambda: None))
    assert "4711" not in str(caught.value)


def test_arrays_are_mapped_here_and_there():
    items = [(np.arange(number),) for number in range(4)]
    here = list(map_arrays(scale, items, shared=(3.0,)))
    there = list(map_arrays(scale, items, ForkExecutor(2), shared=(3.0,)))
    assert [found.tolist() for found in here] == [found.tolist() for found in there]
    assert here[3].tolist() == [0, 3, 6]


def test_statistics_are_those_of_one_process():
    alone = accumulate_statistics(CHUNKS)
    shared = accumulate_statistics(CHUNKS, ForkExecutor(3))
    np.testing.assert_array_equal(shared.gram, alone.gram)
    np.testing.assert_array_equal(shared.cross, alone.cross)
    assert shared.n == alone.n


def test_bad_batches_are_named_by_a_worker():
    with pytest.raises(DataError, match="differs from others"):
        accumulate_statistics([*CHUNKS, (np.ones((3, 4)), np.ones((3, 1)))], ForkExecutor(2))
    with pytest.raises(DataError, match="no rows"):
        accumulate_statistics([], ForkExecutor(2))


def test_streams_are_shared_and_parts_open_themselves():
    features = array_features(3)
    spec = LinearRegression(inputs=4, features=features)
    generator = np.random.default_rng(0)
    batches = []
    for rows in (40_000, 7):
        column = pa.FixedSizeListArray.from_arrays(pa.array(generator.random(3 * rows)), 3)
        batches.append(pa.record_batch({"x": column, "y": pa.array(generator.random(rows) * 3)}))
    alone = stream_statistics(spec, batches, ["y"])
    seen = []
    shared = stream_statistics(spec, batches, ["y"], seen.append, ForkExecutor(2))
    parts = [lambda: iter(batches[:1]), lambda: iter(batches[1:])]
    opened = stream_statistics(spec, parts, ["y"], None, ForkExecutor(2))
    for found in (shared, opened, stream_statistics(spec, parts, ["y"])):
        assert found.n == alone.n == 40_007
        np.testing.assert_allclose(found.gram, alone.gram)
        np.testing.assert_allclose(found.cross, alone.cross)
    assert seen == [16_384, 32_768, 40_000, 40_007]
    clipped = stream_statistics(spec, batches, ["y"], None, ForkExecutor(2), clipped=True)
    assert clipped.cross[-1, 0] < 0.9 * alone.cross[-1, 0]


def test_settings_name_an_executor():
    assert open_executor("here") is None
    assert open_executor("processes:3") == ForkExecutor(3)
    for name in ("", "threads", "processes", "processes:0", "processes:-1", "here:2"):
        with pytest.raises(SpecError, match="use here"):
            open_executor(name)
    for name in (None, 5, "processes:" + "9" * 5000, "processes:4.5", "processes:999999999"):
        with pytest.raises(SpecError, match=r"use here|512"):
            open_executor(name)
    for workers in (0, -3, 1.5, "x", None, True, float("nan"), 513):
        with pytest.raises(SpecError, match="processes = "):
            ForkExecutor(workers)
        with pytest.raises(SpecError, match="processes = "):
            choose_executor(None, workers)
    assert choose_executor(None, 1) is None
    assert choose_executor(None, 2) == choose_executor(ForkExecutor(2), 1) == ForkExecutor(2)


def test_a_name_is_no_executor():
    mapped = LinearRegression(inputs=3, features=array_features(2))
    for call in (
        lambda: choose_executor("here", 1),
        lambda: list(map_arrays(scale, [(1.0, np.ones(2))], "here")),
        lambda: accumulate_statistics(CHUNKS, "here"),
        lambda: stream_statistics(mapped, [], ["y"], executor="here"),
    ):
        with pytest.raises(SpecError, match="open_executor"):
            call()
