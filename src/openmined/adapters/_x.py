"""Archives of X (Twitter): the owner's tweets.

A raw sample, data/tweets.js (data/tweet.js until 2022):

    window.YTD.tweets.part0 = [
      {
        "tweet" : {
          "id_str" : "1593000000000000000",
          "full_text" : "Rain again, and I love it &lt;3 #joy",
          "created_at" : "Thu Nov 17 10:12:44 +0000 2022",
          "lang" : "en",
          "entities" : { "hashtags" : [ { "text" : "joy", "indices" : [ "32", "36" ] } ] },
          ...

Past forms: `tweet.js`, `tweet-part1.js` (2018 to 2022) and `tweets.js`, `tweets-part1.js` (since);
without the `tweet` wrapper (2018 to 2019); `deleted-tweets.js` and its parts, whose tweets carry
`deleted_at`; and data/js/tweets/2013_04.js with `text` and ISO-like times (2012 to 2018).
Source: the README of the archive itself.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openmined.adapters._json import json_elements
from openmined.adapters._records import rows_from
from openmined.adapters._rows import Rows
from openmined.adapters._schemas import published_schema
from openmined.adapters._source import Source
from openmined.adapters._text import read_text
from openmined.protocol import TableSchema

_FILES = (
    "tweet.js",
    "tweet-part*.js",
    "tweets.js",
    "tweets-part*.js",
    "deleted-tweets.js",
    "deleted-tweets-part*.js",
    "data/js/tweets/????_??.js",
)
_MARKS = (b"window.YTD.tweet", b"window.YTD.deleted_tweet", b"Grailbird.data.tweets")
_HASHTAG = re.compile(r"(?<![\w&])[#＃](\w*[^\W\d_]\w*)")
_TRAILING = re.compile(r"[#＃](\w*[^\W\d_]\w*)(?:\s+https?://\S+)*\s*$")
_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class XArchive:
    """Tweets, deleted ones included, with their hashtags and the label the author gave them."""

    name: str = "x"
    title: str = "X (Twitter) archive"
    identity: tuple[str, ...] = ("id",)

    @property
    def schema(self) -> TableSchema:
        """The published schema of the rows."""
        return published_schema("openmined/tweets@1")

    def detect(self, source: Source) -> float:
        """Sure when a file of the right name begins with the archive's own assignment."""
        heads = (source.head(entry, 512).lstrip() for entry in source.find(*_FILES)[:8])
        return 0.95 if any(head.startswith(_MARKS) for head in heads) else 0.0

    def read(self, source: Source) -> Rows:
        """Yield a row for every tweet of every part, deleted tweets where their file stands."""
        for entry in source.find(*_FILES):
            with source.open(entry) as stream:
                found = json_elements(read_text(stream), entry.name, source.limits)
                yield from rows_from(found, _values)


def _values(element: Mapping[str, Any]) -> dict[str, Any]:
    tweet = element.get("tweet", element)
    text = html.unescape(tweet["full_text"] if "full_text" in tweet else tweet["text"])
    trailing = _TRAILING.search(text)
    deleted = tweet.get("deleted_at")
    return {
        "id": str(tweet.get("id_str") or tweet["id"]),
        "created_at": parse_time(tweet["created_at"]),
        "text": text,
        "body": _body(text),
        "hashtags": " ".join(tag.lower() for tag in _HASHTAG.findall(text)),
        "label": trailing[1].lower() if trailing else None,
        "language": tweet.get("lang"),
        "is_reply": bool(tweet.get("in_reply_to_status_id") or tweet.get("in_reply_to_user_id")),
        "is_retweet": text.startswith("RT @"),
        "deleted_at": parse_time(deleted) if deleted else None,
    }


def _body(text: str) -> str:
    """Return the text without hashtags and links, so that a label cannot be read off it."""
    return " ".join(_LINK.sub(" ", _HASHTAG.sub(" ", text)).split())


def parse_time(text: str) -> datetime:
    """Read the times X has written: `Thu Nov 17 10:12:44 +0000 2022`, `2013-04-01 09:00:00 +0000`.

    Raises:
        ValueError: if it is none of them.
    """
    if text[:1].isdigit():
        form = "%Y-%m-%d %H:%M:%S %z" if " " in text else "%Y-%m-%dT%H:%M:%S.%f%z"
        return datetime.strptime(text, form)
    _, month, date, clock, offset, year = text.split()
    number = "JanFebMarAprMayJunJulAugSepOctNovDec".index(month) // 3 + 1
    return datetime.fromisoformat(f"{year}-{number:02}-{date}T{clock}{offset}")
