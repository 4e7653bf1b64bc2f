"""Times printed for people, in the languages and forms of the exporters."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openmined.adapters._dates import parse_display_time

MOMENT = datetime(2026, 7, 22, 18, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Jul 22, 2026, 2:05:09 PM EDT",
        "Jul 22, 2026, 2:05:09\u202fPM EDT",
        "July 22, 2026 at 2:05:09 PM EDT",
        "22 Jul 2026, 20:05:09 CEST",
        "22.07.2026, 20:05:09 MESZ",
        "22. Juli 2026 um 20:05:09 MESZ",
        "22 juil. 2026, 18:05:09 UTC",
        "22 juil. 2026 à 20:05:09 UTC+2",
        "22 de julio de 2026, 18:05:09 GMT",
        "22 lug 2026, 18:05:09 UTC",
        "22 jul. 2026, 18:05:09 UTC",
        "22 de jul. de 2026, 15:05:09 GMT-03:00",
        "2026-07-22 18:05:09 UTC",
        "2026-07-22T18:05:09",
        "Jul 22, 2026, 11:35:09 PM GMT+05:30",
    ],
)
def test_known_forms(text: str) -> None:
    assert parse_display_time(text) == MOMENT


@pytest.mark.parametrize(
    ("text", "hour"), [("12:00:00 AM", 0), ("12:00:00 PM", 12), ("1:00:00 a.m.", 1), ("23:00", 23)]
)
def test_noon_and_midnight(text: str, hour: int) -> None:
    assert parse_display_time(f"Jan 2, 2026, {text}").hour == hour


@pytest.mark.parametrize("month", range(1, 13))
def test_every_english_and_german_month(month: int) -> None:
    english = datetime(2026, month, 1).strftime("%B")
    german = [
        *("Januar", "Februar", "März", "April", "Mai", "Juni"),
        *("Juli", "August", "September", "Oktober", "November", "Dezember"),
    ][month - 1]
    for name in (english, english[:3], german):
        assert parse_display_time(f"1. {name} 2026, 10:00").month == month


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("07/22/2026, 2:05:09 PM", "form that is not known"),
        ("Jul 22, 2026, 2:05:09 PM IST", "time zone"),
        ("22 července 2026, 20:05:09", "month"),
        ("31.02.2026, 10:00:00", "day"),
        ("", "form that is not known"),
        ("yesterday", "form that is not known"),
    ],
)
def test_what_is_not_understood_is_said(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_display_time(text)
