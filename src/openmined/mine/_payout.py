"""Withdrawing from the command line or the API: by the running mine if there is one."""

from __future__ import annotations

import time
from collections.abc import Callable

from openmined.mine._errors import MineError
from openmined.mine._folder import FolderLock, MineFolder, is_running
from openmined.mine._ledger import Withdrawal
from openmined.mine._permissions import ETHER
from openmined.mine._progress import ProgressLog
from openmined.mine._withdraw import pay_out

_LOOK_S = 0.1


def withdraw_now(
    folder: MineFolder, token: str | None, wait_s: float, passphrase: Callable[[], str]
) -> Withdrawal:
    """Ask for a withdrawal and see it through.

    A running mine carries it out; without one this process does, with the passphrase.

    Raises:
        MineError: if it failed, or was not done in time.
    """
    ledger = folder.ledger()
    try:
        asked = ledger.ask_withdrawal((token or ETHER).lower())
        if not is_running(folder.path):
            _alone(folder, passphrase)
        until = time.monotonic() + wait_s
        while True:
            found = next(w for w in ledger.withdrawals() if w.id == asked.id)
            if found.state == "done":
                return found
            if found.state == "failed":
                raise MineError(f"nothing was paid out: {found.problem}")
            if time.monotonic() > until:
                raise MineError(
                    f"the running mine did not pay out within {wait_s:g} s; the request stays: "
                    "see its log"
                )
            time.sleep(_LOOK_S)
    finally:
        ledger.close()


def _alone(folder: MineFolder, passphrase: Callable[[], str]) -> None:
    from openmined.mine._run import connect_contract

    secrets = folder.unlock(passphrase())
    settings = folder.settings()
    with FolderLock(folder.path):
        contract = connect_contract(settings, secrets)
        log = ProgressLog(folder.log_path, settings.name)
        ledger = folder.ledger()
        try:
            pay_out(ledger, contract, secrets.wallet.address, log)
        finally:
            ledger.close()
            log.close()
            contract.close()
