"""CSV, JSON Lines, Parquet and SQLite through mappings, and the schemas guessed without one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openmined.adapters import (
    MappingError,
    NotAnExport,
    Row,
    RowError,
    SourceError,
    arrow_schema,
    open_export,
    parse_mapping,
    read_mapping,
)
from openmined.protocol import TableSchema

FIELDS = {"fields": [{"name": "n", "type": "integer", "constraints": {"required": True}}]}


def rows_of(path: Path, mapping: Any = None, adapter: str | None = None) -> list[Any]:
    checked = parse_mapping(mapping) if mapping is not None else None
    with open_export(path, mapping=checked, adapter=adapter) as export:
        return list(export.rows())


def types_of(path: Path) -> dict[str, str]:
    with open_export(path) as export:
        return {field.name: field.type for field in export.schema.fields}


def test_types_are_guessed_from_the_first_thousand_records(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "id,post code,x,day,when,flag,words,empty\n"
        "1,01234,1.5,2026-01-01,2026-01-01T00:00:00Z,true,a,\n"
        "-2,99999,3,2026-01-02,2026-01-01,false,1b,\n"
    )
    assert types_of(path) == {
        "id": "integer",
        "post_code": "string",
        "x": "number",
        "day": "date",
        "when": "datetime",
        "flag": "boolean",
        "words": "string",
        "empty": "string",
    }


def test_lists_written_as_json_are_guessed_to_be_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('pixels,words\n"[1, 2.5, 3]","[x"\n"[4, 5, 6]",b\n')
    assert types_of(path) == {"pixels": "array", "words": "string"}
    assert [row.values["pixels"] for row in rows_of(path)] == [(1.0, 2.5, 3.0), (4.0, 5.0, 6.0)]


def test_columns_are_found_by_the_field_names_that_a_guess_gave_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("post code,e-mail\n01234,x@example.org\n")
    own = {"schema": {"fields": [{"name": "post_code", "type": "string"}]}}
    assert [row.values for row in rows_of(path, own)] == [{"post_code": "01234"}]
    named = {**own, "columns": {"post_code": "e-mail"}}
    assert [row.values for row in rows_of(path, named)] == [{"post_code": "x@example.org"}]


def test_what_comes_after_the_guess_is_held_to_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n\n" + "1\n" * 1000 + "many\n2\n")
    items = rows_of(path)
    assert [str(i) for i in items if isinstance(i, RowError)] == [
        "a.csv, line 1002: n = many is no integer"
    ]
    assert len(items) == 1002


def test_an_open_quote_costs_its_line_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('n,s\n1,a\n2,"open\n3,c\n4,d\n')
    items = rows_of(path)
    assert [i.values["n"] for i in items if isinstance(i, Row)] == [1, 3, 4]
    assert [i.place.line for i in items if isinstance(i, RowError)] == [3]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"schema": "openmined/nothing@1"}, "no published schema"),
        ({"schema": FIELDS, "columns": {"m": "n"}}, "the schema has no field m"),
        ({"schema": FIELDS, "columns": {"n": {"format": "x"}}}, "exactly one of column"),
        ({"schema": FIELDS, "columns": {"n": {"column": "n", "timezone": "Mars"}}}, "time zone"),
        ({"schema": FIELDS, "encoding": "rot13"}, "no text encoding"),
        ({"schema": FIELDS, "encoding": "unicode_escape"}, "no text encoding"),
        ({"scheme": FIELDS}, "scheme"),
        ([], "the file"),
    ],
)
def test_a_mapping_that_is_none_says_what_is_wrong(mapping: Any, message: str) -> None:
    with pytest.raises(MappingError, match=message):
        parse_mapping(mapping)


@pytest.mark.parametrize("text", ["[columns", "\xff", "{", "a = 1\na = 2"])
def test_a_mapping_file_that_cannot_be_read_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(MappingError, match=r"m\.toml"):
        read_mapping(path)
    with pytest.raises(MappingError, match=r"absent\.toml"):
        read_mapping(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"schema": FIELDS}, "no column n; there are a, b"),
        ({"schema": FIELDS, "columns": {"n": "c"}}, "no column c"),
        ({"schema": "openmined/tweets@1", "columns": {"text": "a"}}, "no column id"),
        ({"schema": {"fields": [{"name": "q", "type": "string"}]}}, "no column is a field of"),
    ],
)
def test_a_mapping_that_does_not_fit_says_so_before_a_row_is_read(
    tmp_path: Path, mapping: Any, message: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(MappingError, match=message):
        open_export(path, mapping=parse_mapping(mapping))


def test_an_array_is_gathered_from_many_columns_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("label,p0,p1,p10,p2\n7,0,1,10,2\n8,0,x,10,2\n")
    limits = {"minLength": 4, "maxLength": 4}
    schema = {
        "fields": [
            {"name": "label", "type": "string"},
            {"name": "pixels", "type": "array", "constraints": limits},
        ]
    }
    first, second = rows_of(path, {"schema": schema, "columns": {"pixels": {"columns": "p*"}}})
    assert first.values == {"label": "7", "pixels": (0.0, 1.0, 10.0, 2.0)}
    assert isinstance(second, RowError)


@pytest.mark.parametrize(
    ("form", "raw"),
    [("unix", "1767225600"), ("unix-ms", "1767225600000"), ("unix-us", 1767225600000000)],
)
def test_times_as_numbers(tmp_path: Path, form: str, raw: Any) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"t": raw}))
    schema = {"fields": [{"name": "t", "type": "datetime"}]}
    (row,) = rows_of(path, {"schema": schema, "columns": {"t": {"column": "t", "format": form}}})
    assert row.values["t"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_constants_fill_what_a_source_lacks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n\n1\n")
    schema = {"fields": [{"name": "n", "type": "integer"}, {"name": "who", "type": "string"}]}
    (row,) = rows_of(path, {"schema": schema, "columns": {"who": {"constant": "Ada"}}})
    assert row.values == {"n": 1, "who": "Ada"}


def test_an_adapter_that_knows_its_columns_takes_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "tweets.js"
    path.write_text("window.YTD.tweets.part0 = []")
    with pytest.raises(MappingError, match="give no mapping"):
        open_export(path, mapping=parse_mapping({"schema": FIELDS}))


def test_a_source_that_is_no_export_says_what_could_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0" * 100)
    with pytest.raises(NotAnExport, match="name one"):
        open_export(tmp_path / "a.bin")


def test_a_source_that_is_two_exports_leaves_the_choice(tmp_path: Path) -> None:
    vectors = Path(__file__).parents[2] / "vectors" / "exports" / "takeout-en" / "source"
    with pytest.raises(NotAnExport, match="chrome-history, google-activity, youtube-history"):
        open_export(vectors)


# Parquet


def write_parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_misfits_in_parquet_name_their_record_and_cost_no_other(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", n=[1, None, 3, -4], s=["a", "b", "c", "d"])
    limits = {"required": True, "minimum": 0}
    schema = {"fields": [{"name": "n", "type": "integer", "constraints": limits}]}
    errors: list[RowError] = []
    with open_export(path, mapping=parse_mapping({"schema": schema})) as export:
        rows = [row for batch in export.batches(errors.append) for row in batch.to_pylist()]
    assert rows == [{"n": 1}, {"n": 3}]
    assert [str(error) for error in errors] == [
        "a.parquet, record 2: n is missing",
        "a.parquet, record 4: n = -4 is below 0",
    ]


def test_nanoseconds_and_naive_times_in_parquet(tmp_path: Path) -> None:
    moments = pa.array([1767225600_123456789], pa.timestamp("ns"))
    path = write_parquet(tmp_path / "a.parquet", t=moments)
    wanted = datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    (row,) = rows_of(path)
    with open_export(path) as export:
        (batch,) = export.batches(pytest.fail)
    assert row.values["t"] == batch.to_pylist()[0]["t"] == wanted


def test_text_that_is_no_utf8_in_parquet_is_an_error_value(tmp_path: Path) -> None:
    bad = pa.array([b"good", b"\xff\xfe", b"fine"]).view(pa.string())
    path = write_parquet(tmp_path / "a.parquet", s=bad)
    errors: list[RowError] = []
    with open_export(path) as export:
        rows = [row["s"] for batch in export.batches(errors.append) for row in batch.to_pylist()]
    assert rows == ["good", "fine"]
    assert [error.place.record for error in errors] == [2]


def test_lists_in_parquet_become_arrays_of_their_usual_length(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", p=[[1, 2], [3, 4], [5], [6, None], None])
    errors: list[RowError] = []
    with open_export(path) as export:
        rows = [row["p"] for batch in export.batches(errors.append) for row in batch.to_pylist()]
    assert rows == [[1.0, 2.0], [3.0, 4.0], None]
    assert [error.place.record for error in errors] == [3, 4]


def test_damaged_parquet_says_so(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", n=list(range(100_000)))
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(SourceError, match="cut short"):
        open_export(path)
    broken = bytearray(data)
    broken[len(data) // 2 : len(data) // 2 + 400] = b"\xff" * 400
    path.write_bytes(broken)
    errors: list[RowError] = []
    with open_export(path) as export:
        kept = sum(batch.num_rows for batch in export.batches(errors.append))
    assert kept < 100_000
    assert errors[-1].stops


def test_batches_have_the_arrow_types_of_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"n": 1, "x": 0.5, "s": "a", "b": true, "p": [1, 2], "t": "2026-01-01 10:00"}\n'
    )
    with open_export(path) as export:
        (batch,) = export.batches(pytest.fail)
    assert batch.schema.equals(arrow_schema(export.schema))
    assert [str(kind) for kind in batch.schema.types] == [
        "int64",
        "double",
        "string",
        "bool",
        "fixed_size_list<item: double>[2]",
        "timestamp[us, tz=UTC]",
    ]
    stored = batch.schema.metadata[b"openmined.schema"]
    assert TableSchema.model_validate_json(stored) == export.schema


# SQLite


def database(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def test_the_only_table_is_read_and_several_must_be_chosen_from(tmp_path: Path) -> None:
    path = database(tmp_path / "a.db", "CREATE TABLE a (n)", "INSERT INTO a VALUES (1), ('x')")
    assert [getattr(i, "values", None) for i in rows_of(path, {"schema": FIELDS})] == [
        {"n": 1},
        None,
    ]
    database(path, "CREATE TABLE b (n)", "INSERT INTO b VALUES (2)")
    with pytest.raises(MappingError, match="a, b"):
        open_export(path)
    (row,) = rows_of(path, {"schema": FIELDS, "sql": "b"})
    assert row.values == {"n": 2}
    with pytest.raises(MappingError, match="no table c; there are a, b"):
        rows_of(path, {"sql": "c"})


def test_views_and_virtual_tables_are_not_read(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c"
    path = database(
        tmp_path / "a.db",
        "CREATE TABLE a (n)",
        f"CREATE VIEW trap AS {endless}",
        "CREATE VIRTUAL TABLE v USING fts5(n)",
    )
    with pytest.raises(MappingError, match="no table trap"):
        rows_of(path, {"sql": "trap"})
    with pytest.raises(MappingError, match="no table v;"):
        rows_of(path, {"sql": "v"})


def test_unwritten_changes_are_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE a (n)")
        connection.execute("INSERT INTO a VALUES (1)")
        connection.commit()
        with pytest.raises(SourceError, match="close it and try again"):
            open_export(path)


def test_a_damaged_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
    with pytest.raises(SourceError, match="no readable SQLite"):
        open_export(path)


# Databases by URL


def connection_file(folder: Path, **options: str) -> Path:
    path = folder / "notes.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items()))
    return path


def test_a_table_of_a_database_server_is_read_through_sqlalchemy(tmp_path: Path) -> None:
    path = database(
        tmp_path / "a.db",
        "CREATE TABLE notes (n INTEGER, price NUMERIC(10, 2), day DATE)",
        "INSERT INTO notes VALUES (1, 2.5, '2026-01-01'), (2, 3, NULL)",
    )
    source = connection_file(tmp_path, url=f"sqlite:///{path}", sql="notes")
    with open_export(source) as export:
        assert export.adapter.name == "sql"
        rows = [item.values for item in export.rows() if isinstance(item, Row)]
    assert [(row["n"], row["price"]) for row in rows] == [(1, 2.5), (2, 3.0)]
    with pytest.raises(SourceError, match="nothing"):
        open_export(connection_file(tmp_path, url=f"sqlite:///{path}", sql="nothing"))


@pytest.mark.parametrize(
    "url", ["postgresql://ada:hunter2@db.example/notes", "mysql://db.example/x?password=hunter2"]
)
def test_a_url_with_a_password_is_refused_without_repeating_it(tmp_path: Path, url: str) -> None:
    with pytest.raises(MappingError) as caught:
        open_export(connection_file(tmp_path, url=url, sql="notes"))
    assert "hunter2" not in str(caught.value)


def test_a_connection_file_names_a_url_and_a_table(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="url and sql"):
        open_export(connection_file(tmp_path, url="sqlite:///x"))


def test_a_mapping_may_say_what_a_row_is_known_by(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n,s\n1,a\n")
    with open_export(path, mapping=parse_mapping({"identity": ["n"]})) as export:
        assert export.identity == ("n",)
    with pytest.raises(MappingError, match="no field m"):
        open_export(path, mapping=parse_mapping({"identity": ["m"]}))
