"""The local API: the same requests to both mines, on two copies of one folder, word for word."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from tests.conformance.mines import PYTHON, Kind, Running, node_kind, wait_for, wait_submitted
from tests.unit.mine.folder_world import PASSPHRASE, SCHEMA, table
from tests.unit.mine.mine_world import MineWorld

from openmined.mine import MineFolder
from openmined.mine.api._app import STATIC
from openmined.sonar import Score

DOCUMENT = Path(__file__).parents[2] / "docs/openapi/mine.json"
COOKIE = "openmined_mine_session"
PAGE_HEADERS = (
    "content-type", "content-length", "cache-control", "content-security-policy",
    "x-content-type-options", "referrer-policy", "x-frame-options", "cross-origin-opener-policy",
    "cross-origin-resource-policy", "permissions-policy",
)  # fmt: skip


def url_of(folder: Path) -> str | None:
    log = folder / "logs" / "mine.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return next((line["url"] for line in reversed(lines) if line["step"] == "serving"), None)


@contextmanager
def serving(kind: Kind, folder: Path) -> Iterator[httpx.Client]:
    """A client of a mine's API; nobody has logged in yet."""
    (folder / "logs" / "mine.jsonl").unlink(missing_ok=True)
    with Running(kind, folder), httpx.Client(timeout=60) as client:
        client.base_url = str(wait_for(lambda: url_of(folder)))
        wait_for(lambda: client.get("/api/v1/health").json()["status"] == "ok")
        yield client


@pytest.fixture(scope="module")
def lived(world: MineWorld) -> MineFolder:
    """A folder with a campaign behind it: data, decisions, a gradient that was paid."""
    folder, _ = world.make_mine("lived", api={"enabled": True, "port": 0})
    with Running(PYTHON, folder.path) as mine:
        opened = world.launch_open()
        (event,) = wait_submitted(world, opened.campaign)
        world.score(opened, 900_000, [Score(event.gradient, 1_000_000)])
        ledger = folder.ledger()
        wait_for(lambda: all(s.final for s in ledger.submissions()))
        ledger.close()
        mine.stop()
    return folder


@pytest.fixture(scope="module")
def clients(lived: MineFolder) -> Iterator[dict[str, httpx.Client]]:
    """Both mines, each on its own copy of the folder."""
    places = {name: lived.path.with_name(f"copy-{name}") for name in ("python", "node")}
    for place in places.values():
        shutil.copytree(lived.path, place)
    with (
        serving(PYTHON, places["python"]) as python,
        serving(node_kind(), places["node"]) as node,
    ):
        yield {"python": python, "node": node}


def log_in(client: httpx.Client) -> None:
    client.post("/api/v1/session", json={"passphrase": PASSPHRASE}).raise_for_status()


def seen(answer: httpx.Response) -> tuple[Any, ...]:
    """What must be the same of an answer."""
    headers = {
        name: answer.headers.get(name)
        for name in ("content-security-policy", "x-frame-options", "cache-control", "retry-after")
    }
    kind = answer.headers.get("content-type", "").split(";")[0]
    if not answer.content:
        return answer.status_code, headers
    body = answer.json() if kind == "application/json" else answer.text
    return answer.status_code, kind, headers, body


