"""Reading campaigns and what happened in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, literal, select

from openmined.protocol import GradientStatus, Phase, Reason
from openmined.stats import _models as models
from openmined.stats import _schema as schema
from openmined.stats._errors import BadQuery
from openmined.stats._events import decode_arguments
from openmined.stats._pages import Fields, Order, PageOf, known, read_page
from openmined.stats._words import MAX_QUERY_WORDS, next_prefix, words_of

_STATUS_NAMES: Mapping[int, models.StatusName] = {
    GradientStatus.PENDING: "pending",
    GradientStatus.SCORED: "accepted",
    GradientStatus.REJECTED: "rejected",
    GradientStatus.RECLAIMED: "reclaimed",
}
_BIG_ARGUMENTS = frozenset(
    ("amount", "bounty", "refund", "fee", "bond", "payout", "bond_returned", "paid", "forfeited")
)


# -------------------------------------------------------------------------------------- campaigns


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignFilter:
    """Which campaigns are wanted; None means any."""

    phases: Sequence[Phase] = ()
    data_scientist: str | None = None
    capsule: str | None = None
    token: str | None = None
    miner: str | None = None
    input_schema: str | None = None
    algorithm: str | None = None
    min_bounty: int | None = None
    text: str | None = None


_c = schema.campaigns.c
CAMPAIGN_ORDERS: Mapping[str, Order] = {
    "newest": Order(_c.campaign, _c.campaign),
    "oldest": Order(_c.campaign, _c.campaign, descending=False),
    "bounty": Order(_c.bounty, _c.campaign),
    "deadline": Order(_c.deadline, _c.campaign, descending=False),
    "gradients": Order(_c.gradients, _c.campaign),
    "activity": Order(_c.updated_position, _c.campaign),
}
_MANIFEST_COLUMNS = (
    "title",
    "description",
    "metric",
    "algorithm",
    "update_kind",
    "schema",
    "state",
    "details",
    "problem",
)


def _campaigns_query() -> Select[Any]:
    joined = schema.campaigns.outerjoin(
        schema.manifests, schema.manifests.c.digest == schema.campaigns.c.spec
    )
    extra = [schema.manifests.c[name].label(f"manifest_{name}") for name in _MANIFEST_COLUMNS]
    return select(schema.campaigns, *extra).select_from(joined)


def list_campaigns(
    connection: Connection, wanted: CampaignFilter, order: Order, page: PageOf
) -> models.Campaigns:
    """Return campaigns that pass a filter."""
    query = _campaigns_query()
    for condition in _conditions(wanted):
        query = query.where(condition)
    rows, after = read_page(connection, query, order, page)
    return models.Campaigns(items=[_campaign(row) for row in rows], next=after)


def find_campaign(connection: Connection, campaign: int) -> int | None:
    """Return the campaign's number if it is in the index."""
    found = connection.execute(select(_c.campaign).where(_c.campaign == campaign)).scalar()
    return None if found is None else int(found)


def get_campaign(connection: Connection, campaign: int) -> models.CampaignDetail | None:
    """Return one campaign."""
    query = _campaigns_query().where(_c.campaign == campaign)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    details = row["manifest_details"]
    return models.CampaignDetail(
        **_campaign_values(row),
        details=None if details is None else json.loads(details),
        problem=row["manifest_problem"],
    )


def _conditions(wanted: CampaignFilter) -> Iterable[ColumnElement[bool]]:
    if wanted.phases:
        yield _c.phase.in_([int(phase) for phase in wanted.phases])
    for column, value in (
        (_c.data_scientist, wanted.data_scientist),
        (_c.capsule, wanted.capsule),
        (_c.token, wanted.token),
        (schema.manifests.c.schema, wanted.input_schema),
        (schema.manifests.c.algorithm, wanted.algorithm),
    ):
        if value is not None:
            yield column == value
    if wanted.miner is not None:
        part = schema.participations.c
        yield _c.campaign.in_(select(part.campaign).where(part.miner == wanted.miner))
    if wanted.min_bounty is not None:
        yield _c.bounty >= literal(wanted.min_bounty, _c.bounty.type)
    if wanted.text is not None:
        yield from _text_conditions(wanted.text)


def _text_conditions(text: str) -> Iterable[ColumnElement[bool]]:
    words = list(dict.fromkeys(words_of(text)))
    if not words:
        raise BadQuery(f"q={text[:40]!r} holds no word to look for")
    if len(words) > MAX_QUERY_WORDS:
        raise BadQuery(f"q holds {len(words)} words; look for at most {MAX_QUERY_WORDS}")
    table = schema.manifest_words.c
    for word in words:
        begins = and_(table.word >= word, table.word < next_prefix(word))
        yield _c.spec.in_(select(table.digest).where(begins))


