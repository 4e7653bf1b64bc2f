"""The paths of the API, version 1: reading only, but for usage reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy import Connection

from openmined import __version__
from openmined.protocol import Phase
from openmined.stats import _accounts as accounts
from openmined.stats import _models as models
from openmined.stats import _queries as queries
from openmined.stats import _totals as totals
from openmined.stats._errors import Busy, NotThere, ReportRefused
from openmined.stats._pages import DEFAULT_LIMIT, ETH, MAX_LIMIT, PageOf
from openmined.stats._reports import Accepted, SignedReport, Usage
from openmined.stats._service import Service

LARGEST = 2**53 - 1
"""Numbers in JSON are exact up to here."""

T = TypeVar("T")


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Address = Annotated[str, BeforeValidator(_lower), Field(pattern=r"^0x[0-9a-f]{40}$")]
AddressPath = Annotated[
    str, Path(pattern=r"^0x[0-9a-fA-F]{40}$", description="20 bytes in hexadecimal.")
]
CampaignId = Annotated[int, Path(ge=1, le=LARGEST)]
SchemaName = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9\-]*/[a-z0-9][a-z0-9\-@]*$", max_length=160)
]


class ListQuery(BaseModel):
    """What every list understands; anything else is refused."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(default=None, max_length=400, description="`next` of a page.")

    def page(self) -> PageOf:
        """Say which page is meant."""
        return PageOf(self.limit, self.cursor)


class CampaignQuery(ListQuery):
    """Which campaigns, in which order."""

    phase: list[models.PhaseName] = Field(default=[], max_length=6)
    data_scientist: Address | None = None
    capsule: Address | None = None
    token: Address | None = None
    miner: Address | None = Field(default=None, description="In which this mine took part.")
    input_schema: SchemaName | None = None
    algorithm: str | None = Field(default=None, pattern=r"^[a-z\-]{1,64}$")
    min_bounty: str | None = Field(default=None, pattern=r"^[0-9]{1,39}$")
    q: str | None = Field(
        default=None, min_length=1, max_length=200, description="Words in titles and descriptions."
    )
    sort: Literal["newest", "oldest", "bounty", "deadline", "gradients", "activity"] = "newest"

    def filter(self) -> queries.CampaignFilter:
        """Turn it into a filter."""
        return queries.CampaignFilter(
            phases=[Phase[name.upper()] for name in self.phase],
            data_scientist=self.data_scientist,
            capsule=self.capsule,
            token=self.token,
            miner=self.miner,
            input_schema=self.input_schema,
            algorithm=self.algorithm,
            min_bounty=None if self.min_bounty is None else int(self.min_bounty),
            text=self.q,
        )


class TimelineQuery(ListQuery):
    """Events, oldest or newest first."""

    order: Literal["oldest", "newest"] = "oldest"


class EventsQuery(ListQuery):
    """Events of everybody, or of one account."""

    account: Address | None = None
    order: Literal["oldest", "newest"] = "newest"


class MineQuery(ListQuery):
    """Mines, in an order."""

    sort: Literal["earned", "gradients", "accepted", "recent", "first"] = "gradients"
    token: Address = Field(default=ETH, description="Whose amounts to sort by.")


class ScientistQuery(ListQuery):
    """Data scientists, in an order."""

    sort: Literal["spent", "campaigns", "recent"] = "campaigns"
    token: Address = ETH


class CapsuleQuery(ListQuery):
    """Capsules, in an order."""

    sort: Literal["fees", "campaigns", "recent"] = "campaigns"
    token: Address = ETH


class SeriesQuery(BaseModel):
    """Which stretch of time, in which steps."""

    model_config = ConfigDict(extra="forbid")

    interval: Literal["hour", "day", "week"] = "day"
    start: int = Field(default=0, ge=0, le=LARGEST, description="Unix seconds.")
    end: int = Field(default=LARGEST, ge=0, le=LARGEST)
    limit: int = Field(default=366, ge=1, le=totals.MAX_POINTS)


class Nothing(BaseModel):
    """No parameters."""

    model_config = ConfigDict(extra="forbid")


class LiveQuery(BaseModel):
    """Whose events."""

    model_config = ConfigDict(extra="forbid")

    campaign: int | None = Field(default=None, ge=1, le=LARGEST)


Plain = Annotated[Nothing, Query()]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    422: {"model": models.Problem, "description": "A parameter is malformed or out of range."},
    503: {"model": models.Problem, "description": "The database does not answer, or it is busy."},
}
_MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": models.Problem, "description": "Not in the index."}
}


