"""The child process answers, fails and dies as it should."""

import os
import resource
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


BAD_MEGABYTES = [-(10**6), 0, 1.5, float("nan"), "x", None, 10**9, 10**5000]
BAD_SECONDS = [-1, 0, float("nan"), float("inf"), 1e300, "x", None, 10**5000]
BAD_LIMITS = [
    *(
        pytest.param("memory_mb", value, id=f"megabytes {n}")
        for n, value in enumerate(BAD_MEGABYTES)
    ),
    *(pytest.param("seconds", value, id=f"seconds {n}") for n, value in enumerate(BAD_SECONDS)),
]


@pytest.mark.parametrize(("name", "value"), BAD_LIMITS)
def test_limits_that_are_none_are_refused_by_name(monkeypatch, name, value):
    monkeypatch.setattr(os, "fork", None)  # before anything runs
    limits = {"memory_mb": 64, "seconds": 10} | {name: value}
    with pytest.raises(LimitError, match=rf"^{name}=.{{1,50}} is no limit"):
        run_limited(answer, b"", **limits)


def processor_limits():
    return np.array(resource.getrlimit(resource.RLIMIT_CPU))


def test_processor_time_ends_with_a_signal_of_its_own():
    soft, hard = run_limited(processor_limits, memory_mb=64, seconds=2.5)
    assert (soft, hard) == (3, 4)

    def use_up():
        os.kill(os.getpid(), signal.SIGXCPU)

    with pytest.raises(OutOfTime, match="processor time"):
        run_limited(use_up, memory_mb=64, seconds=10)


def forge(data, end=lambda _: None, status=0):
    """Answer as a child does that was taken over: with these bytes, and its own way to end."""
    write = os.write

    def write_instead(descriptor, _):
        view = memoryview(data)
        while view:
            view = view[write(descriptor, view) :]
        end(descriptor)
        os._exit(status)

    os.write = write_instead
    return b""


def framed(kind, payload, length=None):
    size = len(payload) if length is None else length
    return size.to_bytes(8, "little") + kind + payload


def array_file(header, data=b"", version=b"\x01\x00"):
    head = header.encode()
    return b"\x93NUMPY" + version + len(head).to_bytes(2, "little") + head + data


def describe(shape, descr="'<f8'", fortran=False):
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}}}\n"


def test_what_a_child_writes_itself_is_read():
    """The forgeries below are refused for what they say, not for how they are written."""
    data = framed(b"b", b"abc")
    assert run_limited(forge, data, memory_mb=64, seconds=10) == b"abc"
    whole = framed(b"a", array_file(describe((2,)), np.arange(2.0).tobytes()))
    back = run_limited(forge, whole, memory_mb=64, seconds=10)
    np.testing.assert_array_equal(back, [0, 1])
    back[0] = 7  # an array of its own
    assert back.flags.aligned


