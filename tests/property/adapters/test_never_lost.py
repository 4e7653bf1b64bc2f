"""No adapter loses or invents a row: what goes into an export comes out, or an error in its place.

Records are drawn, written in the form of an export with some of them broken, and read back through
windows of a few bytes, so that every boundary falls everywhere.
"""

from __future__ import annotations

import csv
import html
import io
import json
import sqlite3
import string
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock
from xml.sax.saxutils import quoteattr

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmined.adapters import Row, RowError, open_export

settings.register_profile("adapters", deadline=None, max_examples=60)
settings.load_profile("adapters")
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
PLAIN = st.text(
    string.ascii_letters + string.digits + " äß😀&<>\"'\\{}[],;", min_size=1, max_size=20
)
TIMES = st.datetimes(datetime(2001, 1, 1), datetime(2037, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
BROKEN = object()
"""Stands for a record that is written broken and has to come out as an error."""


def records(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.one_of(st.fixed_dictionaries(fields), st.just(BROKEN)), max_size=8)


def read_back(
    name: str, data: bytes, adapter: str, chunk: int, mapping: dict[str, Any] | None = None
) -> list[Row | RowError]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        given_mapping = None
        if mapping is not None:
            given_mapping = Path(folder) / "mapping.json"
            given_mapping.write_text(json.dumps(mapping))
        source = path if "/" not in name else Path(folder)
        with (
            mock.patch("openmined.adapters._text._CHUNK", chunk),
            open_export(source, adapter=adapter, mapping=given_mapping) as export,
        ):
            return list(export.rows())


def assert_kept(
    drawn: list[Any], found: list[Row | RowError], expect: Callable[[Any], Any]
) -> None:
    """Each good record is a row with the expected values, each broken one an error, in order."""
    assert len(found) == len(drawn)
    for record, item in zip(drawn, found, strict=True):
        assert isinstance(item, RowError if record is BROKEN else Row), item
        if record is not BROKEN:
            wanted = expect(record)
            assert {key: item.values[key] for key in wanted} == wanted


CHUNKS = st.integers(5, 300)


@given(
    records(name=TEXT, n=st.integers(-(2**63), 2**63 - 1)),
    CHUNKS,
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
)
def test_csv(drawn: list[Any], chunk: int, delimiter: str, end: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writerow(["name", "n"])
    for record in drawn:
        writer.writerow(
            ["too", "many", "cells"] if record is BROKEN else [record["name"], record["n"]]
        )
    schema = {"fields": [{"name": "name", "type": "string"}, {"name": "n", "type": "integer"}]}
    mapping = {"schema": schema, "delimiter": delimiter}
    found = read_back("a.csv", out.getvalue().encode(), "csv", chunk, mapping)
    assert_kept(drawn, found, lambda r: {"name": r["name"] or None, "n": r["n"]})


@given(
    records(name=TEXT, x=st.floats(allow_nan=False, allow_infinity=False)), CHUNKS, st.booleans()
)
def test_json_lines_and_json_arrays(drawn: list[Any], chunk: int, is_array: bool) -> None:
    broken = '{"name": "a", "x": NaN}'
    lines = [broken if r is BROKEN else json.dumps(r, ensure_ascii=bool(chunk % 2)) for r in drawn]
    schema = {"fields": [{"name": "name", "type": "string"}, {"name": "x", "type": "number"}]}
    text = "[" + " ,\n".join(lines) + "]" if is_array else "\n".join(lines)
    name = "a.json" if is_array else "a.jsonl"
    if not any(record is not BROKEN for record in drawn):
        return  # no record, no column: nothing to bind a mapping to
    found = read_back(name, text.encode(), "jsonl", chunk, {"schema": schema})
    assert_kept(drawn, found, lambda r: r)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "s": st.none() | TEXT,
                "i": st.none() | st.integers(-(2**63), 2**63 - 1),
                "x": st.none() | st.floats(allow_nan=True),
                "b": st.none() | st.booleans(),
                "t": st.none() | TIMES,
            }
        ),
        max_size=20,
    )
)
def test_parquet_by_rows_and_by_columns(drawn: list[dict[str, Any]]) -> None:
    types = pa.schema(
        [
            ("s", pa.large_string()),
            ("i", pa.int64()),
            ("x", pa.float64()),
            ("b", pa.bool_()),
            ("t", pa.timestamp("ms", tz="Europe/Berlin")),
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        pq.write_table(pa.Table.from_pylist(drawn, types), path, row_group_size=7)
        with open_export(path) as export:
            by_rows = list(export.rows())
            errors: list[RowError] = []
            batches = [row for batch in export.batches(errors.append) for row in batch.to_pylist()]
    good = [dict(item.values) for item in by_rows if isinstance(item, Row)]
    assert len(by_rows) == len(drawn)
    assert batches == good
    assert [str(error) for error in errors] == [str(e) for e in by_rows if isinstance(e, RowError)]
    assert good == [r for r in drawn if r["x"] is None or abs(r["x"]) < float("inf")]


@given(records(text=PLAIN, id=st.integers(1, 2**63), time=TIMES), CHUNKS)
def test_x_archives(drawn: list[Any], chunk: int) -> None:
    def tweet(record: Any) -> Any:
        if record is BROKEN:
            return {"tweet": {"id_str": "1"}}
        time = record["time"].strftime("%a %b %d %H:%M:%S +0000 %Y")
        text = html.escape(record["text"], quote=False)
        return {"tweet": {"id_str": str(record["id"]), "full_text": text, "created_at": time}}

    data = "window.YTD.tweets.part0 = " + json.dumps([tweet(r) for r in drawn], indent=chunk % 3)
    found = read_back("data/tweets.js", data.encode(), "x", chunk)
    assert_kept(
        drawn,
        found,
        lambda r: {"id": str(r["id"]), "text": r["text"], "created_at": r["time"]},
    )


@given(records(value=st.integers(0, 300), source=PLAIN, time=TIMES), CHUNKS)
def test_apple_health(drawn: list[Any], chunk: int) -> None:
    def record(r: Any) -> str:
        if r is BROKEN:
            return '<Record type="HKQuantityTypeIdentifierHeartRate" value="1" value="2"/>'
        time = r["time"].strftime("%Y-%m-%d %H:%M:%S +0000")
        return (
            f'<Record type="HKQuantityTypeIdentifierHeartRate" startDate="{time}" endDate="{time}" '
            f'sourceName={quoteattr(r["source"])} value="{r["value"]}"/>'
        )

    correlation = "<Correlation>" + record(BROKEN if not drawn else drawn[0]) + "</Correlation>"
    inner = "\n ".join(record(r) for r in drawn)
    extra = correlation if drawn and drawn[0] is not BROKEN else ""
    text = f'<?xml version="1.0"?>\n<HealthData>\n {inner}\n {extra}</HealthData>\n'
    found = read_back("export.xml", text.encode(), "apple-health", chunk)
    assert_kept(
        drawn,
        found,
        lambda r: {"start": r["time"], "value": r["value"], "source": r["source"]},
    )


@given(records(title=PLAIN, ms=st.integers(0, 2**40), time=TIMES), CHUNKS, st.booleans())
def test_spotify(drawn: list[Any], chunk: int, is_extended: bool) -> None:
    def stream(r: Any) -> Any:
        if r is BROKEN:
            return {"trackName": "no time"}
        if is_extended:
            time = r["time"].strftime("%Y-%m-%dT%H:%M:%SZ")
            return {"ts": time, "ms_played": r["ms"], "master_metadata_track_name": r["title"]}
        time = r["time"].strftime("%Y-%m-%d %H:%M")
        return {"endTime": time, "msPlayed": r["ms"], "artistName": "a", "trackName": r["title"]}

    name = "endsong_0.json" if is_extended else "StreamingHistory0.json"
    found = read_back(name, json.dumps([stream(r) for r in drawn]).encode(), "spotify", chunk)
    cut = (lambda t: t) if is_extended else (lambda t: t.replace(second=0))
    assert_kept(
        drawn,
        found,
        lambda r: {"ended_at": cut(r["time"]), "played_ms": r["ms"], "title": r["title"]},
    )


@given(records(title=PLAIN, time=TIMES), CHUNKS)
def test_google_activity_as_json(drawn: list[Any], chunk: int) -> None:
    def activity(r: Any) -> Any:
        if r is BROKEN:
            return {"header": "Search", "title": "x", "time": "yesterday"}
        return {"header": "Search", "title": r["title"], "time": r["time"].isoformat()}

    if not drawn:
        return
    text = json.dumps([activity(r) for r in drawn])
    found = read_back("My Activity/Search/MyActivity.json", text.encode(), "google-activity", chunk)
    assert_kept(drawn, found, lambda r: {"title": r["title"], "time": r["time"]})


@given(records(title=PLAIN, time=TIMES), CHUNKS)
def test_google_activity_as_html(drawn: list[Any], chunk: int) -> None:
    def activity(r: Any) -> str:
        time = "yesterday" if r is BROKEN else r["time"].strftime("%b %d, %Y, %I:%M:%S %p UTC")
        title = "x" if r is BROKEN else html.escape(r["title"])
        return (
            '<div class="outer-cell mdl-cell"><div class="mdl-grid"><div class="header-cell">'
            '<p class="mdl-typography--title">Search<br></p></div><div class="content-cell '
            f'mdl-typography--body-1">{title}<br>{time}</div></div></div>'
        )

    head = '<html><head><style>.mdl-typography--title{}</style></head><body><div class="mdl-grid">'
    text = head + "".join(activity(r) for r in drawn) + "</div></body></html>"
    found = read_back("My Activity/Search/MyActivity.html", text.encode(), "google-activity", chunk)
    drawn = [r if r is BROKEN or r["title"].strip() else BROKEN for r in drawn]
    assert_kept(drawn, found, lambda r: {"title": " ".join(r["title"].split()), "time": r["time"]})


@given(records(url=PLAIN, time=TIMES), CHUNKS)
def test_chrome_history(drawn: list[Any], chunk: int) -> None:
    visits = [
        {"title": "no address"}
        if r is BROKEN
        else {"url": r["url"], "time_usec": int(r["time"].timestamp()) * 10**6}
        for r in drawn
    ]
    before = {"Session": [{"url": "x"}], "n": 1, 'a "key": [': "v"}
    text = json.dumps({**before, "Browser History": visits, "Typed Url": [{"url": "y"}]})
    found = read_back("Chrome/History.json", text.encode(), "chrome-history", chunk)
    assert_kept(drawn, found, lambda r: {"url": r["url"], "time": r["time"]})


@given(records(id=st.integers(1, 2**50), km=st.integers(0, 300), time=TIMES), CHUNKS)
def test_strava(drawn: list[Any], chunk: int) -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    out.write("id,date,name,type,description,elapsed_time,distance,commute,gear,filename\n")
    for r in drawn:
        time = "no time" if r is BROKEN else r["time"].strftime("%Y-%m-%d %H:%M:%S")
        number, metres = (1, 1) if r is BROKEN else (r["id"], r["km"] * 1000.0)
        writer.writerow([number, time, 'a "b"\nc', "Ride", "", 60, metres, "", "", ""])
    found = read_back("activities.csv", out.getvalue().encode(), "strava", chunk)
    assert_kept(
        drawn,
        found,
        lambda r: {"id": str(r["id"]), "start": r["time"], "distance_m": r["km"] * 1000.0},
    )


@given(records(value=st.integers(0, 10**6), time=TIMES), CHUNKS)
def test_fitbit(drawn: list[Any], chunk: int) -> None:
    series = [
        {"dateTime": "13/40/24 00:00:00", "value": "1"}
        if r is BROKEN
        else {"dateTime": r["time"].strftime("%m/%d/%y %H:%M:%S"), "value": str(r["value"])}
        for r in drawn
    ]
    text = json.dumps(series, indent=1)
    found = read_back("Global Export Data/steps-2024-02-22.json", text.encode(), "fitbit", chunk)
    assert_kept(drawn, found, lambda r: {"start": r["time"], "value": r["value"]})


@given(records(s=TEXT.filter(lambda t: "\0" not in t), i=st.integers(-(2**63), 2**63 - 1)))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_sqlite(drawn: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute('CREATE TABLE "the table" (s TEXT, i)')
            for r in drawn:
                row = ("x", b"blob") if r is BROKEN else (r["s"], r["i"])
                connection.execute('INSERT INTO "the table" VALUES (?, ?)', row)
            connection.execute("CREATE VIEW trap AS SELECT 1 AS s, 2 AS i")
            connection.commit()
        schema = {"fields": [{"name": "s", "type": "string"}, {"name": "i", "type": "integer"}]}
        mapping = Path(folder) / "m.json"
        mapping.write_text(json.dumps({"schema": schema}))
        with open_export(path, mapping=mapping) as export:
            found = list(export.rows())
    assert_kept(drawn, found, lambda r: r)
