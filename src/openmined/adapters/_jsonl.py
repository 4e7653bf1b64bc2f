"""JSON Lines, and JSON files that are one array of objects.

A raw sample:

    {"name": "Ada", "age": 36, "position": [51.5, -0.12]}
    {"name": "Alan", "age": null, "position": [53.4, -2.23]}

Source: jsonlines.org; RFC 8259. Numbers beyond IEEE 754, NaN and infinities are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openmined.adapters._json import json_elements, parse_json
from openmined.adapters._mapping import TableMapping
from openmined.adapters._rows import Place, RowError
from openmined.adapters._source import Entry, Source
from openmined.adapters._tabular import Records, Table, TabularAdapter, bind_tables, sample_of
from openmined.adapters._text import read_text, split_lines, why_broken

_LINES = ("*.jsonl", "*.ndjson", "*.jsonlines")
_ARRAY = ("*.json",)


@dataclass(frozen=True, slots=True)
class JSONFiles:
    """Every JSON Lines file of the source, or else every JSON file that is an array of objects."""

    name: str = "jsonl"
    title: str = "JSON Lines"

    def detect(self, source: Source) -> float:
        """Sure by file name; low, so that real exports win."""
        if source.find(*_LINES):
            return 0.3
        return 0.2 if any(_is_array(source, entry) for entry in source.find(*_ARRAY)[:8]) else 0.0

    def bind(self, source: Source, mapping: TableMapping | None) -> TabularAdapter:
        """Bind to a mapping, or to the schema that the first thousand records suggest."""
        entries = source.find(*_LINES) or source.find(*_ARRAY) or source.entries[:1]
        encoding = (mapping or TableMapping()).encoding
        tables = [_table(source, entry, encoding) for entry in entries]
        return bind_tables(self.name, self.title, tables, mapping)


def _is_array(source: Source, entry: Entry) -> bool:
    return source.head(entry, 64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def _table(source: Source, entry: Entry, encoding: str) -> Table:
    def records() -> Records:
        return _records(source, entry, encoding)

    columns = dict.fromkeys(key for values in sample_of(records()) for key in values)
    return Table(entry.name, tuple(columns), records)


def _records(source: Source, entry: Entry, encoding: str) -> Records:
    with source.open(entry) as stream:
        text = read_text(stream, encoding)
        if _is_array(source, entry):
            found = json_elements(text, entry.name, source.limits)
        else:
            found = _parsed_lines(text, source, entry, encoding)
        for item in found:
            if isinstance(item, RowError):
                yield item
            elif isinstance(item[1], dict):
                yield item[0], _plain(item[1])
            else:
                yield RowError(item[0], f"{type(item[1]).__name__}, where an object was expected")


def _parsed_lines(
    text: Iterator[str], source: Source, entry: Entry, encoding: str
) -> Iterator[tuple[Place, Any] | RowError]:
    limits = source.limits
    for line in split_lines(text, limits.record_chars):
        place = Place(entry.name, line.number)
        if line.text is None:
            yield RowError(place, f"a line of {line.length:,} characters is too long")
        elif reason := why_broken(line.text, encoding):
            yield RowError(place, reason)
        elif line.text.strip():
            try:
                yield place, parse_json(line.text, limits)
            except ValueError as error:
                yield RowError(place, f"no JSON: {error}")


def _plain(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Keep objects, and arrays of anything but numbers, as JSON text: no field type holds them."""
    return {
        key: json.dumps(value, ensure_ascii=False) if _is_nested(value) else value
        for key, value in values.items()
    }


def _is_nested(value: Any) -> bool:
    if isinstance(value, list):
        return not all(isinstance(item, int | float) for item in value)
    return isinstance(value, dict)
