"""Apple Health: export.xml, records and workouts.

A raw sample, apple_health_export/export.xml (the file is named in the language of the phone):

    <?xml version="1.0" encoding="UTF-8"?>
    <!DOCTYPE HealthData [ ... ]>
    <HealthData locale="en_GB">
     <ExportDate value="2026-10-07 07:00:00 +0200"/>
     <Record type="HKQuantityTypeIdentifierHeartRate" sourceName="Watch" sourceVersion="9.1"
       unit="count/min" creationDate="2026-08-01 09:00:05 +0200"
       startDate="2026-08-01 09:00:00 +0200" endDate="2026-08-01 09:00:00 +0200" value="61"/>
     <Record type="HKCategoryTypeIdentifierSleepAnalysis" sourceName="Watch" startDate="..."
       endDate="..." value="HKCategoryValueSleepAnalysisAsleepDeep"/>
     <Workout workoutActivityType="HKWorkoutActivityTypeRunning" duration="31.2"
       durationUnit="min" totalDistance="5.1" totalDistanceUnit="km" startDate="..." endDate="...">
      <WorkoutStatistics type="HKQuantityTypeIdentifierHeartRate" average="151" maximum="171"
        unit="count/min" startDate="..." endDate="..."/>
     </Workout>
    </HealthData>

Records inside a <Correlation> stand below the root once more, as Apple's own comment in the file
says, so only those below the root count. Past forms: iOS 8 wrote `source` for `sourceName`, times
as `20150616071820-0700`, and attribute names with spaces; since iOS 15 totals of a workout stand in
<WorkoutStatistics>; the document type declaration of iOS 16 is malformed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from openmined.adapters._rows import Place, Row, RowError, Rows, Value, shown
from openmined.adapters._schemas import published_schema
from openmined.adapters._source import Entry, Source
from openmined.adapters._xml import Element, xml_elements
from openmined.protocol import TableSchema

_PREFIXES = re.compile(
    r"HK(?:Quantity|Category|Correlation|Data)TypeIdentifier|HKDataType|HKWorkoutActivityType"
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_METRES = {"m": 1.0, "km": 1000.0, "mi": 1609.344, "yd": 0.9144, "ft": 0.3048}
_SECONDS = {"s": 1.0, "sec": 1.0, "min": 60.0, "hr": 3600.0}
_KCAL = {"kcal": 1.0, "Cal": 1.0, "cal": 0.001, "kJ": 1 / 4.184}
_DISTANCES = (
    "DistanceWalkingRunning",
    "DistanceCycling",
    "DistanceSwimming",
    "DistanceWheelchair",
    "DistanceDownhillSnowSports",
)


@dataclass(frozen=True, slots=True)
class AppleHealth:
    """Every measurement: steps, heart rate, sleep, weight and some two hundred more."""

    name: str = "apple-health"
    title: str = "Apple Health records"
    identity: tuple[str, ...] = ()

    @property
    def schema(self) -> TableSchema:
        """The published schema of the rows."""
        return published_schema("openmined/health-records@1")

    def detect(self, source: Source) -> float:
        """Sure when an XML file has Apple's root element."""
        return 0.95 if next(_files(source), None) else 0.0

    def read(self, source: Source) -> Rows:
        """Yield a row for every record below the root."""
        for entry in _files(source):
            for item in _elements(source, entry, ("Record",)):
                yield item if isinstance(item, RowError) else _record(*item)


@dataclass(frozen=True, slots=True)
class AppleWorkouts:
    """Every workout, with its totals."""

    name: str = "apple-workouts"
    title: str = "Apple Health workouts"
    identity: tuple[str, ...] = ()

    @property
    def schema(self) -> TableSchema:
        """The published schema of the rows."""
        return published_schema("openmined/workouts@1")

    def detect(self, source: Source) -> float:
        """As for the records, less sure: who has workouts has records too, and more of them."""
        return 0.8 if next(_files(source), None) else 0.0

    def read(self, source: Source) -> Rows:
        """Yield a row for every workout."""
        for entry in _files(source):
            for item in _elements(source, entry, ("Workout",)):
                yield item if isinstance(item, RowError) else _workout(*item)


