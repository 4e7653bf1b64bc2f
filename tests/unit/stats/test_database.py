"""Opening, migrating, refusing."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from openmined.stats import _database
from openmined.stats._database import Database, open_database, read_secret_url
from openmined.stats._errors import DatabaseError, NewerDatabase
from openmined.stats._schema import metadata
from openmined.stats._types import decode_wei, encode_wei

UINT256 = st.integers(0, 2**256 - 1)


@given(UINT256, UINT256)
def test_amounts_sort_as_numbers(left: int, right: int) -> None:
    assert decode_wei(encode_wei(left)) == left
    assert (encode_wei(left) < encode_wei(right)) == (left < right)


@pytest.mark.parametrize("amount", [-1, 10**78])
def test_no_amount(amount: int) -> None:
    with pytest.raises(ValueError, match="no amount"):
        encode_wei(amount)


def test_migrations_make_what_the_code_expects(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_newest_revision_is_the_one_named() -> None:
    config = Config()
    config.set_main_option("script_location", str(_database._MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [_database.REVISION]


def test_a_newer_database_is_refused(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    url = database.engine.url.render_as_string(hide_password=False)
    with pytest.raises(NewerDatabase, match="update openmined"):
        open_database(url, migrate=True)


def test_an_empty_database_is_refused_to_who_only_reads(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="openmined stats start"):
        open_database(f"sqlite:///{tmp_path / 'new.sqlite3'}")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, but long enough to be looked at " * 40)
    with pytest.raises(DatabaseError, match="file is not a database"):
        open_database(f"sqlite:///{tmp_path / 'text'}", migrate=True)


@pytest.mark.parametrize("url", ["mysql://host/name", "nonsense", ""])
def test_unknown_databases(url: str) -> None:
    with pytest.raises(DatabaseError, match="sqlite:///FILE"):
        open_database(url)


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as refusal:
        open_database("postgresql://me:hunter2@127.0.0.1:1/stats")
    assert "hunter2" not in str(refusal.value)
    secret = tmp_path / "url"
    secret.write_text("postgresql://me:hunter2@db/stats\n")
    secret.chmod(0o644)
    with pytest.raises(DatabaseError, match="chmod 600"):
        read_secret_url(secret)
    secret.chmod(0o600)
    assert read_secret_url(secret) == "postgresql://me:hunter2@db/stats"


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def half() -> None:
        with database.writing() as connection:
            connection.execute(text("INSERT INTO settings VALUES ('a', 'b')"))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        half()
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM settings")).scalar() == 0
