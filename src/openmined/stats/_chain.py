"""Reading the chain: validated headers and logs, in ranges as large as the node will answer.

A node is believed only where its answers agree with each other: every log must lie in the block
whose header the node gives, headers must link up, and where a header's bloom filter says that the
contract spoke in a block, the logs of that block must be there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from openmined.sonar.contract import load_artifact
from openmined.stats._errors import ChainMoved, RpcError, RpcRefused, WrongContract
from openmined.stats._events import Event, decode_log, position
from openmined.stats._rpc import Rpc
from openmined.stats._store import BlockRef

MAX_RANGE = 100_000
_FIRST_RANGE = 100
_ASKED_AGAIN = 3
"""How often a node must say that a block whose filter names the contract has no logs of it."""
_AIM_LOGS = 4_000
"""So many logs at a time keep the memory small, and the database busy."""


@dataclass(frozen=True, slots=True)
class Header:
    """What of a block's header is needed."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    bloom: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the chain: its last block, its blocks worth keeping, its events in order."""

    from_block: int
    last: BlockRef
    blocks: tuple[BlockRef, ...]
    events: tuple[Event, ...]


class Chain:
    """The chain as seen by one contract.

    Args:
        rpc: the node.
        contract: Sonar's address.
        dense_blocks: of this many newest blocks every header is read; below, only those needed.
    """

    def __init__(self, rpc: Rpc, contract: str, *, dense_blocks: int = 256) -> None:
        self.rpc = rpc
        self.contract = contract.lower()
        self.range = _FIRST_RANGE
        self._dense_blocks = dense_blocks
        self._bloom = _bloom_bits(bytes.fromhex(self.contract[2:]))
        self._blooms_tell = True

    def close(self) -> None:
        """Close the connection to the node."""
        self.rpc.close()

    # ------------------------------------------------------------------------------- single facts

    def chain_id(self) -> int:
        """Return the chain's id (EIP-155)."""
        return _quantity(self.rpc.call("eth_chainId"), "eth_chainId")

    def head(self) -> int:
        """Return the number of the newest block."""
        number = _quantity(self.rpc.call("eth_blockNumber"), "eth_blockNumber")
        if number >= 1 << 42:
            raise RpcError(f"the node claims {number} blocks")
        return number

    def header(self, number: int) -> Header | None:
        """Return a block's header, or None where there is no such block."""
        return self.headers([number])[0]

    def headers(self, numbers: Sequence[int]) -> list[Header | None]:
        """Return the headers of blocks, None for those that are not there."""
        answers = self.rpc.call_many(
            [("eth_getBlockByNumber", [hex(number), False]) for number in numbers]
        )
        return [
            None if answer is None else _parse_header(answer, number)
            for number, answer in zip(numbers, answers, strict=True)
        ]

    def check_contract(self) -> None:
        """Make sure that the program at the address is Sonar, byte for byte.

        Raises:
            WrongContract: if it is not.
        """
        code = self.rpc.call("eth_getCode", self.contract, "latest")
        if not isinstance(code, str) or code in ("", "0x"):
            raise WrongContract(
                f"there is no contract at {self.contract} on this chain: check the address"
            )
        if code.lower() != "0x" + load_artifact().deployed_bytecode.hex():
            raise WrongContract(
                f"the contract at {self.contract} is not this version's Sonar: check the address, "
                "or use the version of openmined that it was deployed with"
            )

    def first_block(self) -> int:
        """Find the block that the contract was deployed in, by bisection on its code.

        A node that keeps no old state cannot say: then every block is read, from the first.
        """
        low, high = 0, self.head()
        try:
            while low < high:
                middle = (low + high) // 2
                code = self.rpc.call("eth_getCode", self.contract, hex(middle))
                low, high = (middle + 1, high) if code in ("", "0x", None) else (low, middle)
        except RpcRefused:
            return 0
        return low

    # ----------------------------------------------------------------------------------- segments

    def segment(self, after: BlockRef, head: int) -> Segment:
        """Read the next stretch after a block, at most up to `head`.

        Raises:
            ChainMoved: if the chain changed meanwhile, or the node contradicts itself.
            RpcError: if it does not answer, even for a single block.
        """
        first = after.number + 1
        while True:
            last = min(head, first + self.range - 1)
            try:
                return self._read(after, first, last, head)
            except ChainMoved:
                raise
            except RpcError:
                # Too wide, too many logs, too slow: nodes say it in a hundred ways.
                if self.range <= 1 or first == last:
                    raise
                self.range = max(1, min(self.range, last - first + 1) // 2)

    def _read(self, after: BlockRef, first: int, last: int, head: int) -> Segment:
        dense = max(first, head - self._dense_blocks + 1)
        fixed = self._known_headers({last, *range(dense, last + 1)}, after)
        logs = self._logs(first, last)
        with_logs = {number for number, _, _ in logs}
        late = self._known_headers(with_logs - fixed.keys() | {after.number, last}, after)
        if late[last].hash != fixed[last].hash or late.pop(after.number).hash != after.hash:
            raise ChainMoved(f"the chain changed while blocks {first} to {last} were read")
        headers = {**late, **fixed}
        self._check_blooms(headers, with_logs)
        segment = _assemble(first, headers[last], headers, logs)
        self._adapt(last - first + 1, len(logs))
        return segment

    def _known_headers(self, numbers: Iterable[int], after: BlockRef) -> dict[int, Header]:
        wanted = sorted(numbers)
        found: dict[int, Header] = {}
        for number, header in zip(wanted, self.headers(wanted), strict=True):
            if header is None:
                raise ChainMoved(f"block {number} is gone")
            before = after.hash if number == after.number + 1 else None
            if number - 1 in found:
                before = found[number - 1].hash
            if before is not None and header.parent_hash != before:
                raise ChainMoved(f"block {number} does not follow block {number - 1}")
            found[number] = header
        return found

    def _logs(self, first: int, last: int) -> list[tuple[int, int, dict[str, Any]]]:
        answer = self.rpc.call(
            "eth_getLogs",
            {"address": self.contract, "fromBlock": hex(first), "toBlock": hex(last)},
            # "Limit exceeded" may mean too fast or too much: soon ask for less instead.
            tries=None if first == last else 2,
        )
        if not isinstance(answer, list):
            raise RpcError(f"eth_getLogs answers with {type(answer).__name__}, not a list")
        found: dict[tuple[int, int], dict[str, Any]] = {}
        for log in answer:
            number, index = _check_log(log, self.contract, first, last)
            twin = found.setdefault((number, index), log)
            if twin["blockHash"] != log["blockHash"] or twin["data"] != log["data"]:
                raise ChainMoved(f"block {number} has two different logs {index}")
        return [(number, index, found[number, index]) for number, index in sorted(found)]

    def _check_blooms(self, headers: dict[int, Header], with_logs: set[int]) -> None:
        for number in with_logs:
            if headers[number].bloom & self._bloom != self._bloom:
                self._blooms_tell = False  # a chain without usable filters: some rollups
        if not self._blooms_tell:
            return
        for number, header in headers.items():
            suspicious = header.bloom & self._bloom == self._bloom and number not in with_logs
            if suspicious and any(self._logs_of(header) for _ in range(_ASKED_AGAIN)):
                raise ChainMoved(f"the node left out the logs of block {number}")

    def _logs_of(self, header: Header) -> bool:
        answer = self.rpc.call("eth_getLogs", {"address": self.contract, "blockHash": header.hash})
        return bool(answer)

    def _adapt(self, width: int, logs: int) -> None:
        fitting = MAX_RANGE if logs == 0 else max(1, width * _AIM_LOGS // logs)
        if fitting < self.range:
            self.range = fitting
        elif width >= self.range:
            self.range = min(fitting, self.range * 2, MAX_RANGE)


def _assemble(
    first: int,
    last: Header,
    headers: dict[int, Header],
    logs: Sequence[tuple[int, int, dict[str, Any]]],
) -> Segment:
    events = []
    counts: dict[int, int] = {}
    for number, index, log in logs:
        header = headers[number]
        if log["blockHash"].lower() != header.hash:
            raise ChainMoved(f"the logs of block {number} belong to another block")
        counts[number] = counts.get(number, 0) + 1
        events.append(
            decode_log(
                log["topics"],
                log["data"],
                place=position(number, index),
                transaction_hash=log["transactionHash"].lower(),
                timestamp=header.timestamp,
            )
        )
    kept = tuple(_block_ref(headers[number], counts) for number in sorted(headers))
    return Segment(first, _block_ref(last, counts), kept, tuple(events))


def _block_ref(header: Header, counts: dict[int, int]) -> BlockRef:
    return BlockRef(
        header.number,
        header.hash,
        header.parent_hash,
        header.timestamp,
        counts.get(header.number, 0),
    )


# ------------------------------------------------------------------------------- parsing strangers


def _quantity(value: Any, what: str) -> int:
    if not isinstance(value, str) or not value.startswith("0x") or len(value) > 66:
        raise RpcError(f"{what} is {str(value)[:80]!r}, no hexadecimal quantity")
    try:
        return int(value, 16)
    except ValueError as error:
        raise RpcError(f"{what} is {value!r}, no hexadecimal quantity") from error


def _hash(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) != 66 or not value.startswith("0x"):
        raise RpcError(f"{what} is {str(value)[:80]!r}, no 32-byte hash")
    return value.lower()


def _parse_header(answer: Any, number: int) -> Header:
    if not isinstance(answer, dict):
        raise RpcError(f"block {number} is {type(answer).__name__}, not an object")
    found = _quantity(answer.get("number"), "a block's number")
    if found != number:
        raise RpcError(f"asked for block {number}, got block {found}")
    timestamp = _quantity(answer.get("timestamp"), "a block's time")
    if timestamp >= 1 << 40:
        raise RpcError(f"block {number} claims the time {timestamp}")
    return Header(
        number,
        _hash(answer.get("hash"), "a block's hash"),
        _hash(answer.get("parentHash"), "a block's parent"),
        timestamp,
        _parse_bloom(answer.get("logsBloom")),
    )


def _parse_bloom(value: Any) -> int:
    if not isinstance(value, str) or len(value) != 514:
        return 0
    try:
        return int(value, 16)
    except ValueError:
        return 0


def _check_log(log: Any, contract: str, first: int, last: int) -> tuple[int, int]:
    if not isinstance(log, dict):
        raise RpcError(f"a log is {type(log).__name__}, not an object")
    if log.get("removed"):
        raise ChainMoved("the node returns a log that it says was removed")
    if str(log.get("address")).lower() != contract:
        raise RpcError(f"a log of {str(log.get('address'))[:60]!r} instead of {contract}")
    number = _quantity(log.get("blockNumber"), "a log's block")
    if not first <= number <= last:
        raise RpcError(f"a log of block {number}, outside of {first} to {last}")
    _hash(log.get("blockHash"), "a log's block hash")
    _hash(log.get("transactionHash"), "a log's transaction")
    topics = log.get("topics")
    if not isinstance(topics, list) or not isinstance(log.get("data"), str):
        raise RpcError(f"a log of block {number} without topics or data")
    for topic in topics:
        _hash(topic, "a log's topic")
    return number, _quantity(log.get("logIndex"), "a log's index")


def _bloom_bits(address: bytes) -> int:
    # Yellow Paper 4.3.1: three 11-bit numbers of the hash, each one bit of 2048.
    digest = keccak(address)
    bits = 0
    for start in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[start : start + 2], "big") & 2047)
    return bits
