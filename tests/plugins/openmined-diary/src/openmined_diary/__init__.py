"""Plain-text diaries: a date, a mood from 1 to 5, and a sentence.

A raw sample, diary.txt:

    2026-01-01 4 first of many
    2026-01-02 2 rain again
"""

from __future__ import annotations

from openmined.adapters import (
    Place,
    Row,
    RowError,
    Rows,
    Source,
    read_text,
    split_lines,
    why_broken,
)
from openmined.protocol import FieldConstraints, SchemaField, TableSchema

_REQUIRED = FieldConstraints(required=True)


class DiaryAdapter:
    """One row a line."""

    name = "diary"
    title = "Plain-text diary"
    identity = ("day",)
    schema = TableSchema(
        id="openmined-diary/entries@1",
        title="Diary entries",
        fields=(
            SchemaField(name="day", type="date", constraints=_REQUIRED),
            SchemaField(
                name="mood",
                type="integer",
                description="1 (bad) to 5 (good)",
                constraints=FieldConstraints(required=True, minimum=1, maximum=5),
            ),
            SchemaField(name="words", type="string"),
        ),
    )

    def detect(self, source: Source) -> float:
        return 0.9 if source.find("diary.txt") else 0.0

    def read(self, source: Source) -> Rows:
        for entry in source.find("diary.txt"):
            with source.open(entry) as stream:
                for line in split_lines(read_text(stream), source.limits.record_chars):
                    place = Place(entry.name, line.number)
                    if line.text is None:
                        yield RowError(place, "a line too long for a diary")
                    elif reason := why_broken(line.text):
                        yield RowError(place, reason)
                    elif line.text.strip():
                        day, _, rest = line.text.strip().partition(" ")
                        mood, _, words = rest.partition(" ")
                        yield Row({"day": day, "mood": mood, "words": words}, place)
