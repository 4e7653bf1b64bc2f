"""Spotify's streaming history, the yearly one and the extended one.

Raw samples. MyData/StreamingHistory_music_0.json (StreamingHistory0.json until 2023):

    [ { "endTime" : "2023-01-02 10:15", "artistName" : "Nina Simone",
        "trackName" : "Sinnerman", "msPlayed" : 621000 }, ...

StreamingHistory_podcast_0.json has podcastName and episodeName. The extended history,
Streaming_History_Audio_2014-2017_0.json (endsong_0.json until 2023):

    [ { "ts": "2014-07-27T20:34:47Z", "username": "...", "platform": "Android OS 4.2.2",
        "ms_played": 35422, "conn_country": "GB", "ip_addr_decrypted": "...",
        "master_metadata_track_name": "Sinnerman", "spotify_track_uri": "spotify:track:...",
        "episode_name": null, "reason_start": "trackdone", "shuffle": false, ... }, ...

User name, address and browser are left out on purpose: no row needs them. Times are UTC.
Source: support.spotify.com, "Understanding my data", and the PDF in the archive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from openmined.adapters._json import json_elements
from openmined.adapters._records import rows_from
from openmined.adapters._rows import Rows
from openmined.adapters._schemas import published_schema
from openmined.adapters._source import Source
from openmined.adapters._text import read_text
from openmined.protocol import TableSchema

_FILES = (
    "StreamingHistory*.json",
    "Streaming_History_Audio_*.json",
    "Streaming_History_Video_*.json",
    "endsong*.json",
    "endvideo*.json",
)
_MARKS = (b'"msPlayed"', b'"ms_played"')


@dataclass(frozen=True, slots=True)
class Spotify:
    """What was played, when, and for how long."""

    name: str = "spotify"
    title: str = "Spotify streaming history"
    identity: tuple[str, ...] = ()

    @property
    def schema(self) -> TableSchema:
        """The published schema of the rows."""
        return published_schema("openmined/listening-history@1")

    def detect(self, source: Source) -> float:
        """Sure when a file of the right name speaks of milliseconds played."""
        heads = (source.head(entry) for entry in source.find(*_FILES)[:8])
        return 0.95 if any(mark in head for head in heads for mark in _MARKS) else 0.0

    def read(self, source: Source) -> Rows:
        """Yield a row for every stream."""
        for entry in source.find(*_FILES):
            with source.open(entry) as stream:
                found = json_elements(read_text(stream), entry.name, source.limits)
                yield from rows_from(found, _values)


def _values(stream: Mapping[str, Any]) -> dict[str, Any]:
    return _extended(stream) if "ts" in stream else _yearly(stream)


def _yearly(stream: Mapping[str, Any]) -> dict[str, Any]:
    is_podcast = "podcastName" in stream
    return {
        "ended_at": datetime.strptime(stream["endTime"], "%Y-%m-%d %H:%M").replace(tzinfo=UTC),
        "played_ms": stream["msPlayed"],
        "kind": "podcast" if is_podcast else "music",
        "title": stream["episodeName" if is_podcast else "trackName"],
        "creator": stream["podcastName" if is_podcast else "artistName"],
    }


def _extended(stream: Mapping[str, Any]) -> dict[str, Any]:
    kind, title, creator, uri = _what(stream)
    return {
        "ended_at": stream["ts"],
        "played_ms": stream["ms_played"],
        "kind": kind,
        "title": title,
        "creator": creator,
        "album": stream.get("master_metadata_album_album_name"),
        "uri": uri,
        "platform": stream.get("platform"),
        "country": stream.get("conn_country"),
        "reason_start": stream.get("reason_start"),
        "reason_end": stream.get("reason_end"),
        "shuffle": stream.get("shuffle"),
        "skipped": stream.get("skipped"),
        "offline": stream.get("offline"),
        "incognito": stream.get("incognito_mode"),
    }


def _what(stream: Mapping[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Return kind, title, creator and URI; all None where Spotify has forgotten what it was."""
    if stream.get("spotify_episode_uri") or stream.get("episode_name"):
        show, uri = stream.get("episode_show_name"), stream.get("spotify_episode_uri")
        return "podcast", stream.get("episode_name"), show, uri
    if stream.get("audiobook_uri"):
        chapter = stream.get("audiobook_chapter_title")
        return "audiobook", chapter, stream.get("audiobook_title"), stream["audiobook_uri"]
    title, uri = stream.get("master_metadata_track_name"), stream.get("spotify_track_uri")
    artist = stream.get("master_metadata_album_artist_name")
    return "music" if uri or title else None, title, artist, uri
