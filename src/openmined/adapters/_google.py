r"""Google Takeout: My Activity, YouTube's watch history, Chrome's history.

Folders and files are named in the language of the account (`Meine Aktivitäten/Google Suche/
MeineAktivitäten.json`, `YouTube und YouTube Music/Verlauf/Wiedergabeverlauf.json`), so files are
known by what they hold.

Raw samples. My Activity/Search/MyActivity.json and YouTube .../history/watch-history.json:

    [{
      "header": "YouTube",
      "title": "Watched Rain sounds",
      "titleUrl": "https://www.youtube.com/watch?v\u003dabc",
      "subtitles": [{ "name": "Weather", "url": "https://www.youtube.com/channel/UC1" }],
      "time": "2022-04-25T18:09:04.784Z",
      "products": ["YouTube"],
      "activityControls": ["YouTube watch history"]
    }, ...

The same as HTML, which is what Takeout gives unless told otherwise: see `_activity_html`.
Chrome/History.json (BrowserHistory.json until 2023):

    { "Browser History": [ { "page_transition": "LINK", "title": "Rain", "url": "https://...",
        "client_id": "...", "time_usec": 1650909600000000 }, ... ], "Session": [ ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from openmined.adapters._activity_html import activity_elements
from openmined.adapters._json import json_elements
from openmined.adapters._records import rows_from
from openmined.adapters._rows import Place, RowError, Rows
from openmined.adapters._schemas import published_schema
from openmined.adapters._source import Entry, Source
from openmined.adapters._text import read_text
from openmined.protocol import TableSchema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD = 1 << 14
_WATCH = re.compile(rb"youtube\.com/watch\?v|music\.youtube\.com/watch")
_SEARCH = re.compile(rb"youtube\.com/results\?search_query")
_WATCH_NAMES = ("watch-history", "wiedergabeverlauf", "kijkgeschiedenis", "观看记录")
_HISTORY_KEY = b'"Browser History"'
_WATCHED = (
    re.compile(r"(?:Watched|Vous avez regardé|Has visto|Hai guardato)\s(.+)", re.DOTALL),
    re.compile(r"(.+)\s(?:angesehen|bekeken)", re.DOTALL),
)
"""How the export says "watched": English, French, Spanish, Italian; German, Dutch."""


@dataclass(frozen=True, slots=True)
class GoogleActivity:
    """What the owner did in Google's products, from every My Activity file."""

    name: str = "google-activity"
    title: str = "Google Takeout: My Activity"
    identity: tuple[str, ...] = ()

    @property
    def schema(self) -> TableSchema:
        """The published schema of the rows."""
        return published_schema("openmined/activity-log@1")

    def detect(self, source: Source) -> float:
        """Sure when a file holds activities and is no YouTube history."""
        return 0.9 if next(_activity_files(source), None) else 0.0

    def read(self, source: Source) -> Rows:
        """Yield a row for every activity, JSON and HTML alike."""
        for entry in _activity_files(source):
            yield from rows_from(_activities(source, entry), _activity)


@dataclass(frozen=True, slots=True)
class YouTubeHistory:
    """What was watched on YouTube and YouTube Music."""

    name: str = "youtube-history"
    title: str = "Google Takeout: YouTube watch history"
    identity: tuple[str, ...] = ()

    @property
    def schema(self) -> TableSchema:
        """The published schema of the rows."""
        return published_schema("openmined/video-history@1")

    def detect(self, source: Source) -> float:
        """Sure when a file in YouTube's folder holds watched videos."""
        return 0.9 if next(_watch_files(source), None) else 0.0

    def read(self, source: Source) -> Rows:
        """Yield a row for everything watched; a removed video has no address."""
        for entry in _watch_files(source):
            yield from rows_from(_activities(source, entry), _video)


