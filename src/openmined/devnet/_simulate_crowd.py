"""The mines' accounts in a simulation: of no key that anybody has; the node sends for them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from openmined.devnet._anvil import call, call_many
from openmined.devnet._errors import SimulationFailed
from openmined.protocol import ETHER_WEI

PATIENCE_S = 300.0
"""How long anything in a simulation may keep the rest waiting."""

_FEE_WEI = 10**11
_MANY = 200
"""Calls in one request to the node."""

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Crowd:
    """Accounts of mines on one contract.

    Attributes:
        url: of the node, which must be anvil.
        sonar: the contract's address.
        seed: of the simulation; other seeds have other accounts.
    """

    url: str
    sonar: str
    seed: int

    def addresses(self, campaign: int, mines: int) -> list[str]:
        """Return the accounts of a campaign's mines."""
        return [_address(f"simulated {self.seed} {campaign} {mine}") for mine in range(mines)]

    def endow(self, addresses: Sequence[str]) -> None:
        """Give each account an ether, and let the node send for it."""
        call(self.url, "anvil_autoImpersonateAccount", True)
        for some in _in_parts(addresses):
            call_many(self.url, [("anvil_setBalance", (one, hex(ETHER_WEI))) for one in some])

    def submit(
        self, campaign: int, version: int, bond: int, gradients: Sequence[tuple[str, bytes]]
    ) -> None:
        """Submit gradients: who sends, and the digest of the envelope's manifest."""
        place = campaign.to_bytes(32), version.to_bytes(32)
        signature = "submit_gradient(uint256,uint256,bytes32)"
        self._send([
            self._transaction(sender, _calldata(signature, *place, envelope), bond)
            for sender, envelope in gradients
        ])  # fmt: skip

    def withdraw(self, addresses: Sequence[str]) -> int:
        """Let these accounts withdraw their ETH; return the gas."""
        data = _calldata("withdraw(address)", bytes(32))
        return self._send([self._transaction(one, data) for one in addresses])

    def gas_of(self, hashes: Sequence[str]) -> int:
        """Return the gas that mined transactions used."""
        parts = _in_parts(hashes)
        return sum(int(one["gasUsed"], 16) for some in parts for one in self._receipts(some))

    def _transaction(self, sender: str, data: str, value: int = 0) -> dict[str, str]:
        return {
            "from": sender,
            "to": self.sonar,
            "data": data,
            "value": hex(value),
            "gas": hex(1_000_000),
            "maxFeePerGas": hex(_FEE_WEI),
            "maxPriorityFeePerGas": "0x0",
        }

    def _send(self, transactions: Sequence[dict[str, str]]) -> int:
        gas = 0
        for some in _in_parts(transactions):
            hashes = call_many(self.url, [("eth_sendTransaction", (one,)) for one in some])
            for receipt in self._receipts(hashes):
                if receipt["status"] != "0x1":
                    raise SimulationFailed(f"a mine's transaction failed: {receipt}")
                gas += int(receipt["gasUsed"], 16)
        return gas

    def _receipts(self, hashes: Sequence[str]) -> list[dict[str, str]]:
        """Return the receipts of transactions that were sent, once every one is mined."""
        asked = [("eth_getTransactionReceipt", (one,)) for one in hashes]
        deadline = time.monotonic() + PATIENCE_S
        while None in (found := call_many(self.url, asked)):
            if time.monotonic() > deadline:
                raise SimulationFailed(f"the node did not mine in {PATIENCE_S:.0f} s")
            time.sleep(0.01)
        return found


def _address(text: str) -> str:
    from eth_utils.address import to_checksum_address
    from eth_utils.crypto import keccak

    return str(to_checksum_address(keccak(text=text)[-20:]))


def _calldata(signature: str, *words: bytes) -> str:
    from eth_utils.abi import function_signature_to_4byte_selector

    return "0x" + (bytes(function_signature_to_4byte_selector(signature)) + b"".join(words)).hex()


def _in_parts(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for first in range(0, len(items), _MANY):
        yield items[first : first + _MANY]
