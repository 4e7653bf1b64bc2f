"""Usage reports: signed, repeatable, bounded, and published in sums only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from sqlalchemy import insert
from tests.unit.stats.serving import served
from tests.unit.stats.stats_world import CHAIN_ID, SONAR, Node, World

from openmined.stats import Database, Feed, Indexer, Service, create_app, open_database
from openmined.stats import _schema as schema
from openmined.stats._reports import Inbox, Limiter, UsageReport, read_usage, two_digits

TODAY = 20_000
KEYS = [Account.from_key(bytes([n + 1]) * 32) for n in range(7)]


def body(key: Any, day: int = TODAY, sequence: int = 1, **changes: Any) -> dict[str, Any]:
    report = {
        "chain_id": CHAIN_ID,
        "sonar": SONAR,
        "miner": key.address,
        "day": day,
        "sequence": sequence,
        "software": "openmined 0.1.0",
        "records": [{"schema": "openmined/tweets@1", "count": 1234}],
    } | changes
    return {"report": report, "signature": sign(report, key)}


def sign(report: dict[str, Any], key: Any) -> str:
    message = encode_typed_data(full_message=UsageReport.model_validate(report).typed_data())
    return "0x" + key.sign_message(message).signature.hex()


def service_on(database: Database) -> Service:
    indexer = Indexer(database, Node(World()).chain())
    indexer.prepare()
    indexer.catch_up()
    with database.writing() as connection:
        for number, key in enumerate(KEYS):
            row = {column.name: 0 for column in schema.mines.columns}
            row |= {"address": key.address.lower(), "first_position": number}
            connection.execute(insert(schema.mines).values(row))
    service = Service(database, Feed(database, poll_s=0.01), threshold=3)
    service.inbox = Inbox(database, 3, clock=lambda: TODAY * 86_400 + 5.0)
    service.limiter = Limiter(burst=1000)
    return service


@pytest.fixture
def service(database: Database) -> Service:
    return service_on(database)


@pytest.fixture(scope="module")
def wary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """For tests whose reports are all refused."""
    folder = tmp_path_factory.mktemp("stats")
    database = open_database(f"sqlite:///{folder / 'stats.sqlite3'}", migrate=True)
    with served(create_app(service_on(database))) as client:
        yield client
    database.close()


@pytest.fixture
def api(service: Service) -> Iterator[httpx.Client]:
    with served(create_app(service)) as client:
        yield client


def post(api: httpx.Client, document: Any) -> httpx.Response:
    return api.post("/v1/reports", json=document)


def test_sent_twice_is_kept_once(api: httpx.Client) -> None:
    document = body(KEYS[0])
    assert post(api, document).json() == {"outcome": "new"}
    assert post(api, document).json() == {"outcome": "known"}
    changed = body(KEYS[0], records=[])
    assert post(api, changed).status_code == 409
    assert post(api, body(KEYS[0], sequence=2, records=[])).json() == {"outcome": "replaced"}
    assert post(api, document).status_code == 409


def test_published_in_sums_over_enough_mines_only(service: Service, api: httpx.Client) -> None:
    for key in KEYS[:2]:
        assert post(api, body(key, day=TODAY - 1)).status_code == 200
    few = usage(service)
    assert (few.mines, few.schemas, few.software) == (None, [], [])
    assert post(api, body(KEYS[2], day=TODAY)).status_code == 200
    assert usage(service).schemas == []  # today is not over
    assert post(api, body(KEYS[2], day=TODAY - 2)).status_code == 200
    enough = usage(service)
    assert enough.mines == 3
    [entry] = enough.schemas
    assert (entry.schema_id, entry.mines, entry.records) == ("openmined/tweets@1", 3, 3700)
    assert [(s.software, s.mines) for s in enough.software] == [("openmined 0.1.0", 3)]
    served_usage = api.get("/v1/usage").json()
    assert served_usage["schemas"][0]["records"] == 3700
    assert KEYS[0].address.lower() not in str(served_usage)


def usage(service: Service) -> Any:
    with service.database.reading() as connection:
        return read_usage(connection, TODAY - 1, 3)


def test_old_reports_stop_counting(service: Service, api: httpx.Client) -> None:
    for key in KEYS[:3]:
        assert post(api, body(key, day=TODAY - 7)).status_code == 200
    with service.database.reading() as connection:
        assert read_usage(connection, TODAY - 1, 3).mines == 3
        assert read_usage(connection, TODAY, 3).mines is None


@pytest.mark.parametrize(
    "changes",
    [{"chain_id": 1}, {"sonar": "0x" + "11" * 20}, {"day": TODAY + 2}, {"day": TODAY - 8}],
)
def test_for_another_place_or_time(wary: httpx.Client, changes: dict[str, Any]) -> None:
    assert post(wary, body(KEYS[0], **changes)).status_code == 422


@pytest.mark.parametrize(
    "changes",
    [
        {"records": [{"schema": "openmined/tweets@1", "count": 10**10 + 1}]},
        {"records": [{"schema": "openmined/tweets@1", "count": 0}]},
        {"records": [{"schema": "openmined/tweets@1", "count": -5}]},
        {"records": [{"schema": "openmined/tweets@1", "count": 1.5}]},
        {"records": [{"schema": "'; DROP TABLE reports; --", "count": 1}]},
        {"records": [{"schema": "a/b@1", "count": 1}] * 2},
        {"records": [{"schema": f"a/b{n}@1", "count": 1} for n in range(65)]},
        {"software": "<script>"},
        {"software": "x" * 65},
        {"sequence": 0},
        {"sequence": 25},
        {"miner": "0x12"},
        {"more": 1},
    ],
)
def test_absurd_reports(wary: httpx.Client, changes: dict[str, Any]) -> None:
    document = body(KEYS[0])
    document["report"] |= changes
    assert post(wary, document).status_code == 422


def test_signed_by_somebody_else(api: httpx.Client) -> None:
    document = body(KEYS[0])
    document["signature"] = sign(document["report"], KEYS[1])
    assert post(api, document).status_code == 403
    stranger = Account.from_key(b"\x99" * 32)
    assert "only mines" in post(api, body(stranger)).json()["detail"]


@pytest.mark.parametrize(
    "signature",
    ["0x" + "00" * 65, "0x" + "ff" * 65, "0x" + "11" * 64 + "1b", "0x" + "22" * 64 + "05"],
)
def test_no_signature_at_all(wary: httpx.Client, signature: str) -> None:
    assert post(wary, body(KEYS[0]) | {"signature": signature}).status_code == 403


def test_the_other_form_of_a_signature_is_refused(api: httpx.Client) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    document = body(KEYS[0])
    raw = bytes.fromhex(document["signature"][2:])
    s = (order - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big")
    document["signature"] = "0x" + (raw[:32] + s + bytes([55 - raw[64]])).hex()
    assert post(api, document).status_code == 403


def test_too_many_and_too_large(service: Service, api: httpx.Client) -> None:
    service.limiter = Limiter(burst=2, per_s=0.0)
    assert post(api, body(KEYS[0])).status_code == 200
    assert post(api, body(KEYS[1])).status_code == 200
    assert post(api, body(KEYS[2])).status_code == 429
    answer = api.post("/v1/reports", content=b"[" * 70_000)
    assert answer.status_code == 413

    def endless() -> Iterator[bytes]:
        yield b"{" * 100

    assert api.post("/v1/reports", content=endless()).status_code == 413
    assert api.post("/v1/reports", content=b"[" * 60_000).status_code == 422


def test_a_limiter_fills_up_again_and_forgets_the_oldest() -> None:
    now = [0.0]
    limiter = Limiter(burst=1, per_s=0.5, callers=2, clock=lambda: now[0])
    assert limiter.admit("a")
    assert not limiter.admit("a")
    now[0] = 2.0
    assert limiter.admit("a")
    assert limiter.admit("b")
    assert limiter.admit("c")  # forgets a
    assert limiter.admit("a")


def test_rounded_to_two_digits() -> None:
    assert [two_digits(n) for n in (0, 7, 99, 104, 105, 995, 123_456)] == [
        0,
        7,
        99,
        100,
        110,
        1000,
        120_000,
    ]


def test_what_is_signed_is_written_down() -> None:
    """The vector of docs/statistics.md: other languages sign the same."""
    document = body(KEYS[0])
    message = encode_typed_data(
        full_message=UsageReport.model_validate(document["report"]).typed_data()
    )
    assert message.header.hex() == (
        "9dfb4d94f46a73c8139cc34a40a87920ad208e697a77499e19e58cd30df01966"
    )
    assert message.body.hex() == "b2db9f8a1508d6b29dc8cde9ef623dda127b3ab17784d7a247fe93998da39308"
