"""Reads logs in ranges that the node accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openmined.sonar._errors import ChainError, RpcRefused
from openmined.sonar._rpc import Rpc

_TOO_MUCH = ("range", "limit", "too many", "too large", "exceed", "more than", "response size")
_GROW_AFTER = 32


def fetch_logs(
    rpc: Rpc, address: str, topics: Sequence[str | None], first: int, last: int
) -> list[dict[str, Any]]:
    """Return the address's logs of blocks `first` to `last` in order.

    Public nodes limit blocks or results of one query, each in its own words: a range that is
    refused as too much is halved, and grown again to just below what was refused. Where results
    are limited, and not blocks, that may be too little later on: after 32 ranges more is tried.

    Raises:
        RpcRefused: if even a single block is refused, or for any other cause.
        ChainError: if the answer is no list of logs of that range and address.
    """
    logs: list[dict[str, Any]] = []
    span = ceiling = last - first + 1
    passed = 0
    while first <= last:
        end = min(last, first + span - 1)
        query = {
            "address": address,
            "topics": list(topics),
            "fromBlock": hex(first),
            "toBlock": hex(end),
        }
        try:
            part = rpc.call("eth_getLogs", query)
        except RpcRefused as refusal:
            if end == first or not _is_too_much(refusal):
                raise
            ceiling = end - first
            span = (ceiling + 1) // 2
            continue
        logs += _checked(part, address, first, end)
        first = end + 1
        passed += 1
        if passed % _GROW_AFTER == 0:
            ceiling *= 2
        span = min(2 * span, ceiling)
    return logs


def _is_too_much(refusal: RpcRefused) -> bool:
    text = refusal.message.lower()
    return any(sign in text for sign in _TOO_MUCH)


def _checked(part: object, address: str, first: int, last: int) -> list[dict[str, Any]]:
    try:
        logs = [dict(log) for log in part]  # type: ignore[attr-defined]
        places = [(int(log["blockNumber"], 16), int(log["logIndex"], 16)) for log in logs]
        ours = all(str(log["address"]).lower() == address.lower() for log in logs)
    except (KeyError, TypeError, ValueError) as error:
        raise ChainError(f"the node's logs cannot be read ({error}): use another node") from error
    if not ours or any(not first <= number <= last for number, _ in places):
        raise ChainError(
            f"the node returned logs outside of blocks {first} to {last} or of another contract: "
            "use another node"
        )
    order = sorted(range(len(logs)), key=places.__getitem__)
    return [logs[index] for index in order if not logs[index].get("removed")]
