"""Calls to a store over HTTP: bounded answers, retries for faults that pass, typed errors."""

from __future__ import annotations

import ipaddress
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import httpx

from openmined.storage._cid import shown
from openmined.storage._errors import (
    BadStoreURL,
    BlobTooLarge,
    BlockGone,
    BlockNotFound,
    QuotaExceeded,
    StoreRefused,
    StoreUnreachable,
)

T = TypeVar("T")

_PASSING = frozenset({429, 502, 503, 504})
_MAX_ERROR_BYTES = 4096
_SLOWEST_BYTES_PER_S = 16 * 1024


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried, and how long it waits in between: first, twice that, ...

    Waits are cut by up to half at random, so that many mines do not come back at once.
    """

    attempts: int = 4
    first_delay_s: float = 0.2
    longest_delay_s: float = 5.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def wait(self, attempt: int, asked_s: float) -> None:
        """Wait after the attempt with this number (from 0), at least as long as asked."""
        delay = min(self.first_delay_s * 2**attempt, self.longest_delay_s)
        delay *= random.uniform(0.5, 1.0)  # noqa: S311  (spreads load, guards nothing)
        self.sleep(min(max(delay, asked_s), self.longest_delay_s))


class _Passing(Exception):
    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Endpoint:
    """One base URL of a store.

    Raises:
        BadStoreURL: unless the URL is http or https, with a host and without a password.
    """

    def __init__(self, client: httpx.Client, url: str, timeout_s: float, retry: RetryPolicy):
        self.url = checked_url(url)
        self._client = client
        self._timeout_s = timeout_s
        self._retry = retry

    def call(
        self,
        request: Callable[[], httpx.Request],
        consume: Callable[[httpx.Response], T],
        subject: str,
    ) -> T:
        """Send a request, made anew for each attempt, and hand the answer to `consume`.

        `subject` names in errors what was asked for. `consume` may raise what it likes; faults
        of the connection while it reads are tried again.

        Raises:
            StoreUnreachable: after the last attempt.
            StoreRefused, BlockNotFound, BlockGone, BlobTooLarge, QuotaExceeded: by status.
        """
        for attempt in range(self._retry.attempts):
            try:
                with self._open(request(), subject) as response:
                    return consume(response)
            except (_Passing, httpx.TransportError) as fault:
                if attempt + 1 == self._retry.attempts:
                    raise self._unreachable(subject, fault, attempt + 1) from fault
                asked = fault.retry_after_s if isinstance(fault, _Passing) else 0.0
                self._retry.wait(attempt, asked)
        raise AssertionError("a policy has at least one attempt")

    @contextmanager
    def once(self, request: httpx.Request, subject: str) -> Iterator[httpx.Response]:
        """Send a request a single time, for callers with another way to what they want.

        Raises:
            StoreUnreachable: at any fault of the connection, also while the body is read.
            StoreRefused, BlockNotFound, ...: by status, as `call`.
        """
        try:
            with self._open(request, subject) as response:
                yield response
        except (_Passing, httpx.TransportError) as fault:
            raise self._unreachable(subject, fault, 1) from fault

    @contextmanager
    def _open(self, request: httpx.Request, subject: str) -> Iterator[httpx.Response]:
        response = self._client.send(request, stream=True)
        try:
            if not response.is_success:
                self._raise_for_status(response, subject)
            yield response
        finally:
            response.close()

    def request(
        self,
        method: str,
        path: str,
        parameters: dict[str, str],
        headers: dict[str, str],
        body: Iterable[bytes] | None = None,
    ) -> httpx.Request:
        """Make a request below the base URL. Compression is declined: it could swell."""
        return self._client.build_request(
            method,
            self.url + path,
            params=parameters,
            headers={"Accept-Encoding": "identity"} | headers,
            content=body,
            timeout=self._timeout_s,
        )

    def body(self, response: httpx.Response, limit: int, subject: str) -> bytes:
        """Read an answer whole, if it is at most `limit` bytes."""
        claimed = response.headers.get("Content-Length", "0")
        if not claimed.isdecimal() or int(claimed) > limit:
            raise self._too_large(subject, limit)
        received = bytearray()
        for chunk in self.chunks(response, subject):
            if len(received) + len(chunk) > limit:
                raise self._too_large(subject, limit)
            received += chunk
        return bytes(received)

    def chunks(self, response: httpx.Response, subject: str) -> Iterator[bytes]:
        """Yield an answer as it comes, undecoded: compression could swell without limit.

        Raises:
            StoreUnreachable: if it drips slower than 16 KiB a second.
        """
        start = time.monotonic()
        received = 0
        for chunk in response.iter_raw():
            received += len(chunk)
            elapsed = time.monotonic() - start
            if elapsed > self._timeout_s + received / _SLOWEST_BYTES_PER_S:
                raise StoreUnreachable(
                    f"{self.url} sent {received} bytes of {subject} in {elapsed:.0f} s: "
                    "too slow, try another store"
                )
            yield chunk

    def _unreachable(self, subject: str, fault: Exception, attempts: int) -> StoreUnreachable:
        reason = str(fault) or type(fault).__name__
        return StoreUnreachable(
            f"the store at {self.url} does not give {subject} ({reason}) after "
            f"{attempts} attempts: is it running (`openmined store serve`), and is "
            "the URL right?"
        )

    def _raise_for_status(self, response: httpx.Response, subject: str) -> None:
        status = response.status_code
        said = self._refusal_text(response, subject)
        if status in _PASSING:
            raise _Passing(f"HTTP {status} {said}", _retry_after(response))
        if status == 410:
            raise BlockGone(f"{self.url} has removed {subject}: {said}")
        if status == 404:
            raise BlockNotFound(f"{self.url} does not have {subject}: {said}")
        if status == 413:
            raise BlobTooLarge(f"{self.url} does not take {subject}, it is too large: {said}")
        if status == 507:
            raise QuotaExceeded(f"{self.url} is full and does not take {subject}: {said}")
        raise StoreRefused(f"{self.url} refused {subject} with HTTP {status}: {said}")

    def _refusal_text(self, response: httpx.Response, subject: str) -> str:
        text = b""
        for chunk in self.chunks(response, subject):
            text += chunk
            if len(text) >= _MAX_ERROR_BYTES:
                break
        return _printable(text[:_MAX_ERROR_BYTES].decode("utf-8", "replace"))

    def _too_large(self, subject: str, limit: int) -> BlobTooLarge:
        return BlobTooLarge(f"{self.url} sent more than {limit} bytes for {subject}: refused")


def checked_url(url: str) -> str:
    """Return a store's base URL without a slash at its end.

    Raises:
        BadStoreURL: unless it is http or https, with a host and without a password in it.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise BadStoreURL(f"{_without_secrets(str(url))} is no URL of a store: {error}") from None
    named = _without_secrets(url)
    if parsed.userinfo:
        raise BadStoreURL(f"{named} holds a password: leave it out")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise BadStoreURL(f"{named} is no URL of a store: expected http://HOST:PORT")
    if parsed.port is not None and not 0 < parsed.port <= 65535:
        raise BadStoreURL(f"{named} names a port that does not exist: expected 1 to 65535")
    if parsed.query or parsed.fragment:
        raise BadStoreURL(f"{named} has a query after it: give the base URL only")
    return str(parsed).rstrip("/")


def _without_secrets(url: str) -> str:
    return shown(re.sub(r"//.*@", "//...@", url.partition("?")[0]))


def is_loopback(url: str) -> bool:
    """Say whether a checked or unchecked URL leads to this machine itself."""
    try:
        host = httpx.URL(url).host
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except (ValueError, TypeError, httpx.InvalidURL):
        return False


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("Retry-After", "0")
    return float(value) if value.isdecimal() and len(value) < 10 else 0.0


def _printable(text: str) -> str:
    clean = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(clean.split())[:300] or "no reason given"
