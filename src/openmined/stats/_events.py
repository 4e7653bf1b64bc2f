"""The contract's events, decoded from raw logs by its own ABI.

Every event of Sonar is made of 32-byte words, but for one string; nested terms are flattened into
the event's arguments. What does not fit the ABI is an `RpcError`: the contract cannot have said it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_utils.crypto import keccak

from openmined.sonar.contract import load_artifact
from openmined.stats._errors import RpcError
from openmined.stats._schema import POSITION_BITS

Argument = int | str


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the contract.

    Attributes:
        position: orders all events: block_number * 2**20 + log_index.
        timestamp: of its block, unix seconds.
        arguments: by ABI name, the launch terms flattened in; bytes32 as 0x-hexadecimal.
    """

    position: int
    transaction_hash: str
    timestamp: int
    name: str
    arguments: Mapping[str, Argument]

    @property
    def block_number(self) -> int:
        """The block it is in."""
        return self.position >> POSITION_BITS

    @property
    def log_index(self) -> int:
        """Its index in that block."""
        return self.position & ((1 << POSITION_BITS) - 1)

    @property
    def campaign(self) -> int | None:
        """The campaign it belongs to; none for withdrawals."""
        value = self.arguments.get("campaign")
        return value if isinstance(value, int) else None

    @property
    def account(self) -> str | None:
        """The miner, data scientist, sender or account it names first."""
        for name in ("miner", "data_scientist", "sender", "account"):
            value = self.arguments.get(name)
            if isinstance(value, str):
                return value
        return None


def position(block_number: int, log_index: int) -> int:
    """Return the place of a log among all logs."""
    if not 0 <= log_index < 1 << POSITION_BITS:
        raise RpcError(f"log index {log_index} is out of range")
    return (block_number << POSITION_BITS) + log_index


def first_position_after(block_number: int) -> int:
    """Return the least position of any later block."""
    return (block_number + 1) << POSITION_BITS


def decode_log(
    topics: Sequence[str], data: str, *, place: int, transaction_hash: str, timestamp: int
) -> Event:
    """Decode one raw log.

    Raises:
        RpcError: if it is no event of Sonar.
    """
    decoder = _decoders().get(topics[0]) if topics else None
    if decoder is None:
        raise RpcError(f"a log of block {place >> POSITION_BITS} is no event of Sonar: {topics!r}")
    try:
        arguments = decoder.decode(topics, bytes.fromhex(data.removeprefix("0x")))
    except (ValueError, IndexError) as error:
        raise RpcError(
            f"a {decoder.name} of block {place >> POSITION_BITS} does not fit the ABI: {error}"
        ) from error
    return Event(place, transaction_hash, timestamp, decoder.name, arguments)


def event_names() -> list[str]:
    """Return the names of Sonar's events in the ABI's order."""
    return [decoder.name for decoder in _decoders().values()]


def encode_arguments(arguments: Mapping[str, Argument]) -> str:
    """Write arguments as compact JSON; integers stay exact."""
    return json.dumps(arguments, separators=(",", ":"))


def decode_arguments(text: str) -> dict[str, Argument]:
    """Inverse of `encode_arguments`."""
    return dict(json.loads(text))


# ---------------------------------------------------------------------------------------- decoding


@dataclass(frozen=True, slots=True)
class _Decoder:
    name: str
    indexed: tuple[tuple[str, str], ...]
    words: tuple[tuple[str, str], ...]

    def decode(self, topics: Sequence[str], data: bytes) -> dict[str, Argument]:
        if len(topics) != len(self.indexed) + 1:
            raise ValueError(f"{len(topics)} topics")
        if len(data) < 32 * len(self.words):
            raise ValueError(f"{len(data)} bytes of data")
        found: dict[str, Argument] = {}
        for (name, kind), topic in zip(self.indexed, topics[1:], strict=True):
            found[name] = _WORDS[kind](bytes.fromhex(topic[2:]))
        for index, (name, kind) in enumerate(self.words):
            word = data[32 * index : 32 * index + 32]
            found[name] = _string(data, word) if kind == "string" else _WORDS[kind](word)
        return found


def _uint(word: bytes) -> int:
    if len(word) != 32:
        raise ValueError(f"a word of {len(word)} bytes")
    return int.from_bytes(word, "big")


def _address(word: bytes) -> str:
    if len(word) != 32 or any(word[:12]):
        raise ValueError(f"{word.hex()} is no address")
    return "0x" + word[12:].hex()


def _bytes32(word: bytes) -> str:
    if len(word) != 32:
        raise ValueError(f"a word of {len(word)} bytes")
    return "0x" + word.hex()


def _string(data: bytes, word: bytes) -> str:
    offset = _uint(word)
    length = _uint(data[offset : offset + 32])
    raw = data[offset + 32 : offset + 32 + length]
    if len(raw) != length:
        raise ValueError(f"a string of {length} bytes is cut short")
    return plain_text(raw.decode("utf-8", "backslashreplace"))


def plain_text(text: str) -> str:
    r"""Make a stranger's text storable: NUL and lone surrogates are written as \x.. and \u.."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


_WORDS: dict[str, Callable[[bytes], Argument]] = {
    "uint256": _uint,
    "address": _address,
    "bytes32": _bytes32,
}


@cache
def _decoders() -> dict[str, _Decoder]:
    found = {}
    for entry in load_artifact().abi:
        if entry["type"] == "event":
            signature = f"{entry['name']}({','.join(_abi_type(i) for i in entry['inputs'])})"
            found["0x" + keccak(text=signature).hex()] = _Decoder(
                entry["name"],
                tuple((i["name"], i["type"]) for i in entry["inputs"] if i["indexed"]),
                tuple(flat for i in entry["inputs"] if not i["indexed"] for flat in _flatten(i)),
            )
    return found


def _abi_type(parameter: Mapping[str, Any]) -> str:
    if parameter["type"] == "tuple":
        return f"({','.join(_abi_type(part) for part in parameter['components'])})"
    return str(parameter["type"])


def _flatten(parameter: Mapping[str, Any]) -> list[tuple[str, str]]:
    if parameter["type"] == "tuple":
        return [flat for part in parameter["components"] for flat in _flatten(part)]
    return [(parameter["name"], parameter["type"])]