PERMISSION = {"mode": "ask", "fields": ["pixels", "label"], "min_bounty_wei": "7", "max_rounds": 3}
HUGE = "x" * 5000
CLOSED: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/v1/health", {}),
    ("GET", "/api/v1/session", {}),
    ("GET", "/api/v1/status", {}),
    ("PUT", "/api/v1/datasets/data/permission", {"json": {"mode": "nonsense"}}),
    ("POST", "/api/v1/uploads", {"content": b"x", "headers": {"x-file-name": "x"}}),
    ("GET", "/api/v1/datasets/..%2F..%2Fwallet.json", {}),
    ("GET", "/api/v1/nothing", {}),
    ("POST", "/api/v1/nothing", {"json": {}}),
    ("GET", "/metrics", {}),
    ("GET", "/api/v1/health", {"headers": {"host": "evil.example"}}),
    ("GET", "/api/v1/health", {"headers": {"origin": "http://evil.example"}}),
    ("GET", "/api/v1/health", {"headers": {"origin": "null"}}),
    ("GET", "/api/v1/health", {"headers": {"sec-fetch-site": "cross-site"}}),
    ("POST", "/api/v1/session", {"json": {}}),
    ("POST", "/api/v1/session", {"json": {"passphrase": 5}}),
    ("POST", "/api/v1/session", {"json": {"passphrase": ""}}),
    ("POST", "/api/v1/session", {"json": {"passphrase": HUGE}}),
    ("POST", "/api/v1/session", {"json": {"passphrase": "x", "more": 1}}),
    ("POST", "/api/v1/session", {"json": {"passphrase": "wrong passphrase"}}),
    ("GET", "/api/v1/status", {"headers": {"cookie": f"{COOKIE}=made-up"}}),
]
OPEN: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/v1/session", {}),
    ("GET", "/api/v1/status", {}),
    ("GET", "/api/v1/datasets", {}),
    ("GET", "/api/v1/datasets/data", {}),
    ("GET", "/api/v1/datasets/none", {}),
    ("GET", "/api/v1/datasets/UPPER", {}),
    ("PUT", "/api/v1/datasets/data/permission", {"json": PERMISSION}),
    ("PUT", "/api/v1/datasets/data/permission", {"json": PERMISSION | {"mode": "perhaps"}}),
    ("PUT", "/api/v1/datasets/data/permission", {"json": PERMISSION | {"max_rounds": 0}}),
    ("PUT", "/api/v1/datasets/data/permission", {"json": PERMISSION | {"max_rounds": 1.5}}),
    ("PUT", "/api/v1/datasets/data/permission", {"json": PERMISSION | {"capsules": ["0x1"]}}),
    ("PUT", "/api/v1/datasets/data/permission", {"json": PERMISSION | {"hours": ["25:00-1:00"]}}),
    ("PUT", "/api/v1/datasets/data/permission", {"json": PERMISSION | {"timezone": "Mars/Base"}}),
    ("PUT", "/api/v1/datasets/data/permission", {"json": PERMISSION | {"cpu_share": 0}}),
    ("PUT", "/api/v1/datasets/data/permission", {"json": PERMISSION | {"unheard": 1}}),
    ("PUT", "/api/v1/datasets/none/permission", {"json": PERMISSION}),
    ("POST", "/api/v1/datasets/data/exposure", {"json": PERMISSION | {"epsilon_budget": 2.5}}),
    ("POST", "/api/v1/datasets/data/exposure", {"json": {"mode": "deny"}}),
    ("GET", "/api/v1/adapters", {}),
    ("POST", "/api/v1/imports", {"json": {"dataset": "more"}}),
    ("POST", "/api/v1/imports", {"json": {"dataset": "More", "path": "/x"}}),
    ("POST", "/api/v1/imports/preview", {"json": {"path": "/nowhere/at/all"}}),
    ("POST", "/api/v1/imports/preview", {"json": {"upload": "0" * 32}}),
    ("POST", "/api/v1/imports/preview", {"json": {"upload": "zz"}}),
    ("GET", "/api/v1/imports", {}),
    ("GET", "/api/v1/imports/0000000000000000", {}),
    ("GET", "/api/v1/imports/short", {}),
    ("DELETE", "/api/v1/uploads/" + "0" * 32, {}),
    ("GET", "/api/v1/campaigns", {}),
    ("GET", "/api/v1/decisions", {}),
    ("GET", "/api/v1/decisions?every=true", {}),
    ("PUT", "/api/v1/decisions/1/data", {"json": {"answer": "approved"}}),
    ("PUT", "/api/v1/decisions/1/data", {"json": {"answer": "maybe"}}),
    ("PUT", "/api/v1/decisions/0/data", {"json": {"answer": "approved"}}),
    ("PUT", "/api/v1/decisions/x/data", {"json": {"answer": "approved"}}),
    ("PUT", "/api/v1/decisions/99/data", {"json": {"answer": "approved"}}),
    ("GET", "/api/v1/earnings", {}),
    ("GET", "/api/v1/withdrawals", {}),
    ("POST", "/api/v1/withdrawals", {"json": {"token": "0x12"}}),
    ("GET", "/api/v1/settings", {}),
    ("PATCH", "/api/v1/settings", {"json": {"name": "clinic", "loop": {"patience": 6}}}),
    ("PATCH", "/api/v1/settings", {"json": {"loop": {"patience": 0}}}),
    ("PATCH", "/api/v1/settings", {"json": {"limits": {"memory_mb": 1}}}),
    ("PATCH", "/api/v1/settings", {"json": {"network": {"sonar": "0x"}}}),
    ("PATCH", "/api/v1/settings", {"json": []}),
    ("GET", "/metrics", {}),
    ("DELETE", "/api/v1/datasets/none", {}),
    ("POST", "/api/v1/uploads", {"content": b"x" * 10}),
]