def make_router(service: Service) -> APIRouter:
    """Make the paths that read."""
    router = APIRouter(prefix="/v1", responses=PROBLEMS)

    def read(query: Callable[[Connection], models.Model | None]) -> Response:
        with service.database.reading() as connection:
            found = query(connection)
        if found is None:
            raise NotThere("there is nothing of that name in the index")
        return Response(found.model_dump_json(), media_type="application/json")

    def listed(
        exists: Callable[[Connection], object], query: Callable[[Connection], models.Model]
    ) -> Response:
        return read(lambda c: query(c) if exists(c) is not None else None)

    _add_campaigns(router, read, listed)
    _add_accounts(router, read, listed)
    _add_totals(router, read, service)
    return router


Read = Callable[[Callable[[Connection], models.Model | None]], Response]
Listed = Callable[[Callable[[Connection], object], Callable[[Connection], models.Model]], Response]


def _add_campaigns(router: APIRouter, read: Read, listed: Listed) -> None:
    @router.get("/campaigns", response_model=models.Campaigns, tags=["campaigns"])
    def list_campaigns(query: Annotated[CampaignQuery, Query()]) -> Response:
        """Campaigns, filtered and sorted."""
        order = queries.CAMPAIGN_ORDERS[query.sort]
        wanted = query.filter()
        return read(lambda c: queries.list_campaigns(c, wanted, order, query.page()))

    @router.get(
        "/campaigns/{campaign}",
        response_model=models.CampaignDetail,
        responses=_MISSING,
        tags=["campaigns"],
    )
    def get_campaign(campaign: CampaignId, _: Plain) -> Response:
        """One campaign, with what its manifest says."""
        return read(lambda c: queries.get_campaign(c, campaign))

    @router.get(
        "/campaigns/{campaign}/timeline",
        response_model=models.Timeline,
        responses=_MISSING,
        tags=["campaigns"],
    )
    def get_timeline(campaign: CampaignId, query: Annotated[TimelineQuery, Query()]) -> Response:
        """Everything that happened in a campaign."""
        newest = query.order == "newest"
        return listed(
            lambda c: queries.find_campaign(c, campaign),
            lambda c: queries.list_events(c, query.page(), campaign=campaign, newest_first=newest),
        )

    @router.get(
        "/campaigns/{campaign}/batches",
        response_model=models.Batches,
        responses=_MISSING,
        tags=["campaigns"],
    )
    def get_batches(campaign: CampaignId, query: Annotated[ListQuery, Query()]) -> Response:
        """Scored batches: accuracy, spend, and each gradient's share."""
        return listed(
            lambda c: queries.find_campaign(c, campaign),
            lambda c: queries.list_batches(c, campaign, query.page()),
        )

    @router.get(
        "/campaigns/{campaign}/gradients",
        response_model=models.Gradients,
        responses=_MISSING,
        tags=["campaigns"],
    )
    def get_gradients(campaign: CampaignId, query: Annotated[ListQuery, Query()]) -> Response:
        """A campaign's gradients."""
        return listed(
            lambda c: queries.find_campaign(c, campaign),
            lambda c: queries.list_gradients(c, query.page(), campaign=campaign),
        )

    @router.get(
        "/campaigns/{campaign}/mines",
        response_model=models.Participations,
        responses=_MISSING,
        tags=["campaigns"],
    )
    def get_participants(campaign: CampaignId, query: Annotated[ListQuery, Query()]) -> Response:
        """What each mine did in a campaign."""
        return listed(
            lambda c: queries.find_campaign(c, campaign),
            lambda c: queries.list_participations(c, query.page(), campaign=campaign),
        )

    @router.get("/events", response_model=models.Timeline, tags=["events"])
    def list_events(query: Annotated[EventsQuery, Query()]) -> Response:
        """The contract's events."""
        newest = query.order == "newest"
        return read(
            lambda c: queries.list_events(
                c, query.page(), account=query.account, newest_first=newest
            )
        )


