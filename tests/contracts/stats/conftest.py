from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from tests.contracts.stats.postgres import binaries, postgres

from openmined.stats import Database, open_database


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed on this machine")
    with postgres(programs) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty index, once in each kind of database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'stats.sqlite3'}"
    else:
        url = fresh(request.getfixturevalue("server"), f"stats_{abs(hash(tmp_path)):x}")
    database = open_database(url, migrate=True)
    yield database
    database.close()


def fresh(server: str, name: str) -> str:
    """Make an empty database on a server and return its URL."""
    url = make_url(server).set(drivername="postgresql+pg8000")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.rsplit("/", 1)[0] + f"/{name}"
