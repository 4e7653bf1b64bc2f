"""An export opened with the right adapter: the one call that programs need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from openmined.adapters._adapter import Adapter, AdapterFactory
from openmined.adapters._batches import to_record_batches
from openmined.adapters._cast import checked
from openmined.adapters._errors import MappingError, NotAnExport
from openmined.adapters._limits import Limits
from openmined.adapters._mapping import TableMapping, read_mapping
from openmined.adapters._open import open_source
from openmined.adapters._registry import Adapters, load_adapters
from openmined.adapters._rows import Place, RowError, Rows, shown
from openmined.adapters._source import Refused, Source
from openmined.adapters._tabular import TabularAdapter
from openmined.protocol import OpenMinedError, TableSchema

_UNSURE = 0.05
"""Two adapters closer to each other than this leave the choice to the owner."""


@dataclass(frozen=True, slots=True)
class Guess:
    """An adapter and how sure it is of a source, 0 to 1."""

    adapter: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Export:
    """A source and the adapter that reads it. Use it as a context manager."""

    source: Source
    adapter: Adapter

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.source.closer()

    @property
    def schema(self) -> TableSchema:
        """The schema of the rows."""
        return self.adapter.schema

    @property
    def identity(self) -> tuple[str, ...]:
        """The fields a row is known by in a later export; for `RowIndex`."""
        return self.adapter.identity

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What is in the source and will not be read: links, archives inside archives."""
        return self.source.refused

    def rows(self) -> Rows:
        """Yield every record as a checked `Row` or a `RowError`; never raises in the middle."""
        return checked(self._raw(), self.schema)

    def batches(self, on_error: Callable[[RowError], None]) -> Iterator[Any]:
        """Yield the rows as record batches of `arrow_schema(schema)`; errors go to `on_error`."""
        columnar = (
            self.adapter.read_batches(on_error)
            if isinstance(self.adapter, TabularAdapter)
            else None
        )
        if columnar is None:
            yield from to_record_batches(self._raw(), self.schema, on_error=on_error)
            return
        try:
            yield from columnar
        except Exception as error:  # noqa: BLE001 (the last error value says what it was)
            on_error(self._last(error))

    def _raw(self) -> Rows:
        """Read, turning whatever the adapter raises into a last error value."""
        try:
            yield from self.adapter.read(self.source)
        except Exception as error:  # noqa: BLE001 (a plug-in may raise anything)
            yield self._last(error)

    def _last(self, error: Exception) -> RowError:
        place = Place(self.source.name)
        if isinstance(error, OpenMinedError):
            return RowError(place, str(error), stops=True)
        reason = f"{type(error).__name__}: {shown(str(error), 200)}"
        return RowError(place, f"the adapter {self.adapter.name!r} failed: {reason}", stops=True)


def detect(source: Source, adapters: Adapters | None = None) -> list[Guess]:
    """Ask every adapter how sure it is of a source; the surest first, the hopeless left out."""
    found = (adapters or load_adapters()).by_name
    guesses = [Guess(name, _confidence(adapter, source)) for name, adapter in found.items()]
    likely = [guess for guess in guesses if guess.confidence > 0]
    return sorted(likely, key=lambda guess: (-guess.confidence, guess.adapter))


def _confidence(adapter: Adapter | AdapterFactory, source: Source) -> float:
    try:
        return min(1.0, max(0.0, float(adapter.detect(source))))
    except Exception:  # noqa: BLE001 (an adapter that fails on a source does not recognise it)
        return 0.0


def open_export(
    path: str | Path,
    *,
    adapter: str | None = None,
    mapping: TableMapping | str | Path | None = None,
    limits: Limits | None = None,
) -> Export:
    """Open an export with the named adapter, or with the one that recognises it.

    Args:
        path: a file, a folder or a zip archive.
        adapter: a name from `openmined adapters list`; found by itself when None.
        mapping: for tables of the owner's own making, a mapping or the path of its file.
        limits: how much to read before refusing.

    Raises:
        SourceError: if the source cannot be read, is unsafe or too large.
        NotAnExport: if no adapter recognises it, or two do equally.
        UnknownAdapter: if there is no adapter of that name.
        MappingError: if the mapping does not fit.
    """
    if isinstance(mapping, str | Path):
        mapping = read_mapping(mapping)
    source = open_source(path, limits)
    try:
        adapters = load_adapters()
        chosen = adapters.named(adapter or _surest(source, adapters))
        if isinstance(chosen, AdapterFactory):
            chosen = chosen.bind(source, mapping)
        elif mapping is not None:
            raise MappingError(f"the adapter {chosen.name!r} knows its columns: give no mapping")
        return Export(source, chosen)
    except BaseException:
        source.closer()
        raise


def _surest(source: Source, adapters: Adapters) -> str:
    guesses = detect(source, adapters)
    if not guesses:
        known = ", ".join(sorted(adapters.by_name))
        raise NotAnExport(
            f"{source.name}: no adapter recognises it; name one if you know better: {known}"
        )
    first, *others = guesses
    close = [o.adapter for o in others if first.confidence - o.confidence < _UNSURE]
    if close:
        raise NotAnExport(
            f"{source.name} could be {', '.join([first.adapter, *close])}: name the one it is"
        )
    return first.adapter
