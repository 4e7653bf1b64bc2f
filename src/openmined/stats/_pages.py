"""Pages by keyset: what follows the last row seen, so that deep pages cost what first ones do."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Connection, Select, String, literal, tuple_

from openmined.stats._errors import BadQuery
from openmined.stats._types import WEI_DIGITS, Wei

MAX_LIMIT = 200
DEFAULT_LIMIT = 50
ETH = "0x" + "00" * 20

Fields = Mapping[Any, Any]
"""A row by column names."""


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is sorted: by a column, then by a key that makes the order total."""

    column: ColumnElement[Any]
    key: ColumnElement[Any]
    descending: bool = True


@dataclass(frozen=True, slots=True)
class PageOf:
    """Which part of a list is asked for."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None


def encode_cursor(values: Sequence[Any]) -> str:
    """Write where a page ended; opaque to clients."""
    plain = json.dumps([str(v) if isinstance(v, int) else v for v in values])
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, columns: Sequence[ColumnElement[Any]]) -> list[Any]:
    """Read where the last page ended.

    Raises:
        BadQuery: if it is not one that this service gave out for this list.
    """
    refusal = BadQuery("the cursor is not one of this list: start again without it")
    try:
        plain = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        values = json.loads(plain)
    except (ValueError, binascii.Error, RecursionError) as error:
        raise refusal from error
    if not isinstance(values, list) or len(values) != len(columns):
        raise refusal
    return [_as_type(value, column, refusal) for value, column in zip(values, columns, strict=True)]


def _as_type(value: Any, column: ColumnElement[Any], refusal: BadQuery) -> Any:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise refusal
    if isinstance(column.type, String):
        return value
    digits = WEI_DIGITS if isinstance(column.type, Wei) else 18
    if not value.isdigit() or len(value) > digits:
        raise refusal
    return int(value)


def read_page(
    connection: Connection, query: Select[Any], order: Order, page: PageOf
) -> tuple[list[Fields], str | None]:
    """Return the rows of a page, and where the next one begins."""
    columns = [order.column] if order.column is order.key else [order.column, order.key]
    if page.cursor is not None:
        values = decode_cursor(page.cursor, columns)
        here = tuple_(*columns)
        there = tuple_(
            *(literal(value, column.type) for value, column in zip(values, columns, strict=True))
        )
        query = query.where(here < there if order.descending else here > there)
    sorting = [column.desc() if order.descending else column.asc() for column in columns]
    limit = min(page.limit, MAX_LIMIT)
    found = connection.execute(query.order_by(*sorting).limit(limit + 1)).mappings().all()
    rows: list[Fields] = [dict(row) for row in found[:limit]]
    if len(found) <= limit:
        return rows, None
    return rows, encode_cursor([rows[-1][_name(column)] for column in columns])


def _name(column: ColumnElement[Any]) -> str:
    return str(getattr(column, "key", ""))


def known(model: type[BaseModel], row: Fields) -> dict[str, Any]:
    """Return those columns of a row that a model has fields for."""
    return {name: row[name] for name in model.model_fields if name in row}