@pytest.mark.parametrize("value", [b"0123456789" * 10, np.zeros(100), np.zeros((3, 4)).T])
def test_a_child_that_dies_while_it_answers_gave_no_answer(value):
    def victim():
        write = os.write

        def write_half(descriptor, data):
            write(descriptor, bytes(data[: len(data) // 2 + 1]))
            os.kill(os.getpid(), signal.SIGKILL)

        os.write = write_half
        return value

    with pytest.raises(LimitError, match=r"died in its child process \(status -9\)"):
        run_limited(victim, memory_mb=64, seconds=10)


def close_and_go_on(descriptor):
    os.close(descriptor)
    time.sleep(60)


ENDS = {
    "status 3": {"status": 3},
    "status -9": {"end": close_and_go_on},
    "status -11": {"end": lambda _: die()},
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", [b"b", b"n", b"e"])
def test_a_whole_answer_of_a_child_that_did_not_end_well_counts_for_nothing(end, kind):
    data = framed(kind, b"DataError\nthe rows")
    with pytest.raises(LimitError, match=end):
        run_limited(lambda: forge(data, **ENDS[end]), memory_mb=64, seconds=10)


FORGERIES = {
    "nothing": b"",
    "half a head": b"\x01\x02",
    "a head without a letter": (0).to_bytes(8, "little"),
    "an unknown letter": framed(b"?", b"abc"),
    "cut": framed(b"b", b"abc", 4),
    "swollen": framed(b"b", b"abc", 2),
    "a length of 2^64 - 1": b"\xff" * 8 + b"b",
    "more than the limit": framed(b"b", bytes(3 << 20)),
    "an error of no class": framed(b"e", b"KeyboardInterrupt\nnow"),
    "an error that is no class": framed(b"e", b"annotations\n"),
    "an error that is dunder": framed(b"e", b"__builtins__\n\xff"),
    "an error of nothing": framed(b"e", b""),
    "random": framed(b"a", np.random.default_rng(0).bytes(300)),
    "an array of nothing": framed(b"a", b""),
    "an array of a head": framed(b"a", array_file("")),
    "an array cut": framed(b"a", array_file(describe((2,)), bytes(15))),
    "an array swollen": framed(b"a", array_file(describe((2,)), bytes(17))),
    "an array of 8 PB": framed(b"a", array_file(describe((10**15,)), bytes(8))),
    "an array beyond 2^64": framed(b"a", array_file(describe((2**40, 2**40)), bytes(8))),
    "an array of a huge nothing": framed(b"a", array_file(describe((0, 10**30)))),
    "an array of minus one": framed(b"a", array_file(describe((-1, -1)), bytes(8))),
    "an array of many axes": framed(b"a", array_file(describe((1,) * 200), bytes(8))),
    "an array of text": framed(b"a", array_file(describe((1,), "'<U2'"), bytes(8))),
    "an array of objects": framed(b"a", array_file(describe((1,), "'|O'"), bytes(8))),
    "an array of pairs": framed(b"a", array_file(describe((1,), "[('a', '<f8')]"), bytes(8))),
    "an array of times": framed(b"a", array_file(describe((1,), "'<M8[s]'"), bytes(8))),
    "an array of void": framed(b"a", array_file(describe((1,), "'|V8'"), bytes(8))),
    "an array of a later version": framed(b"a", array_file(describe(()), bytes(8), b"\x03\x00")),
    "an array of brackets": framed(b"a", array_file("(" * 2000)),
    "an array of Python 2": framed(b"a", array_file(describe("(1L,)"), bytes(8))),
    "an array of a name": framed(b"a", array_file(describe("(exit(),)"), bytes(8))),
    "an array of digits": framed(b"a", array_file(describe("(" + "9" * 1900 + ",)"), bytes(8))),
    "a pickle": framed(b"a", b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94."),
    "a zip": framed(b"a", b"PK\x03\x04" + bytes(40)),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_answers_are_limit_errors(name):
    with pytest.raises(LimitError) as caught:
        run_limited(forge, FORGERIES[name], memory_mb=2, seconds=20)
    assert len(str(caught.value)) < 300


def test_a_forged_error_is_cut_short():
    forged = framed(b"e", b"DataError\n" + b"x" * (1 << 20))
    with pytest.raises(DataError) as caught:
        run_limited(forge, forged, memory_mb=64, seconds=20)
    assert len(str(caught.value)) < 1 << 16


def test_answers_are_no_larger_than_the_memory_allowed():
    large = bytes(3 << 20)
    with pytest.raises(LimitError):
        run_limited(answer, large, memory_mb=2, seconds=20)
    assert run_limited(answer, large, memory_mb=64, seconds=20) == large


@pytest.mark.parametrize(
    "array",
    [
        np.array(7),
        np.zeros((0, 3)),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([True, False]),
        np.arange(4, dtype=">i2"),
        np.array([1 + 2j], dtype=np.complex64),
    ],
)
def test_arrays_of_all_kinds_of_numbers_come_back(array):
    back = run_limited(answer, array, memory_mb=64, seconds=10)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)


def test_arrays_of_anything_else_do_not_come_back():
    for array in (np.array(["a"]), np.zeros(1, "M8[s]"), np.zeros(1, [("a", "f8")])):
        with pytest.raises(LimitError, match="not of numbers"):
            run_limited(answer, array, memory_mb=64, seconds=10)
