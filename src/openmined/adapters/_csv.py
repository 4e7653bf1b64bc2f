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
from itertools import chain
from typing import TypeAlias

from openmined.adapters._errors import MappingError
from openmined.adapters._limits import Limits
from openmined.adapters._mapping import TableMapping
from openmined.adapters._rows import Place, RowError, shown
from openmined.adapters._source import Entry, Source
from openmined.adapters._tabular import Records, Table, TabularAdapter, bind_tables
from openmined.adapters._text import Line, read_text, split_lines, why_broken

Cells: TypeAlias = Iterator[tuple[Place, Sequence[str]] | RowError]

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

    def cells() -> Cells:
        return csv_cells(source, entry, mapping.encoding, mapping.delimiter)

    first = next(cells(), None)
    if first is None:
        raise MappingError(f"{entry.name}: no header line")
    if isinstance(first, RowError):
        raise MappingError(str(first))
    header = tuple(first[1])
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise MappingError(f"{entry.name}: two columns are named {shown(twice[0])}")
    return Table(entry.name, header, lambda: _records(cells(), header))


def csv_cells(
    source: Source, entry: Entry, encoding: str = "utf-8", delimiter: str | None = None
) -> Cells:
    """Yield the cells of every record, the header first; the delimiter is found when None."""
    with source.open(entry) as stream:
        lines = split_lines(read_text(stream, encoding), source.limits.record_chars)
        first = next(lines, None)
        if first is None:
            return
        delimiter = delimiter or max(_DELIMITERS, key=(first.text or ",").count)
        chopper = _Chopper(chain([first], lines), delimiter)
        for line, cells in chopper.records(source.limits):
            place = Place(entry.name, line)
            if isinstance(cells, str):
                yield RowError(place, cells)
            elif reason := why_broken(delimiter.join(cells), encoding):
                yield RowError(place, reason)
            else:
                yield place, cells


def _records(found: Cells, header: Sequence[str]) -> Records:
    next(found)
    for item in found:
        if isinstance(item, RowError):
            yield item
        elif len(item[1]) != len(header):
            yield RowError(item[0], f"{len(item[1])} cells under {len(header)} columns")
        else:
            values = (cell or None for cell in item[1])
            yield item[0], dict(zip(header, values, strict=True))


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
            elif first.text.strip("\r"):
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
