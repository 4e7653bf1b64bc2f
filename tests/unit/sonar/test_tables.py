from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmined.protocol import FieldConstraints, SchemaField, TableSchema
from openmined.sonar import LaunchRefused
from openmined.sonar._tables import ValidationTable, clean_name, read_table


def rows_of(table: ValidationTable) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.to_csv().decode(), newline="")))


def test_an_array_and_labels() -> None:
    table = read_table(np.arange(6.0).reshape(3, 2), [3, 1, 3])
    assert (table.task, table.rows) == ("classification", 3)
    assert table.input.names == ("x",)
    assert table.input.field("x").array_length == 2
    assert table.output.fields[0].classes == ("1", "3")
    assert rows_of(table)[1] == {"x": "[2.0, 3.0]", "y": "1"}
    assert table.to_csv().startswith(b"x,y\r\n")


@pytest.mark.parametrize(
    "make",
    [
        lambda c: dict(c),
        lambda c: pd.DataFrame(c),
        lambda c: pa.table(c),
    ],
    ids=["mapping", "frame", "arrow"],
)
def test_tables_of_every_kind(make: Any) -> None:
    columns = {"age": [30, 41, 52], "mood": ["good", "b,ad", 'say "so"'], "score": [0.5, 1.5, 2.0]}
    table = read_table(make(columns), target="score")
    assert table.task == "regression"
    assert [(field.name, field.type) for field in table.input.fields] == [
        ("age", "number"),
        ("mood", "string"),
    ]
    limits = table.output.fields[0].constraints
    assert limits is not None
    assert limits.minimum is not None
    assert limits.maximum is not None
    assert limits.minimum < 0.5 < 2.0 < limits.maximum
    assert rows_of(table)[2] == {"age": "52.0", "mood": 'say "so"', "score": "2.0"}


def test_names_are_cleaned_as_fields_want_them() -> None:
    assert clean_name("mean radius") == "mean_radius"
    assert clean_name("1st %") == "c1st"
    table = read_table({"mean radius": [1.0, 2.0], "is it?": ["a", "b"]}, target="is it?")
    assert (table.input.names, table.output.names) == (("mean_radius",), ("is_it",))
    with pytest.raises(LaunchRefused, match="same name"):
        read_table({"a b": [1.0, 2.0], "a_b": [1.0, 2.0]}, [0, 1])


def test_given_schemas_choose_and_check_the_columns() -> None:
    schema = TableSchema(
        fields=(
            SchemaField(name="age", type="integer", constraints=FieldConstraints(maximum=120)),
            SchemaField(name="ill", type="boolean"),
        )
    )
    columns = {"age": [30, 40], "ill": [True, False], "secret": ["x", "y"], "y": ["a", "b"]}
    table = read_table(columns, target="y", input_schema=schema)
    assert rows_of(table)[0] == {"age": "30", "ill": "true", "y": "a"}
    with pytest.raises(LaunchRefused, match=r"'age', row 1: beyond 120"):
        read_table(columns | {"age": [30, 400]}, target="y", input_schema=schema)
    with pytest.raises(LaunchRefused, match="which the input schema names"):
        read_table({"age": [1, 2], "y": [0, 1]}, target="y", input_schema=schema)
    matrix = read_table(np.array([[30.0, 1.0], [40.0, 0.0]]), ["a", "b"], input_schema=schema)
    assert rows_of(matrix)[0] == {"age": "30", "ill": "true", "y": "a"}


def test_several_targets() -> None:
    table = read_table({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [0.5, 0.25]}, target=["b", "c"])
    assert table.output.names == ("b", "c")
    assert len(table.targets) == 2


REFUSED: list[tuple[Any, Any, dict[str, Any], str]] = [
    (np.zeros((2, 2)), None, {}, "what is to be predicted"),
    (np.zeros((2, 2)), [0, 1, 1], {}, "different lengths"),
    ({"a": [1.0]}, [0.5], {}, "at least two rows"),
    (np.zeros(3), [0, 1, 0], {}, "no matrix of numbers"),
    (np.array([["a"], ["b"]]), [0, 1], {}, "no matrix of numbers"),
    ({"a": [1.0, math.nan]}, [0, 1], {}, "'a', row 1: missing or infinite"),
    ({"a": [1.0, math.inf]}, [0, 1], {}, "'a', row 1: missing or infinite"),
    ({"a": ["x", None]}, [0, 1], {}, "'a', row 1: no value"),
    ({"a": ["x", [3]]}, [0, 1], {}, "mixes kinds"),
    ({"a": [[1, 2], [1]]}, [0, 1], {}, "several lengths"),
    ({"a": [1.0, 2.0]}, ["same", "same"], {}, "nothing to learn"),
    ({"a": [1.0, 2.0]}, [0.5, 0.5], {}, "the same 'y'"),
    ({"a": [1.0, 2.0]}, None, {"target": "b"}, "no column 'b'"),
    ({"a": [1j, 2j]}, [0, 1], {}, "complex"),
]


@pytest.mark.parametrize(("X", "y", "options", "text"), REFUSED)
def test_what_is_no_validation_set(X: Any, y: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises((LaunchRefused, ValueError), match=text):
        read_table(X, y, **options)


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")),
        ),
        min_size=2,
        max_size=20,
    )
)
def test_csv_keeps_every_value(rows: list[tuple[float, str]]) -> None:
    numbers = [number for number, _ in rows]
    texts = [text for _, text in rows]
    labels = [index % 2 for index in range(len(rows))]
    table = read_table({"n": numbers, "t": texts}, labels)
    found = rows_of(table)
    assert [float(row["n"]) for row in found] == numbers
    assert [row["t"] for row in found] == texts


@given(st.lists(st.lists(st.floats(-1e300, 1e300), min_size=3, max_size=3), min_size=2))
def test_arrays_in_csv_are_json(rows: list[list[float]]) -> None:
    table = read_table(np.array(rows), [index % 2 for index in range(len(rows))])
    assert [json.loads(row["x"]) for row in rows_of(table)] == rows
