"""Paying out: requests in the ledger, so that only the running mine ever sends transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openmined.mine._ledger import Ledger, Withdrawal
from openmined.mine._progress import ProgressLog
from openmined.protocol import OpenMinedError

if TYPE_CHECKING:
    from openmined.sonar import SonarContract


def pay_out(ledger: Ledger, contract: SonarContract, address: str, log: ProgressLog) -> None:
    """Carry out what was asked. `withdraw` pays the whole credit, so that twice is once."""
    for request in reversed(ledger.withdrawals()):
        if request.state in ("asked", "sending"):
            _pay(ledger, contract, address, request, log)


def _pay(
    ledger: Ledger, contract: SonarContract, address: str, request: Withdrawal, log: ProgressLog
) -> None:
    credit = contract.credit(request.token, address)
    if credit == 0:
        if request.state == "sending":
            # Killed after it was sent: the credit is gone, so it was paid.
            ledger.update_withdrawal(request.id, "done")
        else:
            ledger.update_withdrawal(request.id, "failed", problem="there is nothing to withdraw")
        return
    ledger.update_withdrawal(request.id, "sending", amount=credit)
    try:
        receipt = contract.withdraw(request.token)
    except OpenMinedError as error:
        ledger.update_withdrawal(request.id, "failed", problem=str(error)[:400])
        log.say("problem", text=f"withdrawing: {error}")
        return
    ledger.update_withdrawal(request.id, "done", tx=receipt.transaction)
    log.say("withdrawn", token=request.token, amount_wei=str(credit), tx=receipt.transaction)
