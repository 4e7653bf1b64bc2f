"""X archives: every past file name and form, hashtags as labels, overlapping exports."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openmined.adapters import Row, RowError, RowIndex, open_export

TIME = "Thu Nov 17 10:12:44 +0000 2022"
KEY = b"sixteen or more!"


def tweet(number: int, text: str = "hello", **more: object) -> dict[str, object]:
    return {"id_str": str(number), "full_text": text, "created_at": TIME, "lang": "en", **more}


def archive(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, text in files.items():
            out.writestr(name, text)
    return path


def js(kind: str, tweets: list[object], part: int = 0) -> str:
    return f"window.YTD.{kind}.part{part} = " + json.dumps(tweets, indent=2)


def rows_of(path: Path) -> list[Row]:
    with export(path) as opened:
        found = list(opened.rows())
    assert [item for item in found if isinstance(item, RowError)] == []
    return [item for item in found if isinstance(item, Row)]


def export(path: Path):
    opened = open_export(path)
    assert opened.adapter.name == "x"
    return opened


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data/tweets.js", js("tweets", [{"tweet": tweet(1)}])),
        ("data/tweets-part1.js", js("tweets", [{"tweet": tweet(1)}], 1)),
        ("data/tweet.js", js("tweet", [{"tweet": tweet(1)}])),
        ("tweet.js", js("tweet", [tweet(1)])),
        ("data/tweet-part2.js", js("tweet", [{"tweet": tweet(1)}], 2)),
        ("data/deleted-tweets.js", js("deleted_tweets", [{"tweet": tweet(1)}])),
        ("twitter-2020-abc/data/tweet.js", js("tweet", [{"tweet": tweet(1)}])),
        (
            "data/js/tweets/2013_04.js",
            "Grailbird.data.tweets_2013_04 =\n"
            + json.dumps(
                [{"id_str": "1", "text": "hello", "created_at": "2013-04-01 09:00:00 +0000"}]
            ),
        ),
    ],
)
def test_every_past_file_name_is_read(tmp_path: Path, name: str, text: str) -> None:
    (row,) = rows_of(archive(tmp_path / "x.zip", {name: text}))
    assert (row.values["id"], row.values["text"]) == ("1", "hello")
    assert row.place.entry == name


def test_all_parts_and_deleted_tweets_count(tmp_path: Path) -> None:
    gone = tweet(9, deleted_at="Fri Nov 18 00:00:00 +0000 2022")
    path = archive(
        tmp_path / "x.zip",
        {
            "data/tweets.js": js("tweets", [{"tweet": tweet(1)}, {"tweet": tweet(2)}]),
            "data/tweets-part1.js": js("tweets", [{"tweet": tweet(3)}], 1),
            "data/deleted-tweets.js": js("deleted_tweets", [{"tweet": gone}]),
        },
    )
    rows = {row.values["id"]: row.values for row in rows_of(path)}
    assert rows.keys() == {"1", "2", "3", "9"}
    assert rows["9"]["deleted_at"] == datetime(2022, 11, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "label", "body", "hashtags"),
    [
        ("Rain, I love it &lt;3 #Joy", "joy", "Rain, I love it <3", "joy"),
        ("what a #monday #sadness https://t.co/abc", "sadness", "what a", "monday sadness"),
        ("#joy is a word here", None, "is a word here", "joy"),
        ("we are #1 and a#b &#39;quoted&#39;", None, "we are #1 and a#b 'quoted'", ""),
        ("été #été", "été", "été", "été"),
        ("no tags", None, "no tags", ""),
    ],
)
def test_the_last_hashtag_is_the_label(
    tmp_path: Path, text: str, label: str | None, body: str, hashtags: str
) -> None:
    path = archive(
        tmp_path / "x.zip", {"data/tweets.js": js("tweets", [{"tweet": tweet(1, text)}])}
    )
    (row,) = rows_of(path)
    assert (row.values["label"], row.values["body"], row.values["hashtags"]) == (
        label,
        body,
        hashtags,
    )


def test_a_broken_tweet_is_an_error_value_and_costs_only_itself(tmp_path: Path) -> None:
    whole = js("tweets", [{"tweet": tweet(1)}, {"tweet": {"id_str": "2"}}, {"tweet": tweet(3)}, 4])
    path = archive(tmp_path / "x.zip", {"data/tweets.js": whole})
    with export(path) as opened:
        found = list(opened.rows())
    assert [isinstance(item, Row) for item in found] == [True, False, True, False]
    assert found[1].place.record == 2
    assert "created_at" in str(found[1]) or "text" in str(found[1])


def test_a_later_overlapping_export_adds_only_what_is_new(tmp_path: Path) -> None:
    first = archive(
        tmp_path / "1.zip", {"data/tweet.js": js("tweet", [{"tweet": tweet(n)} for n in range(50)])}
    )
    second = archive(
        tmp_path / "2.zip",
        {"data/tweets.js": js("tweets", [{"tweet": tweet(n)} for n in range(30, 70)])},
    )
    index = RowIndex(KEY, ("id",))
    added = []
    for path in (first, second, second):
        index.start_import()
        with export(path) as opened:
            added.append(sum(index.select_new(b).num_rows for b in opened.batches(pytest.fail)))
    assert added == [50, 20, 0]
    assert len(index) == 70
