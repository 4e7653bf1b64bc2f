"""Times as exports print them for people, in the languages of the largest exporters.

`Jul 22, 2026, 2:05:09 PM EDT`, `22 Jul 2026, 14:05:09 CEST`, `22.07.2026, 14:05:09 MESZ`,
`2026-07-22 14:05:09 UTC`, `22 juil. 2026, 14:05:09 UTC+2`. Dates in slashes are refused: nobody can
say which number is the month.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

_MONTHS = {
    # English, German, French, Spanish, Italian, Dutch, Portuguese; without accents.
    1: "jan janv ene gen",
    2: "feb fevr fev",
    3: "mar marz mars mrt mrz",
    4: "apr avr abr avril",
    5: "may mai mag mei",
    6: "jun juin giu",
    7: "jul juil lug",
    8: "aug aout ago",
    9: "sep sept set",
    10: "oct okt ott out",
    11: "nov",
    12: "dec dez dic",
}
_BY_NAME = {name: number for number, names in _MONTHS.items() for name in names.split()}

_HOURS = {
    "UTC": 0,
    "GMT": 0,
    "Z": 0,
    "WET": 0,
    "WEST": 1,
    "BST": 1,
    "CET": 1,
    "MEZ": 1,
    "CEST": 2,
    "MESZ": 2,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
    "WIB": 7,
    "SGT": 8,
    "HKT": 8,
    "JST": 9,
    "KST": 9,
    "AEST": 10,
    "AEDT": 11,
    "NZST": 12,
    "NZDT": 13,
    "HST": -10,
    "AKST": -9,
    "AKDT": -8,
    "PST": -8,
    "PDT": -7,
    "MST": -7,
    "MDT": -6,
    "CST": -6,
    "CDT": -5,
    "EST": -5,
    "EDT": -4,
}
"""IST is left out: India, Israel and Ireland all use it."""

_CLOCK = (
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d))?"
    r"(?:\s?(?P<half>[AaPp])\.?\s?[Mm]\.?)?(?:\s(?P<zone>\S+))?"
)
_DATES = (
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)",
    r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
    r"(?P<name>[^\W\d]+)\.?\s(?P<day>\d{1,2}),?\s(?P<year>\d{4})",
    r"(?P<day>\d{1,2})\.?\s(?:de\s)?(?P<name>[^\W\d]+)\.?,?\s(?:de\s)?(?P<year>\d{4})",
)
_FORMS = tuple(re.compile(rf"{date}(?:,|T|\sat|\s[àa]|\sum)?\s?{_CLOCK}") for date in _DATES)


def parse_display_time(text: str) -> datetime:
    """Read a time printed for people; without a time zone it is taken as UTC.

    Raises:
        ValueError: if the form, the month or the time zone is not known.
    """
    plain = " ".join(text.split())
    for form in _FORMS:
        found = form.fullmatch(plain)
        if found:
            break
    else:
        raise ValueError(f"a time in a form that is not known: {text[:60]!r}")
    part = found.groupdict()
    month = int(part["month"]) if part.get("month") else _month(part["name"])
    hour = int(part["hour"])
    if part["half"]:
        hour = hour % 12 + 12 * (part["half"] in "Pp")
    second = int(part["second"] or 0)
    day, year, minute = int(part["day"]), int(part["year"]), int(part["minute"])
    return datetime(year, month, day, hour, minute, second, tzinfo=_zone(part["zone"]))


def _month(name: str) -> int:
    letters = unicodedata.normalize("NFD", name.lower())
    plain = "".join(char for char in letters if not unicodedata.combining(char))
    for length in (5, 4, 3):
        if plain[:length] in _BY_NAME:
            return _BY_NAME[plain[:length]]
    raise ValueError(f"no month is known as {name!r}: export again in English, or as JSON")


def _zone(name: str | None) -> timezone:
    if name is None:
        return UTC
    if name in _HOURS:
        return timezone(timedelta(hours=_HOURS[name]))
    found = re.fullmatch(r"(?:UTC|GMT)?([+\-−])(\d{1,2})(?::?(\d\d))?", name)
    if not found:
        raise ValueError(f"no time zone is known as {name[:20]!r}: export again as JSON")
    sign = 1 if found[1] == "+" else -1
    return timezone(sign * timedelta(hours=int(found[2]), minutes=int(found[3] or 0)))
