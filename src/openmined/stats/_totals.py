"""Reading totals, time series, and schemas in demand."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, func, or_, select

from openmined.protocol import Phase
from openmined.stats import _models as models
from openmined.stats import _schema as schema
from openmined.stats._pages import MAX_LIMIT, known

_c = schema.campaigns.c

_NO_COUNTS = dict.fromkeys(models.Counts.model_fields, 0)


def read_totals(connection: Connection) -> models.Totals:
    """Return everything so far."""
    points = _points(connection, 0, 0, 0, 1)
    phases = {phase.name.lower(): 0 for phase in Phase if phase is not Phase.NONE}
    found = connection.execute(select(_c.phase, func.count()).group_by(_c.phase))
    for phase, count in found:
        phases[Phase(phase).name.lower()] = count
    counts = points[0].counts if points else models.Counts(**_NO_COUNTS)
    money = points[0].money if points else []
    return models.Totals.model_validate({"counts": counts, "money": money, "phases": phases})


WIDTHS_S: Mapping[str, int] = {"hour": 3600, "day": 86_400, "week": 604_800}
MAX_POINTS = 1000


def read_series(
    connection: Connection, interval: str, start: int, end: int, limit: int
) -> models.Series:
    """Return the newest intervals that begin in [start, end), oldest first."""
    points = _points(connection, WIDTHS_S[interval], start, end, limit)
    return models.Series.model_validate({"interval": interval, "items": points})


def _points(
    connection: Connection, width_s: int, start: int, end: int, limit: int
) -> list[models.Point]:
    b, m = schema.buckets.c, schema.bucket_money.c
    query = select(schema.buckets).where(b.width_s == width_s)
    if width_s:
        query = query.where(b.start >= start, b.start < end)
    found = connection.execute(query.order_by(b.start.desc()).limit(limit)).mappings().all()
    if not found:
        return []
    money: dict[int, list[models.Money]] = {row["start"]: [] for row in found}
    moved = connection.execute(
        select(schema.bucket_money)
        .where(m.width_s == width_s, m.start >= min(money), m.start <= max(money))
        .order_by(m.start, m.token)
    )
    for row in moved.mappings():
        if row["start"] in money:
            money[row["start"]].append(models.Money(**known(models.Money, row)))
    return [
        models.Point(
            start=row["start"],
            counts=models.Counts(**known(models.Counts, row)),
            active_mines=None if width_s == WIDTHS_S["hour"] else row["active_mines"],
            money=money[row["start"]],
        )
        for row in reversed(found)
    ]


# ---------------------------------------------------------------------------------------- schemas


def list_schemas(
    connection: Connection,
    offered: Mapping[str, tuple[int, int]],
    limit: int = MAX_LIMIT,
) -> models.SchemaDemands:
    """Return schemas by how many campaigns ask for them; `offered` is (mines, records) of each."""
    t = schema.manifests.c
    joined = schema.campaigns.join(schema.manifests, t.digest == _c.spec)
    is_open = or_(_c.phase == int(Phase.OPEN), _c.phase == int(Phase.LAUNCHED))
    counted = connection.execute(
        select(
            t.schema,
            func.max(t.schema_title),
            func.count(),
            func.count().filter(is_open),
            func.sum(_c.gradients),
        )
        .select_from(joined)
        .where(t.schema.is_not(None))
        .group_by(t.schema)
        .order_by(func.count().desc(), t.schema)
        .limit(limit)
    ).all()
    names = [row[0] for row in counted]
    bounties: dict[str, dict[str, int]] = {name: {} for name in names}
    money = connection.execute(
        select(t.schema, _c.token, _c.bounty, _c.paid)
        .select_from(joined)
        .where(is_open, t.schema.in_(names))
    )
    for name, token, bounty, paid in money:
        bounties[name][token] = bounties[name].get(token, 0) + bounty - paid
    items = []
    for name, title, campaigns, open_campaigns, gradients in counted:
        mines, records = offered.get(name, (None, None))
        amounts = [
            models.TokenAmount(token=token, amount=amount)
            for token, amount in sorted(bounties[name].items())
        ]
        items.append(
            models.SchemaDemand(
                input_schema=name,
                title=title,
                campaigns=campaigns,
                open_campaigns=open_campaigns,
                open_bounty=amounts,
                gradients=int(gradients or 0),
                mines_offering=mines,
                records_offered=records,
            )
        )
    return models.SchemaDemands(items=items)
