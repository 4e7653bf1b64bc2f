"""Downloads of every table, streamed from one unchanging state of the index."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import Connection

from openmined.stats import _models as models
from openmined.stats._database import Database
from openmined.stats._errors import Busy
from openmined.stats._tables import DATASETS, Dataset, csv_stream, parquet_stream

MOST_AT_ONCE = 4
"""Each holds a state of the database; more would keep it from tidying up."""

Format = Literal["csv", "parquet"]
_STREAMS: dict[str, Callable[[Connection, Dataset], Iterator[bytes]]] = {
    "csv": csv_stream,
    "parquet": parquet_stream,
}
_MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


class TableColumn(models.Model):
    """One column."""

    name: str
    type: str


class TableInfo(models.Model):
    """One table that can be downloaded."""

    name: str
    about: str
    columns: list[TableColumn]


class TableList(models.Model):
    """The tables."""

    items: list[TableInfo]


def make_downloads(database: Database, problems: dict[int | str, dict[str, Any]]) -> APIRouter:
    """Make the paths of downloads."""
    router = APIRouter(prefix="/v1/tables", tags=["downloads"], responses=problems)
    places = asyncio.Semaphore(MOST_AT_ONCE)

    @router.get("", response_model=TableList)
    def list_tables() -> TableList:
        """The tables and their columns."""
        items = [
            TableInfo(
                name=dataset.name,
                about=dataset.about,
                columns=[TableColumn(name=f.name, type=str(f.type)) for f in dataset.fields],
            )
            for dataset in DATASETS.values()
        ]
        return TableList(items=items)

    @router.get(
        "/{name}.{format}",
        response_class=StreamingResponse,
        responses={
            200: {"content": {media: {"schema": {"type": "string"}} for media in _MEDIA.values()}},
            404: {"model": models.Problem, "description": "No such table."},
        },
    )
    async def download(
        name: Annotated[Literal[tuple(DATASETS)], Path()],  # type: ignore[valid-type]
        format: Annotated[Format, Path()],  # noqa: A002 - the name of the path's part
    ) -> Response:
        """A whole table; amounts are decimal text."""
        if places.locked():
            raise Busy(f"{MOST_AT_ONCE} downloads are under way: try again in a few seconds")
        stream = _streamed(database, DATASETS[name], _STREAMS[format], places)
        return StreamingResponse(
            stream,
            media_type=_MEDIA[format],
            headers={"content-disposition": f'attachment; filename="{name}.{format}"'},
        )

    return router


async def _streamed(
    database: Database,
    dataset: Dataset,
    write: Callable[[Connection, Dataset], Iterator[bytes]],
    places: asyncio.Semaphore,
) -> AsyncIterator[bytes]:
    async with places:
        parts = _parts(database, dataset, write)
        try:
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                yield part
        finally:
            await asyncio.to_thread(parts.close)


def _parts(
    database: Database, dataset: Dataset, write: Callable[[Connection, Dataset], Iterator[bytes]]
) -> Any:
    with database.reading() as connection:
        yield from write(connection, dataset)
