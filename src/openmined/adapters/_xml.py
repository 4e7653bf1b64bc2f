"""Large XML files from strangers: the elements below the root, one by one, in bounded memory.

The document is cut at its tags and each element given to expat on its own: a malformed element
costs itself and not its neighbours. The document type declaration is dropped unread: those of
iOS 16 are broken, and without one no entity can be declared, so none can explode.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, cast
from xml.parsers import expat

from openmined.adapters._errors import UnsafeSource
from openmined.adapters._limits import Limits
from openmined.adapters._rows import Place, RowError
from openmined.adapters._text import MANY, check_encoding, read_text, why_broken

_CHILDREN = 10_000
_TAG = re.compile(
    rf"<(?P<close>/?)(?P<name>[^\W\d][\w.\-]*+)(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+'){MANY}>"
)
_NAMED = re.compile(r"</?([\w.\-]{1,80})")
_ASIDE = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>"}
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
_ENTITY = re.compile(r"<!ENTITY", re.IGNORECASE)
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}encoding\s*=\s*[\"']([A-Za-z0-9._\-]{1,40})[\"']")
_LOOSE = re.compile(r"\s+([^\s=\"<>][^=\"<>]*?)\s*=\s*\"([^\"<]*)\"")
_LOOSE_TAG = re.compile(rf"<(?P<name>[\w.\-]+)(?:{_LOOSE.pattern})*\s*/?>")


@dataclass(slots=True)
class Element:
    """An element below the root, with the attributes of the elements right below it."""

    name: str
    attributes: dict[str, str]
    children: list[tuple[str, dict[str, str]]] = field(default_factory=list)


def xml_elements(
    stream: BinaryIO, entry: str, wanted: Collection[str], limits: Limits
) -> Iterator[tuple[Place, Element] | RowError]:
    """Yield the elements right below the root that are called one of `wanted`, in their order.

    Elements deeper down are never yielded by themselves: in Apple's exports they repeat others.

    Raises:
        UnsafeSource: if the document declares entities.
    """
    head = stream.read(1024)
    found = _DECLARED.search(head)
    encoding = check_encoding(found[1].decode()) if found else "utf-8"
    text = read_text(cast("BinaryIO", _Rejoined(head, stream)), encoding)
    tags = _Cutter(text, entry, limits.record_chars).tags()
    for piece in _pieces(tags, limits):
        place = Place(entry, piece.line)
        if piece.problem is None and piece.name not in wanted:
            continue
        if problem := piece.problem or why_broken(piece.text, encoding):
            yield RowError(place, problem, stops=not piece.name)
            continue
        try:
            yield place, parse_element(piece.text)
        except ValueError as error:
            yield RowError(place, f"malformed: {error}")


class _Rejoined:
    """A stream whose head was read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head + self._rest.read(size - len(head))


def parse_element(text: str) -> Element:
    """Parse one element with its children.

    iOS 8 wrote metadata as attributes whose names have spaces; such a tag is read loosely.

    Raises:
        ValueError: if it is malformed or has too many children.
    """
    built: list[Element] = []
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth == 1:
            built.append(Element(name, attributes))
        elif depth == 2:
            built[0].children.append((name, attributes))
            if len(built[0].children) > _CHILDREN:
                raise ValueError(f"more than {_CHILDREN:,} children")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        if loose := _loosely(text):
            return loose
        raise ValueError(expat.ErrorString(error.code)) from None
    return built[0]


def _loosely(text: str) -> Element | None:
    tag = _LOOSE_TAG.fullmatch(text)
    pairs = _LOOSE.findall(text)
    names = {name for name, _ in pairs}
    if tag is None or len(names) < len(pairs) or not any(" " in name for name in names):
        return None
    return Element(tag["name"], {name: _unescape(value) for name, value in pairs})


def _unescape(text: str) -> str:
    for written, meant in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'")):
        text = text.replace(written, meant)
    return text.replace("&amp;", "&")


