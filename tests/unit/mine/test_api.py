from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from tests.unit.mine.folder_world import PASSPHRASE, SCHEMA, make_folder, rows, serving, table

from openmined.mine import MineFolder, Secrets
from openmined.mine._ledger import StoredEvent
from openmined.mine._permissions import Cause, Decision
from openmined.mine._progress import ProgressLog
from openmined.mine.api import _app as app_module
from openmined.mine.api import create_app, make_context, openapi_document, protected
from openmined.mine.api._sessions import COOKIE, MAX_FAILURES, Sessions, TooManyAttempts
from openmined.mine.api._uploads import plain_name

DOCUMENT = Path(__file__).parents[3] / "docs/openapi/mine.json"
OPEN_PATHS = {"/api/v1/health", "/api/v1/session", "/metrics"}


@pytest.fixture
def made(tmp_path: Path) -> tuple[MineFolder, Secrets]:
    return make_folder(tmp_path / "mine")


@pytest.fixture
def client(made: tuple[MineFolder, Secrets]) -> Iterator[httpx.Client]:
    folder, secrets = made
    log = ProgressLog(folder.log_path, "test")
    context = make_context(
        folder, secrets.identity, secrets.wallet.address, log, folder.settings().api
    )
    with serving(protected(create_app(context), ())) as client:
        yield client
    context.uploads.close()
    log.close()


@pytest.fixture
def owner(client: httpx.Client) -> httpx.Client:
    assert client.post("/api/v1/session", json={"passphrase": PASSPHRASE}).status_code == 200
    return client


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# --- the document -----------------------------------------------------------------------------


def test_the_committed_document_is_up_to_date() -> None:
    written = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(openapi_document())), "run `make artifact`"


