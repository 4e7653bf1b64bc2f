"""CSV and TSV files, with a mapping or an inferred schema.

A raw sample:

    name,age,"said"
    Ada,36,"so, ""what"" is this"

Source: RFC 4180; delimiters other than the comma as found in the first line. Cells that begin with
`=`, `+`, `-` or `@` are data like any other: nothing here evaluates them.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from openmined.adapters._errors import MappingError
from openmined.adapters._limits import Limits
from openmined.adapters._mapping import TableMapping
from openmined.adapters._rows import Place, RowError
from openmined.adapters._source import Entry, Source
from openmined.adapters._tabular import Records, Table, TabularAdapter, bind_tables
from openmined.adapters._text import Line, read_text, split_lines, why_broken

_DELIMITERS = ",;\t|"
_PATTERNS = ("*.csv", "*.tsv", "*.tab")


@dataclass(frozen=True, slots=True)
class CSVFiles:
    """Every CSV file of the source, which must agree on the columns the mapping needs."""

    name: str = "csv"
    title: str = "CSV"

    def detect(self, source: Source) -> float:
        """Sure by file name alone, as there is nothing else; low, so that real exports win."""
        return 0.3 if source.find(*_PATTERNS) else 0.0

    def bind(self, source: Source, mapping: TableMapping | None) -> TabularAdapter:
        """Bind to a mapping, or to the schema that the first thousand records suggest."""
        entries = source.find(*_PATTERNS) or source.entries[:1]
        options = mapping or TableMapping()
        tables = [csv_table(source, entry, options) for entry in entries]
        return bind_tables(self.name, self.title, tables, mapping)


def csv_table(source: Source, entry: Entry, mapping: TableMapping) -> Table:
    """Read the header of a CSV file.

    Raises:
        MappingError: if the header cannot be read or names a column twice.
    """
    with source.open(entry) as stream:
        first = next(_lines(stream, mapping.encoding, source.limits), None)
    if first is None or first.text is None:
        raise MappingError(f"{entry.name}: no header line")
    if reason := why_broken(first.text, mapping.encoding):
        raise MappingError(f"{entry.name}, line 1: {reason}")
    delimiter = mapping.delimiter or _delimiter(first.text)
    with source.open(entry) as stream:
        chopper = _Chopper(_lines(stream, mapping.encoding, source.limits), delimiter)
        _, header = next(chopper.records(source.limits))
    if isinstance(header, str):
        raise MappingError(f"{entry.name}, line 1: {header}")
    twice = {column for column in header if header.count(column) > 1}
    if twice:
        raise MappingError(f"{entry.name}: two columns are named {sorted(twice)[0]!r}")
    return Table(
        name=entry.name,
        columns=tuple(header),
        records=lambda: _records(source, entry, mapping.encoding, delimiter),
    )


def _lines(stream: BinaryIO, encoding: str, limits: Limits) -> Iterator[Line]:
    return split_lines(read_text(stream, encoding), limits.record_chars)


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _records(source: Source, entry: Entry, encoding: str, delimiter: str) -> Records:
    with source.open(entry) as stream:
        found = _Chopper(_lines(stream, encoding, source.limits), delimiter).records(source.limits)
        _, header = next(found)
        for line, cells in found:
            place = Place(entry.name, line)
            if isinstance(cells, str):
                yield RowError(place, cells)
            elif len(cells) != len(header):
                yield RowError(place, f"{len(cells)} cells under {len(header)} columns")
            elif reason := why_broken(delimiter.join(cells), encoding):
                yield RowError(place, reason)
            else:
                values = (cell or None for cell in cells)
                yield place, dict(zip(header, values, strict=True))


class _Chopper:
    """Chops lines into records; a quoted cell may span lines, one that never ends may not."""

    def __init__(self, lines: Iterator[Line], delimiter: str) -> None:
        self._lines, self._delimiter = lines, delimiter
        self._again: deque[Line] = deque()

    def records(self, limits: Limits) -> Iterator[tuple[int, Sequence[str] | str]]:
        """Yield (line, cells), or (line, reason) for what is no record."""
        # The limit is global to the process: it is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), limits.record_chars))
        while (first := self._next()) is not None:
            if first.text is None:
                yield first.number, f"a line of {first.length:,} characters is too long"
            elif first.text:
                yield first.number, self._record(first, limits.record_chars)

    def _record(self, first: Line, limit: int) -> Sequence[str] | str:
        behind: list[Line] = []
        reader = csv.reader(
            self._feed(first, behind, limit), delimiter=self._delimiter, strict=True
        )
        try:
            return next(reader)
        except csv.Error as error:
            if "unexpected end" not in str(error):
                return f"no CSV: {error}"
        # The lines behind the open quote may be good records: they get their own chance.
        self._again.extendleft(reversed(behind))
        return "a quote is opened and never closed"

    def _feed(self, first: Line, behind: list[Line], limit: int) -> Iterator[str]:
        yield f"{first.text}\n"
        size = first.length
        while size <= limit and (line := self._next()) is not None:
            behind.append(line)
            if line.text is None:
                return
            size += line.length
            yield f"{line.text}\n"

    def _next(self) -> Line | None:
        return self._again.popleft() if self._again else next(self._lines, None)
