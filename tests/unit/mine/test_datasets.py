from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.mine.folder_world import SCHEMA, make_folder, rows, table

from openmined.mine import (
    DatasetDamaged,
    DatasetError,
    ImportRefused,
    ImportRequest,
    MineFolder,
    Secrets,
    UnknownDataset,
    delete_dataset,
    import_batches,
    import_source,
    list_datasets,
    load_dataset,
)
from openmined.mine._datasets import read_dataset
from openmined.mine._tables import conform
from openmined.protocol import TableSchema


@pytest.fixture
def made(tmp_path: Path) -> tuple[MineFolder, Secrets]:
    return make_folder(tmp_path / "mine")


def content(made: tuple[MineFolder, Secrets], name: str = "data") -> list[dict[str, Any]]:
    folder, secrets = made
    dataset = load_dataset(folder, name)
    return [
        row
        for batch in read_dataset(folder, dataset, secrets.identity)
        for row in batch.to_pylist()
    ]


def add(made: tuple[MineFolder, Secrets], *batches: Any, **options: Any) -> Any:
    folder, secrets = made
    return import_batches(folder, secrets.identity, "data", SCHEMA, list(batches), **options)


def test_rows_come_back_as_they_went_in(made: tuple[MineFolder, Secrets]) -> None:
    done = add(made, rows(100, 1), rows(50, 2))
    assert (done.rows_read, done.rows_added, done.rows_known, done.total) == (150, 150, 0, 150)
    assert content(made) == [*rows(100, 1).to_pylist(), *rows(50, 2).to_pylist()]


def test_an_overlapping_import_adds_only_what_is_new(made: tuple[MineFolder, Secrets]) -> None:
    add(made, rows(100, 1))
    done = add(made, rows(100, 1).slice(40), rows(30, 2))
    assert (done.rows_added, done.rows_known, done.total) == (30, 60, 130)
    dataset = load_dataset(made[0], "data")
    assert [part.rows for part in dataset.parts] == [100, 30]
    assert add(made, rows(100, 1)).rows_added == 0
    assert load_dataset(made[0], "data") == dataset, "nothing new is no new part"


def test_equal_rows_of_one_export_are_all_kept(made: tuple[MineFolder, Secrets]) -> None:
    twice = pa.Table.from_batches([rows(5), rows(5)]).combine_chunks().to_batches()
    assert add(made, *twice).rows_added == 10
    assert add(made, *twice).rows_added == 0


def test_a_revision_changes_with_the_rows(made: tuple[MineFolder, Secrets]) -> None:
    add(made, rows(5))
    before = load_dataset(made[0], "data").revision
    add(made, rows(9, 3))
    assert load_dataset(made[0], "data").revision != before


def test_parts_are_unreadable_without_the_identity(made: tuple[MineFolder, Secrets]) -> None:
    add(made, rows(200))
    folder, _ = made
    stored = b"".join(p.read_bytes() for p in folder.datasets.rglob("*") if p.is_file())
    first = np.asarray(rows(200).column("pixels").flatten())[:1].tobytes()
    assert first not in stored
    from openmined.mine._age import generate_identity

    other, _ = generate_identity()
    with pytest.raises(DatasetDamaged):
        list(read_dataset(folder, load_dataset(folder, "data"), other))


@pytest.mark.parametrize("damage", ["cut", "flip", "missing", "swapped"])
def test_damage_is_noticed(made: tuple[MineFolder, Secrets], damage: str) -> None:
    add(made, rows(300, 1))
    add(made, rows(200, 2))
    folder, secrets = made
    place = folder.datasets / "data/part-0001.arrow.age"
    data = place.read_bytes()
    if damage == "missing":
        place.unlink()
    elif damage == "swapped":
        place.write_bytes((folder.datasets / "data/part-0002.arrow.age").read_bytes())
    else:
        place.write_bytes(data[:-200] if damage == "cut" else data[:500] + b"?" + data[501:])
    with pytest.raises(DatasetDamaged, match=r"restore|imported"):
        list(read_dataset(folder, load_dataset(folder, "data"), secrets.identity))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "openmined/dataset@9"}'])
