"""The four ERC-20 calls a client needs (EIP-20)."""

from __future__ import annotations

from typing import Final

from openmined.sonar._abi import Function

ALLOWANCE: Final = Function("allowance", ("address", "address"), ("uint256",))
APPROVE: Final = Function("approve", ("address", "uint256"), ())
BALANCE_OF: Final = Function("balanceOf", ("address",), ("uint256",))
DECIMALS: Final = Function("decimals", (), ("uint8",))
SYMBOL: Final = Function("symbol", (), ("string",))