@dataclass(frozen=True, slots=True)
class _Tag:
    kind: Literal["open", "close", "empty", "broken"]
    name: str
    line: int
    text: str
    """The tag itself, empty if it is broken."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """The text of one element, or what is wrong with it; a nameless one ends the document."""

    line: int
    name: str
    text: str = ""
    problem: str | None = None


def _pieces(tags: Iterator[_Tag], limits: Limits) -> Iterator[_Piece]:
    """Group the tags of a document into the elements below its root."""
    root = next(tags, None)
    if root is None or root.kind != "open":
        yield _Piece(1, "", problem="no XML document, or an empty one")
        return
    again: list[_Tag] = []
    while tag := again.pop() if again else next(tags, None):
        if tag.kind == "empty":
            yield _Piece(tag.line, tag.name, tag.text)
        elif tag.kind == "open":
            yield _collect(tag, tags, again, limits)
        elif tag.kind == "broken":
            yield _Piece(tag.line, tag.name or "?", problem="malformed: no readable tag")
        elif tag.name == root.name:
            return
        else:
            yield _Piece(
                tag.line, tag.name, problem=f"malformed: </{tag.name[:40]}> closes nothing"
            )
    yield _Piece(root.line, "", problem="the file ends in the middle: export it again")


def _collect(top: _Tag, tags: Iterator[_Tag], again: list[_Tag], limits: Limits) -> _Piece:
    """Collect an element with content up to its end, or up to the next of its kind."""
    kept, size, stack = [top.text], len(top.text), [top.name]
    problem: str | None = None
    for tag in tags:
        if tag.name == top.name and tag.kind in ("open", "empty"):
            again.append(tag)
            break
        size += len(tag.text)
        if size > limits.record_chars:
            kept.clear()
            problem = f"an element of more than {limits.record_chars:,} characters"
        kept.append(tag.text)
        if tag.kind == "broken":
            problem = problem or "malformed: a tag inside it cannot be read"
        elif tag.kind == "open" and len(stack) < limits.depth:
            stack.append(tag.name)
        elif tag.kind == "open":
            problem = problem or f"nested deeper than {limits.depth}"
        elif tag.kind == "close" and tag.name == top.name:
            return _Piece(top.line, top.name, "".join(kept), problem)
        elif tag.kind == "close" and stack.pop() != tag.name:
            problem = problem or f"malformed: </{tag.name[:40]}> closes nothing"
            stack = stack or [top.name]
    return _Piece(top.line, top.name, problem="malformed: it is never closed")


class _Cutter:
    """A window over the document that slides forward tag by tag and knows its line."""

    def __init__(self, chunks: Iterator[str], entry: str, limit: int) -> None:
        self._chunks, self._entry, self._limit = chunks, entry, limit
        self._text, self._at, self._line = "", 0, 1

    def tags(self) -> Iterator[_Tag]:
        """Yield every tag; text, comments, instructions and the type declaration go by."""
        self._pass_doctype()
        while self._find("<"):
            line = self._line
            if self._pass_aside():
                continue
            found = self._match()
            if found is None:
                named = _NAMED.match(self._text, self._at)
                self._advance(1)
                yield _Tag("broken", named[1] if named else "", line, "")
                continue
            text = found.group()
            self._advance(len(text))
            if found["close"]:
                yield _Tag("close", found["name"], line, text)
            else:
                yield _Tag("empty" if text.endswith("/>") else "open", found["name"], line, text)

    def _match(self) -> re.Match[str] | None:
        """Match a tag, reading on while it may merely be cut short by the window."""
        while True:
            found = _TAG.match(self._text, self._at)
            if found or self._text.find("<", self._at + 1) >= 0:
                return found
            if len(self._text) - self._at > self._limit or not self._more():
                return None

    def _pass_aside(self) -> bool:
        while len(self._text) - self._at < 9 and self._more():
            pass
        for begin, end in _ASIDE.items():
            if self._text.startswith(begin, self._at):
                self._advance(len(begin))
                self._find(end)
                return True
        return False

    def _pass_doctype(self) -> None:
        while len(self._text) < 4096 and self._more():
            pass
        if "<!DOCTYPE" not in self._text[:4096]:
            return
        while (found := _DOCTYPE.search(self._text)) is None:
            if len(self._text) > self._limit or not self._more():
                raise UnsafeSource(f"{self._entry}: a document type declaration without an end")
        if _ENTITY.search(found.group()):
            raise UnsafeSource(f"{self._entry}: it declares XML entities, which no export does")
        self._advance(found.end())

    def _find(self, mark: str) -> bool:
        """Move to the next `mark`, letting go of what is before it; False at the end."""
        while (at := self._text.find(mark, self._at)) < 0:
            keep = max(self._at, len(self._text) - len(mark) + 1)
            self._advance(keep - self._at)
            if not self._more():
                return False
        self._advance(at - self._at)
        return True

    def _advance(self, count: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def _more(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._text, self._at = self._text[self._at :] + chunk, 0
        return True
