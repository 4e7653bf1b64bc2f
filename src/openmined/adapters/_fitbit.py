"""Fitbit's account export, on its own or inside Google Takeout.

Raw samples. Global Export Data/steps-2024-02-22.json (user-site-export/ before that, and
Physical Activity/ in exports of 2020 to 2022):

    [{ "dateTime" : "02/22/24 00:01:00", "value" : "12" }, ...

heart_rate-2024-02-22.json, resting_heart_rate-2024-01-01.json, weight-2024-02-01.json:

    [{ "dateTime" : "02/22/24 00:00:04", "value" : { "bpm" : 61, "confidence" : 2 } }, ...
    [{ "dateTime" : "01/01/24 00:00:00", "value" : { "value" : 58.1, ... } }, ...
    [{ "logId" : 1, "weight" : 154.3, "bmi" : 22.1, "date" : "02/01/24", "time" : "07:10:00" }, ...

sleep-2024-02-22.json, one log a night with its stages:

    [{ "logId" : 7, "dateOfSleep" : "2024-02-22", "startTime" : "2024-02-21T23:10:30.000", ...
       "levels" : { "data" : [ { "dateTime" : "2024-02-21T23:10:30.000", "level" : "light",
                                 "seconds" : 1230 }, ...

exercise-0.json, in `FitbitWorkouts`:

    [{ "logId" : 9, "activityName" : "Run", "startTime" : "02/22/24 17:05:11",
       "duration" : 1871000, "calories" : 310, "averageHeartRate" : 151, "distance" : 5.1,
       "distanceUnit" : "Kilometer", "elevationGain" : 20.1, ...

Intraday times are UTC. Sleep and weight are in the wearer's time zone, which Profile.csv names;
when it is not there they are taken as UTC. Units are given where the export is sure to mean them:
weight, distance and altitude follow the account's settings, so theirs stay empty.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from openmined.adapters._csv import csv_cells
from openmined.adapters._json import json_elements
from openmined.adapters._records import row_from, rows_from
from openmined.adapters._rows import Place, Row, RowError, Rows, Value, shown
from openmined.adapters._schemas import published_schema
from openmined.adapters._source import Entry, Source
from openmined.adapters._text import read_text
from openmined.protocol import TableSchema

_SERIES = {
    "steps": ("step_count", "count"),
    "distance": ("distance", None),
    "altitude": ("altitude", None),
    "calories": ("total_energy_burned", "kcal"),
    "heart_rate": ("heart_rate", "count/min"),
    "resting_heart_rate": ("resting_heart_rate", "count/min"),
    "sedentary_minutes": ("sedentary_time", "min"),
    "lightly_active_minutes": ("lightly_active_time", "min"),
    "moderately_active_minutes": ("moderately_active_time", "min"),
    "very_active_minutes": ("very_active_time", "min"),
}
_DATED = re.compile(r"([a-z_]+)-\d{4}-\d{2}-\d{2}\.json", re.IGNORECASE)
_METRES = {"Kilometer": 1000.0, "Mile": 1609.344, "Meter": 1.0}
_MARKS = (b'"dateTime"', b'"logId"')
Convert = Callable[[Mapping[str, Any]], Mapping[str, Value]]


@dataclass(frozen=True, slots=True)
class Fitbit:
    """Every measurement: steps, heart rate, active minutes, weight, stages of sleep."""

    name: str = "fitbit"
    title: str = "Fitbit records"
    identity: tuple[str, ...] = ()

    @property
    def schema(self) -> TableSchema:
        """The published schema of the rows."""
        return published_schema("openmined/health-records@1")

    def detect(self, source: Source) -> float:
        """Sure when files of the right names hold Fitbit's keys."""
        heads = (source.head(entry, 512) for entry, _ in list(_series(source))[:8])
        return 0.9 if any(mark in head for head in heads for mark in _MARKS) else 0.0

    def read(self, source: Source) -> Rows:
        """Yield a row for every measurement and every stage of sleep."""
        zone = _home_zone(source)
        for entry, kind in _series(source):
            found = _elements(source, entry)
            if kind == "sleep":
                yield from _sleep(found, zone)
            elif kind == "weight":
                yield from rows_from(found, _weight(zone))
            else:
                yield from rows_from(found, _measurement(*_SERIES[kind]))