@dataclass(frozen=True, slots=True)
class ChromeHistory:
    """Which pages were visited in Chrome."""

    name: str = "chrome-history"
    title: str = "Google Takeout: Chrome history"
    identity: tuple[str, ...] = ()

    @property
    def schema(self) -> TableSchema:
        """The published schema of the rows."""
        return published_schema("openmined/web-history@1")

    def detect(self, source: Source) -> float:
        """Sure when a file has Chrome's own key."""
        return 0.9 if next(_chrome_files(source), None) else 0.0

    def read(self, source: Source) -> Rows:
        """Yield a row for every visit."""
        for entry in _chrome_files(source):
            with source.open(entry) as stream:
                text = read_text(stream)
                found = json_elements(text, entry.name, source.limits, key="Browser History")
                yield from rows_from(found, _visit)


def _candidates(source: Source, *patterns: str) -> Iterator[tuple[Entry, bytes]]:
    """Yield the small number of files that may be ours with their heads.

    Takeout describes each photo in a JSON file of its own (IMG_1.jpg.json): those are left aside
    unopened, or a large archive would take minutes to look through.
    """
    for entry in source.find(*patterns):
        stem = entry.base.rpartition(".")[0]
        if "." not in stem and entry.name.count("/") <= 6:
            yield entry, source.head(entry, _HEAD)


def _activity_files(source: Source) -> Iterator[Entry]:
    for entry, head in _candidates(source, "*.json", "*.html"):
        if _holds_activities(head) and not _is_youtube_history(entry):
            yield entry


def _watch_files(source: Source) -> Iterator[Entry]:
    for entry, head in _candidates(source, "*.json", "*.html"):
        if not _holds_activities(head) or not _is_youtube_history(entry):
            continue
        if len(_WATCH.findall(head)) > len(_SEARCH.findall(head)):
            yield entry


def _chrome_files(source: Source) -> Iterator[Entry]:
    for entry, head in _candidates(source, "*.json"):
        if _HISTORY_KEY in head:
            yield entry


def _holds_activities(head: bytes) -> bool:
    is_json = head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"[")
    if is_json:
        return b'"header"' in head and b'"title"' in head and b'"time"' in head
    return b"mdl-typography--title" in head and b"<html" in head[:200].lower()


def _is_youtube_history(entry: Entry) -> bool:
    """Tell YouTube's own folder from the YouTube file of My Activity."""
    *above, _ = ["", *entry.folder.split("/")]
    in_folder = bool(above) and above[-1].lower().startswith("youtube")
    return in_folder or entry.base.lower().startswith(_WATCH_NAMES)


def _activities(source: Source, entry: Entry) -> Iterator[tuple[Place, Any] | RowError]:
    with source.open(entry) as stream:
        read = activity_elements if entry.name.lower().endswith(".html") else json_elements
        yield from read(read_text(stream), entry.name, source.limits)


def _activity(element: Mapping[str, Any]) -> dict[str, Any]:
    subtitles = element.get("subtitles") or [{}]
    return {
        "time": element["time"],
        "product": element.get("header"),
        "title": _spaced(element["title"]),
        "url": element.get("titleUrl"),
        "subtitle": _spaced(subtitles[0].get("name")),
        "subtitle_url": subtitles[0].get("url"),
    }


def _video(element: Mapping[str, Any]) -> dict[str, Any]:
    values = _activity(element)
    return {
        "time": values["time"],
        "product": values["product"],
        "title": _bare_title(values["title"]),
        "url": values["url"],
        "channel": values["subtitle"],
        "channel_url": values["subtitle_url"],
    }


def _bare_title(title: str) -> str:
    for form in _WATCHED:
        if found := form.fullmatch(title):
            return found[1]
    return title


def _visit(element: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "time": _EPOCH + timedelta(microseconds=element["time_usec"]),
        "url": element["url"],
        "title": element.get("title"),
        "transition": element.get("page_transition"),
    }


def _spaced(text: str | None) -> str | None:
    return None if text is None else text.replace("\xa0", " ")
