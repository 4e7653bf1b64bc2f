"""Deploys the Sonar contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from openmined.sonar._contract import (
    DEFAULT_MAX_FEE_WEI,
    choose_poll_s,
    connect_sonar,
    read_chain_id,
)
from openmined.sonar._errors import ChainError
from openmined.sonar._home import openmined_home
from openmined.sonar._rpc import Rpc
from openmined.sonar._send import Call, Quote, Sender
from openmined.sonar._types import Receipt, checked_address
from openmined.sonar._wallet import Wallet
from openmined.sonar.contract import load_artifact


@dataclass(frozen=True, slots=True)
class Deployment:
    """A contract that was deployed and verified."""

    chain_id: int
    address: str
    receipt: Receipt


def deploy_sonar(
    rpc_url: str,
    wallet: Wallet,
    *,
    max_fee_wei: int = DEFAULT_MAX_FEE_WEI,
    timeout_s: float = 180.0,
    lock_folder: Path | None = None,
) -> str:
    """Deploy Sonar, verify the code on chain, and return its address.

    Raises:
        RpcUnreachable, NotEnoughFunds, FeeAboveCap, TransactionError: see there.
        WrongContract: if the code on chain is not the artifact's.
    """
    return deploy_quoted(
        rpc_url, wallet, max_fee_wei=max_fee_wei, timeout_s=timeout_s, lock_folder=lock_folder
    ).address


def deploy_quoted(
    rpc_url: str,
    wallet: Wallet,
    *,
    agree: Callable[[int, Quote], bool] = lambda _chain_id, _quote: True,
    chain_id: int | None = None,
    max_fee_wei: int = DEFAULT_MAX_FEE_WEI,
    timeout_s: float = 180.0,
    lock_folder: Path | None = None,
) -> Deployment:
    """Quote the cost, ask `agree(chain_id, quote)`, deploy, verify.

    Raises:
        ChainError: if `agree` says no; nothing was sent.
    """
    rpc = Rpc(rpc_url)
    try:
        found = read_chain_id(rpc, wallet, chain_id)
        sender = Sender(
            rpc,
            found,
            wallet,
            max_fee_wei=max_fee_wei,
            timeout_s=timeout_s,
            poll_s=choose_poll_s(rpc, found),
            raise_after_s=45.0,
            lock_folder=lock_folder or openmined_home() / "locks",
        )
        call = Call("", load_artifact().bytecode)
        if not agree(found, sender.quote(call)):
            raise ChainError("nothing was deployed: the quote was not agreed to")
        receipt, _ = sender.send(call)
        mined = rpc.receipt(receipt.transaction)
        address = checked_address(str(mined.contract if mined else None))
    finally:
        rpc.close()
    connect_sonar(rpc_url, address).close()
    return Deployment(found, address, receipt)
