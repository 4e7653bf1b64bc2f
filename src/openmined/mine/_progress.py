"""Progress: one JSON object a line, to logs/mine.jsonl and whoever listens. Never a secret.

    {"at": "2026-01-05T12:00:00.123Z", "mine": "hospital-3", "step": "submitted", "campaign": 1}

`step` is a value of `Step`, or one of `started`, `stopped`, `training`, `waiting`, `problem`,
`withdrawn`, `reorganised`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from openmined.mine._ledger import now_text
from openmined.mine._steps import Step

Listener = Callable[[dict[str, Any]], None]
_MAX_LOG_BYTES = 32 << 20


class ProgressLog:
    """Appends progress lines. Safe across fork: each line is one write."""

    def __init__(self, path: Path, mine: str, listener: Listener | None = None) -> None:
        self._mine = mine
        self._listener = listener
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
            path.replace(path.with_suffix(".jsonl.1"))
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def say(self, step: Step | str, **facts: Any) -> None:
        """Write one line. Facts are numbers, short texts, booleans or lists of these."""
        name = step.value if isinstance(step, Step) else step
        line = {"at": now_text(), "mine": self._mine, "step": name, **facts}
        data = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
        # A full disk must not stop the mine from following what it has sent.
        with suppress(OSError):
            os.write(self._file, data.encode())
        if self._listener is not None:
            self._listener(line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
