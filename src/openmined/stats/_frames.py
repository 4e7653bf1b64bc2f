"""The index as data frames, for analysts."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from openmined.stats._database import Database, open_database
from openmined.stats._errors import BadQuery
from openmined.stats._tables import DATASETS, read_table
from openmined.stats._types import Wei

_TIMES = ("launched_at", "opened_at", "ended_at", "updated_at", "deadline", "submitted_at")
_MORE_TIMES = ("settled_at", "scored_at", "first_at", "last_at", "timestamp", "start")


class Frames:
    """An index opened for analysis; `campaigns()`, `gradients()` ... are Arrow tables.

    Amounts are decimal text; `ether` turns a column into floating-point ether. Times are UTC
    timestamps. `frame` gives any table as a pandas data frame, where pandas is installed.

    Args:
        url: as `openmined stats start --database` takes it.
    """

    def __init__(self, url: str) -> None:
        self._database: Database = open_database(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @property
    def names(self) -> list[str]:
        """The tables."""
        return list(DATASETS)

    def table(self, name: str) -> pa.Table:
        """Return a table.

        Raises:
            BadQuery: if there is none of that name.
        """
        if name not in DATASETS:
            raise BadQuery(f"there is no table {name!r}; there are {', '.join(DATASETS)}")
        with self._database.reading() as connection:
            found = read_table(connection, name)
        for column in (*_TIMES, *_MORE_TIMES):
            index = found.schema.get_field_index(column)
            if index >= 0:
                moments = found.column(index).cast(pa.timestamp("s", tz="UTC"))
                found = found.set_column(index, column, moments)
        return found

    def frame(self, name: str) -> Any:
        """Return a table as a pandas data frame; needs pandas."""
        return self.table(name).to_pandas()

    def campaigns(self) -> pa.Table:
        """Campaigns as they stand."""
        return self.table("campaigns")

    def gradients(self) -> pa.Table:
        """Gradients and what became of them."""
        return self.table("gradients")

    def batches(self) -> pa.Table:
        """Scored batches: accuracy and spend."""
        return self.table("batches")

    def mines(self) -> pa.Table:
        """Mines."""
        return self.table("mines")

    def events(self) -> pa.Table:
        """The contract's events."""
        return self.table("events")

    def series(self, interval: str = "day") -> pa.Table:
        """Return counts by hour, day or week, oldest first."""
        widths = {"hour": 3600, "day": 86_400, "week": 604_800}
        if interval not in widths:
            raise BadQuery(f"interval {interval!r}: choose one of {', '.join(widths)}")
        found = self.table("buckets")
        return found.filter(pc.equal(found["width_s"], widths[interval])).drop(["width_s"])


def ether(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turn amounts in wei into floating-point ether: good for plots, not for books."""
    return pc.divide(column.cast(pa.float64()), 1e18)


AMOUNTS = frozenset(
    str(column.key)
    for dataset in DATASETS.values()
    for column in dataset.query.selected_columns
    if isinstance(column.type, Wei)
)
"""The names of columns that hold amounts."""
