"""JSON in bounded memory: the elements of one array, cut out of a stream and parsed one by one.

The cutting needs only brackets and strings; what stands between them is judged by `json` when the
element is parsed, so a broken element costs itself and not its neighbours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from openmined.adapters._limits import Limits
from openmined.adapters._rows import Place, RowError
from openmined.adapters._text import MANY, why_broken

_SPACE = re.compile(r"[\s,]*")
_STRING = rf'"(?:[^"\\]++|\\.){MANY}"'
_PLAIN = re.compile(rf'(?:[^"\[\]{{}}]++|{_STRING}){MANY}', re.DOTALL)
_SCALAR = re.compile(rf'(?:[^",\[\]{{}}]++|{_STRING}){MANY}', re.DOTALL)
_MEMBER = re.compile(rf'\s*("(?:[^"\\]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{{4}}){MANY}")\s*:', re.DOTALL)
_OPEN, _CLOSE = "[{", "]}"
_DECODER = json.JSONDecoder()
_CUT_SHORT = "the file ends in the middle of an element: download or export it again"


def parse_json(text: str, limits: Limits) -> Any:
    """Parse one JSON value from a stranger.

    Raises:
        ValueError: if it is malformed, has NaN or infinities, or is nested too deeply.
    """
    if text.count("[") + text.count("{") > limits.depth and _depth(text) > limits.depth:
        raise ValueError(f"nested deeper than {limits.depth}")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(f"nested deeper than {limits.depth}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _depth(text: str) -> int:
    deepest = depth = position = 0
    while position < len(text):
        position = _PLAIN.match(text, position).end()  # type: ignore[union-attr]
        char = text[position : position + 1]
        depth += (char in _OPEN) - (char in _CLOSE) if char else 0
        deepest = max(deepest, depth)
        position += 1
    return deepest


def json_elements(
    chunks: Iterable[str], entry: str, limits: Limits, key: str | None = None
) -> Iterator[tuple[Place, Any] | RowError]:
    """Yield the elements of the array a document is, or holds under `key` at its top level.

    Text before the first bracket is skipped (the `window.YTD.tweets.part0 = ` of X's files).
    """
    cutter = _Cutter(iter(chunks), limits.record_chars)
    try:
        if not cutter.enter(key):
            return
        for record, (line, text) in enumerate(cutter.elements(), start=1):
            yield _judge(Place(entry, line, record), text, limits)
    except _CannotGoOnError as error:
        yield RowError(Place(entry, cutter.line), str(error), stops=True)


def _judge(place: Place, text: str | None, limits: Limits) -> tuple[Place, Any] | RowError:
    if text is None:
        return RowError(place, f"an element of more than {limits.record_chars:,} characters")
    if reason := why_broken(text):
        return RowError(place, reason)
    try:
        return place, parse_json(text, limits)
    except ValueError as error:
        return RowError(place, f"no JSON: {error}")


class _CannotGoOnError(Exception):
    """The end of an element cannot be found, so neither can its neighbours."""


class _Cutter:
    """A window over the text that slides forward and knows its line."""

    def __init__(self, chunks: Iterator[str], limit: int) -> None:
        self._chunks, self._limit = chunks, limit
        self._text, self._at = "", 0
        self.line = 1

    def enter(self, key: str | None) -> bool:
        """Move behind the bracket of the array; False if the document holds none of that key."""
        self._skip_to_bracket()
        if self._peek() == "[":
            if key is not None:
                raise _CannotGoOnError(f"an array, where an object with {key!r} was expected")
            self._advance(1)
            return True
        if key is None:
            raise _CannotGoOnError("an object, where an array was expected")
        self._advance(1)
        return self._enter_member(key)

    def _enter_member(self, key: str) -> bool:
        while (char := self._peek_solid()) and char != "}":
            name = _MEMBER.match(self._cut() or "")
            if not name:
                raise _CannotGoOnError("a member without a name: the file is damaged")
            if self._peek() == "[" and json.loads(name[1], strict=False) == key:
                self._advance(1)
                return True
            if self._peek() and self._peek() in _OPEN:
                self._cut()
        if not char:
            raise _CannotGoOnError(_CUT_SHORT)
        return False

    def elements(self) -> Iterator[tuple[int, str | None]]:
        """Yield (line, text) of each element up to the closing bracket; None for one too long."""
        while (char := self._peek_solid()) != "]":
            if not char:
                raise _CannotGoOnError(_CUT_SHORT)
            if char == "}":
                raise _CannotGoOnError("a bracket closes that never opened: the file is damaged")
            line = self.line
            yield line, self._cut()

    def _cut(self) -> str | None:
        """Cut out one value: a bracketed one to its last bracket, any other to the next comma.

        None stands for one that was too long to keep.
        """
        if self._peek() in _OPEN:
            return self._cut_whole() or self._cut_bracketed()
        end = self._scan(_SCALAR, 0)
        return self._take(end).rstrip()

    def _cut_whole(self) -> str | None:
        """Cut out a value that is sound and wholly in the window, at the speed of `json`'s C code.

        None when it is not, for whatever reason: then the brackets decide where it ends.
        """
        try:
            _, end = _DECODER.raw_decode(self._text, self._at)
        except (ValueError, RecursionError):
            return None
        return self._take(end - self._at)

    def _cut_bracketed(self) -> str | None:
        depth, end, too_long = 0, 0, False
        while True:
            end = self._scan(_PLAIN, end)
            char = self._text[self._at + end : self._at + end + 1]
            if not char:
                raise _CannotGoOnError(_CUT_SHORT)
            end += 1
            depth += 1 if char in _OPEN else -1
            if depth == 0:
                text = self._take(end)
                return None if too_long else text
            if end > self._limit:
                self._advance(end)
                end, too_long = 0, True

    def _scan(self, pattern: re.Pattern[str], offset: int) -> int:
        """Match from `offset`, reading on while the match stops only because the text does."""
        while True:
            found = pattern.match(self._text, self._at + offset)
            end = found.end() - self._at if found else offset
            stopped = self._text[self._at + end : self._at + end + 1]
            if stopped not in ("", '"'):
                return end
            offset = end
            if not self._more():
                if stopped:
                    raise _CannotGoOnError("a text that never ends: the file is damaged")
                return end
            if len(self._text) - self._at > self._limit + (1 << 18):
                raise _CannotGoOnError(
                    f"a text of more than {self._limit:,} characters: "
                    "the rest of the file was not read"
                )

    def _skip_to_bracket(self) -> None:
        while True:
            found = re.search(r"[\[{]", self._text[self._at :])
            if found:
                self._advance(found.start())
                return
            if len(self._text) > 4096 or not self._more():
                raise _CannotGoOnError("no JSON array or object begins in this file")

    def _peek_solid(self) -> str:
        while True:
            found = _SPACE.match(self._text, self._at)
            if found and found.end() > self._at:
                self._advance(found.end() - self._at)
            if self._at < len(self._text) or not self._more():
                return self._peek()

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _advance(self, count: int) -> None:
        self.line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def _take(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._advance(count)
        return taken

    def _more(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return True
