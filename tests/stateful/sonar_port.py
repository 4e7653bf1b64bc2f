"""A thin, fast way into a deployed Sonar on titanoboa's EVM: calls in, results and events out.

titanoboa's own contract objects trace sources and draw reports at each revert; ten thousand steps
have no time for that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boa
import eth_abi
from eth_utils import keccak

ARTIFACT = Path(__file__).resolve().parents[2] / "src/openmined/sonar/contract/Sonar.json"
ERROR = bytes.fromhex("08c379a0")


class Reverted(Exception):
    """The call reverted; `reason` is None when it carried no data."""

    def __init__(self, reason: str | None):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Event:
    name: str
    fields: dict[str, Any]


def type_of(parameter: dict[str, Any]) -> str:
    """The canonical ABI type, tuples written out."""
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(type_of(component) for component in parameter["components"])
    return f"({inner}){kind.removeprefix('tuple')}"


class Method:
    def __init__(self, entry: dict[str, Any]):
        self.inputs = [type_of(parameter) for parameter in entry["inputs"]]
        self.outputs = [type_of(parameter) for parameter in entry["outputs"]]
        self.selector = keccak(text=f"{entry['name']}({','.join(self.inputs)})")[:4]

    def encode(self, arguments: tuple[Any, ...]) -> bytes:
        return self.selector + eth_abi.encode(self.inputs, arguments)

    def decode(self, output: bytes) -> Any:
        values = eth_abi.decode(self.outputs, output)
        return values[0] if len(values) == 1 else values


class EventDecoder:
    def __init__(self, entry: dict[str, Any]):
        self.name = entry["name"]
        self.indexed = [(p["name"], type_of(p)) for p in entry["inputs"] if p["indexed"]]
        self.plain = [(p["name"], type_of(p)) for p in entry["inputs"] if not p["indexed"]]
        signature = ",".join(type_of(parameter) for parameter in entry["inputs"])
        self.topic = int.from_bytes(keccak(text=f"{self.name}({signature})"))

    def decode(self, topics: list[int], data: bytes) -> Event:
        fields: dict[str, Any] = {}
        for (name, kind), topic in zip(self.indexed, topics[1:], strict=True):
            (fields[name],) = eth_abi.decode([kind], topic.to_bytes(32))
        values = eth_abi.decode([kind for _, kind in self.plain], data)
        fields.update(zip((name for name, _ in self.plain), values, strict=True))
        return Event(self.name, fields)


class SonarPort:
    """Calls one deployed Sonar by the committed ABI."""

    def __init__(self, address: str):
        self.address = address
        self.canonical = bytes.fromhex(str(address).removeprefix("0x"))
        abi = json.loads(ARTIFACT.read_text())["abi"]
        self.methods = {e["name"]: Method(e) for e in abi if e["type"] == "function"}
        decoders = [EventDecoder(e) for e in abi if e["type"] == "event"]
        self.decoders = {decoder.topic: decoder for decoder in decoders}

    def encode(self, method: str, *arguments: Any) -> bytes:
        return self.methods[method].encode(arguments)

    def view(self, method: str, *arguments: Any) -> Any:
        computation = self._execute(method, arguments, is_modifying=False)
        return self.methods[method].decode(computation.output)

    def call(
        self, method: str, *arguments: Any, sender: str, value: int = 0
    ) -> tuple[Any, list[Event]]:
        computation = self._execute(method, arguments, sender=sender, value=value)
        result = None
        if self.methods[method].outputs:
            result = self.methods[method].decode(computation.output)
        return result, [
            self.decoders[topics[0]].decode(list(topics), data)
            for address, topics, data in computation.get_log_entries()
            if address == self.canonical
        ]

    def _execute(self, method: str, arguments: tuple[Any, ...], **how: Any) -> Any:
        computation = boa.env.execute_code(
            to_address=self.address, data=self.methods[method].encode(arguments), **how
        )
        if computation.is_error:
            raise Reverted(reason_of(computation.output))
        return computation


def reason_of(output: bytes) -> str | None:
    if output == b"":
        return None
    assert output[:4] == ERROR, output
    reason: str = eth_abi.decode(["string"], output[4:])[0]
    return reason
