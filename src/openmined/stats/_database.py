"""The database: SQLite by default, PostgreSQL by URL; migrated when it is opened for writing."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, SQLAlchemyError

from openmined.sonar import openmined_home
from openmined.stats._errors import DatabaseAway, DatabaseError, NewerDatabase

_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+pg8000", "postgres": "postgresql+pg8000"}
_SQLITE_BUSY_MS = 30_000
_MIGRATIONS = Path(__file__).parent / "_migrations"
REVISION = "0001"
"""The newest migration: what a database must be at."""


class Database:
    """One open database.

    Attributes:
        engine: SQLAlchemy's.
        url: without its password, for messages.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.url = engine.url.render_as_string(hide_password=True)

    @property
    def is_postgresql(self) -> bool:
        """Whether it is PostgreSQL rather than SQLite."""
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that sees and makes the latest state; all or nothing."""
        with self.engine.connect() as connection:
            if not self.is_postgresql:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            with _rollback_on_error(connection):
                yield connection
            connection.commit()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one unchanging state."""
        with self.engine.connect() as connection:
            if self.is_postgresql:
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            else:
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    def size_bytes(self) -> int:
        """Return how much room the data take on disk."""
        with self.reading() as connection:
            if self.is_postgresql:
                size = connection.execute(text("SELECT pg_database_size(current_database())"))
                return int(size.scalar_one())
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            return int(pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one())

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@contextmanager
def database_away_as_error() -> Iterator[None]:
    """Turn what may pass of itself (a full disk, a server restarting) into `DatabaseAway`.

    Raises:
        DatabaseAway: for the database's operational failures.
    """
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseAway(f"the database cannot be used now: {_first_line(error)}") from error


@contextmanager
def _rollback_on_error(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.rollback()
        raise


def default_database(network: str) -> str:
    """Return the URL of a network's index where none is given: a file in OpenMined's folder."""
    return f"sqlite:///{openmined_home() / 'stats' / f'{network}.sqlite3'}"


def open_database(url: str, *, migrate: bool = False) -> Database:
    """Open a database and make sure that its tables are the ones this software knows.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.
        migrate: create or upgrade the tables; otherwise they must be up to date.

    Raises:
        NewerDatabase: if a newer version of this software made it.
        DatabaseError: if it cannot be opened, or is out of date and `migrate` is false.
    """
    database = Database(_make_engine(_parse_url(url)))
    try:
        _bring_up_to_date(database, migrate=migrate)
    except SQLAlchemyError as error:
        database.close()
        raise DatabaseError(
            f"cannot use the database {database.url}: {_first_line(error)}"
        ) from error
    except DatabaseError:
        database.close()
        raise
    return database


def read_secret_url(path: Path) -> str:
    """Read a URL that holds a password from a file only its owner can read.

    Raises:
        DatabaseError: if the file is missing, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise DatabaseError(f"{path} can be read by others: chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise DatabaseError(f"cannot read {path}: {error.strerror}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _parse_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseError(
            "the database URL cannot be read; write sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from None
    driver = _DRIVERS.get(parsed.get_backend_name())
    if driver is None:
        raise DatabaseError(
            f"databases of kind {parsed.get_backend_name()!r} are not supported: "
            "use sqlite:///FILE or postgresql://USER@HOST/NAME"
        )
    return parsed.set(drivername=driver)


def _make_engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(url, pool_size=10, max_overflow=20, pool_pre_ping=True)
    if url.database not in (None, "", ":memory:"):
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": _SQLITE_BUSY_MS / 1000})
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Transactions are begun by hand: the driver's own would begin them too late.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"busy_timeout={_SQLITE_BUSY_MS}",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-16384",
        "mmap_size=268435456",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


# -------------------------------------------------------------------------------------- migrations


def _bring_up_to_date(database: Database, *, migrate: bool) -> None:
    current = _revision(database)
    if current == REVISION:
        return
    if current is not None and current > REVISION:  # revisions are numbered in order
        raise NewerDatabase(
            f"the database {database.url} has revision {current!r}, which this version does not "
            "know: a newer one made it; update openmined"
        )
    if not migrate:
        raise DatabaseError(
            f"the database {database.url} is at revision {current!r}, {REVISION!r} is needed: "
            "run `openmined stats start` once, which upgrades it"
        )
    _migrate(database)


def _migrate(database: Database) -> None:
    # Imported here: it takes half a second, and most starts find nothing to do.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(database: Database) -> str | None:
    with database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)
