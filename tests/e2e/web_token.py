"""The ERC-20 of tests/contracts on a devnet, for browser tests."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from openmined.devnet._anvil import call

TOKEN_UNIT = 10**6  # it has 6 decimals


class Token:
    """A token that `account` can mint; `without` takes a function out of it."""

    LIES = 6  # moves nothing, and says that it did

    def __init__(self, rpc: str, account: str, *, without: str = "no function") -> None:
        from vyper import compile_code

        self.rpc, self.account = rpc, account
        path = Path(__file__).parents[1] / "contracts" / "tokens" / "Token.vy"
        source = path.read_text(encoding="utf-8").replace(f"def {without}(", "def another(")
        code = str(compile_code(source, output_formats=["bytecode"])["bytecode"])
        self.address = str(self.transact({"data": code})["contractAddress"])

    def transact(self, transaction: dict[str, str]) -> Any:
        sent = call(self.rpc, "eth_sendTransaction", {"from": self.account, **transaction})
        deadline = time.monotonic() + 30
        while (receipt := call(self.rpc, "eth_getTransactionReceipt", sent)) is None:
            assert time.monotonic() < deadline, f"{sent} is in no block after 30 seconds"
        return receipt

    def send(self, signature: str, *values: Any) -> None:
        self.transact({"to": self.address, "data": encode_call(signature, *values)})

    def balance(self, account: str) -> int:
        data = encode_call("balanceOf(address)", account)
        return int(call(self.rpc, "eth_call", {"to": self.address, "data": data}, "latest"), 16)


def encode_call(signature: str, *values: Any) -> str:
    kinds = signature[signature.index("(") + 1 : -1].split(",")
    return "0x" + (keccak(text=signature)[:4] + encode(kinds, values)).hex()
