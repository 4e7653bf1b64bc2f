"""One suite on SQLite and on a real PostgreSQL: the same index, the same answers."""

from __future__ import annotations

import csv
import io
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from tests.unit.stats.serving import served
from tests.unit.stats.stats_world import COIN, ETH, Node, World
from tests.unit.stats.test_manifests import HOSTILE, Shelf, manifest
from tests.unit.stats.test_reports import KEYS, TODAY, body, post, service_on

from openmined.stats import (
    AnotherIndexer,
    Database,
    Feed,
    Indexer,
    NewerDatabase,
    Service,
    create_app,
    open_database,
    verify,
)
from openmined.stats._indexer import refold
from openmined.stats._store import read_cursor
from openmined.stats._tables import DATASETS
from openmined.stats._verify import digest_tables


def history(seed: int = 4, acts: int = 300) -> World:
    world = World(seed)
    for _ in range(acts):
        world.act()
        if world.random.random() < 0.3:
            world.mine()
    world.mine()
    return world


def index(database: Database, world: World, **settings: Any) -> Indexer:
    indexer = Indexer(database, Node(world).chain(), clock=lambda: 0.0, **settings)
    indexer.prepare()
    indexer.catch_up()
    return indexer


def test_index_equals_rebuild_through_reorganisations(database: Database) -> None:
    world = history()
    indexer = index(database, world)
    verify(database, Node(world).chain())
    for depth in (1, 7, 30):
        world.fork(depth)
        for _ in range(depth + 1):
            world.act()
            world.mine()
        indexer.catch_up()
        verify(database, Node(world).chain())
    with database.writing() as connection:
        before = digest_tables(connection)
        refold(connection)
        assert digest_tables(connection) == before


def test_deeper_than_what_can_be_undone(database: Database) -> None:
    world = history()
    indexer = index(database, world, undo_blocks=2)
    world.fork(20)
    for _ in range(25):
        world.act()
        world.mine()
    indexer.catch_up()
    verify(database, Node(world).chain())


def test_the_api_answers_the_same(database: Database, tmp_path: Any) -> None:
    world = history()
    index(database, world)
    reference = open_database(f"sqlite:///{tmp_path / 'reference.sqlite3'}", migrate=True)
    index(reference, world)
    with served(app(database)) as one, served(app(reference)) as other:
        for path in PATHS:
            found = one.get(path)
            assert found.status_code == 200, (path, found.text)
            assert found.json() == other.get(path).json(), path
            assert pages(one, path) == pages(other, path), path
    reference.close()


def app(database: Database) -> Any:
    return create_app(Service(database, Feed(database)))


PATHS = [
    *(f"/v1/campaigns?sort={s}" for s in ("newest", "oldest", "bounty", "deadline", "activity")),
    "/v1/campaigns?phase=open&phase=expired&sort=gradients",
    "/v1/campaigns?min_bounty=100000000000000000000",
    f"/v1/campaigns?token={ETH}",
    "/v1/campaigns/1",
    "/v1/campaigns/1/timeline?order=newest",
    "/v1/campaigns/1/batches",
    "/v1/campaigns/1/gradients",
    "/v1/campaigns/1/mines",
    "/v1/events",
    *(f"/v1/mines?sort={s}" for s in ("earned", "gradients", "accepted", "recent", "first")),
    "/v1/data-scientists?sort=spent",
    "/v1/capsules?sort=fees",
    "/v1/totals",
    "/v1/series?interval=hour",
    "/v1/series?interval=week",
    "/v1/schemas",
]


def pages(api: Any, path: str) -> list[Any]:
    items, cursor = [], None
    if not {"next", "items"} <= api.get(path).json().keys():
        return items
    glue = "&" if "?" in path else "?"
    while True:
        page = api.get(f"{path}{glue}limit=3" + (f"&cursor={cursor}" if cursor else "")).json()
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


def test_two_indexers_do_not_mix(database: Database) -> None:
    world = history(acts=20)
    first, second = index(database, world), index(database, world)
    world.act()
    world.mine()
    with database.reading() as connection:
        stale = read_cursor(connection)
    assert stale is not None
    second.catch_up()
    with pytest.raises(AnotherIndexer):
        first._roll_back(stale, first._ancestor(3), world.head)
    verify(database, Node(world).chain())


def test_a_newer_database_is_refused(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerDatabase):
        open_database(database.engine.url.render_as_string(hide_password=False), migrate=True)


def test_readers_see_one_state(database: Database) -> None:
    world = history(acts=20)
    indexer = index(database, world)
    with database.reading() as connection:
        before = digest_tables(connection)
        for _ in range(10):
            world.act()
            world.mine()
        indexer.catch_up()
        assert digest_tables(connection) == before


def test_search_and_schemas(database: Database) -> None:
    shelf = Shelf(database)
    shelf.publish(manifest("Größe der Bäume", HOSTILE), bounty=10**38)
    shelf.publish(manifest("Moods"), token=COIN, bounty=5)
    shelf.launch(b"\x07" * 32)
    shelf.read()
    with served(app(database)) as api:
        for text, expected in (("baum", [1]), ("BÄUME grö", [1]), ("m", [2]), ("%", None)):
            answer = api.get("/v1/campaigns", params={"q": text})
            if expected is None:
                assert answer.status_code == 422
            else:
                assert [item["campaign"] for item in answer.json()["items"]] == expected, text
        assert api.get("/v1/campaigns/1").json()["description"] == HOSTILE
        [entry] = api.get("/v1/schemas").json()["items"]
        assert entry["campaigns"] == 2
        assert {a["token"]: a["amount"] for a in entry["open_bounty"]} == {
            ETH: str(10**38),
            COIN: "5",
        }
        assert api.get("/v1/campaigns/3").json()["manifest"] == "wanted"


def test_usage_reports(database: Database) -> None:
    service = service_on(database)
    with served(create_app(service)) as api:
        for key in KEYS[:4]:
            assert post(api, body(key, day=TODAY - 1)).json() == {"outcome": "new"}
            assert post(api, body(key, day=TODAY - 1)).json() == {"outcome": "known"}
        usage = api.get("/v1/usage").json()
    assert usage["mines"] == 4
    assert usage["schemas"] == [{"schema_id": "openmined/tweets@1", "mines": 4, "records": 4900}]


def test_downloads(database: Database) -> None:
    index(database, history(acts=60))
    with served(app(database)) as api:
        for name in DATASETS:
            text = api.get(f"/v1/tables/{name}.csv").content.decode()
            parquet = pq.read_table(io.BytesIO(api.get(f"/v1/tables/{name}.parquet").content))
            assert parquet.num_rows == len(list(csv.reader(io.StringIO(text, newline="")))) - 1
