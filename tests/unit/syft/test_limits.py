"""The child process answers, fails and dies as it should."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from openmined.protocol import ManifestError
from openmined.syft import DataError, LimitError, OutOfMemory, OutOfTime, run_limited


def answer(value):
    return value


def exhaust():
    hoard = []
    while True:
        hoard.append(bytearray(1 << 24))


def spin():
    while True:
        pass


def raise_data_error():
    raise DataError("a value of 7 is odd")


def raise_manifest_error():
    raise ManifestError("no manifest")


def fail():
    raise ZeroDivisionError


def die():
    os.kill(os.getpid(), signal.SIGSEGV)


def hoard_descriptors():
    files = [os.memfd_create(f"f{number}") for number in range(2000)]
    return bytes(len(files))


@pytest.mark.parametrize("value", [b"", b"abc" * 100_000, None])
def test_results_come_back(value):
    assert run_limited(answer, value, memory_mb=64, seconds=10) == value


def test_arrays_come_back():
    array = np.arange(12.0).reshape(3, 4)
    back = run_limited(answer, array, memory_mb=64, seconds=10)
    np.testing.assert_array_equal(back, array)


def test_objects_do_not_come_back():
    with pytest.raises(LimitError, match="type dict"):
        run_limited(answer, {"a": 1}, memory_mb=64, seconds=10)
    with pytest.raises(LimitError):
        run_limited(answer, np.array([object()]), memory_mb=64, seconds=10)


def test_our_errors_keep_class_and_text():
    with pytest.raises(DataError, match="a value of 7 is odd"):
        run_limited(raise_data_error, memory_mb=64, seconds=10)
    with pytest.raises(ManifestError, match="no manifest"):
        run_limited(raise_manifest_error, memory_mb=64, seconds=10)


def test_other_errors_are_limit_errors():
    with pytest.raises(LimitError, match="ZeroDivisionError"):
        run_limited(fail, memory_mb=64, seconds=10)


def test_memory_is_limited():
    with pytest.raises(OutOfMemory):
        run_limited(exhaust, memory_mb=200, seconds=20)


def test_time_is_limited():
    start = time.monotonic()
    with pytest.raises(OutOfTime):
        run_limited(spin, memory_mb=64, seconds=0.3)
    assert time.monotonic() - start < 5


def test_descriptors_are_limited():
    with pytest.raises(LimitError, match="OSError"):
        run_limited(hoard_descriptors, memory_mb=64, seconds=10)


def test_death_is_an_error():
    with pytest.raises(LimitError, match="died"):
        run_limited(die, memory_mb=64, seconds=10)


def test_no_child_is_left_behind():
    before = psutil.Process().children()
    for function in (spin, die):
        with pytest.raises(LimitError):
            run_limited(function, memory_mb=64, seconds=0.2)
    assert set(psutil.Process().children()) <= set(before)


def interrupt_itself():
    for number in (signal.SIGINT, signal.SIGTERM):  # as a terminal sends them to a whole group
        os.kill(os.getpid(), number)
    return b"went on"


def test_what_ends_the_parent_is_the_parents_affair():
    assert run_limited(interrupt_itself, memory_mb=100, seconds=30) == b"went on"


WORKERS = """
import os, signal
from openmined.syft import ForkExecutor, run_limited

def stay(*_):
    os.write(1, f"{os.getpid()}\\n".encode())
    while True:
        signal.pause()

class Stay:
    here = call = stay

def fork_further():
    list(ForkExecutor(2).run([Stay(), Stay()]))

run_limited(fork_further, memory_mb=500, seconds=600)
"""


def test_no_worker_outlives_a_killed_parent():
    with subprocess.Popen([sys.executable, "-c", WORKERS], stdout=subprocess.PIPE) as parent:
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        children = psutil.Process(parent.pid).children(recursive=True)
        assert {child.pid for child in children} > set(workers)
        parent.kill()
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, "workers went on"
    assert len(gone) == 3
