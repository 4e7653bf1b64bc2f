"""Live updates over server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.unit.stats.serving import served, wait_until
from tests.unit.stats.stats_world import Node, World

from openmined.stats import Database, Feed, Indexer, Service, create_app
from openmined.stats import _schema as schema
from openmined.stats._feed import Change


@pytest.fixture
def indexer(database: Database, world: World, node: Node) -> Indexer:
    world.launch()
    world.mine()
    indexer = Indexer(database, node.chain())
    indexer.prepare()
    indexer.catch_up()
    return indexer


@pytest.fixture
def feed(database: Database, indexer: Indexer) -> Feed:
    return Feed(database, poll_s=0.01, most=2)


@pytest.fixture
def api(database: Database, feed: Feed) -> Iterator[httpx.Client]:
    with served(create_app(Service(database, feed))) as client:
        yield client


def messages(lines: Iterator[str]) -> Iterator[tuple[str, int, Any]]:
    message: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            message[name] = value
        elif "event" in message:
            yield message["event"], int(message["id"]), json.loads(message["data"])
            message = {}


def listen(api: httpx.Client, path: str = "/v1/live", last: int | None = None) -> Any:
    headers = {} if last is None else {"last-event-id": str(last)}
    return api.stream("GET", path, headers=headers)


def test_told_of_what_comes_and_what_is_taken_back(
    api: httpx.Client, world: World, indexer: Indexer
) -> None:
    with listen(api) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        told = messages(response.iter_lines())
        assert next(told)[0] == "hello"
        world.open(world.campaigns[0])
        world.mine()
        indexer.catch_up()
        kind, number, data = next(told)
        assert kind == "advance"
        assert [event["event"] for event in data["events"]] == ["CampaignOpened"]
        assert data["generation"] == number
        world.fork(1)
        world.mine()
        world.mine()
        indexer.catch_up()
        kind, _, data = next(told)
        assert (kind, data["block_number"]) == ("rollback", world.head - 2)
        assert next(told)[0] == "advance"


def test_only_one_campaign(api: httpx.Client, world: World, indexer: Indexer) -> None:
    with listen(api, "/v1/live?campaign=2") as response:
        told = messages(response.iter_lines())
        assert next(told)[0] == "hello"
        world.open(world.campaigns[0])
        world.mine()
        indexer.catch_up()
        world.launch()
        world.mine()
        indexer.catch_up()
        _, _, data = next(told)
        assert [event["campaign"] for event in data["events"]] == [2]


def test_goes_on_where_it_was(api: httpx.Client, world: World, indexer: Indexer) -> None:
    with listen(api) as response:
        _, seen, _ = next(messages(response.iter_lines()))
    for _ in range(3):
        world.launch()
        world.mine()
        indexer.catch_up()
    newest = api.get("/v1/status").json()["generation"]
    wait_until(lambda: served_generation(api) >= newest)
    with listen(api, last=seen) as response:
        told = messages(response.iter_lines())
        missed = [next(told) for _ in range(3)]
        assert [number for _, number, _ in missed] == [seen + 1, seen + 2, seen + 3]
    with listen(api, last=10**9) as response:
        assert next(messages(response.iter_lines()))[0] == "reset"
    with listen(api, last=0) as response:
        assert next(messages(response.iter_lines()))[0] in ("advance", "reset")


def served_generation(api: httpx.Client) -> int:
    return int(api.get("/v1/totals").headers["x-index-generation"].split(".")[0])


def test_a_journal_too_short_says_so(
    api: httpx.Client, database: Database, world: World, indexer: Indexer
) -> None:
    for _ in range(4):
        world.mine()
        indexer.catch_up()
    with database.writing() as connection:
        connection.execute(schema.journal.delete().where(schema.journal.c.generation < 4))
    with listen(api, last=1) as response:
        assert next(messages(response.iter_lines()))[0] == "reset"


def test_not_more_than_there_is_room_for(api: httpx.Client, feed: Feed) -> None:
    with listen(api) as one, listen(api) as two:
        streams = [messages(response.iter_lines()) for response in (one, two)]
        assert [next(stream)[0] for stream in streams] == ["hello", "hello"]
        assert feed.listeners == 2
        refused = api.get("/v1/live")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
    wait_until(lambda: feed.listeners == 0)


def test_who_does_not_listen_fast_enough_is_let_go(database: Database) -> None:
    async def run() -> list[bytes]:
        feed = Feed(database)
        stream = feed.listen(None, None)
        first = await anext(stream)
        for number in range(300):
            change = Change(number + 100, "advance", 1, 1, "0x", 0, ())
            for listener in list(feed._listeners):
                feed._tell(listener, change)
        rest = [message async for message in stream]
        assert feed.listeners == 0
        return [first, *rest]

    assert len(asyncio.run(run())) <= 257
