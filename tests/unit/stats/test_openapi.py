"""The published document of the API is this API's, and the API keeps to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.unit.stats.serving import served
from tests.unit.stats.stats_world import Node, World

from openmined.stats import Feed, Indexer, Service, create_app, open_database
from openmined.stats._api import openapi_text
from openmined.stats._reports import Limiter

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/openapi/stats.json"
CHECKS = (
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

schema = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text(encoding="utf-8")))
# Live updates do not end: test_feed.py is about them.
schema = schema.exclude(path="/v1/live")


def test_the_published_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == openapi_text(), "run `make artifact`"


def test_failures_are_documented_as_they_are_sent() -> None:
    text = openapi_text()
    assert "HTTPValidationError" not in text.split('"schemas"')[0]
    for path, operations in json.loads(text)["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], path


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("stats")
    world = World(8)
    for _ in range(200):
        world.act()
        if world.random.random() < 0.3:
            world.mine()
    world.mine()
    database = open_database(f"sqlite:///{folder / 'stats.sqlite3'}", migrate=True)
    indexer = Indexer(database, Node(world).chain())
    indexer.prepare()
    indexer.catch_up()
    service = Service(database, Feed(database), limiter=Limiter(burst=10_000))
    with served(create_app(service)) as client:
        yield str(client.base_url)
    database.close()


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_whatever_is_asked_the_answer_is_as_documented(case: schemathesis.Case, url: str) -> None:
    case.call_and_validate(base_url=url, checks=CHECKS)