def _add_accounts(router: APIRouter, read: Read, listed: Listed) -> None:
    @router.get("/mines", response_model=models.Mines, tags=["accounts"])
    def list_mines(query: Annotated[MineQuery, Query()]) -> Response:
        """Mines by their addresses; sorted by `earned`, those with money in that token."""
        order = accounts.MINE_ORDERS[query.sort]
        return read(lambda c: accounts.list_mines(c, order, query.token, query.page()))

    @router.get(
        "/mines/{address}", response_model=models.Mine, responses=_MISSING, tags=["accounts"]
    )
    def get_mine(address: AddressPath, _: Plain) -> Response:
        """One mine."""
        return read(lambda c: accounts.get_mine(c, address.lower()))

    @router.get(
        "/mines/{address}/gradients",
        response_model=models.Gradients,
        responses=_MISSING,
        tags=["accounts"],
    )
    def get_mine_gradients(address: AddressPath, query: Annotated[ListQuery, Query()]) -> Response:
        """A mine's gradients, newest first."""
        return listed(
            lambda c: accounts.get_mine(c, address.lower()),
            lambda c: queries.list_gradients(c, query.page(), miner=address.lower()),
        )

    @router.get(
        "/mines/{address}/campaigns",
        response_model=models.Participations,
        responses=_MISSING,
        tags=["accounts"],
    )
    def get_mine_campaigns(address: AddressPath, query: Annotated[ListQuery, Query()]) -> Response:
        """What a mine did in each campaign, newest campaign first."""
        return listed(
            lambda c: accounts.get_mine(c, address.lower()),
            lambda c: queries.list_participations(c, query.page(), miner=address.lower()),
        )

    @router.get("/data-scientists", response_model=models.DataScientists, tags=["accounts"])
    def list_data_scientists(query: Annotated[ScientistQuery, Query()]) -> Response:
        """Data scientists by their addresses."""
        order = accounts.SCIENTIST_ORDERS[query.sort]
        return read(lambda c: accounts.list_data_scientists(c, order, query.token, query.page()))

    @router.get(
        "/data-scientists/{address}",
        response_model=models.DataScientist,
        responses=_MISSING,
        tags=["accounts"],
    )
    def get_data_scientist(address: AddressPath, _: Plain) -> Response:
        """One data scientist."""
        return read(lambda c: accounts.get_data_scientist(c, address.lower()))

    @router.get("/capsules", response_model=models.Capsules, tags=["accounts"])
    def list_capsules(query: Annotated[CapsuleQuery, Query()]) -> Response:
        """Capsules: openings, rejections, latency, silent deadlines."""
        order = accounts.CAPSULE_ORDERS[query.sort]
        return read(lambda c: accounts.list_capsules(c, order, query.token, query.page()))

    @router.get(
        "/capsules/{address}", response_model=models.Capsule, responses=_MISSING, tags=["accounts"]
    )
    def get_capsule(address: AddressPath, _: Plain) -> Response:
        """One Capsule."""
        return read(lambda c: accounts.get_capsule(c, address.lower()))


def _add_totals(router: APIRouter, read: Read, service: Service) -> None:
    @router.get("/totals", response_model=models.Totals, tags=["totals"])
    def get_totals(_: Plain) -> Response:
        """Everything so far."""
        return read(totals.read_totals)

    @router.get("/series", response_model=models.Series, tags=["totals"])
    def get_series(query: Annotated[SeriesQuery, Query()]) -> Response:
        """What happened by hour, day or week (UTC)."""
        return read(
            lambda c: totals.read_series(c, query.interval, query.start, query.end, query.limit)
        )

    @router.get("/schemas", response_model=models.SchemaDemands, tags=["totals"])
    def list_schemas(_: Plain) -> Response:
        """Schemas in demand, and what mines say they hold of them."""
        return read(lambda c: totals.list_schemas(c, service.offered(c)))

    @router.get("/usage", response_model=Usage, tags=["usage"])
    def get_usage(_: Plain) -> Response:
        """What mines report of themselves, summed where enough of them do."""
        return read(service.usage)

    @router.post(
        "/reports",
        response_model=Accepted,
        responses={
            400: {"model": models.Problem, "description": "No JSON."},
            403: {"model": models.Problem, "description": "Not signed by a known mine."},
            409: {"model": models.Problem, "description": "A later report is here already."},
            413: {"model": models.Problem, "description": "Too large."},
            429: {"model": models.Problem, "description": "Too many reports from this address."},
        },
        tags=["usage"],
    )
    def post_report(request: Request, signed: SignedReport) -> Accepted:
        """Take in a mine's usage report; sending it again changes nothing."""
        caller = request.client.host if request.client else "unknown"
        try:
            if not service.limiter.admit(caller):
                raise ReportRefused("too many reports from this address: try again later", 429)
            accepted = service.inbox.accept(signed)
        except ReportRefused as refusal:
            service.metrics.reports[f"refused {refusal.status}"] += 1
            raise
        service.metrics.reports[accepted.outcome] += 1
        return accepted

    @router.get("/status", response_model=models.Status, tags=["service"])
    def get_status(_: Plain) -> Response:
        """How far the index is."""
        return read(lambda c: service.status(c, __version__))

    @router.get(
        "/network",
        response_model=models.NetworkInfo,
        responses=_MISSING,
        tags=["service"],
    )
    def get_network(_: Plain) -> Response:
        """What a web page needs to take part in this network."""
        return read(service.network_info)

    @router.get(
        "/live",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
        tags=["service"],
    )
    async def listen(request: Request, query: Annotated[LiveQuery, Query()]) -> Response:
        """Server-sent events: `hello`, then `advance` and `rollback` as they come.

        Send the id of the last one seen as `Last-Event-ID` to get what was missed; `reset` says
        that it is too long ago: read the API anew.
        """
        last = request.headers.get("last-event-id", "")
        seen = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else None
        if not service.feed.has_room:
            raise Busy("too many clients listen already: ask again later")
        return StreamingResponse(
            service.feed.listen(query.campaign, seen),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
