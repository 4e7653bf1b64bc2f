from __future__ import annotations

import pytest
from pydantic import ValidationError

from openmined.protocol import TableSchema


def schema(*fields: dict[str, object]) -> TableSchema:
    return TableSchema.model_validate({"fields": list(fields)})


TEXT = {"name": "text", "type": "string"}
AGE = {"name": "age", "type": "number"}
IMAGE = {"name": "image", "type": "array", "constraints": {"minLength": 4, "maxLength": 4}}
LABEL = {"name": "label", "type": "string", "constraints": {"enum": ["cat", "dog"]}}


def test_a_dataset_with_more_fields_serves() -> None:
    assert schema(TEXT).missing_from(schema(AGE, TEXT)) == []


def test_an_integer_serves_a_number_but_not_the_other_way() -> None:
    whole = {"name": "age", "type": "integer"}
    assert schema(AGE).missing_from(schema(whole)) == []
    assert schema(whole).missing_from(schema(AGE)) == ["field 'age' is number, integer is wanted"]


def test_each_mismatch_is_said() -> None:
    other = {"name": "image", "type": "array", "constraints": {"minLength": 9, "maxLength": 9}}
    foreign = {"name": "label", "type": "string", "constraints": {"enum": ["cat", "emu"]}}
    assert schema(TEXT, IMAGE, LABEL).missing_from(schema(other, foreign)) == [
        "no field 'text'",
        "field 'image' has 9 numbers, not 4",
        "field 'label' has classes the campaign lacks: emu",
    ]


def test_fewer_classes_serve() -> None:
    fewer = {"name": "label", "type": "string", "constraints": {"enum": ["dog", "cat"]}}
    assert schema(LABEL).missing_from(schema(fewer)) == []


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [TEXT, TEXT],
        [{"name": "image", "type": "array"}],
        [{"name": "image", "type": "array", "constraints": {"minLength": 1, "maxLength": 2}}],
        [{"name": "0bad", "type": "string"}],
        [{"name": "x", "type": "geopoint"}],
        [{"name": "../x", "type": "string"}],
    ],
)
def test_schemas_that_make_no_sense_are_refused(fields: list[dict[str, object]]) -> None:
    with pytest.raises(ValidationError):
        schema(*fields)


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(KeyError, match="no field 'x'; there are text, age"):
        schema(TEXT, AGE).field("x")
