"""The wires of a storm: one HTTP proxy for each party and each end, which can be made to fail."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from tests.soak.plan import is_struck

_SLOW_S = 2.0
_SKIPPED = {"connection", "transfer-encoding", "content-length", "host", "accept-encoding"}


class Line:
    """Forwards requests to `target`; while it is bad, a share of them meets a fault.

    Which requests are struck depends on seed, name and number alone.
    """

    def __init__(self, name: str, target: str, seed: int) -> None:
        self.name, self.target, self.seed = name, target, seed
        self.met: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._requests = 0
        self._answer, self._share = "", 0
        self._client = httpx.Client(trust_env=False, timeout=60)
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,))
        self._thread.start()

    def spoil(self, answer: str, share: int) -> None:
        """Let `share` percent of the requests meet `answer`."""
        with self._lock:
            self._answer, self._share = answer, share

    def mend(self) -> None:
        """Work again."""
        self.spoil("", 0)

    def close(self) -> None:
        """End the proxy; nobody is served any more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._client.close()

    def choose(self) -> str:
        """Say what the next request meets; empty: nothing."""
        with self._lock:
            self._requests += 1
            struck = is_struck(self.seed, self.name, self._requests, self._share)
            if struck and self._answer:
                self.met[self._answer] += 1
                return self._answer
        return ""

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> httpx.Response:
        """Pass a request on."""
        return self._client.request(method, self.target + path, headers=headers, content=body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: callers that are killed leave half a request behind."""


def _handler(line: Line) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def _do(self) -> None:
            body = self._read_body()
            fault = line.choose()
            if fault == "drop":
                return self._hang_up()
            if fault == "busy":
                return self._reply(503, b"try later", "text/plain")
            if fault == "garbage":
                return self._reply(200, b"<html>another service</html>", "text/html")
            if fault == "slow":
                time.sleep(_SLOW_S)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _SKIPPED}
            try:
                answer = line.forward(self.command, self.path, headers, body)
                if fault == "repeat":
                    answer = line.forward(self.command, self.path, headers, body)
            except httpx.HTTPError:
                return self._hang_up()
            if fault == "lose":
                return self._hang_up()
            content, kind = answer.content, answer.headers.get("content-type", "")
            if fault == "error":
                return self._reply_error(body)
            if fault == "half":
                content = content[: len(content) // 2]
            return self._reply(answer.status_code, content, kind)

        do_GET = do_POST = do_HEAD = do_OPTIONS = _do  # noqa: N815

        def _read_body(self) -> bytes:
            if "chunked" in self.headers.get("transfer-encoding", ""):
                pieces = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)
            return self.rfile.read(int(self.headers.get("content-length", 0)))

        def _reply_error(self, body: bytes) -> None:
            try:
                number = json.loads(body)["id"]
            except (ValueError, KeyError, TypeError):
                return self._reply(500, b"internal error", "text/plain")
            error = {"code": -32005, "message": "limit exceeded"}
            reply = json.dumps({"jsonrpc": "2.0", "id": number, "error": error}).encode()
            return self._reply(200, reply, "application/json")

        def _reply(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _hang_up(self) -> None:
            self.close_connection = True
            # Without a reset the caller would take a clean end for an empty answer.
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
