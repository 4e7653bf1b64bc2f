"""Campaign manifests: read from the store, searched, and never trusted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from tests.unit.stats.serving import served
from tests.unit.stats.stats_world import Node, World

from openmined.protocol import CampaignManifest
from openmined.stats import Database, Feed, Indexer, ManifestReader, Service, create_app
from openmined.stats import _schema as schema
from openmined.stats._words import distinct_words, words_of
from openmined.storage import MemoryStore, put_manifest

HOSTILE = "<img src=x onerror=alert(1)>'; DROP TABLE campaigns; -- %00 \u202e"


def manifest(title: str, description: str = "", **changes: Any) -> CampaignManifest:
    values: dict[str, Any] = {
        "title": title,
        "description": description,
        "input": {"fields": [{"name": "text", "type": "string"}]},
        "output": {
            "fields": [{"name": "label", "type": "string", "constraints": {"enum": ["a", "b"]}}]
        },
        "features": [{"kind": "hashed-text", "column": "text", "features": 64}],
        "algorithm": {"kind": "linear-classifier"},
        "update": {"kind": "gradient"},
        "metric": "accuracy",
        "start_ppm": 100_000,
        "target_ppm": 800_000,
        "validation": {"cid": "b" + "a" * 58, "size": 10, "purpose": "validation"},
        "certificate": "-----BEGIN PGP PUBLIC KEY BLOCK-----",
    }
    return CampaignManifest.model_validate(values | changes)


class Shelf:
    """A chain, a store and an index that belong together."""

    def __init__(self, database: Database) -> None:
        self.world, self.store, self.now = World(), MemoryStore(), 1000.0
        self.database = database
        self.indexer = Indexer(database, Node(self.world).chain())
        self.reader = ManifestReader(database, self.store, clock=lambda: self.now)
        self.indexer.prepare()

    def launch(self, spec: bytes, **terms: Any) -> None:
        self.world.launch(spec=spec, **terms)
        self.world.mine()
        self.indexer.catch_up()

    def publish(self, document: CampaignManifest, **terms: Any) -> None:
        self.launch(put_manifest(self.store, document), **terms)

    def read(self) -> int:
        with ThreadPoolExecutor(2) as pool:
            return self.reader.read_some(pool)

    def rows(self) -> list[dict[str, Any]]:
        with self.database.reading() as connection:
            return [dict(r) for r in connection.execute(select(schema.manifests)).mappings()]


@pytest.fixture
def shelf(database: Database) -> Shelf:
    return Shelf(database)


@pytest.fixture
def api(shelf: Shelf) -> Iterator[httpx.Client]:
    service = Service(shelf.database, Feed(shelf.database, poll_s=0.01))
    with served(create_app(service)) as client:
        yield client


def found(api: httpx.Client, **parameters: Any) -> list[int]:
    response = api.get("/v1/campaigns", params=parameters | {"limit": 200})
    assert response.status_code == 200, response.text
    return [item["campaign"] for item in response.json()["items"]]


def test_titles_schemas_and_search(shelf: Shelf) -> None:
    tweets = {"id": "openmined/tweets@1", "fields": [{"name": "text", "type": "string"}]}
    shelf.publish(manifest("Größe der Bäume", "How tall do trees grow?"), bounty=1000)
    shelf.publish(manifest("Moods of tweets", "Happy or not", input=tweets), bounty=70)
    shelf.publish(manifest("More moods", "sad trees", input=tweets), bounty=7)
    shelf.read()
    service = Service(shelf.database, Feed(shelf.database))
    with served(create_app(service)) as api:
        assert found(api, q="trees") == [3, 1]
        assert found(api, q="TREE") == [3, 1]
        assert found(api, q="grosse baume") == [1]
        assert found(api, q="mood happy") == [2]
        assert found(api, q="tweets") == [3, 2]  # as part of the schema's id too
        assert found(api, q="nothing") == []
        assert found(api, input_schema="openmined/tweets@1") == [3, 2]
        assert found(api, algorithm="linear-classifier", q="sad") == [3]
        detail = api.get("/v1/campaigns/1").json()
        assert detail["title"] == "Größe der Bäume"
        assert detail["manifest"] == "read"
        assert detail["details"]["input"]["fields"] == [{"name": "text", "type": "string"}]
        assert detail["input_schema"].startswith("custom/")
        [first, second] = api.get("/v1/schemas").json()["items"]
        assert (first["input_schema"], first["campaigns"]) == ("openmined/tweets@1", 2)
        assert first["open_bounty"] == [{"token": "0x" + "00" * 20, "amount": "77"}]
        assert first["mines_offering"] is None
        assert second["campaigns"] == 1


def test_hostile_text_stays_text(shelf: Shelf, api: httpx.Client) -> None:
    shelf.publish(manifest(HOSTILE, HOSTILE))
    shelf.read()
    response = api.get("/v1/campaigns/1")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.json()["title"] == HOSTILE
    assert found(api, q="onerror") == [1]
    for attack in ("'; DROP TABLE campaigns; --x", "a* OR b", 'NEAR("img")', "img%", "im_", "\0x"):
        assert api.get("/v1/campaigns", params={"q": attack}).status_code == 200
    assert found(api, q="im_") == [1]  # a word's beginning, no wildcard


def test_what_is_no_manifest_is_refused_for_good(shelf: Shelf, api: httpx.Client) -> None:
    shelf.launch(shelf.store.put_manifest_bytes(b'{"format":"openmined/campaign@9"}'))
    shelf.launch(shelf.store.put_manifest_bytes(b"\xff not json"))
    assert shelf.read() == 2
    assert [row["state"] for row in shelf.rows()] == ["refused", "refused"]
    shelf.now += 10**6
    assert shelf.read() == 0
    detail = api.get("/v1/campaigns/1").json()
    assert (detail["title"], detail["manifest"]) == (None, "refused")
    assert "openmined/campaign@9" in detail["problem"]


def test_what_is_missing_is_asked_for_less_and_less(shelf: Shelf) -> None:
    document = manifest("Late")
    late = MemoryStore()
    digest = put_manifest(late, document)
    shelf.launch(digest)
    waits = []
    for _ in range(5):
        assert shelf.read() == 1
        assert shelf.read() == 0
        [row] = shelf.rows()
        waits.append(row["next_attempt_at"] - shelf.now)
        shelf.now = row["next_attempt_at"]
    assert waits == [5, 10, 20, 40, 80]
    assert row["state"] == "missing"
    put_manifest(shelf.store, document)
    shelf.read()
    assert shelf.rows()[0]["title"] == "Late"


def test_new_ones_come_before_those_that_failed(shelf: Shelf) -> None:
    for number in range(20):
        shelf.launch(bytes([number]) * 32)
    while shelf.read():
        pass
    shelf.now += 5
    shelf.publish(manifest("Fresh"))
    assert shelf.read() == 8
    assert "Fresh" in [row["title"] for row in shelf.rows()]


def test_a_campaign_that_is_taken_back_is_not_found(shelf: Shelf, api: httpx.Client) -> None:
    shelf.publish(manifest("Ephemeral"))
    shelf.read()
    shelf.world.fork(1)
    shelf.world.mine()
    shelf.world.mine()
    shelf.indexer.catch_up()
    assert found(api, q="ephemeral") == []
    assert api.get("/v1/schemas").json()["items"] == []


def test_a_schema_too_long_to_show_is_cut(shelf: Shelf, api: httpx.Client) -> None:
    fields = [
        {"name": f"field_{n}", "type": "number", "description": "x" * 1000} for n in range(300)
    ]
    wide = manifest(
        "Wide",
        input={"fields": fields},
        features=[{"kind": "columns", "columns": [f"field_{n}" for n in range(300)]}],
    )
    shelf.publish(wide)
    shelf.read()
    details = api.get("/v1/campaigns/1").json()["details"]
    assert details["truncated"]
    assert len(details["input"]["fields"]) == 256
    assert "description" not in details["input"]["fields"][0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Größe: naïve-Bayes'; DROP TABLE", ["grosse", "naive", "bayes", "drop", "table"]),
        ("a_b  %_\\ 1e9", ["a", "b", "1e9"]),
        ("", []),
        ("日本語 текст", ["日本語", "текст"]),
        ("x" * 100, ["x" * 64]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_words_are_bounded() -> None:
    assert len(distinct_words(" ".join(str(n) for n in range(5000)))) == 1024
