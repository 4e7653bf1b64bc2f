"""My Activity and watch history as HTML: cut into records as text, each read by `html.parser`.

A raw sample, all on one line in the original:

    <div class="outer-cell mdl-cell mdl-cell--12-col mdl-shadow--2dp"><div class="mdl-grid">
      <div class="header-cell ..."><p class="mdl-typography--title">YouTube<br></p></div>
      <div class="content-cell mdl-cell mdl-cell--6-col mdl-typography--body-1">
        Watched&nbsp;<a href="https://www.youtube.com/watch?v=abc">Rain sounds</a><br>
        <a href="https://www.youtube.com/channel/UC1">Weather</a><br>
        Apr 25, 2022, 8:09:04 PM CEST</div>
      <div class="content-cell ... mdl-typography--caption"><b>Products:</b><br>&emsp;YouTube...

Times are printed in the language of the account: see `_dates` for those that are understood.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import Any

from openmined.adapters._dates import parse_display_time
from openmined.adapters._limits import Limits
from openmined.adapters._rows import Place, RowError, shown
from openmined.adapters._text import why_broken

_START = '<div class="outer-cell'


def activity_elements(
    chunks: Iterable[str], entry: str, limits: Limits
) -> Iterator[tuple[Place, Any] | RowError]:
    """Yield each record in the form of its JSON counterpart: header, title, titleUrl, time."""
    for number, text in enumerate(_cut(chunks, limits.record_chars), start=1):
        place = Place(entry, record=number)
        if text is None:
            yield RowError(place, f"a record of more than {limits.record_chars:,} characters")
        elif reason := why_broken(text):
            yield RowError(place, reason)
        else:
            try:
                yield place, _element(text)
            except ValueError as error:
                yield RowError(place, str(error))


def _cut(chunks: Iterable[str], limit: int) -> Iterator[str | None]:
    """Yield the text of each record, None for one that is too long; the page's head goes."""
    pending, inside, too_long = "", False, False
    for chunk in chunks:
        *records, pending = (pending + chunk).split(_START)
        for record in records:
            if inside:
                yield None if too_long or len(record) > limit else record
            inside, too_long = True, False
        if len(pending) > limit:
            too_long = inside
            pending = pending[-len(_START) :]
    if inside:
        yield None if too_long else pending


def _element(text: str) -> dict[str, Any]:
    page = _Record()
    page.feed(_START + text)
    page.close()
    lines = [line for line in page.lines if "".join(line.text).strip()]
    if len(lines) < 2:
        raise ValueError(f"no activity: {shown(' '.join(line.plain for line in lines))}")
    first, *middle, last = lines
    element: dict[str, Any] = {
        "header": "".join(page.header).strip(),
        "title": first.plain,
        "time": parse_display_time(last.plain),
    }
    if first.url:
        element["titleUrl"] = first.url
    if middle:
        element["subtitles"] = [{"name": middle[0].plain, "url": middle[0].url}]
    return element


class _Line:
    """Text up to a line break, and the address of its first link."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.url: str | None = None

    @property
    def plain(self) -> str:
        return " ".join("".join(self.text).split())


class _Record(HTMLParser):
    """Collects the heading and the lines of the body; everything else is decoration."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.header: list[str] = []
        self.lines = [_Line()]
        self._part = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        names = given.get("class") or ""
        if "mdl-typography--title" in names:
            self._part = "header"
        elif tag == "div":
            is_body = "mdl-typography--body-1" in names and "text-right" not in names
            self._part = "body" if is_body else ""
        elif tag == "br" and self._part == "body":
            self.lines.append(_Line())
        elif tag == "a" and self._part == "body" and self.lines[-1].url is None:
            self.lines[-1].url = given.get("href")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("div", "p"):
            self._part = ""

    def handle_data(self, data: str) -> None:
        if self._part == "header":
            self.header.append(data)
        elif self._part == "body":
            self.lines[-1].text.append(data)
