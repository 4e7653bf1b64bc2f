"""What an adapter is: three names, a guess, and a stream of rows. See docs/adapters.md."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from openmined.adapters._mapping import TableMapping
from openmined.adapters._rows import Rows
from openmined.adapters._source import Source
from openmined.protocol import TableSchema


@runtime_checkable
class Adapter(Protocol):
    """Reads one kind of export into rows of one schema."""

    @property
    def name(self) -> str:
        """What the owner types: lower case, words joined by dashes."""

    @property
    def title(self) -> str:
        """What the owner reads."""

    @property
    def schema(self) -> TableSchema:
        """The schema of the rows."""

    @property
    def identity(self) -> tuple[str, ...]:
        """The fields by which a row is known again in a later export; all of them when empty."""

    def detect(self, source: Source) -> float:
        """Return how sure it is, 0 to 1, that `source` is its kind of export.

        It looks at names and at the head of a file or two, never at whole files. 0.9 and above
        means: recognised by something no other export has.
        """

    def read(self, source: Source) -> Rows:
        """Yield a `Row` or a `RowError` for every record of the source, in its order, streaming."""


@runtime_checkable
class AdapterFactory(Protocol):
    """An adapter whose schema depends on the source or on a mapping: CSV, a database, images."""

    @property
    def name(self) -> str:
        """As for an `Adapter`."""

    @property
    def title(self) -> str:
        """As for an `Adapter`."""

    def detect(self, source: Source) -> float:
        """As for an `Adapter`."""

    def bind(self, source: Source, mapping: TableMapping | None) -> Adapter:
        """Return the adapter for this source.

        Raises:
            MappingError: if the mapping does not fit the source.
        """
