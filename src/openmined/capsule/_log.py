"""The log: one JSON object a line, for people with `jq` and for the devnet's display.

Nothing secret is ever passed in: identifiers, digests, counts, rounded accuracies and causes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
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


def json_lines(stream: IO[str]) -> Sink:
    """Return a sink that writes to a text stream and flushes every line."""

    def write(line: dict[str, Any]) -> None:
        stream.write(json.dumps(line, separators=(", ", ": "), default=str) + "\n")
        stream.flush()

    return write
