"""The embedded node: one small ASGI application over blocks, with Kubo's RPC and the gateway."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openmined.storage._blocks import BlockStore
from openmined.storage._gateway import Gateway
from openmined.storage._rpc import RPC, rpc_error
from openmined.storage._settings import NodeSettings

Handler = Callable[[Request], Awaitable[Response]]

_LOCAL_NAMES = frozenset({"localhost"})


def create_node(blocks: BlockStore, settings: NodeSettings | None = None) -> Starlette:
    """Return the ASGI application of a node that keeps its blocks in `blocks`."""
    settings = settings or NodeSettings()
    gateway = Gateway(blocks)
    rpc = RPC(blocks, settings.max_upload_bytes, settings.stalled_upload_s)
    routes = [
        Route("/ipfs/{path:path}", gateway.get, methods=["GET", "HEAD"]),
        Route("/ipfs/{path:path}", gateway.preflight, methods=["OPTIONS"]),
    ]
    for path, handler in rpc.handlers().items():
        routes.append(Route(f"/api/v0/{path}", _guarded(handler, settings), methods=["POST"]))
        routes.append(Route(f"/api/v0/{path}", _preflight(settings), methods=["OPTIONS"]))
    return Starlette(routes=routes)


def _guarded(handler: Handler, settings: NodeSettings) -> Handler:
    async def guarded(request: Request) -> Response:
        if reason := refuse_caller(request, settings):
            return rpc_error(reason, 403)
        if not _shows_token(request, settings.write_token):
            return rpc_error("this store takes writes with its token only", 401)
        response = await handler(request)
        _permit_origin(request, response)
        return response

    return guarded


def _preflight(settings: NodeSettings) -> Handler:
    async def preflight(request: Request) -> Response:
        if reason := refuse_caller(request, settings):
            return rpc_error(reason, 403)
        response = Response(status_code=204)
        _permit_origin(request, response)
        response.headers["Access-Control-Allow-Methods"] = "POST"
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
        response.headers["Access-Control-Max-Age"] = "600"
        return response

    return preflight


def _permit_origin(request: Request, response: Response) -> None:
    # Whoever has an Origin here was found in the settings.
    if origin := request.headers.get("origin"):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Vary"] = "Origin"


def refuse_caller(request: Request, settings: NodeSettings) -> str | None:
    """Say why a caller of the RPC is refused, or None.

    A web page must not write through its visitor's browser: neither across sites (Origin,
    Referer, Sec-Fetch-Site, as Kubo does) nor by pointing its own name at this machine (Host).
    """
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if not _is_known_host(host, settings):
        return f"host {host[:80]!r} is not known here: start the store with --allow-host NAME"
    headers = request.headers
    origin = headers.get("origin")
    if origin is None and (referer := headers.get("referer")):
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(referer))
    if origin is not None and origin not in settings.allowed_origins:
        return f"origin {origin[:80]!r} may not write: start the store with --allow-origin URL"
    if origin is None and (
        headers.get("sec-fetch-site", "none") != "none"
        or headers.get("user-agent", "").startswith("Mozilla")
    ):
        return "a browser that hides its origin may not write"
    return None


def _shows_token(request: Request, token: str | None) -> bool:
    shown = request.headers.get("authorization", "")
    return token is None or secrets.compare_digest(shown.encode(), f"Bearer {token}".encode())


def _is_known_host(host: str, settings: NodeSettings) -> bool:
    if host in _LOCAL_NAMES or host in settings.allowed_hosts:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True  # an address cannot be rebound
