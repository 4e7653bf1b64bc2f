"""Which processes of a storm ended without being told to, and which are left of it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "OPENMINED_SOAK_STORM"
"""In the environment of whatever a storm starts: a child can leave its session, but not this."""

_BY_SIGNAL = re.compile(r" was killed by signal (\d+)")


def was_told(death: str, sent: Collection[int]) -> bool:
    """Whether a process ended as the storm's own signals end it, by what its supervisor says.

    One that is asked to end may choose its exit code. A segmentation fault, an abort or the
    kernel's own SIGKILL for want of memory is a crash, also of a process that was asked to end.
    """
    if found := _BY_SIGNAL.search(death):
        return int(found[1]) in sent
    return signal.SIGTERM in sent


def has_said_why(death: str, log: Path) -> bool:
    """Whether a process gave up with an error message, as a command does whose node is away.

    It is started again, and has lost nothing; a crash says no such thing.
    """
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    return " ended with exit code 1;" in death and lines[-1].startswith("error: ")


def stragglers(
    sessions: Collection[int], mark: str = "", living: Collection[int] = ()
) -> list[str]:
    """Return what is left of parties that have ended.

    Args:
        sessions: of those that have ended; each party led one of its own.
        mark: of the storm. Whoever bears it has to descend from a living party.
        living: process ids of the parties that are to be there.
    """
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        with suppress(OSError, psutil.NoSuchProcess):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            session = os.getsid(process.pid)
            left = session in sessions
            if mark and session not in living and not left and _bears(process, mark):
                left = not any(parent.pid in living for parent in process.parents())
            if left:
                found.append(f"{process.pid}: {' '.join(process.info['cmdline'] or [])[:120]}")
    return found


def _bears(process: psutil.Process, mark: str) -> bool:
    with suppress(psutil.AccessDenied):  # another user's, so not ours
        return process.environ().get(MARK) == mark
    return False