def test_a_damaged_description_is_said(made: tuple[MineFolder, Secrets], text: str) -> None:
    add(made, rows(5))
    (made[0].datasets / "data/dataset.json").write_text(text)
    with pytest.raises(DatasetDamaged):
        load_dataset(made[0], "data")


def test_an_import_that_fails_leaves_nothing(made: tuple[MineFolder, Secrets]) -> None:
    folder, secrets = made

    def breaking() -> Iterator[Any]:
        yield rows(10)
        raise ImportRefused("row 11: label is none of the schema's classes")

    with pytest.raises(ImportRefused, match="row 11"):
        import_batches(folder, secrets.identity, "data", SCHEMA, breaking())
    assert list_datasets(folder) == []
    assert list(folder.datasets.rglob("*")) == []
    add(made, rows(10))
    before = load_dataset(folder, "data")
    with pytest.raises(ImportRefused, match="row 11"):
        import_batches(folder, secrets.identity, "data", SCHEMA, breaking())
    assert load_dataset(folder, "data") == before
    assert add(made, rows(10)).rows_added == 0


def test_a_part_that_was_not_described_yet_does_not_count(
    made: tuple[MineFolder, Secrets],
) -> None:
    # Killed between the part's place and the description: the next import takes the number.
    add(made, rows(10))
    folder, _ = made
    stray = folder.datasets / "data/part-0002.arrow.age"
    stray.write_bytes((folder.datasets / "data/part-0001.arrow.age").read_bytes())
    assert len(content(made)) == 10
    assert add(made, rows(7, 5)).total == 17
    assert len(content(made)) == 17


def test_another_schema_needs_another_name(made: tuple[MineFolder, Secrets]) -> None:
    add(made, rows(5))
    other = TableSchema.model_validate({"fields": [{"name": "x", "type": "number"}]})
    folder, secrets = made
    with pytest.raises(ImportRefused, match="another name"):
        import_batches(folder, secrets.identity, "data", other, [])


@pytest.mark.parametrize("name", ["", "..", "../x", "A", "a b", "-a", "a" * 65, "a/b", "x\0"])
def test_names_are_plain(made: tuple[MineFolder, Secrets], name: str) -> None:
    folder, secrets = made
    with pytest.raises(DatasetError):
        import_batches(folder, secrets.identity, name, SCHEMA, [rows(2)])
    with pytest.raises(UnknownDataset):
        load_dataset(folder, name)
    with pytest.raises(UnknownDataset):
        delete_dataset(folder, name)


def test_deleting_takes_every_cache_along(made: tuple[MineFolder, Secrets]) -> None:
    folder, _ = made
    add(made, rows(5))
    for place in (folder.cache, folder.releases):
        (place / "ours.json").write_text(json.dumps({"datasets": ["data", "other"]}))
        (place / "ours.age").write_bytes(b"x")
        (place / "theirs.json").write_text(json.dumps({"datasets": ["other"]}))
        (place / "theirs.age").write_bytes(b"x")
    delete_dataset(folder, "data")
    assert list_datasets(folder) == []
    assert sorted(p.name for p in folder.cache.iterdir()) == ["theirs.age", "theirs.json"]
    assert sorted(p.name for p in folder.releases.iterdir()) == ["theirs.age", "theirs.json"]
    with pytest.raises(UnknownDataset):
        delete_dataset(folder, "data")


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
def test_columnar_files_are_read(
    made: tuple[MineFolder, Secrets], tmp_path: Path, suffix: str
) -> None:
    place = tmp_path / f"rows{suffix}"
    if suffix == ".parquet":
        pq.write_table(table(70), place)
    else:
        with pa.OSFile(str(place), "wb") as sink, pa.ipc.new_file(sink, table(1).schema) as writer:
            writer.write_table(table(70))
    request = ImportRequest(source=place, dataset="data", schema=SCHEMA)
    report = import_source(made[0], made[1].identity, request)
    assert (report.adapter, report.imported.rows_added) == ("table", 70)
    assert content(made) == rows(70).to_pylist()


