"""The API over a small known history."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.stats.serving import served, wait_until
from tests.unit.stats.stats_world import ETH, PPM, SONAR, Node, World, address

from openmined.sonar import CapsuleRef, Network
from openmined.stats._api import create_app
from openmined.stats._database import Database, open_database
from openmined.stats._feed import Feed
from openmined.stats._indexer import Indexer
from openmined.stats._service import Service


@dataclass
class Scene:
    """A short history, indexed and served."""

    world: World
    indexer: Indexer
    database: Database
    api: httpx.Client


@contextmanager
def scene_in(folder: Path) -> Iterator[Scene]:
    world = World()
    first = world.launch(bounty=1000)
    world.mine()
    world.open(first)
    world.mine()
    for miner in (0, 1, 0):
        world.submit(first, miner)
        world.mine()
    world.score(first, 120_000, {0: PPM}, {1: 3})
    world.mine()
    world.launch(scientist=1, capsule=1, bounty=5000)
    world.mine()
    database = open_database(f"sqlite:///{folder / 'stats.sqlite3'}", migrate=True)
    indexer = Indexer(database, Node(world).chain(), clock=lambda: 0.0)
    indexer.prepare()
    indexer.catch_up()
    service = Service(database, Feed(database, poll_s=0.01))
    with served(create_app(service)) as client:
        yield Scene(world, indexer, database, client)
    database.close()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """For tests that only read."""
    with scene_in(tmp_path_factory.mktemp("stats")) as scene:
        yield scene.api


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """For tests that go on with the history."""
    with scene_in(tmp_path) as scene:
        yield scene


def get(api: httpx.Client, path: str, **parameters: Any) -> Any:
    response = api.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def test_campaigns_newest_first(api: httpx.Client) -> None:
    page = get(api, "/v1/campaigns")
    assert [item["campaign"] for item in page["items"]] == [2, 1]
    assert page["next"] is None
    first = page["items"][1]
    assert first["phase"] == "open"
    assert (first["bounty"], first["paid"], first["unspent"]) == ("1010", "25", "985")
    assert first["manifest"] == "wanted"
    assert first["data_scientist"] == address("scientist")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"phase": "open"}, [1]),
        ({"phase": ["open", "launched"]}, [2, 1]),
        ({"phase": "delivered"}, []),
        ({"data_scientist": address("scientist", 1)}, [2]),
        ({"capsule": address("capsule").upper().replace("0X", "0x")}, [1]),
        ({"miner": address("miner", 1)}, [1]),
        ({"token": "0x" + "11" * 20}, []),
        ({"min_bounty": "1011"}, [2]),
        ({"min_bounty": "9" * 39}, []),
        ({"sort": "oldest"}, [1, 2]),
        ({"sort": "bounty"}, [2, 1]),
        ({"sort": "gradients"}, [1, 2]),
        ({"sort": "activity"}, [2, 1]),
        ({"sort": "deadline"}, [1, 2]),
    ],
)
def test_filters_and_orders(api: httpx.Client, parameters: Any, expected: list[int]) -> None:
    assert [c["campaign"] for c in get(api, "/v1/campaigns", **parameters)["items"]] == expected


@pytest.mark.parametrize("sort", ["newest", "oldest", "bounty", "deadline", "gradients"])
def test_pages_join_up(scene: Scene, sort: str) -> None:
    world, indexer, api = scene.world, scene.indexer, scene.api
    for number in range(25):
        world.launch(bounty=10 ** (number % 5 + 1))
    world.mine()
    indexer.catch_up()
    found: list[int] = []
    cursor = None
    while True:
        parameters = {"sort": sort, "limit": 4} | ({"cursor": cursor} if cursor else {})
        page = get(api, "/v1/campaigns", **parameters)
        found += [item["campaign"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    everything = get(api, "/v1/campaigns", sort=sort, limit=200)["items"]
    assert found == [item["campaign"] for item in everything]
    assert sorted(found) == list(range(1, 28))


def test_one_campaign_and_what_happened_in_it(api: httpx.Client) -> None:
    assert get(api, "/v1/campaigns/1")["best_ppm"] == 120_000
    timeline = get(api, "/v1/campaigns/1/timeline")["items"]
    assert [entry["event"] for entry in timeline] == [
        "CampaignLaunched",
        "CampaignOpened",
        "GradientSubmitted",
        "GradientSubmitted",
        "GradientSubmitted",
        "GradientScored",
        "GradientScored",
        "BatchScored",
    ]
    assert timeline[0]["arguments"]["bounty"] == "1000"
    newest = get(api, "/v1/campaigns/1/timeline", order="newest", limit=1)["items"]
    assert newest == timeline[-1:]
    [batch] = get(api, "/v1/campaigns/1/batches")["items"]
    assert (batch["before_ppm"], batch["best_ppm"], batch["paid_total"]) == (100_000, 120_000, "25")
    assert [(g["gradient"], g["payout"], g["reason_name"]) for g in batch["gradients"]] == [
        (0, "25", None),
        (1, "0", "duplicate"),
    ]
    gradients = get(api, "/v1/campaigns/1/gradients")["items"]
    assert [g["status"] for g in gradients] == ["accepted", "rejected", "pending"]
    parts = get(api, "/v1/campaigns/1/mines")["items"]
    assert {p["miner"]: p["payout"] for p in parts} == {
        address("miner", 0): "25",
        address("miner", 1): "0",
    }


def test_mines(api: httpx.Client) -> None:
    mines = get(api, "/v1/mines")["items"]
    assert [(m["address"], m["gradients"]) for m in mines] == [
        (address("miner", 0), 2),
        (address("miner", 1), 1),
    ]
    assert mines[0]["acceptance_ppm"] == PPM
    by_money = get(api, "/v1/mines", sort="earned", token=ETH)["items"]
    assert [m["purses"][0]["earned"] for m in by_money] == ["25", "0"]
    one = get(api, f"/v1/mines/{address('miner', 0)}")
    assert one == mines[0]
    assert one["purses"][0]["credit"] == "35"
    gradients = get(api, f"/v1/mines/{address('miner', 0)}/gradients")["items"]
    assert [g["gradient"] for g in gradients] == [2, 0]
    assert get(api, f"/v1/mines/{address('miner', 0)}/campaigns")["items"][0]["campaign"] == 1


def test_data_scientists_and_capsules(api: httpx.Client) -> None:
    scientists = get(api, "/v1/data-scientists", sort="spent")["items"]
    spent = {s["address"]: s["purses"][0]["spent"] for s in scientists}
    assert spent == {address("scientist", 0): "25", address("scientist", 1): "0"}
    [first, second] = get(api, "/v1/capsules", sort="recent")["items"]
    opened = next(c for c in (first, second) if c["address"] == address("capsule", 0))
    assert (opened["opened"], opened["batches"], opened["gradients"]) == (1, 1, 3)
    assert opened["open_latency_s"] == 12.0
    assert opened["score_latency_s"] == (36 + 24) / 2
    assert get(api, f"/v1/capsules/{address('capsule', 0)}") == opened


def test_totals_and_series_agree(api: httpx.Client) -> None:
    totals = get(api, "/v1/totals")
    assert totals["counts"]["gradients_submitted"] == 3
    assert totals["phases"]["open"] == 1
    assert totals["money"] == [
        {
            "token": ETH,
            "deposited": "6000",
            "topped_up": "0",
            "paid": "25",
            "fees": "0",
            "refunded": "0",
            "bonds_forfeited": "10",
            "withdrawn": "0",
        }
    ]
    for interval in ("hour", "day", "week"):
        points = get(api, "/v1/series", interval=interval)["items"]
        for name, total in totals["counts"].items():
            assert sum(point["counts"][name] for point in points) == total
    assert points[0]["active_mines"] == 2


def test_what_a_web_page_needs(api: httpx.Client) -> None:
    assert get(api, "/v1/network")["contract"] == SONAR
    status = get(api, "/v1/status")
    assert status["events"] == 9
    assert get(api, "/v1/health") == {"status": "ok"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/campaigns?limit=0",
        "/v1/campaigns?limit=201",
        "/v1/campaigns?nonsense=1",
        "/v1/campaigns?phase=none",
        "/v1/campaigns?cursor=AAAA",
        "/v1/campaigns?cursor=WyJhIl0",
        "/v1/campaigns?sort=bounty&cursor=WyIxIl0",
        "/v1/campaigns?token=0x12",
        "/v1/campaigns?token=0x" + "1" * 39 + "'",
        "/v1/campaigns?min_bounty=-1",
        "/v1/campaigns?q=%27--",
        "/v1/campaigns?q=a+b+c+d+e+f+g+h+i",
        "/v1/campaigns?input_schema=a%27b/c@1",
        "/v1/campaigns/0",
        "/v1/campaigns/99999999999999999999999",
        "/v1/campaigns/1;DROP",
        "/v1/mines/0x00",
        "/v1/mines/0x" + "g" * 40,
        "/v1/series?interval=year",
        "/v1/series?start=1e99",
    ],
)
def test_malformed_parameters_are_refused(api: httpx.Client, path: str) -> None:
    response = api.get(path)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == 422


@pytest.mark.parametrize(
    "path",
    ["/v1/campaigns/3", "/v1/campaigns/3/timeline", f"/v1/mines/{address('nobody')}", "/v1/no"],
)
def test_what_is_not_in_the_index_is_not_served(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code == 404


def test_nothing_is_written_over_http(api: httpx.Client) -> None:
    assert api.post("/v1/campaigns").status_code == 405
    assert api.delete("/v1/campaigns/1").status_code == 405


def test_an_unchanged_answer_is_not_sent_twice(scene: Scene) -> None:
    world, indexer, api = scene.world, scene.indexer, scene.api
    first = api.get("/v1/totals")
    tag = first.headers["etag"]
    again = api.get("/v1/totals", headers={"if-none-match": tag})
    assert again.status_code == 304
    assert again.content == b""
    assert api.head("/v1/totals").headers["etag"] == tag
    world.launch()
    world.mine()
    indexer.catch_up()
    wait_for_generation(api, first.headers["x-index-generation"])
    assert api.get("/v1/totals", headers={"if-none-match": tag}).status_code == 200


def wait_for_generation(api: httpx.Client, old: str) -> None:
    wait_until(lambda: api.get("/v1/totals").headers["x-index-generation"] != old)


def test_compressed_for_who_asks(api: httpx.Client) -> None:
    plain = api.get("/v1/campaigns", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with api.stream("GET", "/v1/campaigns", headers={"accept-encoding": "gzip"}) as response:
        assert response.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(response.iter_raw())) == plain.content


def test_other_pages_may_read_and_no_page_may_frame(api: httpx.Client) -> None:
    response = api.get("/v1/totals", headers={"origin": "https://example.org"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert response.headers["x-content-type-options"] == "nosniff"
    preflight = api.options("/v1/totals")
    assert preflight.headers["access-control-allow-methods"] == "GET, HEAD"


def test_prometheus_can_read(api: httpx.Client) -> None:
    get(api, "/v1/totals")
    text = api.get("/metrics").text
    assert "openmined_sonar_gradients_submitted 3\n" in text
    assert 'openmined_stats_http_requests_total{route="/v1/totals",status="200"} ' in text
    assert text.endswith("\n")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[httpx.Client]:
    pages = tmp_path / "pages"
    (pages / "assets").mkdir(parents=True)
    (pages / "index.html").write_text("<!doctype html>")
    (pages / "assets" / "app-1234.js").write_text("1;" * 1024)
    database = open_database(f"sqlite:///{tmp_path / 'site.sqlite3'}", migrate=True)
    network = Network(
        name="test",
        chain_id=31_337,
        rpc_url="https://node.example/with/a/secret/key",
        sonar=SONAR,
        store_url="http://store.example:5001",
        gateway_url="https://user:hidden@gateway.example/ipfs",
        capsule=CapsuleRef(address=address("capsule"), url="https://capsule.example/x"),
    )
    service = Service(database, Feed(database), network=network)
    with served(create_app(service, static=pages)) as client:
        yield client
    database.close()


def test_the_web_interface_may_speak_to_known_hosts_only(site: httpx.Client) -> None:
    page = site.get("/")
    policy = dict(
        part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self' https://capsule.example https://gateway.example"
    assert "secret" not in str(page.headers)
    assert page.headers["cache-control"] == "no-cache"
    script = site.get("/assets/app-1234.js")
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-encoding"] == "gzip"


def test_paths_of_the_web_interface_are_its_own_affair(site: httpx.Client) -> None:
    assert site.get("/campaigns/12").text == "<!doctype html>"
    for missing in ("/nothing.js", "/v1/nothing", "/v1", "/..%2f..%2fetc/passwd.txt"):
        assert site.get(missing).status_code == 404, missing
    assert site.get("/v1/reports").status_code == 405


def test_before_there_is_an_index(site: httpx.Client) -> None:
    assert site.get("/v1/network").status_code == 404
    assert site.get("/v1/campaigns").json() == {"next": None, "items": []}
    assert site.get("/v1/status").json()["block_number"] is None
    assert site.get("/v1/totals").json()["counts"]["events"] == 0
    assert "openmined_stats_block 0\n" in site.get("/metrics").text
