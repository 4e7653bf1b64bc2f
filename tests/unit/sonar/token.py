"""The ERC-20 token of tests/contracts on a real node."""

from __future__ import annotations

from functools import cache
from typing import Any

from eth_abi import encode
from eth_utils import keccak
from tests.unit.sonar.chain import REPOSITORY

from openmined.sonar import SonarContract, Wallet
from openmined.sonar._send import Call


@cache
def token_bytecode() -> bytes:
    from vyper import compile_code

    source = (REPOSITORY / "tests/contracts/tokens/Token.vy").read_text()
    text = compile_code(source, output_formats=["bytecode"])["bytecode"]
    return bytes.fromhex(str(text).removeprefix("0x"))


class Token:
    """A token of which anybody can mint and set the mood, deployed by a client's wallet."""

    def __init__(self, by: SonarContract) -> None:
        assert by._sender is not None
        self._sender = by._sender
        receipt, _ = self._sender.send(Call("", token_bytecode()))
        found = by._rpc.receipt(receipt.transaction)
        assert found is not None
        assert found.contract is not None
        self.address = found.contract

    def send(self, signature: str, *values: Any) -> None:
        kinds = signature[signature.index("(") + 1 : -1].split(",")
        data = keccak(text=signature)[:4] + encode(kinds, values)
        self._sender.send(Call(self.address, data))

    def mint(self, wallet: Wallet | None, amount: int) -> None:
        assert wallet is not None
        self.send("mint(address,uint256)", wallet.address, amount)

    def set_mood(self, mood: int) -> None:
        self.send("set_mood(uint256)", mood)