def test_a_csv_comes_through_the_adapters(made: tuple[MineFolder, Secrets], tmp_path: Path) -> None:
    schema = TableSchema.model_validate(
        {"fields": [{"name": "age", "type": "integer"}, {"name": "city", "type": "string"}]}
    )
    place = tmp_path / "people.csv"
    place.write_text("age,city\n41,Lisboa\nforty,Porto\n7,Faro\n")
    request = ImportRequest(source=place, dataset="people", schema=schema)
    report = import_source(made[0], made[1].identity, request)
    assert (report.imported.rows_added, report.problems) == (2, 1)
    assert "forty" in report.first_problems[0]
    assert content(made, "people") == [
        {"age": 41, "city": "Lisboa"},
        {"age": 7, "city": "Faro"},
    ]
    with pytest.raises(ImportRefused, match="forty"):
        import_source(
            made[0],
            made[1].identity,
            ImportRequest(source=place, dataset="strict", schema=schema, strict=True),
        )
    assert [dataset.name for dataset in list_datasets(made[0])] == ["people"]


def test_a_file_that_is_none(made: tuple[MineFolder, Secrets], tmp_path: Path) -> None:
    place = tmp_path / "rows.parquet"
    place.write_bytes(b"PAR1" + b"\0" * 50)
    request = ImportRequest(source=place, dataset="data", schema=SCHEMA)
    with pytest.raises(ImportRefused, match=r"rows\.parquet cannot be read"):
        import_source(made[0], made[1].identity, request)
    missing = ImportRequest(source=tmp_path / "none.parquet", dataset="data", schema=SCHEMA)
    with pytest.raises(ImportRefused, match="cannot be read"):
        import_source(made[0], made[1].identity, missing)


NUMBERS = {
    "fields": [
        {"name": "x", "type": "number", "constraints": {"minimum": 0, "maximum": 9}},
        {"name": "n", "type": "integer", "constraints": {"required": True}},
        {"name": "s", "type": "string", "constraints": {"minLength": 1, "maxLength": 3}},
        {"name": "c", "type": "string", "constraints": {"enum": ["u", "v"]}},
    ]
}
GOOD = {"x": [1.0, None], "n": [1, 2], "s": ["a", "abc"], "c": ["u", "v"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": [1.0, 9.5]}, "row 12: x is above 9"),
        ({"x": [-1.0, 1.0]}, "row 11: x is below 0"),
        ({"x": [1.0, float("nan")]}, "row 12: x is infinite or not a number"),
        ({"x": ["1", "one"]}, "column 'x'"),
        ({"x": [True, False]}, "holds booleans"),
        ({"n": [1, None]}, "row 12: n is missing"),
        ({"n": [1.5, 2.0]}, "column 'n'"),
        ({"n": [2**63, 1]}, "column 'n'"),
        ({"s": ["", "a"]}, "row 11: s is too short"),
        ({"s": ["a", "abcd"]}, "row 12: s is too long"),
        ({"c": ["u", "w"]}, "row 12: c is none of the schema's classes"),
        ({"c": None}, "there is no column 'c'"),
    ],
)
def test_values_that_do_not_fit_are_named(change: dict[str, Any], message: str) -> None:
    columns = {name: value for name, value in (GOOD | change).items() if value is not None}
    if columns.get("n") == [2**63, 1]:
        columns["n"] = pa.array(columns["n"], pa.uint64())
    schema = TableSchema.model_validate(NUMBERS)
    batch = pa.table(columns).combine_chunks().to_batches()[0]
    with pytest.raises(ImportRefused, match=message):
        conform(batch, schema, first_row=10)


def test_values_that_fit_pass() -> None:
    schema = TableSchema.model_validate(NUMBERS)
    batch = pa.table(GOOD | {"extra": [0, 0]}).to_batches()[0]
    assert conform(batch, schema).to_pydict() == GOOD


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, 2.0], [1.0]], "row 2: v has not 2 numbers"),
        ([[1.0, None], [1.0, 2.0]], "missing, infinite or none"),
        ([[1.0, float("inf")], [1.0, 2.0]], "missing, infinite or none"),
        ([1.0, 2.0], "not lists of numbers"),
    ],
)
def test_arrays_are_of_one_length_and_finite(values: list[Any], message: str) -> None:
    schema = TableSchema.model_validate(
        {
            "fields": [
                {"name": "v", "type": "array", "constraints": {"minLength": 2, "maxLength": 2}}
            ]
        }
    )
    batch = pa.table({"v": values}).to_batches()[0]
    with pytest.raises(ImportRefused, match=message):
        conform(batch, schema)
