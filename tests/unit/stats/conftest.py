from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.stats.stats_world import Node, World

from openmined.stats._database import Database, open_database


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def node(world: World) -> Node:
    return Node(world)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'stats.sqlite3'}", migrate=True)
    yield database
    database.close()
