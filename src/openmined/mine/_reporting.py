"""Opt-in reporting: how many rows of each published schema are offered. Never a row, never a name.

The statistics service adds these counts up over mines, and publishes them only where enough mines
contribute. Off unless `[reporting] enabled = true`; datasets that are denied to everybody, and
those without a published schema, are not counted. One report a day, a correction when counts
change, signed by the wallet.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openmined.mine._datasets import Dataset, list_datasets
from openmined.mine._folder import MineFolder
from openmined.mine._ledger import Ledger
from openmined.mine._progress import ProgressLog
from openmined.mine._settings import MineSettings
from openmined.mine._steps import Step
from openmined.protocol import SonarRef

if TYPE_CHECKING:
    import httpx

    from openmined.sonar import Wallet

DAY_S = 86_400
MAX_SEQUENCE = 24
_TIMEOUT_S = 5.0
_META = "report"


def count_rows(datasets: list[Dataset], settings: MineSettings) -> dict[str, int]:
    """Return rows by published schema, of datasets that some campaign may use."""
    counts: Counter[str] = Counter()
    for dataset in datasets:
        schema = dataset.dataset_schema.id
        if schema is not None and settings.permission(dataset.name).mode != "deny":
            counts[schema] += dataset.rows
    return {schema: rows for schema, rows in sorted(counts.items())[:64] if rows}


def build_report(
    chain: SonarRef, miner: str, day: int, sequence: int, software: str, counts: dict[str, int]
) -> dict[str, Any]:
    """Return a report as it is sent."""
    return {
        "chain_id": chain.chain_id,
        "sonar": chain.sonar.lower(),
        "miner": miner.lower(),
        "day": day,
        "sequence": sequence,
        "software": software,
        "records": [{"schema": schema, "count": rows} for schema, rows in counts.items()],
    }


def typed_data(report: dict[str, Any]) -> dict[str, Any]:
    """Return what is signed of a report (EIP-712)."""
    fields = ("miner", "day", "sequence", "software", "records")
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Records": [
                {"name": "schema", "type": "string"},
                {"name": "count", "type": "uint64"},
            ],
            "UsageReport": [
                {"name": "miner", "type": "address"},
                {"name": "day", "type": "uint64"},
                {"name": "sequence", "type": "uint64"},
                {"name": "software", "type": "string"},
                {"name": "records", "type": "Records[]"},
            ],
        },
        "primaryType": "UsageReport",
        "domain": {
            "name": "OpenMined usage report",
            "version": "1",
            "chainId": report["chain_id"],
            "verifyingContract": report["sonar"],
        },
        "message": {name: report[name] for name in fields},
    }


@dataclass(slots=True)
class Reporter:
    """Reports when the owner allows it, at most once an interval."""

    folder: MineFolder
    ledger: Ledger
    wallet: Wallet
    chain: SonarRef
    log: ProgressLog
    clock: Callable[[], float] = time.time
    transport: httpx.BaseTransport | None = None
    _next: float = 0.0

    def report(self, settings: MineSettings) -> None:
        """Send what is new; a failure is a log line and another try next time."""
        allowed = settings.reporting
        if not allowed.enabled or allowed.url is None or self.clock() < self._next:
            return
        self._next = self.clock() + allowed.interval_s
        counts = count_rows(list_datasets(self.folder), settings)
        day = int(self.clock() // DAY_S)
        before = json.loads(self.ledger.meta(_META) or "{}")
        if not self._has_submitted() or _says(before, day, counts):
            return
        sequence = before["sequence"] + 1 if before.get("day") == day else 1
        if sequence > MAX_SEQUENCE:
            return
        from openmined import __version__

        software = f"openmined mine {__version__}"
        report = build_report(self.chain, self.wallet.address, day, sequence, software, counts)
        if self._send(allowed.url, report):
            state = {"day": day, "sequence": sequence, "counts": counts}
            self.ledger.set_meta(_META, json.dumps(state))
            self.log.say("reported", day=day, schemas=len(counts))

    def _has_submitted(self) -> bool:
        # Before its first gradient nobody knows of a mine; a report would tell.
        done = (Step.SUBMITTED, Step.OUTCOME)
        return any(submission.step in done for submission in self.ledger.submissions())

    def _send(self, url: str, report: dict[str, Any]) -> bool:
        import httpx

        signed = {"report": report, "signature": self.wallet.sign_typed_data(typed_data(report))}
        try:
            with httpx.Client(timeout=_TIMEOUT_S, transport=self.transport) as http:
                answer = http.post(f"{url.rstrip('/')}/v1/reports", json=signed)
        except httpx.HTTPError as error:
            self.log.say("problem", text=f"the report could not be sent: {type(error).__name__}")
            return False
        if answer.status_code not in (httpx.codes.OK, httpx.codes.CONFLICT):
            self.log.say("problem", text=f"the report was refused: status {answer.status_code}")
            return False
        return True


def _says(before: dict[str, Any], day: int, counts: dict[str, int]) -> bool:
    return before.get("day") == day and before.get("counts") == counts
