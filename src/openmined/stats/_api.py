"""The web service: wires database, paths, cache, live updates and static pages together."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from openmined import __version__
from openmined.stats._database import Database
from openmined.stats._downloads import make_downloads
from openmined.stats._errors import BadQuery, Busy, NotThere, ReportRefused
from openmined.stats._feed import Feed
from openmined.stats._http import Cache, Shield
from openmined.stats._routes import PROBLEMS, make_router
from openmined.stats._service import Service

STATIC = Path(__file__).parent / "_static"


def create_app(service: Service, *, static: Path = STATIC) -> FastAPI:
    """Make the web service.

    Args:
        service: what its paths share.
        static: a folder with the web interface, served when it is there.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.feed.look()
        watching = asyncio.create_task(service.feed.run())
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    app = FastAPI(
        title="OpenMined statistics",
        summary="A public, read-only window on Sonar and the mines.",
        version=__version__,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
        middleware=[
            Middleware(Shield, metrics=service.metrics, page_policy=page_policy(service)),
            Middleware(Cache, revision=lambda: service.revision, metrics=service.metrics),
        ],
    )
    app.include_router(make_router(service))
    app.include_router(make_downloads(service.database, PROBLEMS))
    _add_health(app, service)
    _add_problems(app)
    _describe_problems(app)
    if static.is_dir():
        app.router.routes.append(
            _PagesMount(GZipMiddleware(_Pages(directory=static, html=True), minimum_size=1024))
        )
    return app


def openapi_text() -> str:
    """Return the OpenAPI document of the API, as `docs/openapi/stats.json` holds it."""
    engine = create_engine("sqlite://")
    database = Database(engine)
    app = create_app(Service(database, Feed(database)), static=Path(".no-such-folder"))
    database.close()
    document = app.openapi() | {"info": {**app.openapi()["info"], "version": "1"}}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def page_policy(service: Service) -> str:
    """Write the Content-Security-Policy of the web interface: its own code, known hosts only."""
    network = service.network
    capsule = network.capsule if network else None
    urls = [
        network.gateway_url or network.store_url if network else None,
        capsule.url if capsule else None,
        service.public_rpc_url,
    ]
    hosts = " ".join(["'self'", *sorted({_origin(url) for url in urls if url})])
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self'",
            "manifest-src 'self'",
            f"connect-src {hosts}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class _PagesMount(Mount):
    """Everything but the API: there an unknown path or method stays an error."""

    def __init__(self, pages: ASGIApp) -> None:
        super().__init__("/", pages, name="pages")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["path"].startswith("/v1"):
            return Match.NONE, {}
        return super().matches(scope)


class _Pages(StaticFiles):
    """Static files, where a path without a file is the page's own affair."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != HTTPStatus.NOT_FOUND or "." in path.rsplit("/", 1)[-1]:
                raise
            response = await super().get_response("index.html", scope)
        hashed = path.startswith("assets/")
        age = "public, max-age=31536000, immutable" if hashed else "no-cache"
        response.headers["cache-control"] = age
        return response


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/v1/health", tags=["service"], response_model=dict[str, str])
    def get_health() -> Response:
        """Whether the database answers."""
        with service.database.reading() as connection:
            service.status(connection, __version__)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics", include_in_schema=False)
    def get_metrics() -> Response:
        with service.database.reading() as connection:
            gauges = service.gauges(connection)
        text = service.metrics.text(gauges)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


# --------------------------------------------------------------------------------------- problems


def _describe_problems(app: FastAPI) -> None:
    # FastAPI documents every answer as application/json; ours to failures are RFC 9457's.
    for path in app.openapi()["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if int(status) >= HTTPStatus.BAD_REQUEST and "application/json" in content:
                    response["content"] = {_PROBLEM_TYPE: content["application/json"]}


_PROBLEM_TYPE = "application/problem+json"


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    more = {"retry-after": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return JSONResponse(body, status, {**more, **(headers or {})}, media_type=_PROBLEM_TYPE)


def _add_problems(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def refuse_parameters(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or "request"
        return _problem(422, f"{place}: {first['msg']}")

    @app.exception_handler(BadQuery)
    async def refuse_query(_: Request, error: BadQuery) -> Response:
        return _problem(422, str(error))

    @app.exception_handler(Busy)
    async def busy(_: Request, error: Busy) -> Response:
        return _problem(503, str(error))

    @app.exception_handler(NotThere)
    async def not_there(_: Request, error: NotThere) -> Response:
        return _problem(404, str(error))

    @app.exception_handler(ReportRefused)
    async def refuse_report(_: Request, error: ReportRefused) -> Response:
        return _problem(error.status, str(error))

    @app.exception_handler(SQLAlchemyError)
    async def database_away(_: Request, error: SQLAlchemyError) -> Response:
        return _problem(503, f"the database does not answer ({type(error).__name__})")

    @app.exception_handler(HTTPException)
    async def refuse(_: Request, error: HTTPException) -> Response:
        return _problem(error.status_code, str(error.detail), error.headers)
