"""Reading accounts: mines, data scientists, Capsules, and their money."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, Table, and_, select

from openmined.stats import _models as models
from openmined.stats import _schema as schema
from openmined.stats._pages import Fields, Order, PageOf, known, read_page

_m, _d, _k, _p = (
    schema.mines.c,
    schema.data_scientists.c,
    schema.capsules.c,
    schema.purses.c,
)
MINE_ORDERS: Mapping[str, Order] = {
    "earned": Order(_p.earned, _p.account),
    "gradients": Order(_m.gradients, _m.address),
    "accepted": Order(_m.accepted, _m.address),
    "recent": Order(_m.last_at, _m.address),
    "first": Order(_m.first_position, _m.first_position, descending=False),
}
SCIENTIST_ORDERS: Mapping[str, Order] = {
    "spent": Order(_p.spent, _p.account),
    "campaigns": Order(_d.campaigns, _d.address),
    "recent": Order(_d.last_at, _d.address),
}
CAPSULE_ORDERS: Mapping[str, Order] = {
    "fees": Order(_p.fees, _p.account),
    "campaigns": Order(_k.campaigns, _k.address),
    "recent": Order(_k.last_at, _k.address),
}


def list_mines(connection: Connection, order: Order, token: str, page: PageOf) -> models.Mines:
    """Return mines; sorted by money, those that have a purse in that token."""
    rows, after = _accounts(connection, schema.mines, order, token, page)
    return models.Mines(items=_with_purses(connection, rows, _mine), next=after)


def list_data_scientists(
    connection: Connection, order: Order, token: str, page: PageOf
) -> models.DataScientists:
    """Return data scientists."""
    rows, after = _accounts(connection, schema.data_scientists, order, token, page)
    return models.DataScientists(items=_with_purses(connection, rows, _scientist), next=after)


def list_capsules(
    connection: Connection, order: Order, token: str, page: PageOf
) -> models.Capsules:
    """Return Capsules."""
    rows, after = _accounts(connection, schema.capsules, order, token, page)
    return models.Capsules(items=_with_purses(connection, rows, _capsule), next=after)


def get_mine(connection: Connection, address: str) -> models.Mine | None:
    """Return one mine."""
    return _one(connection, schema.mines, address, _mine)


def get_data_scientist(connection: Connection, address: str) -> models.DataScientist | None:
    """Return one data scientist."""
    return _one(connection, schema.data_scientists, address, _scientist)


def get_capsule(connection: Connection, address: str) -> models.Capsule | None:
    """Return one Capsule."""
    return _one(connection, schema.capsules, address, _capsule)


def _accounts(
    connection: Connection, table: Table, order: Order, token: str, page: PageOf
) -> tuple[list[Fields], str | None]:
    query = select(table)
    if order.key is _p.account:
        query = select(table, _p.account, order.column).join(
            schema.purses, and_(_p.account == table.c.address, _p.token == token)
        )
    return read_page(connection, query, order, page)


Purses = list[models.Purse]
T = TypeVar("T")


def _with_purses(
    connection: Connection,
    rows: Sequence[Fields],
    build: Callable[[Fields, Purses], T],
) -> list[T]:
    purses: dict[str, Purses] = {row["address"]: [] for row in rows}
    found = connection.execute(
        select(schema.purses).where(_p.account.in_(list(purses))).order_by(_p.account, _p.token)
    )
    for row in found.mappings():
        values = {name: row[name] for name in models.Purse.model_fields}
        purses[row["account"]].append(models.Purse(**values))
    return [build(row, purses[row["address"]]) for row in rows]


def _one(
    connection: Connection,
    table: Table,
    address: str,
    build: Callable[[Fields, Purses], T],
) -> T | None:
    query = select(table).where(table.c.address == address)
    rows = connection.execute(query).mappings().all()
    return next(iter(_with_purses(connection, rows, build)), None)


def _mine(row: Fields, purses: Purses) -> models.Mine:
    scored = row["accepted"] + row["rejected"]
    rate = row["accepted"] * 1_000_000 // scored if scored else None
    return models.Mine(**known(models.Mine, row), acceptance_ppm=rate, purses=purses)


def _scientist(row: Fields, purses: Purses) -> models.DataScientist:
    return models.DataScientist(**known(models.DataScientist, row), purses=purses)


def _capsule(row: Fields, purses: Purses) -> models.Capsule:
    scored = row["accepted"] + row["gradients_rejected"]
    values = known(models.Capsule, row) | {
        "silent": row["expired_unopened"] + row["expired_open"],
        "open_latency_s": row["open_latency_s"] / row["opened"] if row["opened"] else None,
        "score_latency_s": row["score_latency_s"] / scored if scored else None,
    }
    return models.Capsule(**values, purses=purses)
