"""Strava's bulk export: activities.csv.

A raw sample (of some hundred columns; the names of several occur twice):

    Activity ID,Activity Date,Activity Name,Activity Type,Activity Description,Elapsed Time,...
    9001,"Jul 1, 2025, 6:30:00 AM","Morning ride, easy one",Ride,,3700,20.10,...

Header and times are in the language of the account, the order of the columns is not: English and
German headers of 86 to 103 columns agree in the first 35, and those are read by position. The
second Distance is in metres, the first in whatever the account shows. Times are UTC. Past form, of
2018:

    id,date,name,type,description,elapsed_time,distance,commute,gear,filename
    1988225457,2018-11-27 19:11:32,Evening Ride,Ride,"",1468,6075.0,true,1x1x8,activities/21.fit.gz
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from openmined.adapters._csv import csv_cells
from openmined.adapters._dates import parse_display_time
from openmined.adapters._rows import Place, Row, RowError, Rows, shown
from openmined.adapters._schemas import published_schema
from openmined.adapters._source import Entry, Source
from openmined.protocol import TableSchema

_FILE = "activities.csv"
_MODERN: Mapping[str, int] = {
    "id": 0,
    "start": 1,
    "activity": 3,
    "duration_s": 15,
    "distance_m": 17,
    "elevation_gain_m": 20,
    "heart_rate_max": 30,
    "heart_rate_mean": 31,
    "energy_kcal": 34,
}
_MODERN_COLUMNS = 35
_BY_NAME = {
    "id": ("id", "activity id"),
    "start": ("date", "activity date"),
    "activity": ("type", "activity type"),
    "duration_s": ("elapsed_time", "elapsed time"),
    "distance_m": ("distance",),
    "elevation_gain_m": ("elevation gain",),
    "heart_rate_max": ("max heart rate",),
    "heart_rate_mean": ("average heart rate",),
    "energy_kcal": ("calories",),
}
_TEXTS = ("id", "activity")


@dataclass(frozen=True, slots=True)
class Strava:
    """Every activity of an account."""

    name: str = "strava"
    title: str = "Strava activities"
    identity: tuple[str, ...] = ("id",)

    @property
    def schema(self) -> TableSchema:
        """The published schema of the rows."""
        return published_schema("openmined/workouts@1")

    def detect(self, source: Source) -> float:
        """Sure when activities.csv has a header of Strava's."""
        for entry in source.find(_FILE):
            head = source.head(entry, 1 << 14).decode("utf-8", "replace").removeprefix("\ufeff")
            header = head.partition("\n")[0].strip()
            if header.startswith(("Activity ID,", "id,date,name,type,")):
                return 0.95
            if header.count(",") + 1 >= _MODERN_COLUMNS:
                return 0.8
        return 0.0

    def read(self, source: Source) -> Rows:
        """Yield a row for every activity."""
        for entry in source.find(_FILE):
            yield from _read(source, entry)


def _read(source: Source, entry: Entry) -> Rows:
    cells = csv_cells(source, entry, delimiter=",")
    first = next(cells, None)
    if first is None or isinstance(first, RowError):
        yield first or RowError(Place(entry.name, 1), "an empty file", stops=True)
        return
    header = first[1]
    columns = _columns(header)
    if "start" not in columns or "activity" not in columns:
        reason = f"no header of Strava's: {shown(','.join(header))}; export again in English"
        yield RowError(first[0], reason, stops=True)
        return
    for item in cells:
        if isinstance(item, RowError):
            yield item
        elif len(item[1]) != len(header):
            yield RowError(item[0], f"{len(item[1])} cells under {len(header)} columns")
        else:
            yield _row(item[0], item[1], columns)


def _columns(header: Sequence[str]) -> Mapping[str, int]:
    if len(header) >= _MODERN_COLUMNS and header[0].strip().lower() != "id":
        return _MODERN
    names = [name.strip().lower() for name in header]
    found = {
        ours: names.index(theirs)
        for ours, known in _BY_NAME.items()
        for theirs in known
        if theirs in names
    }
    if "activity id" in names and names.count("distance") == 1:
        del found["distance_m"]  # in kilometres or miles: the file does not say
    elif names.count("distance") > 1:
        found["distance_m"] = names.index("distance", found["distance_m"] + 1)
    return found


def _row(place: Place, cells: Sequence[str], columns: Mapping[str, int]) -> Row | RowError:
    given = {ours: cells[at].strip() for ours, at in columns.items()}
    try:
        values: dict[str, object] = {
            ours: _number(text) for ours, text in given.items() if ours not in (*_TEXTS, "start")
        }
        values["start"] = parse_display_time(given["start"])
    except ValueError as error:
        return RowError(place, str(error))
    values["id"] = given.get("id") or None
    values["activity"] = "_".join(given["activity"].lower().split())
    values["source"] = "Strava"
    return Row(values, place)  # type: ignore[arg-type]


def _number(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError:
        raise ValueError(f"{shown(text)} is no number") from None
