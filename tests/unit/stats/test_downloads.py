"""Every table as CSV, Parquet, Arrow and a snapshot: the same rows, hostile text kept as text."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.stats.serving import served
from tests.unit.stats.stats_world import Node, World

from openmined.stats import (
    BadQuery,
    Database,
    Feed,
    Frames,
    Indexer,
    Service,
    StatsError,
    create_app,
    ether,
    export_snapshot,
    open_database,
)
from openmined.stats._frames import AMOUNTS
from openmined.stats._tables import DATASETS, csv_stream, parquet_stream, read_batches, read_table

REPOSITORY = Path(__file__).parents[3]
FORMULA = '=HYPERLINK("http://x"),\'\n"\r\0'


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("stats")
    world = World(8)
    world.reject(world.launch(), FORMULA)
    for _ in range(150):
        world.act()
        if world.random.random() < 0.3:
            world.mine()
    world.mine()
    database = open_database(f"sqlite:///{folder / 'stats.sqlite3'}", migrate=True)
    indexer = Indexer(database, Node(world).chain(), clock=lambda: 0.0)
    indexer.prepare()
    indexer.catch_up()
    yield database
    database.close()


@pytest.fixture(scope="module")
def api(database: Database) -> Iterator[httpx.Client]:
    with served(create_app(Service(database, Feed(database)))) as client:
        yield client


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_same_rows_in_every_form(api: httpx.Client, database: Database, name: str) -> None:
    with database.reading() as connection:
        table = read_table(connection, name)
    assert table.num_rows > 0
    parquet = api.get(f"/v1/tables/{name}.parquet")
    assert parquet.headers["content-disposition"] == f'attachment; filename="{name}.parquet"'
    assert pq.read_table(io.BytesIO(parquet.content)).equals(table)
    text = api.get(f"/v1/tables/{name}.csv")
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(text.content.decode(), newline="")))
    assert len(rows) == table.num_rows
    for column in table.column_names:
        plain = ["" if v is None else str(v) for v in table[column].to_pylist()]
        assert [row[column].removeprefix("'") for row in rows] == plain


def test_a_formula_is_text_in_csv_and_itself_elsewhere(
    api: httpx.Client, database: Database
) -> None:
    with database.reading() as connection:
        table = read_table(connection, "campaigns")
    kept = FORMULA.replace("\0", "\\x00")
    assert table["reject_reason"][0].as_py() == kept
    rows = csv.DictReader(
        io.StringIO(api.get("/v1/tables/campaigns.csv").content.decode(), newline="")
    )
    assert next(rows)["reject_reason"] == "'" + kept


def test_amounts_are_exact(database: Database) -> None:
    with database.reading() as connection:
        bounties = read_table(connection, "campaigns")["bounty"].to_pylist()
    assert any(len(bounty) == 39 for bounty in bounties)
    assert all(bounty.isdigit() for bounty in bounties)


@pytest.mark.parametrize("rows", [1, 7, 10_000])
def test_parts_join_up(database: Database, rows: int) -> None:
    dataset = DATASETS["gradients"]
    with database.reading() as connection:
        parts = list(read_batches(connection, dataset, rows))
        whole = read_table(connection, "gradients")
    assert pa.Table.from_batches(parts).equals(whole)
    assert all(part.num_rows <= rows for part in parts)


def test_a_stream_is_made_in_parts(database: Database) -> None:
    with database.reading() as connection:
        for stream in (csv_stream, parquet_stream):
            assert len(list(stream(connection, DATASETS["events"], 10))) >= 10


@pytest.mark.parametrize(
    "name", ["nonsense.csv", "campaigns.xlsx", "settings.csv", "reports.csv", "../campaigns.csv"]
)
def test_nothing_else_can_be_downloaded(api: httpx.Client, name: str) -> None:
    assert api.get(f"/v1/tables/{name}").status_code in (404, 422)


def test_the_list_of_tables(api: httpx.Client) -> None:
    listed = {item["name"]: item for item in api.get("/v1/tables").json()["items"]}
    assert set(listed) == set(DATASETS)
    assert {"name": "bounty", "type": "string"} in listed["campaigns"]["columns"]


def test_a_snapshot_is_whole_and_repeatable(database: Database, tmp_path: Path) -> None:
    index = json.loads(export_snapshot(database, tmp_path / "one").read_text())
    again = json.loads(export_snapshot(database, tmp_path / "two").read_text())
    assert index == again
    for name, entry in index["files"].items():
        data = (tmp_path / "one" / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
    assert {path.name for path in (tmp_path / "one").iterdir()} == {*index["files"], "index.json"}


def test_nothing_to_export(tmp_path: Path) -> None:
    empty = open_database(f"sqlite:///{tmp_path / 'empty.sqlite3'}", migrate=True)
    with pytest.raises(StatsError, match="no index"):
        export_snapshot(empty, tmp_path / "out")
    empty.close()


def test_frames_for_analysts(database: Database) -> None:
    with Frames(database.engine.url.render_as_string()) as frames:
        assert frames.campaigns().schema.field("launched_at").type == pa.timestamp("s", tz="UTC")
        assert frames.gradients().num_rows == frames.table("gradients").num_rows
        for method in ("batches", "mines", "events"):
            assert getattr(frames, method)().num_rows > 0
        days, hours = frames.series("day"), frames.series("hour")
        assert sum(days["events"].to_pylist()) == sum(hours["events"].to_pylist())
        amounts = ether(frames.campaigns()["bounty"]).to_pylist()
        assert 1.0 in amounts or 1e20 in amounts
        with pytest.raises(BadQuery, match="campaigns"):
            frames.table("settings")
        with pytest.raises(BadQuery, match="hour, day, week"):
            frames.series("year")
    assert {"bounty", "payout", "credit"} <= AMOUNTS


def test_pandas_for_those_who_have_it(database: Database) -> None:
    import pandas as pd

    with Frames(database.engine.url.render_as_string()) as frames:
        campaigns = frames.frame("campaigns")
        assert isinstance(campaigns, pd.DataFrame)
        assert list(campaigns["bounty"]) == frames.campaigns()["bounty"].to_pylist()


def test_the_notebook_draws_this_network(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    index = tmp_path / "stats/devnet.sqlite3"
    index.parent.mkdir()
    with closing(sqlite3.connect(str(database.engine.url.database))) as source:
        source.execute("VACUUM INTO ?", (str(index),))
    monkeypatch.setenv("OPENMINED_HOME", str(tmp_path))
    cells = json.loads((REPOSITORY / "examples/04_network.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    known: dict[str, Any] = {}
    exec(compile(code, "04_network.ipynb", "exec"), known)
    figure = known["figure"]
    assert [axes.get_title() for axes in figure.axes] == [
        "Accuracy reached, of the target",
        f"ETH paid by {known['interval']}",
        f"Gradients by {known['interval']}",
        "ETH earned by mine",
    ]
    with Frames(database.engine.url.render_as_string()) as frames:
        opened = sum(at is not None for at in frames.campaigns()["opened_at"].to_pylist())
    assert len(figure.axes[0].collections[0].get_offsets()) == opened > 0
    assert known["totals"]["events"] == sum(known["times"]["events"].to_pylist()) > 0