def _files(source: Source) -> Iterator[Entry]:
    for entry in source.find("*.xml"):
        head = source.head(entry, 1 << 15)
        if b"<HealthData" in head or b"DOCTYPE HealthData" in head:
            yield entry


def _elements(
    source: Source, entry: Entry, wanted: Collection[str]
) -> Iterator[tuple[Place, Element] | RowError]:
    with source.open(entry) as stream:
        yield from xml_elements(stream, entry.name, wanted, source.limits)


def _record(place: Place, element: Element) -> Row | RowError:
    given = element.attributes
    value = given.get("value", "")
    is_number = bool(_NUMBER.fullmatch(value))
    try:
        values: dict[str, Value] = {
            "metric": snake_case(_PREFIXES.sub("", given["type"], count=1)),
            "start": apple_time(given["startDate"]),
            "end": apple_time(given.get("endDate", given["startDate"])),
            "value": float(value) if is_number else None,
            "unit": given.get("unit"),
            "category": None if is_number else _category(value, given["type"]),
            "source": given.get("sourceName", given.get("source")),
        }
    except KeyError as error:
        return RowError(place, f"a record without {error.args[0]}")
    except ValueError as error:
        return RowError(place, str(error))
    return Row(values, place)


def _category(value: str, kind: str) -> str | None:
    """Return `asleep_deep` for HKCategoryValueSleepAnalysisAsleepDeep."""
    topic = kind.removeprefix("HKCategoryTypeIdentifier")
    plain = value.removeprefix("HKCategoryValue").removeprefix(topic)
    return snake_case(plain) or None


def _workout(place: Place, element: Element) -> Row | RowError:
    given = element.attributes
    statistics = {
        child["type"].removeprefix("HKQuantityTypeIdentifier"): child
        for name, child in element.children
        if name == "WorkoutStatistics" and "type" in child
    }
    heart = statistics.get("HeartRate", {})
    try:
        values: dict[str, Value] = {
            "activity": snake_case(_PREFIXES.sub("", given["workoutActivityType"], count=1)),
            "start": apple_time(given["startDate"]),
            "duration_s": _scaled(given.get("duration"), given.get("durationUnit"), _SECONDS),
            "distance_m": _distance(given, statistics),
            "energy_kcal": _energy(given, statistics),
            "heart_rate_mean": _plain(heart.get("average")),
            "heart_rate_max": _plain(heart.get("maximum")),
            "source": given.get("sourceName", given.get("source")),
        }
    except KeyError as error:
        return RowError(place, f"a workout without {error.args[0]}")
    except ValueError as error:
        return RowError(place, str(error))
    return Row(values, place)


def _distance(given: dict[str, str], statistics: dict[str, dict[str, str]]) -> float | None:
    for kind in _DISTANCES:
        if kind in statistics:
            found = statistics[kind]
            return _scaled(found.get("sum"), found.get("unit"), _METRES)
    return _scaled(given.get("totalDistance"), given.get("totalDistanceUnit"), _METRES)


def _energy(given: dict[str, str], statistics: dict[str, dict[str, str]]) -> float | None:
    found = statistics.get("ActiveEnergyBurned")
    if found:
        return _scaled(found.get("sum"), found.get("unit"), _KCAL)
    return _scaled(given.get("totalEnergyBurned"), given.get("totalEnergyBurnedUnit"), _KCAL)


def _scaled(text: str | None, unit: str | None, factors: dict[str, float]) -> float | None:
    if not text:
        return None
    if unit not in factors:
        raise ValueError(f"an unknown unit {shown(unit)}")
    return float(text) * factors[unit]


def _plain(text: str | None) -> float | None:
    return float(text) if text else None


def apple_time(text: str) -> datetime:
    """Read `2026-08-01 09:00:00 +0200`, or `20150616071820-0700` of iOS 8.

    Raises:
        ValueError: if it is neither.
    """
    if len(text) == 25 and text[10] == text[19] == " ":
        return datetime.fromisoformat(f"{text[:19]}{text[20:23]}:{text[23:]}")
    return datetime.strptime(text, "%Y%m%d%H%M%S%z")


def snake_case(name: str) -> str:
    """Return `heart_rate_variability_sdnn` for HeartRateVariabilitySDNN."""
    return "_".join(word.lower() for word in _WORDS.findall(name))
