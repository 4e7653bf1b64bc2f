"""Rows and errors as they stream out of an adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Value: TypeAlias = (
    str | int | float | bool | date | datetime | Sequence[float] | npt.NDArray[np.float64] | None
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the source a record stands: the entry, and the line or the record in it."""

    entry: str
    line: int | None = None
    """Counted from 1, as editors do."""
    record: int | None = None
    """Counted from 1, for formats without lines."""

    def __str__(self) -> str:
        parts = [self.entry]
        if self.line is not None:
            parts.append(f"line {self.line}")
        if self.record is not None:
            parts.append(f"record {self.record}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Row:
    """One record: a value, or None, for each field of the schema; a field left out is None."""

    values: Mapping[str, Value]
    place: Place


@dataclass(frozen=True, slots=True)
class RowError:
    """A record that could not become a row, and why; it stands where the row would have stood."""

    place: Place
    reason: str
    stops: bool = False
    """Nothing behind this place was read: the source ended in the middle, say."""

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


Rows: TypeAlias = Iterator[Row | RowError]
"""What `read` gives: a stream, in the order of the source."""


def shown(value: object, limit: int = 60) -> str:
    """Return a foreign value as one short printable line: no control characters, no terminal codes.

    It goes into error texts and previews, where raw text could rewrite the owner's terminal.
    """
    text = value if isinstance(value, str) else repr(value)
    text = text[: 4 * limit].encode("unicode_escape").decode("ascii") if not _plain(text) else text
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _plain(text: str) -> bool:
    return text[:1000].isprintable()
