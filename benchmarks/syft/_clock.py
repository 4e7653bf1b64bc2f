"""Time, memory and precision, and what tells a reader that work goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

_SAY_EVERY_S = 5.0


class Clock:
    """Wall and processor seconds since it was made: on a busy machine they differ."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """Wall time."""
        return time.perf_counter() - self._start[0]

    @property
    def cpu_seconds(self) -> float:
        """Processor time of this process."""
        return round(time.process_time() - self._start[1], 4)


def best_of(repeat: int, function: Callable[[], T]) -> tuple[float, float, T]:
    """Return the best wall and the best processor seconds of a few runs, and the last result."""
    walls, processors = [], []
    for _ in range(repeat):
        clock = Clock()
        result = function()
        walls.append(clock.seconds)
        processors.append(clock.cpu_seconds)
    return min(walls), min(processors), result


def peak_mb() -> int:
    """Return this process's largest resident size since the last call, and forget it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    return round(int(status["VmHWM"].split()[0]) / 1024)


def bits_of(found: Any, wanted: Any) -> float:
    """Return the precision of `found` in bits, relative to the largest entry wanted."""
    return round(float(np.log2(np.abs(wanted).max() / np.abs(found - wanted).max())), 1)


class Voice:
    """Says on standard error how far something is, once in a while."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last = time.monotonic()

    def say(self, text: str) -> None:
        """Say it, unless something was said a moment ago."""
        now = time.monotonic()
        if now - self._last >= _SAY_EVERY_S:
            self._last = now
            print(f"  ... {self._what}: {text}", file=sys.stderr, flush=True)
