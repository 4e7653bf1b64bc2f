"""The log: one JSON object a line, for people with `jq` and for the devnet's display.

Nothing secret is ever passed in: identifiers, digests, counts, rounded accuracies and causes.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

Sink = Callable[[dict[str, Any]], None]


class Log:
    """Writes what happens, at once, to every sink."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks
        self._said: dict[str, str] = {}

    def write(self, event: str, **facts: Any) -> None:
        """Write one line: time, event and facts (plain JSON values)."""
        line = {"at": round(time.time(), 3), "event": event, **facts}
        for sink in self._sinks:
            sink(line)

    def write_change(self, subject: str, event: str, **facts: Any) -> None:
        """Write a line only if it says something else about the subject than the last one did.

        A loop that waits says so once, not every second.
        """
        said = json.dumps([event, facts], sort_keys=True, default=str)
        if self._said.get(subject) != said:
            self._said[subject] = said
            self.write(event, **facts)

    def forget_change(self, subject: str) -> None:
        """Let the next line about a subject be written, whatever it says."""
        self._said.pop(subject, None)


def json_lines(stream: IO[str]) -> Sink:
    """Return a sink that writes to a text stream and flushes every line."""

    def write(line: dict[str, Any]) -> None:
        stream.write(_encode(line))
        stream.flush()

    return write


def log_file(path: Path, max_bytes: int = 16 << 20) -> Sink:
    """Return a sink that appends to a file of mode 0600; the one before it is kept beside it.

    A full disk stops no work for want of a log line.
    """

    def write(line: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            if path.exists() and path.stat().st_size > max_bytes:
                path.replace(path.with_name(path.name + ".1"))
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(_encode(line))

    return write


def _encode(line: dict[str, Any]) -> str:
    return json.dumps(line, separators=(", ", ": "), default=str) + "\n"
