"""A bad line to a good node: a proxy that times out, repeats, reorders, damages and drops."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


class FaultProxy:
    """Forwards JSON-RPC to `target`; a share of the requests meets a fault of a random kind."""

    def __init__(self, target: str, share: float, seed: int = 0) -> None:
        self.target = target
        self.share = share
        self.met: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        headers = {"content-type": "application/json"}
        self._client = httpx.Client(trust_env=False, timeout=30, headers=headers)

    def choose(self, batch: bool) -> str:
        kinds = ["hang up", "busy", "nonsense", "half"]
        kinds += ["reorder", "repeat", "drop"] if batch else ["error"]
        with self._lock:
            if self._random.random() >= self.share:
                return "none"
            kind = self._random.choice(kinds)
            self.met[kind] += 1
            return kind

    def answer(self, request: bytes) -> tuple[int, bytes] | None:
        calls = json.loads(request)
        kind = self.choose(isinstance(calls, list))
        if kind == "hang up":
            return None
        if kind == "busy":
            return 503, b"try later"
        if kind == "nonsense":
            return 200, b"<html>not a node</html>"
        body = self._client.post(self.target, content=request).content
        if kind == "half":
            return 200, body[: len(body) // 2]
        if kind == "error":
            fault = {"code": -32005, "message": "limit exceeded"}
            return 200, json.dumps({"jsonrpc": "2.0", "id": calls["id"], "error": fault}).encode()
        if kind in ("reorder", "repeat", "drop"):
            body = json.dumps(self._spoil(kind, json.loads(body))).encode()
        return 200, body

    def _spoil(self, kind: str, answers: list[Any]) -> list[Any]:
        with self._lock:
            if kind == "reorder":
                self._random.shuffle(answers)
            elif kind == "repeat":
                answers += self._random.choices(answers, k=len(answers))
            else:
                del answers[self._random.randrange(len(answers))]
        return answers


@contextmanager
def faulty(target: str, share: float, seed: int = 0) -> Iterator[tuple[str, FaultProxy]]:
    proxy = FaultProxy(target, share, seed)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["content-length"]))
            answer = proxy.answer(request)
            if answer is None:
                self.close_connection = True
                return
            status, body = answer
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        proxy._client.close()
