"""Around every request: who may ask (Host, Origin), how much, and headers of every answer.

A page of another site that the owner visits can send requests here (cross-site request forgery)
and, by pointing its own name at 127.0.0.1, even read answers (DNS rebinding). So a request is
answered only under a name that the owner gave, and only from pages that this mine served.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

MAX_BODY_BYTES = 1 << 20
UPLOADS = "/api/v1/uploads"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_SAFE: Headers = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]


class Shield:
    """The outermost layer of the API.

    Args:
        app: what is protected.
        names: host names under which the owner reaches the mine, besides those of this machine.
        upload_bytes: the largest upload.
    """

    def __init__(self, app: ASGIApp, *, names: Iterable[str], upload_bytes: int) -> None:
        self._app = app
        self._names = {name.lower() for name in (*LOOPBACK_NAMES, *names)}
        self._upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        problem = self._problem(headers)
        if problem:
            await _refuse(send, 403, "foreign", problem)
            return
        limit = self._upload_bytes if scope["path"] == UPLOADS else MAX_BODY_BYTES
        declared = headers.get(b"content-length", "0")
        if not declared.isdigit() or int(declared) > limit:
            await _refuse(send, 413, "too-large", f"a body of more than {limit} bytes is refused")
            return
        await self._app(scope, _limited(receive, limit), _safe(send, scope["path"]))

    def _problem(self, headers: dict[bytes, str]) -> str:
        host = headers.get(b"host", "")
        if _name_of(host) not in self._names:
            return "this mine does not answer under that host name: see api.allowed_hosts"
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "a page of another origin may not ask this mine anything"
        if headers.get(b"sec-fetch-site", "none") not in ("none", "same-origin"):
            return "a page of another site may not ask this mine anything"
        return ""


def _name_of(host: str) -> str:
    host = host.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _limited(receive: Receive, limit: int) -> Receive:
    """Count what arrives: a body may be longer than it declared, or declare nothing."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            return {"type": "http.disconnect"}
        return message

    return counted


def _safe(send: Send, path: str) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            cache = b"no-store" if path.startswith(("/api/", "/metrics")) else b"no-cache"
            own = {name.lower() for name, _ in message["headers"]}
            extra = [*_SAFE, (b"cache-control", cache)]
            message["headers"] = [*message["headers"], *(h for h in extra if h[0] not in own)]
        await send(message)

    return with_headers


async def _refuse(send: Send, status: int, code: str, text: str) -> None:
    body = json.dumps({"error": {"code": code, "message": text}}).encode()
    headers = [
        *_SAFE,
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
