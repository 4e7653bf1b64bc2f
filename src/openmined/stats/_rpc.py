"""A JSON-RPC client for an indexer: batches, bounded retries, no answer believed unchecked.

Retries wait by a clock that tests replace. The URL may hold a provider's key: no message shows it.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from pydantic_core import from_json

from openmined.stats._errors import RpcError, RpcRefused

Call = tuple[str, list[Any]]
Wait = Callable[[float], None]

MAX_ANSWER_BYTES = 256 << 20
"""An answer above this is refused before it fills the memory."""

_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
_RETRY_STATUS = {408, 425, 429, 500, 502, 503, 504}
_RETRY_CODES = {-32005, 429}  # limit exceeded (EIP-1474), and what some providers write instead
_MAX_WAIT_S = 30.0


class Rpc:
    """One node.

    Attributes:
        requests: how many calls were made, by method.
        failures: how many tries failed, by method.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 30.0,
        tries: int = 5,
        batch: int = 100,
        wait: Wait | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = url
        self._tries = tries
        self._batch = batch
        self._stopped = threading.Event()
        self._wait: Wait = wait or self._wait_or_stop
        self._random = random.Random(0)  # noqa: S311 - spreads retries, no secret
        self._next_id = 0
        self._client = httpx.Client(
            timeout=timeout_s,
            headers={"user-agent": "openmined-stats"},
            transport=transport,
            trust_env=httpx.URL(url).host not in _THIS_MACHINE,
        )
        self.place = _without_secrets(url)
        self.requests: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def close(self) -> None:
        """End waiting and close the connection."""
        self._stopped.set()
        self._client.close()

    def stop(self) -> None:
        """Make whoever waits for another try give up."""
        self._stopped.set()

    def call(self, method: str, *parameters: Any, tries: int | None = None) -> Any:
        """Call one method.

        Raises:
            RpcRefused: if the node answers with an error.
            RpcError: if it does not answer, or with something else than JSON-RPC.
        """
        return self._retry([(method, list(parameters))], tries or self._tries, alone=True)[0]

    def call_many(self, calls: Sequence[Call]) -> list[Any]:
        """Call several methods in as few requests as possible; answers in the calls' order."""
        answers: list[Any] = []
        for start in range(0, len(calls), self._batch):
            answers += self._retry(calls[start : start + self._batch], self._tries)
        return answers

    def _retry(self, calls: Sequence[Call], tries: int, *, alone: bool = False) -> list[Any]:
        for attempt in range(tries):
            try:
                return self._send(calls, alone=alone)
            except RpcError as error:
                self.failures.update(method for method, _ in calls)
                if attempt + 1 == tries or not _worth_retrying(error) or self._stopped.is_set():
                    raise
                self._wait(_pause_s(error, attempt, self._random.random()))
        raise AssertionError("unreachable: the last try returns or raises")

    def _send(self, calls: Sequence[Call], *, alone: bool) -> list[Any]:
        first = self._next_id
        self._next_id += len(calls)
        self.requests.update(method for method, _ in calls)
        requests = [
            {"jsonrpc": "2.0", "id": first + index, "method": method, "params": parameters}
            for index, (method, parameters) in enumerate(calls)
        ]
        answer = self._post(requests[0] if alone else requests)
        if alone:
            answer = [answer]
        if not isinstance(answer, list):
            _raise_refusal(answer, calls[0][0])
            raise RpcError(f"{self.place} answered a batch with {type(answer).__name__}")
        return _in_order(answer, first, calls, self.place)

    def _post(self, body: Any) -> Any:
        try:
            with self._client.stream("POST", self._url, json=body) as response:
                if response.status_code != 200:
                    raise _http_refusal(response, self.place)
                data = bytearray()
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > MAX_ANSWER_BYTES:
                        raise RpcError(f"{self.place} answers with more than 256 MiB")
        except httpx.HTTPError as error:
            raise RpcError(
                f"{self.place} did not answer ({type(error).__name__}): is the node running?"
            ) from None
        try:
            return from_json(bytes(data))
        except ValueError:  # also when nested too deep
            raise RpcError(f"{self.place} answered with something else than JSON") from None

    def _wait_or_stop(self, seconds: float) -> None:
        self._stopped.wait(seconds)


def _in_order(answers: list[Any], first: int, calls: Sequence[Call], place: str) -> list[Any]:
    # Nodes may answer a batch in any order, twice, or in part.
    by_id = {}
    for answer in answers:
        if isinstance(answer, dict) and isinstance(answer.get("id"), int):
            by_id[answer["id"]] = answer
    results = []
    for index, (method, _) in enumerate(calls):
        answer = by_id.get(first + index)
        if answer is None:
            for stray in answers:  # a request it cannot read is refused without its id
                _raise_refusal(stray, method)
            raise RpcError(f"{place} left {method} unanswered")
        _raise_refusal(answer, method)
        if "result" not in answer:
            raise RpcError(f"{place} answered {method} with neither a result nor an error")
        results.append(answer["result"])
    return results


def _raise_refusal(answer: Any, method: str) -> None:
    error = answer.get("error") if isinstance(answer, dict) else None
    if error is not None:
        code = error.get("code", 0) if isinstance(error, dict) else 0
        text = error.get("message", "") if isinstance(error, dict) else error
        code = code if isinstance(code, int) else 0
        raise RpcRefused(f"the node refuses {method}: {str(text)[:200]!r} ({code})", code)


class _TooManyRequests(RpcRefused):
    def __init__(self, message: str, code: int, wait_s: float) -> None:
        super().__init__(message, code)
        self.wait_s = wait_s


def _http_refusal(response: httpx.Response, place: str) -> RpcRefused:
    message = f"{place} answers with HTTP status {response.status_code}"
    after = response.headers.get("retry-after", "")
    if response.status_code == 429 and after.isascii() and after.isdigit():
        return _TooManyRequests(message, 429, float(after))
    return RpcRefused(message, response.status_code)


def _worth_retrying(error: RpcError) -> bool:
    if isinstance(error, RpcRefused):
        return error.code in _RETRY_STATUS or error.code in _RETRY_CODES
    return True


def _pause_s(error: RpcError, attempt: int, luck: float) -> float:
    if isinstance(error, _TooManyRequests):
        return min(_MAX_WAIT_S, error.wait_s)
    return float(min(_MAX_WAIT_S, 0.25 * 2**attempt) * (0.5 + luck / 2))


def _without_secrets(url: str) -> str:
    parsed = httpx.URL(url)
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}"
