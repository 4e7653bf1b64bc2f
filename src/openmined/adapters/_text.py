"""Bytes to text: encodings, lines, and the records that are not what they claim to be."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from openmined.adapters._errors import MappingError

MANY = "*+" if sys.version_info >= (3, 11, 5) else "*"
"""Repeats a group: possessively, for memory's sake, where Python gets that right
(https://github.com/python/cpython/issues/106052). What is repeated has one reading only, so the
time taken is the same."""
_CHUNK = 1 << 18
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NOT_TEXT = {
    "idna",
    "punycode",
    "unicode-escape",
    "raw-unicode-escape",
    "utf-7",
    "undefined",
    "mbcs",
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_LEFTOVER = "\udcff"
"""Stands for bytes that end in the middle of a character."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its line feed, or, when `text` is None, one that was too long to keep."""

    number: int
    text: str | None
    length: int


def check_encoding(name: str) -> str:
    """Return the normal name of a text encoding.

    Raises:
        MappingError: if Python knows none of that name.
    """
    try:
        normal = codecs.lookup(name).name
        "".encode(normal)
    except (LookupError, TypeError):
        normal = "undefined"
    if normal in _NOT_TEXT:
        raise MappingError(f"no text encoding is named {name!r}; try utf-8, cp1252 or utf-16")
    return normal


def read_text(stream: BinaryIO, encoding: str = "utf-8") -> Iterator[str]:
    """Decode a stream in chunks; a byte order mark overrules `encoding`.

    Bytes that are no text become lone surrogates, so that one bad byte costs one record and not
    the file: `why_broken` finds them again.
    """
    first = stream.read(_CHUNK)
    skip = 0
    for mark, marked in _BOMS:
        if first.startswith(mark):
            encoding, skip = marked, len(mark)
            break
    wide = encoding.startswith(("utf-16", "utf-32"))
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass" if wide else "surrogateescape")
    yield decoder.decode(first[skip:])
    while data := stream.read(_CHUNK):
        yield decoder.decode(data)
    if decoder.getstate()[0]:
        yield _LEFTOVER


def split_lines(chunks: Iterable[str], limit: int) -> Iterator[Line]:
    """Split text at line feeds in bounded memory; a carriage return before one stays."""
    number, pending, dropped = 1, "", 0
    for chunk in chunks:
        *complete, rest = (pending + chunk).split("\n")
        for text in complete:
            yield _line(number, text, dropped, limit)
            number, dropped = number + 1, 0
        pending = rest
        if dropped or len(pending) > limit:
            dropped, pending = dropped + len(pending), ""
    if pending or dropped:
        yield _line(number, pending, dropped, limit)


def _line(number: int, text: str, dropped: int, limit: int) -> Line:
    length = len(text) + dropped
    return Line(number, None if length > limit else text, length)


def why_broken(text: str, encoding: str = "utf-8") -> str | None:
    """Say why text is not what its encoding promised; None if it is."""
    found = None if text.isascii() else _SURROGATE.search(text)
    if found is None:
        return None
    code = ord(found.group())
    if not 0xDC80 <= code <= 0xDCFF:
        return f"half a character (U+{code:04X}): the text was cut in the middle of it"
    return f"byte 0x{code - 0xDC00:02X} is not {encoding.upper()}: {_guess(text)}"


def _guess(text: str) -> str:
    raw = [ord(char) - 0xDC00 for char in text if "\udc80" <= char <= "\udcff"]
    if text.count("\0") * 3 > len(text):
        return "this looks like UTF-16 without a byte order mark, say so: encoding utf-16-le"
    if any(0x80 <= byte < 0xA0 for byte in raw):
        return "this looks like Windows-1252, say so: encoding cp1252"
    return "this looks like Latin-1 or Windows-1252, say so: encoding cp1252"
