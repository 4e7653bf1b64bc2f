from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.mine.folder_world import make_folder, rows

from openmined.mine import Ledger, MineFolder, Secrets, Step, change_permission, import_batches
from openmined.mine._progress import ProgressLog
from openmined.mine._reporting import DAY_S, Reporter, build_report, typed_data
from openmined.protocol import SonarRef, TableSchema
from openmined.stats._reports import SignedReport, signer

CHAIN = SonarRef(chain_id=31337, sonar="0x" + "5" * 40)
REPORTING = {"enabled": True, "url": "http://stats.example", "interval_s": 60.0}
FIELDS = [
    {"name": "pixels", "type": "array", "constraints": {"minLength": 8, "maxLength": 8}},
    {"name": "label", "type": "string"},
]


class Service:
    """What a statistics service got, and what it answers."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url == "http://stats.example/v1/reports"
        self.got.append(json.loads(request.content))
        return httpx.Response(self.status, json={"outcome": "new"})


@pytest.fixture
def made(tmp_path: Path) -> tuple[MineFolder, Secrets]:
    folder, secrets = make_folder(tmp_path / "mine", reporting=REPORTING)
    for name, schema in (("a", "openmined/digits@1"), ("b", "openmined/digits@1"), ("c", None)):
        table = TableSchema.model_validate({"id": schema, "fields": FIELDS})
        import_batches(folder, secrets.identity, name, table, [rows(10 if name == "a" else 7)])
    return folder, secrets


def reporter(
    made: tuple[MineFolder, Secrets], ledger: Ledger, service: Service, now: list[float]
) -> Reporter:
    folder, secrets = made
    return Reporter(
        folder,
        ledger,
        secrets.wallet,
        CHAIN,
        ProgressLog(folder.log_path, "test"),
        clock=lambda: now[0],
        transport=httpx.MockTransport(service),
    )


def test_the_service_knows_the_signature(made: tuple[MineFolder, Secrets]) -> None:
    _, secrets = made
    counts = {"openmined/digits@1": 17}
    report = build_report(CHAIN, secrets.wallet.address, 20_000, 1, "openmined mine 1", counts)
    signature = secrets.wallet.sign_typed_data(typed_data(report))
    signed = SignedReport.model_validate({"report": report, "signature": signature})
    assert signed.report.typed_data() == typed_data(report)
    assert signer(signed.report, signed.signature) == secrets.wallet.address.lower()
    other = build_report(CHAIN, secrets.wallet.address, 20_000, 2, "openmined mine 1", counts)
    forged = SignedReport.model_validate({"report": other, "signature": signature})
    assert signer(forged.report, signature) != secrets.wallet.address.lower()


def test_counts_are_told_once_a_day_and_corrected(made: tuple[MineFolder, Secrets]) -> None:
    folder, secrets = made
    ledger, service, now = folder.ledger(), Service(), [20_000.0 * DAY_S]
    telling = reporter(made, ledger, service, now)
    change_permission(folder, "a", {"mode": "ask"})
    telling.report(folder.settings())
    assert service.got == [], "before its first gradient nobody knows of the mine"

    ledger.claim(1, 1, 1, ["a"])
    ledger.advance(1, 1, Step.SUBMITTED, envelope="ab", gradient=0)
    now[0] += 61
    telling.report(folder.settings())
    (first,) = service.got
    assert first["report"]["records"] == [{"schema": "openmined/digits@1", "count": 10}]
    assert (first["report"]["day"], first["report"]["sequence"]) == (20_000, 1)
    SignedReport.model_validate(first)

    for _ in range(3):
        now[0] += 61
        telling.report(folder.settings())
    assert len(service.got) == 1, "nothing new is not told again"

    change_permission(folder, "b", {"mode": "automatic"})
    now[0] += 61
    telling.report(folder.settings())
    assert service.got[1]["report"]["records"][0]["count"] == 17
    assert service.got[1]["report"]["sequence"] == 2

    now[0] += DAY_S
    telling.report(folder.settings())
    assert (service.got[2]["report"]["day"], service.got[2]["report"]["sequence"]) == (20_001, 1)
    text = json.dumps(service.got)
    assert "label" not in text
    assert secrets.identity not in text
    ledger.close()


def test_a_refused_report_is_tried_again(made: tuple[MineFolder, Secrets]) -> None:
    folder, _ = made
    ledger, service, now = folder.ledger(), Service(), [0.0]
    telling = reporter(made, ledger, service, now)
    change_permission(folder, "a", {"mode": "ask"})
    ledger.claim(1, 1, 1, ["a"])
    ledger.advance(1, 1, Step.SUBMITTED, envelope="ab", gradient=0)
    service.status = 503
    telling.report(folder.settings())
    telling.report(folder.settings())
    assert len(service.got) == 1, "not before the next interval"
    assert "status 503" in folder.log_path.read_text()
    service.status = 200
    now[0] += 61
    telling.report(folder.settings())
    assert [got["report"]["sequence"] for got in service.got] == [1, 1]
    ledger.close()


def test_nothing_is_told_unless_the_owner_says_so(tmp_path: Path) -> None:
    made = make_folder(tmp_path / "mine")
    folder, _ = made
    ledger, service = folder.ledger(), Service()
    ledger.claim(1, 1, 1, [])
    ledger.advance(1, 1, Step.SUBMITTED, envelope="ab", gradient=0)
    reporter(made, ledger, service, [0.0]).report(folder.settings())
    assert service.got == []
    ledger.close()