@dataclass(frozen=True, slots=True)
class FitbitWorkouts:
    """Every exercise, recorded or recognised."""

    name: str = "fitbit-workouts"
    title: str = "Fitbit workouts"
    identity: tuple[str, ...] = ("id",)

    @property
    def schema(self) -> TableSchema:
        """The published schema of the rows."""
        return published_schema("openmined/workouts@1")

    def detect(self, source: Source) -> float:
        """Sure when exercise files hold Fitbit's keys; the records go first."""
        heads = (source.head(entry, 4096) for entry in source.find("exercise-*.json")[:8])
        return 0.8 if any(b'"logId"' in head for head in heads) else 0.0

    def read(self, source: Source) -> Rows:
        """Yield a row for every exercise."""
        for entry in source.find("exercise-*.json"):
            yield from rows_from(_elements(source, entry), _exercise)


def _series(source: Source) -> Iterator[tuple[Entry, str]]:
    for entry in source.find("*-????-??-??.json"):
        named = _DATED.fullmatch(entry.base)
        kind = named[1].lower() if named else ""
        if kind in _SERIES or kind in ("sleep", "weight"):
            yield entry, kind


def _elements(source: Source, entry: Entry) -> Iterator[tuple[Place, Any] | RowError]:
    with source.open(entry) as stream:
        yield from json_elements(read_text(stream), entry.name, source.limits)


def _measurement(metric: str, unit: str | None) -> Convert:
    def convert(element: Mapping[str, Any]) -> Mapping[str, Value]:
        value = element["value"]
        if isinstance(value, Mapping):
            value = value["bpm"] if "bpm" in value else value["value"]
        return _record(metric, short_time(element["dateTime"]), None, value, unit)

    return convert


def _weight(zone: tzinfo) -> Convert:
    def convert(element: Mapping[str, Any]) -> Mapping[str, Value]:
        moment = short_time(f"{element['date']} {element['time']}", zone)
        return _record("body_mass", moment, None, element["weight"], None)

    return convert


def _sleep(found: Iterator[tuple[Place, Any] | RowError], zone: tzinfo) -> Rows:
    for item in found:
        if isinstance(item, RowError):
            yield item
            continue
        place, log = item
        try:
            stages = log["levels"]["data"]
        except (KeyError, TypeError):
            stages = None
        if not isinstance(stages, list):
            yield RowError(place, f"a sleep log without stages: {shown(log)}")
            continue
        for stage in stages:
            yield _stage(place, stage, zone)


def _stage(place: Place, stage: Any, zone: tzinfo) -> Row | RowError:
    def convert(element: Mapping[str, Any]) -> Mapping[str, Value]:
        start = datetime.fromisoformat(element["dateTime"]).replace(tzinfo=zone)
        end = start.astimezone(UTC) + timedelta(seconds=element["seconds"])
        values = _record("sleep_analysis", start, end, None, None)
        return {**values, "category": element["level"]}

    return row_from(place, stage, convert)


def _record(
    metric: str, start: datetime, end: datetime | None, value: Any, unit: str | None
) -> dict[str, Value]:
    return {
        "metric": metric,
        "start": start,
        "end": end or start,
        "value": value,
        "unit": unit,
        "source": "Fitbit",
    }


def _exercise(element: Mapping[str, Any]) -> Mapping[str, Value]:
    distance, unit = element.get("distance"), str(element.get("distanceUnit"))
    if distance is not None and unit not in _METRES:
        raise ValueError(f"an unknown unit of distance {shown(unit)}")
    return {
        "id": str(element["logId"]),
        "activity": "_".join(element["activityName"].lower().split()),
        "start": short_time(element["startTime"]),
        "duration_s": element["duration"] / 1000,
        "distance_m": None if distance is None else distance * _METRES[unit],
        "energy_kcal": element.get("calories"),
        "heart_rate_mean": element.get("averageHeartRate"),
        "source": "Fitbit",
    }


def short_time(text: str, zone: tzinfo = UTC) -> datetime:
    """Read Fitbit's `02/22/24 00:01:00`: month, day, year.

    Raises:
        ValueError: if it is none.
    """
    return datetime.strptime(text, "%m/%d/%y %H:%M:%S").replace(tzinfo=zone)


def _home_zone(source: Source) -> tzinfo:
    """Return the wearer's time zone as Profile.csv names it, UTC without one."""
    for entry in source.find("Profile.csv"):
        cells = [item for item in csv_cells(source, entry) if not isinstance(item, RowError)]
        table = dict(zip(cells[0][1], cells[1][1], strict=False)) if len(cells) > 1 else {}
        try:
            return zoneinfo.ZoneInfo(table.get("timezone", "UTC"))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return UTC
