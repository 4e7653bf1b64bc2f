"""Where the mine meets the chain: events to ledger, gradients to Sonar."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from openmined.mine._campaigns import concerns
from openmined.mine._errors import MineError
from openmined.mine._ledger import Ledger, StoredEvent

if TYPE_CHECKING:
    from openmined.sonar import EventCursor, Poll, SonarContract, SonarEvent


def stored(event: SonarEvent) -> StoredEvent:
    """Return an event as the ledger keeps it: integers as decimal text, bytes as hexadecimal."""
    arguments = event.arguments()
    campaign = arguments.pop("campaign", None)
    return StoredEvent(
        block=event.block_number,
        log_index=event.log_index,
        block_hash=event.block_hash,
        tx=event.transaction_hash,
        name=event.name,
        campaign=campaign,
        arguments={name: _plain(value) for name, value in arguments.items()},
    )


def open_cursor(contract: SonarContract, ledger: Ledger, from_block: int) -> EventCursor:
    """Continue reading where the ledger stands."""
    from openmined.sonar import CursorState, EventCursor

    saved = ledger.cursor()
    state = None if saved is None else CursorState.model_validate_json(saved)
    return EventCursor(contract, from_block, state=state)


def poll_chain(cursor: EventCursor, ledger: Ledger, miner: str) -> Poll:
    """Read what is new on the chain into the ledger, the cursor in the same transaction."""
    kept = cursor.state
    poll = cursor.poll()
    events = [item for item in map(stored, poll.events) if concerns(item, miner)]
    try:
        ledger.apply_poll(events, poll.rolled_back_to, poll.state.model_dump_json())
    except BaseException:
        # What could not be written down (a full disk) has to be read again.
        cursor.state = kept
        raise
    return poll


def transactions_under_way(rpc_url: str, address: str) -> int:
    """Count the account's transactions that the node knows and no block holds yet.

    While there are any, one of them may be the submission that a kill interrupted. When there are
    none, the next transaction takes the nonce that a lost one had, so that only one is ever mined.
    """
    import httpx

    with httpx.Client(timeout=30) as http:
        counts = []
        for block in ("latest", "pending"):
            request = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "eth_getTransactionCount",
                "params": [address, block],
            }
            try:
                answer = http.post(rpc_url, json=request).json()
                counts.append(int(answer["result"], 16))
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                raise MineError(
                    f"the chain does not tell the nonce of {address}: check the node"
                ) from error
    return max(0, counts[1] - counts[0])


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return str(value)