def _campaign_values(row: Fields) -> dict[str, Any]:
    values = known(models.Campaign, row)
    ended = row["phase"] > Phase.OPEN
    values |= {
        "phase": Phase(row["phase"]).name.lower(),
        "unspent": 0 if ended else row["bounty"] - row["paid"],
        "input_schema": row["manifest_schema"],
        "update": row["manifest_update_kind"],
        "manifest": row["manifest_state"] or "wanted",
    }
    for name in ("title", "description", "metric", "algorithm"):
        values[name] = row[f"manifest_{name}"]
    return values


def _campaign(row: Fields) -> models.Campaign:
    return models.Campaign(**_campaign_values(row))


# --------------------------------------------------------------------------------- in one campaign


def list_events(
    connection: Connection,
    page: PageOf,
    *,
    campaign: int | None = None,
    account: str | None = None,
    newest_first: bool = False,
) -> models.Timeline:
    """Return events: of a campaign, of an account, or all."""
    table = schema.events.c
    query = select(schema.events)
    if campaign is not None:
        query = query.where(table.campaign == campaign)
    if account is not None:
        query = query.where(table.account == account)
    order = Order(table.position, table.position, descending=newest_first)
    rows, after = read_page(connection, query, order, page)
    return models.Timeline(items=[timeline_entry(row) for row in rows], next=after)


def timeline_entry(row: Fields) -> models.TimelineEntry:
    """Turn a row of the event log into an answer; amounts become text."""
    arguments = {
        name: str(value) if name in _BIG_ARGUMENTS else value
        for name, value in decode_arguments(row["arguments"]).items()
    }
    return models.TimelineEntry(
        position=row["position"],
        block_number=row["block_number"],
        log_index=row["log_index"],
        transaction_hash=row["transaction_hash"],
        at=row["timestamp"],
        event=row["name"],
        campaign=row["campaign"],
        account=row["account"],
        arguments=arguments,
    )


def list_gradients(
    connection: Connection,
    page: PageOf,
    *,
    campaign: int | None = None,
    miner: str | None = None,
) -> models.Gradients:
    """Return the gradients of a campaign in their order, or of a mine, newest first."""
    table = schema.gradients.c
    query = select(schema.gradients)
    order = Order(table.gradient, table.gradient, descending=False)
    if campaign is not None:
        query = query.where(table.campaign == campaign)
    if miner is not None:
        query = query.where(table.miner == miner)
        order = Order(table.submitted_position, table.submitted_position)
    rows, after = read_page(connection, query, order, page)
    return models.Gradients(items=[_gradient(row) for row in rows], next=after)


def _gradient(row: Fields) -> models.Gradient:
    values = known(models.Gradient, row)
    return models.Gradient(
        **values | {"status": _STATUS_NAMES[row["status"]]}, reason_name=_reason(row["reason"])
    )


def _reason(code: int) -> str | None:
    if code == 0:
        return None
    try:
        return Reason(code).name.lower()
    except ValueError:
        return "unknown"


def list_batches(connection: Connection, campaign: int, page: PageOf) -> models.Batches:
    """Return a campaign's batches with the share of each gradient."""
    table = schema.batches.c
    query = select(schema.batches).where(table.campaign == campaign)
    order = Order(table.batch, table.batch, descending=False)
    rows, after = read_page(connection, query, order, page)
    shares: dict[int, list[models.Gradient]] = {row["batch"]: [] for row in rows}
    part = schema.gradients.c
    found = connection.execute(
        select(schema.gradients)
        .where(part.campaign == campaign, part.batch.in_(list(shares)))
        .order_by(part.gradient)
    )
    for row in found.mappings():
        shares[row["batch"]].append(_gradient(row))
    items = [
        models.Batch(
            **{n: row[n] for n in models.Batch.model_fields if n in row and n != "gradients"},
            gradients=shares[row["batch"]],
        )
        for row in rows
    ]
    return models.Batches(items=items, next=after)


def list_participations(
    connection: Connection, page: PageOf, *, campaign: int | None = None, miner: str | None = None
) -> models.Participations:
    """Return who took part in a campaign, or in what a mine took part."""
    table = schema.participations.c
    query = select(schema.participations, _c.token).join(
        schema.campaigns, _c.campaign == table.campaign
    )
    if campaign is not None:
        query = query.where(table.campaign == campaign)
        order = Order(table.miner, table.miner, descending=False)
    else:
        query = query.where(table.miner == miner)
        order = Order(table.campaign, table.campaign)
    rows, after = read_page(connection, query, order, page)
    return models.Participations(items=[models.Participation(**row) for row in rows], next=after)
