"""The contract's ABI as Python: calls are encoded, answers and logs decoded, by eth-abi."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from eth_abi.codec import ABICodec
from eth_abi.decoding import AddressDecoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import BaseEquals
from eth_abi.registry import registry as default_registry
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from openmined.sonar._errors import SonarError, UndecodableAnswer
from openmined.sonar.contract import load_artifact

_ERROR = keccak(b"Error(string)")[:4]
_PANIC = keccak(b"Panic(uint256)")[:4]


@dataclass(frozen=True)
class Function:
    """One function: how to call it and how to read its answer."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @cached_property
    def selector(self) -> bytes:
        """First four bytes of the call."""
        return keccak(f"{self.name}({','.join(self.inputs)})".encode())[:4]

    def encode(self, *arguments: object) -> bytes:
        """Return the call's data.

        Raises:
            SonarError: if an argument does not fit its type.
        """
        try:
            return self.selector + _codec().encode(self.inputs, arguments)
        except (EncodingError, TypeError, ValueError) as error:
            raise SonarError(
                f"{self.name} cannot be called with these arguments: {error}"
            ) from error

    def decode(self, answer: bytes) -> tuple[Any, ...]:
        """Return the answer's values, addresses with checksum.

        Raises:
            UndecodableAnswer: if the bytes are no such answer.
        """
        return _decode(self.name, self.outputs, answer)


@dataclass(frozen=True)
class Event:
    """One event: its indexed and its plain arguments, in order."""

    name: str
    arguments: tuple[tuple[str, str, bool], ...]
    """(name, type, indexed)"""

    @cached_property
    def topic(self) -> bytes:
        """First topic of its logs."""
        return keccak(f"{self.name}({','.join(kind for _, kind, _ in self.arguments)})".encode())

    def decode(self, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
        """Return the arguments by name.

        Raises:
            UndecodableAnswer: if the log is not of this event.
        """
        indexed = [(name, kind) for name, kind, flag in self.arguments if flag]
        plain = [(name, kind) for name, kind, flag in self.arguments if not flag]
        if len(topics) != len(indexed) + 1:
            raise UndecodableAnswer(f"a {self.name} log with {len(topics)} topics: wrong node?")
        values: dict[str, Any] = {}
        for (name, kind), topic in zip(indexed, topics[1:], strict=True):
            (values[name],) = _decode(self.name, (kind,), topic)
        found = _decode(self.name, tuple(kind for _, kind in plain), data)
        values.update(zip((name for name, _ in plain), found, strict=True))
        return values


@dataclass(frozen=True)
class Abi:
    """A contract's functions by name and events by first topic."""

    functions: Mapping[str, Function]
    events: Mapping[bytes, Event]


@cache
def sonar_abi() -> Abi:
    """Return the ABI of the Sonar contract of this version."""
    entries = load_artifact().abi
    functions = {
        entry["name"]: Function(entry["name"], _types(entry["inputs"]), _types(entry["outputs"]))
        for entry in entries
        if entry["type"] == "function"
    }
    events = [
        Event(
            entry["name"],
            tuple((item["name"], _type(item), item["indexed"]) for item in entry["inputs"]),
        )
        for entry in entries
        if entry["type"] == "event"
    ]
    return Abi(functions, {event.topic: event for event in events})


def revert_reason(data: bytes) -> str:
    """Read the reason from the bytes that a revert returns (Solidity's Error and Panic)."""
    try:
        if data[:4] == _ERROR:
            return str(_codec().decode(["string"], data[4:])[0])
        if data[:4] == _PANIC:
            return f"arithmetic panic 0x{_codec().decode(['uint256'], data[4:])[0]:02x}"
    except (DecodingError, UnicodeDecodeError):
        return ""
    return ""


def _types(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(_type(item) for item in items)


def _type(item: Mapping[str, Any]) -> str:
    kind = str(item["type"])
    if kind.startswith("tuple"):
        return f"({','.join(_types(item['components']))}){kind.removeprefix('tuple')}"
    return kind


def _decode(name: str, kinds: tuple[str, ...], data: bytes) -> tuple[Any, ...]:
    try:
        return tuple(_codec().decode(kinds, data))
    except (DecodingError, UnicodeDecodeError, OverflowError) as error:
        raise UndecodableAnswer(
            f"{len(data)} bytes for {name} cannot be read as {', '.join(kinds)}: "
            "is this the right contract?"
        ) from error


@cache
def _codec() -> ABICodec:
    # eth-abi's own, but that addresses come with their checksum.
    class ChecksumAddressDecoder(AddressDecoder):
        decoder_fn = staticmethod(to_checksum_address)

    registry = default_registry.copy()  # type: ignore[no-untyped-call]
    registry.unregister_decoder("address")
    address = BaseEquals("address")  # type: ignore[no-untyped-call]
    registry.register_decoder(address, ChecksumAddressDecoder, label="address")
    return ABICodec(registry)