def test_every_route_is_described() -> None:
    for path, methods in openapi_document()["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path}"
            assert operation["tags"], f"{method} {path}"


# --- sessions ---------------------------------------------------------------------------------


def every_operation() -> list[tuple[str, str]]:
    paths = openapi_document()["paths"]
    return [
        (method, path)
        for path, methods in paths.items()
        for method in methods
        if path not in OPEN_PATHS
    ]


def test_nothing_is_shown_without_a_session(client: httpx.Client) -> None:
    assert len(every_operation()) > 20
    for method, template in every_operation():
        path = template.replace("{name}", "data").replace("{dataset}", "data")
        path = path.replace("{campaign}", "1")
        path = path.replace("{number}", "0" * (32 if "upload" in path else 16))
        body: dict[str, Any] = {}
        if method not in ("get", "delete"):
            body = {"json": {"answer": "approved", "dataset": "data", "path": "/x"}}
        answer = client.request(method, path, headers={"x-file-name": "x"}, **body)
        assert error_of(answer) == (401, "not-logged-in"), f"{method} {path}"


def test_a_wrong_passphrase_opens_nothing(client: httpx.Client) -> None:
    answer = client.post("/api/v1/session", json={"passphrase": "not this one"})
    assert error_of(answer) == (401, "wrong-passphrase")
    assert "not this one" not in answer.text
    assert COOKIE not in answer.cookies
    assert client.get("/api/v1/status").status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_sites(client: httpx.Client) -> None:
    answer = client.post("/api/v1/session", json={"passphrase": PASSPHRASE})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Domain" not in cookie
    assert client.get("/api/v1/session").json() == {"logged_in": True}


def test_a_session_replayed_after_log_out_is_refused(owner: httpx.Client) -> None:
    token = owner.cookies[COOKIE]
    assert owner.get("/api/v1/status").status_code == 200
    assert owner.delete("/api/v1/session").json() == {"logged_in": False}
    answer = owner.get("/api/v1/status", headers={"cookie": f"{COOKIE}={token}"})
    assert error_of(answer) == (401, "not-logged-in")


@pytest.mark.parametrize("token", ["", "x", "0" * 43, "é" * 43, "a" * 5000])
def test_a_forged_session_is_refused(client: httpx.Client, token: str) -> None:
    header = {b"cookie": f"{COOKIE}={token}".encode("latin-1")}
    assert error_of(client.get("/api/v1/status", headers=header)) == (401, "not-logged-in")


def test_wrong_passphrases_are_slowed_down(client: httpx.Client) -> None:
    for _ in range(MAX_FAILURES):
        assert client.post("/api/v1/session", json={"passphrase": "wrong"}).status_code == 401
    answer = client.post("/api/v1/session", json={"passphrase": PASSPHRASE})
    assert error_of(answer) == (429, "too-many-attempts")
    assert 0 < int(answer.headers["retry-after"]) <= 301


def test_sessions_end_with_time() -> None:
    now = [0.0]
    sessions = Sessions(lambda _: None, 60.0, clock=lambda: now[0])
    token = sessions.log_in("x")
    now[0] = 59.0
    assert sessions.is_open(token)
    now[0] = 118.0
    assert sessions.is_open(token), "each request keeps it open"
    now[0] = 179.0
    assert not sessions.is_open(token)


def test_attempts_are_forgiven_with_time() -> None:
    from openmined.mine import WrongPassphrase

    now = [0.0]

    def check(passphrase: str) -> None:
        if passphrase != "right":
            raise WrongPassphrase("no")

    sessions = Sessions(check, 60.0, clock=lambda: now[0])
    for _ in range(MAX_FAILURES):
        with pytest.raises(WrongPassphrase):
            sessions.log_in("wrong")
    with pytest.raises(TooManyAttempts) as caught:
        sessions.log_in("right")
    now[0] = caught.value.retry_s + 0.1
    assert sessions.log_in("right")


# --- strangers --------------------------------------------------------------------------------

FOREIGN = [
    {"host": "evil.example"},
    {"host": "localhost.evil.example:7337"},
    {"host": ""},
    {"host": "127.0.0.1.nip.io"},
    {"origin": "https://evil.example"},
    {"origin": "http://localhost:9999"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_foreign_pages_and_names_get_nothing(owner: httpx.Client, headers: dict[str, str]) -> None:
    for path in ("/api/v1/status", "/api/v1/health", "/metrics", "/"):
        assert error_of(owner.get(path, headers=headers)) == (403, "foreign"), path


def test_a_foreign_page_cannot_log_in(client: httpx.Client) -> None:
    answer = client.post(
        "/api/v1/session", json={"passphrase": PASSPHRASE}, headers={"origin": "https://evil"}
    )
    assert error_of(answer) == (403, "foreign")


@pytest.mark.parametrize("host", ["localhost:7337", "127.0.0.1:7337", "[::1]:7337", "LOCALHOST"])
def test_the_owners_names_are_answered(owner: httpx.Client, host: str) -> None:
    answer = owner.get("/api/v1/health", headers={"host": host, "origin": f"http://{host}"})
    assert answer.status_code == 200


def test_headers_keep_pages_from_being_framed_or_injected(client: httpx.Client) -> None:
    headers = client.get("/api/v1/health").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"


def test_what_was_sent_is_not_told_back(client: httpx.Client) -> None:
    answer = client.post("/api/v1/session", json={"passphrase": ["my secret words"]})
    assert error_of(answer) == (422, "senseless")
    assert "my secret words" not in answer.text


def test_large_bodies_are_refused(owner: httpx.Client) -> None:
    answer = owner.post("/api/v1/imports", content=b"x" * ((1 << 20) + 1))
    assert error_of(answer) == (413, "too-large")


def test_bodies_that_hide_their_size_are_cut_off(owner: httpx.Client) -> None:
    pieces = (b" " * 65_536 for _ in range(20))
    answer = owner.post(
        "/api/v1/withdrawals", content=pieces, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert owner.get("/api/v1/withdrawals").json() == []


def test_an_upload_that_is_too_large_leaves_nothing(
    made: tuple[MineFolder, Secrets],
) -> None:
    folder, secrets = made
    log = ProgressLog(folder.log_path, "test")
    context = make_context(folder, secrets.identity, "0x", log, folder.settings().api)
    context.uploads._most_bytes = 100_000
    with serving(protected(create_app(context), ())) as client:
        client.post("/api/v1/session", json={"passphrase": PASSPHRASE})
        pieces = (b"x" * 50_000 for _ in range(3))
        answer = client.post("/api/v1/uploads", content=pieces, headers={"x-file-name": "x"})
        assert error_of(answer) == (422, "import-refused")
        assert context.uploads._folder is not None
        assert list(context.uploads._folder.iterdir()) == []
        kept = client.post("/api/v1/uploads", content=b"x", headers={"x-file-name": "x"}).json()
        assert client.delete(f"/api/v1/uploads/{kept['upload']}").status_code == 204
        assert list(context.uploads._folder.iterdir()) == []
        place = context.uploads._folder
    context.uploads.close()
    assert not place.exists()
    log.close()


# --- data -------------------------------------------------------------------------------------


def test_a_file_is_uploaded_previewed_imported_and_deleted(
    owner: httpx.Client, made: tuple[MineFolder, Secrets], tmp_path: Path
) -> None:
    folder, _ = made
    pq.write_table(table(50), tmp_path / "export.parquet")
    data = (tmp_path / "export.parquet").read_bytes()
    upload = owner.post(
        "/api/v1/uploads", content=data, headers={"x-file-name": "..%2Fmy%20export.parquet"}
    ).json()
    assert (upload["name"], upload["bytes"]) == ("my export.parquet", len(data))

    schema = SCHEMA.model_dump(mode="json", exclude_none=True)
    body = {"upload": upload["upload"], "table_schema": schema}
    preview = owner.post("/api/v1/imports/preview", json=body).json()
    assert preview["table_schema"]["fields"][0]["name"] == "pixels"
    assert len(preview["rows"]) == 20
    assert preview["rows"][0]["label"] in "abc"

    answer = owner.post("/api/v1/imports", json=body | {"dataset": "mine"})
    assert answer.status_code == 202
    done = wait_for_import(owner, answer.json()["id"])
    assert (done["state"], done["rows_added"], done["total"]) == ("done", 50, 50), done
    again = owner.post("/api/v1/imports/preview", json=body)
    assert error_of(again) == (422, "import-refused"), "an upload is forgotten once imported"

    (dataset,) = owner.get("/api/v1/datasets").json()
    assert (dataset["name"], dataset["rows"], dataset["permission"]["mode"]) == ("mine", 50, "deny")
    assert dataset["exposure"] == [
        "No campaign may use this dataset. Nothing of it leaves this machine."
    ]
    assert owner.delete("/api/v1/datasets/mine").status_code == 204
    assert owner.get("/api/v1/datasets").json() == []
    assert not (folder.datasets / "mine").exists()


def wait_for_import(owner: httpx.Client, number: str) -> dict[str, Any]:
    from tests.unit.sonar.chain import wait_for

    def done() -> dict[str, Any] | None:
        state: dict[str, Any] = owner.get(f"/api/v1/imports/{number}").json()
        return state if state["state"] != "running" else None

    found = wait_for(done)
    assert found is not None
    return found


def test_an_import_that_fails_says_why(owner: httpx.Client, tmp_path: Path) -> None:
    place = tmp_path / "broken.parquet"
    place.write_bytes(b"PAR1 this is none")
    schema = SCHEMA.model_dump(mode="json", exclude_none=True)
    body = {"path": str(place), "dataset": "x", "table_schema": schema}
    done = wait_for_import(owner, owner.post("/api/v1/imports", json=body).json()["id"])
    assert done["state"] == "failed"
    assert "broken.parquet" in done["message"]


@pytest.mark.parametrize("body", [{}, {"path": "/x", "upload": "0" * 32}])
def test_an_import_needs_one_source(owner: httpx.Client, body: dict[str, Any]) -> None:
    answer = owner.post("/api/v1/imports", json=body | {"dataset": "x"})
    assert error_of(answer) == (422, "import-refused")


def test_permissions_are_written_and_explained(
    owner: httpx.Client, made: tuple[MineFolder, Secrets]
) -> None:
    from openmined.mine import import_batches

    folder, secrets = made
    import_batches(folder, secrets.identity, "data", SCHEMA, [rows(30)])
    body = {"mode": "ask", "fields": ["*"], "min_bounty_wei": str(10**18), "max_rounds": 3}
    explained = owner.post("/api/v1/datasets/data/exposure", json=body).json()["exposure"]
    assert any("You are asked" in line for line in explained)
    assert any("at most 3" in line for line in explained)
    written = owner.put("/api/v1/datasets/data/permission", json=body).json()
    assert written["permission"]["min_bounty_wei"] == str(10**18)
    assert folder.settings().permission("data").max_rounds == 3
    # What is left out goes back to what is unsaid.
    owner.put("/api/v1/datasets/data/permission", json={"mode": "automatic"})
    assert folder.settings().permission("data").max_rounds == 16
    assert folder.settings().permission("data").fields == ()
    answer = owner.put("/api/v1/datasets/data/permission", json={"mode": "yes"})
    assert error_of(answer) == (422, "senseless")
    assert error_of(owner.get("/api/v1/datasets/none")) == (404, "unknown-dataset")


# --- work and money ---------------------------------------------------------------------------


def test_decisions_are_answered(owner: httpx.Client, made: tuple[MineFolder, Secrets]) -> None:
    folder, _ = made
    ledger = folder.ledger()
    cause = Cause(code="ask", text="the owner has to be asked")
    ledger.record_decision(7, "data", Decision(verdict="ask", causes=(cause,)))
    ledger.remember_campaign(7, "11" * 32)
    ledger.note_title(7, "Cats <script>")
    assert owner.get("/api/v1/status").json()["waiting_for_you"] == 1
    (found,) = owner.get("/api/v1/decisions").json()
    assert (found["campaign"], found["title"], found["verdict"]) == (7, "Cats <script>", "ask")
    assert found["answer"] == "none"
    answer = owner.put("/api/v1/decisions/7/data", json={"answer": "approved"})
    assert answer.status_code == 200
    assert ledger.answer(7, "data") == "approved"
    # The mine has not looked yet: asked anew, the owner's word is there and nothing waits for it.
    assert owner.get("/api/v1/decisions").json() == [answer.json()]
    assert answer.json() == found | {"answer": "approved"}
    assert owner.get("/api/v1/status").json()["waiting_for_you"] == 0
    ledger.close()
    answer = owner.put("/api/v1/decisions/8/data", json={"answer": "approved"})
    assert error_of(answer) == (404, "not-there")


def test_earnings_and_withdrawals(owner: httpx.Client, made: tuple[MineFolder, Secrets]) -> None:
    folder, secrets = made
    ledger = folder.ledger()
    ledger.apply_poll(paid_events(secrets.wallet.address), None, "{}")
    ledger.close()
    earned = owner.get("/api/v1/earnings").json()
    ether = "0x" + "0" * 40
    assert earned["withdrawable_wei"] == {ether: str(250 + 10 - 60)}
    asked = owner.post("/api/v1/withdrawals", json={})
    assert (asked.status_code, asked.json()["state"]) == (202, "asked")
    again = owner.post("/api/v1/withdrawals", json={"token": ether}).json()
    assert again["id"] == asked.json()["id"], "an open request is not doubled"
    (campaign,) = owner.get("/api/v1/campaigns").json()
    assert (campaign["phase"], campaign["bounty_wei"]) == ("open", "990")


def paid_events(miner: str) -> list[StoredEvent]:
    terms = {
        "spec": "11" * 32, "capsule": "0x" + "c" * 40, "token": "0x" + "0" * 40, "bounty": "1000",
        "fee": "10", "bond": "10", "start_ppm": "100000", "target_ppm": "800000",
        "min_improvement_ppm": "1000", "deadline": "2000000000", "max_gradients": "9",
    }  # fmt: skip
    bodies: list[tuple[str, int | None, dict[str, Any]]] = [
        (
            "CampaignLaunched",
            1,
            {"data_scientist": "0x" + "d" * 40, "capsule": "0x" + "c" * 40, "terms": terms},
        ),
        ("CampaignOpened", 1, {"keys": "aa" * 32, "model": "bb" * 32, "accuracy_ppm": "100000"}),
        (
            "GradientSubmitted",
            1,
            {"miner": miner, "gradient": "0", "version": "1", "envelope": "cc" * 32},
        ),
        (
            "GradientScored",
            1,
            {
                "miner": miner,
                "gradient": "0",
                "batch": "1",
                "share_ppm": "1000000",
                "payout": "250",
                "reason": "0",
                "bond_returned": "10",
            },
        ),
        ("Withdrawn", None, {"token": "0x" + "0" * 40, "account": miner, "amount": "60"}),
    ]
    return [
        StoredEvent(number, 0, "0xab", f"0x{number}", name, campaign, arguments)
        for number, (name, campaign, arguments) in enumerate(bodies)
    ]


def test_settings_are_changed_and_checked(
    owner: httpx.Client, made: tuple[MineFolder, Secrets]
) -> None:
    folder, _ = made
    before = owner.get("/api/v1/settings").json()
    assert "network" not in before
    changed = owner.patch("/api/v1/settings", json={"loop": {"poll_interval_s": 9.0}}).json()
    assert changed["loop"]["poll_interval_s"] == 9.0
    assert folder.settings().loop.poll_interval_s == 9.0
    answer = owner.patch("/api/v1/settings", json={"loop": {"poll_interval_s": -1}})
    assert error_of(answer) == (422, "senseless")
    answer = owner.patch("/api/v1/settings", json={"network": {"rpc_url": "http://evil"}})
    assert error_of(answer) == (422, "senseless")


def test_metrics_tell_counts_only(client: httpx.Client, made: tuple[MineFolder, Secrets]) -> None:
    folder, secrets = made
    ledger = folder.ledger()
    ledger.apply_poll(paid_events(secrets.wallet.address), None, "{}")
    ledger.close()
    text = client.get("/metrics").text
    assert "openmined_mine_campaigns 1" in text
    assert "250" not in text
    assert secrets.wallet.address not in text


def test_health_tells_nothing_of_the_owner(client: httpx.Client) -> None:
    assert client.get("/api/v1/health").json() == {"status": "stopped", "api": "1"}


# --- the user interface -----------------------------------------------------------------------


def test_the_interface_is_served_and_nothing_beside_it(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    static = tmp_path / "_static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<title>Mine</title>")
    (static / "assets/app-1a2b.js").write_text("1")
    (tmp_path / "secret").write_text("secret")
    monkeypatch.setattr(app_module, "STATIC", static)
    folder, secrets = make_folder(tmp_path / "other")
    log = ProgressLog(folder.log_path, "test")
    context = make_context(folder, secrets.identity, "0x", log, folder.settings().api)
    with serving(protected(create_app(context), ())) as page:
        assert "Mine" in page.get("/").text
        assert "Mine" in page.get("/decisions").text, "its own paths lead to its one page"
        assert "immutable" in page.get("/assets/app-1a2b.js").headers["cache-control"]
        assert page.get("/assets/none.js").status_code == 404
        for path in ("/%2e%2e/secret", "/..%2fsecret", "/assets/../../secret"):
            assert "secret" not in page.get(path).text
        assert page.get("/api/v1/nothing").status_code == 404
    log.close()


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\exports\\tweets.zip", "tweets.zip"),
        ("a\x00b\n.csv", "a_b_.csv"),
        ("...", "upload"),
        ("", "upload"),
        (".hidden.csv", "hidden.csv"),
    ],
)
def test_upload_names_are_made_plain(name: str, plain: str) -> None:
    assert plain_name(name) == plain
