"""Around every answer: a cache that the index's generation empties, validators, safe headers."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openmined.stats._metrics import Metrics

Headers = list[tuple[bytes, bytes]]

MAX_POST_BYTES = 64 << 10
"""A usage report is far smaller; a body without its length is refused too."""

_SMALL = 1024
_UNCACHED = (
    "/v1/live",
    "/v1/tables",
    "/v1/health",
    "/v1/status",
    "/v1/openapi.json",
    "/v1/reports",
)

SAFE_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
_PROBLEM = (b"content-type", b"application/problem+json")
_TOO_LARGE = (
    b'{"type":"about:blank","title":"Content Too Large","status":413,'
    b'"detail":"say the length of the body, at most 65536 bytes"}'
)
API_POLICY = b"default-src 'none'; frame-ancestors 'none'"
_CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"etag, x-index-generation, content-disposition"),
    (b"cross-origin-resource-policy", b"cross-origin"),
]
_PREFLIGHT: Headers = [
    *_CORS,
    (b"access-control-allow-methods", b"GET, HEAD"),
    (b"access-control-allow-headers", b"if-none-match, last-event-id"),
    (b"access-control-max-age", b"86400"),
]


@dataclass(slots=True)
class Entry:
    """One cached answer."""

    revision: str
    status: int
    headers: Headers
    body: bytes
    route: str
    etag: bytes = b""
    gzipped: bytes | None = None
    kept: bool = False

    @property
    def size(self) -> int:
        """Bytes it takes, about."""
        return len(self.body) + len(self.gzipped or b"") + 1024


class Shield:
    """The outermost layer: cross-origin reading, safe headers, measurements.

    Args:
        page_policy: the Content-Security-Policy of pages outside of /v1.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, page_policy: str) -> None:
        self._app = app
        self._metrics = metrics
        self._page_policy = page_policy.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        api = scope["path"].startswith("/v1/") or scope["path"] == "/metrics"
        if scope["path"] == "/v1/reports" and scope["method"] == "POST" and _too_long(scope):
            await _send(send, 413, [*SAFE_HEADERS, _PROBLEM], _TOO_LARGE)
            return
        if api and scope["method"] == "OPTIONS":
            await _send(send, 204, [*_PREFLIGHT, *SAFE_HEADERS], b"")
            return
        extra = [*SAFE_HEADERS, (b"content-security-policy", self._policy(api))]
        if api:
            extra += _CORS
        began = time.perf_counter()
        status = 500

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        try:
            await self._app(scope, receive, send_safely)
        finally:
            route = getattr(scope.get("route"), "path", None) or scope.get("cached_route")
            self._metrics.observe(route or "other", status, time.perf_counter() - began)

    def _policy(self, api: bool) -> bytes:
        return API_POLICY if api else self._page_policy


class Cache:
    """Keeps answers for as long as the index has not changed; one computation for many askers.

    Args:
        revision: says what the index is at.
        most_bytes: room for answers; the least recently used go first.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        revision: Callable[[], str],
        metrics: Metrics,
        most_bytes: int = 64 << 20,
    ) -> None:
        self._app = app
        self._revision = revision
        self._metrics = metrics
        self._most = most_bytes
        self._size = 0
        self._entries: OrderedDict[tuple[str, bytes], Entry] = OrderedDict()
        self._working: dict[tuple[str, bytes, str], asyncio.Future[Entry]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if not path.startswith("/v1/") or path.startswith(_UNCACHED):
            await self._app(scope, receive, send)
            return
        entry = await self._entry(scope)
        scope["cached_route"] = entry.route
        await self._reply(entry, scope, send)

    async def _entry(self, scope: Scope) -> Entry:
        key = (scope["path"], scope["query_string"])
        revision = self._revision()
        entry = self._entries.get(key)
        if entry is not None and entry.revision == revision:
            self._entries.move_to_end(key)
            self._metrics.cache_hits += 1
            return entry
        self._metrics.cache_misses += 1
        working = self._working.get((*key, revision))
        if working is None:
            working = asyncio.ensure_future(self._compute(scope, revision))
            self._working[*key, revision] = working
            working.add_done_callback(lambda _: self._working.pop((*key, revision), None))
        # Shielded: the others that wait for it must not lose it when this asker goes away.
        entry = await asyncio.shield(working)
        if entry.status == 200:
            self._keep(key, entry)
        return entry

    async def _compute(self, scope: Scope, revision: str) -> Entry:
        inner = {**scope, "method": "GET", "headers": []}
        entry = Entry(revision, 500, [], b"", "other")
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                entry.headers = list(message["headers"])
            else:
                parts.append(message.get("body", b""))

        await self._app(inner, _no_body, collect)
        entry.body = b"".join(parts)
        entry.route = getattr(inner.get("route"), "path", None) or "other"
        entry.etag = b'"' + hashlib.sha256(entry.body).hexdigest()[:24].encode() + b'"'
        return entry

    def _keep(self, key: tuple[str, bytes], entry: Entry) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            old.kept = False
            self._size -= old.size
        if entry.size > self._most // 8:
            return
        entry.kept = True
        self._entries[key] = entry
        self._size += entry.size
        while self._size > self._most:
            _, oldest = self._entries.popitem(last=False)
            oldest.kept = False
            self._size -= oldest.size

    async def _reply(self, entry: Entry, scope: Scope, send: Send) -> None:
        asked = dict(scope["headers"])
        headers: Headers = [
            (name, value) for name, value in entry.headers if name != b"content-length"
        ]
        headers.append((b"x-index-generation", entry.revision.encode()))
        if entry.status != 200:
            headers.append((b"cache-control", b"no-store"))
            await _send(send, entry.status, headers, entry.body, scope["method"])
            return
        headers += [
            (b"etag", entry.etag),
            (b"cache-control", b"public, max-age=2"),
            (b"vary", b"accept-encoding"),
        ]
        if _matches(asked.get(b"if-none-match", b""), entry.etag):
            await _send(send, 304, [h for h in headers if h[0] != b"content-type"], b"")
            return
        body = entry.body
        if len(body) > _SMALL and _accepts_gzip(asked):
            body = self._gzipped(entry)
            headers.append((b"content-encoding", b"gzip"))
        await _send(send, 200, headers, body, scope["method"])

    def _gzipped(self, entry: Entry) -> bytes:
        if entry.gzipped is None:
            entry.gzipped = gzip.compress(entry.body, 4, mtime=0)
            if entry.kept:
                self._size += len(entry.gzipped)
        return entry.gzipped


def _too_long(scope: Scope) -> bool:
    length = dict(scope["headers"]).get(b"content-length", b"")
    return not length.isdigit() or int(length[:12]) > MAX_POST_BYTES


def _matches(asked: bytes, etag: bytes) -> bool:
    found = [part.strip().removeprefix(b"W/") for part in asked.split(b",")]
    return etag in found or b"*" in found


def _accepts_gzip(asked: Mapping[bytes, bytes]) -> bool:
    for part in asked.get(b"accept-encoding", b"").lower().split(b","):
        name, _, weight = part.strip().partition(b";")
        if name.strip() in (b"gzip", b"*"):
            return weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(
    send: Send, status: int, headers: Headers, body: bytes, method: str = "GET"
) -> None:
    if status not in (204, 304):
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