def compare(
    clients: dict[str, httpx.Client], requests: list[tuple[str, str, dict[str, Any]]]
) -> list[str]:
    different = []
    for method, path, options in requests:
        first, second = (
            seen(clients[name].request(method, path, **options)) for name in ("python", "node")
        )
        if first != second:
            different.append(f"{method} {path} {options}\n  python {first}\n  node   {second}")
    return different


def test_both_give_the_same_answers(clients: dict[str, httpx.Client], lived: MineFolder) -> None:
    different = compare(clients, CLOSED)
    for client in clients.values():
        log_in(client)
    different += compare(clients, OPEN)
    assert different == [], "\n".join(["", *different])
    # What they wrote to mine.toml says the same, too.
    written = [
        tomllib.loads((lived.path.with_name(f"copy-{name}") / "mine.toml").read_text())
        for name in clients
    ]
    assert written[0] == written[1]


def test_the_document_is_served_byte_for_byte(clients: dict[str, httpx.Client]) -> None:
    served = [client.get("/api/v1/openapi.json").content for client in clients.values()]
    assert served[0] == served[1]
    assert json.loads(served[0]) == json.loads(DOCUMENT.read_text())


def test_the_page_is_served_file_by_file(clients: dict[str, httpx.Client]) -> None:
    if not (STATIC / "index.html").is_file():
        pytest.skip("the mine's page is not built: `make web` builds it")
    files = [str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file()]
    assert any(name.startswith("assets/") for name in files)
    odd = (
        "",
        "earnings",
        "assets/none.js",
        "assets",
        "assets/",
        "%2e%2e/_app.py",
        "a%00b",
        "x" * 300,
    )
    different = []
    for path in (*files, *odd):
        told = []
        for client in clients.values():
            answer = client.get(f"/{path}")
            headers = {name: answer.headers.get(name) for name in PAGE_HEADERS}
            told.append((answer.status_code, headers, answer.content))
        if told[0] != told[1]:
            different.append((path, [(status, headers) for status, headers, _ in told]))
        if path in files:
            assert (told[0][0], told[0][2]) == (200, (STATIC / path).read_bytes())
        assert "script-src 'self'" in str(told[0][1]["content-security-policy"])
    assert different == []


def test_an_upload_becomes_a_dataset(clients: dict[str, httpx.Client], tmp_path: Path) -> None:
    export = tmp_path / "export.parquet"
    pq.write_table(table(30, seed=5), export)
    csv = b"pixels,label\n" + b'"[1,2,3,4,5,6,7,8]",a\n' * 3
    for client in clients.values():
        log_in(client)
        sent = client.post(
            "/api/v1/uploads", content=csv, headers={"x-file-name": "..%2F..%2Frows.csv"}
        ).json()
        assert (sent["name"], sent["bytes"]) == ("rows.csv", len(csv))
        schema = SCHEMA.model_dump(mode="json", exclude_none=True)
        body = {"upload": sent["upload"], "table_schema": schema}
        shown = client.post("/api/v1/imports/preview", json=body).json()
        assert [row["label"] for row in shown["rows"]] == ["a"] * 3, shown
        begun = client.post("/api/v1/imports", json=body | {"dataset": "sent"})
        assert begun.status_code == 202, begun.text
        state = begun.json()

        def done(client: httpx.Client = client, number: str = state["id"]) -> Any:
            found = client.get(f"/api/v1/imports/{number}").json()
            return found if found["state"] != "running" else None

        ended = wait_for(done)
        assert (ended["state"], ended["rows_read"], ended["total"]) == ("done", 3, 3), ended
        assert client.get("/api/v1/datasets/sent").json()["permission"]["mode"] == "deny"
        # An upload that was imported is gone.
        again = client.post("/api/v1/imports/preview", json=body)
        assert (again.status_code, "send the file again" in again.text) == (422, True)
        assert client.delete("/api/v1/datasets/sent").status_code == 204


def test_wrong_passphrases_close_the_door(clients: dict[str, httpx.Client]) -> None:
    for client in clients.values():
        codes = [
            client.post("/api/v1/session", json={"passphrase": f"wrong number {n}"}).status_code
            for n in range(6)
        ]
        assert codes[-1] == 429
        right = client.post("/api/v1/session", json={"passphrase": PASSPHRASE})
        assert right.status_code == 429
        assert 0 < int(right.headers["retry-after"]) <= 301


def test_bodies_that_hide_their_size_are_cut_off(clients: dict[str, httpx.Client]) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * (1 << 16)

    for client in clients.values():
        try:
            status = client.post("/api/v1/session", content=endless()).status_code
        except httpx.HTTPError:
            status = 413  # it was cut off in the middle
        assert status in (400, 413)
        assert client.get("/api/v1/health").status_code == 200
