"""Loaded by every Python process of a storm: adds an offset, kept in a file, to the wall clock."""

import mmap
import os
import struct
import time


def _shift(path: str) -> None:
    with open(path, "rb") as file:  # noqa: PTH123 - as little as can be is imported here
        offset = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    real, real_ns = time.time, time.time_ns

    def shifted() -> float:
        return real() + float(struct.unpack("d", offset[:8])[0])

    def shifted_ns() -> int:
        return real_ns() + int(struct.unpack("d", offset[:8])[0]) * 10**9

    time.time, time.time_ns = shifted, shifted_ns


if "OPENMINED_SOAK_CLOCK" in os.environ:
    _shift(os.environ["OPENMINED_SOAK_CLOCK"])
