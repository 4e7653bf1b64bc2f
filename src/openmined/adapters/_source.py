"""A source: one file, a folder or a zip archive, seen as a flat list of named entries.

Nothing is ever unpacked to disk, no link is followed, no archive inside an archive is opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from openmined.adapters._errors import LimitExceeded, SourceError
from openmined.adapters._limits import Limits

_ARCHIVES = (".zip", ".tgz", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in a source; `name` is a relative path with forward slashes."""

    name: str
    size: int

    @property
    def base(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The name without its last part; empty at the top."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that is there and will not be read, and why."""

    name: str
    reason: str


@dataclass(slots=True)
class Source:
    """Entries of an export and the way to read them. Use it as a context manager."""

    name: str
    entries: tuple[Entry, ...]
    opener: Callable[[Entry], BinaryIO]
    limits: Limits = field(default_factory=Limits)
    refused: tuple[Refused, ...] = ()
    locate: Callable[[Entry], Path | None] = lambda _: None
    """The path of an entry that is a plain file on disk, None inside an archive."""
    closer: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closer()

    def find(self, *patterns: str) -> tuple[Entry, ...]:
        """Return the entries whose path matches a pattern, at any depth, letter case ignored.

        `*` and `?` stay within one path segment: `data/tweets*.js` finds `X/data/tweets-part1.js`.
        """
        matchers = [_matcher(pattern) for pattern in patterns]
        return tuple(e for e in self.entries if any(m(e.name) for m in matchers))

    @contextmanager
    def open(self, entry: Entry) -> Iterator[BinaryIO]:
        """Open an entry for reading.

        Raises:
            SourceError: if it cannot be opened, is encrypted, or is no plain file.
        """
        try:
            stream = self.opener(entry)
        except OSError as error:
            raise SourceError(f"{entry.name}: {error.strerror or error}") from error
        with stream:
            yield stream

    def head(self, entry: Entry, size: int = 4096) -> bytes:
        """Return the first bytes of an entry: enough to tell what it is."""
        with self.open(entry) as stream:
            return stream.read(size)

    def read_whole(self, entry: Entry) -> bytes:
        """Return a small entry as a whole.

        Raises:
            LimitExceeded: if it is larger than `limits.memory_bytes`.
        """
        most = self.limits.memory_bytes
        with self.open(entry) as stream:
            data = stream.read(most + 1)
        if len(data) > most:
            raise LimitExceeded(
                f"{entry.name}: more than {most:,} bytes cannot be held in memory; "
                "unpack the archive and import the file itself"
            )
        return data


def _matcher(pattern: str) -> Callable[[str], bool]:
    wild = {"*": "[^/]*", "?": "[^/]"}
    expression = "".join(wild.get(char) or re.escape(char) for char in pattern)
    compiled = re.compile(rf"(?:.*/)?{expression}", re.IGNORECASE | re.DOTALL)
    return lambda name: compiled.fullmatch(name) is not None


def is_archive(name: str) -> bool:
    """Tell by its name whether an entry is an archive of its own."""
    return name.lower().endswith(_ARCHIVES)


def is_litter(name: str) -> bool:
    """Tell what operating systems leave behind and nobody calls data."""
    parts = name.split("/")
    return parts[0] == "__MACOSX" or parts[-1] in {".DS_Store", "Thumbs.db", "desktop.ini"}
