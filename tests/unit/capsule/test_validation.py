"""Validation sets: CSV of a stranger, checked value by value, in a child process."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
import pysequoia
import pytest
from tests.unit.capsule.conftest import NETWORK

from openmined.capsule import CampaignRefused, Identity
from openmined.capsule._errors import MAX_REASON_CHARACTERS
from openmined.capsule._settings import CapsuleSettings
from openmined.capsule._validation import parse_table, read_initial_weights, read_validation
from openmined.protocol import CampaignManifest
from openmined.syft import evaluate, save_model, spec_from_manifest

IDENTITY = Identity.generate("Capsule <c@example.org>")
GOOD = b'age,weight,scan,smokes,town,kind\n1.5,7,"[1, 2]",true,x,a\n2.5,8,"[3, 4.5]",false,y,b\n'


def manifest(**changes: Any) -> CampaignManifest:
    values: dict[str, Any] = {
        "title": "Kinds",
        "input": {
            "fields": [
                {"name": "age", "type": "number", "constraints": {"minimum": 0, "maximum": 120}},
                {"name": "weight", "type": "integer"},
                {"name": "scan", "type": "array", "constraints": {"minLength": 2, "maxLength": 2}},
                {"name": "smokes", "type": "boolean"},
                {"name": "town", "type": "string"},
            ]
        },
        "output": {
            "fields": [{"name": "kind", "type": "string", "constraints": {"enum": ["a", "b"]}}]
        },
        "features": [{"kind": "columns", "columns": ["age", "weight", "scan", "smokes"]}],
        "algorithm": {"kind": "linear-classifier"},
        "update": {"kind": "gradient"},
        "metric": "accuracy",
        "start_ppm": 0,
        "target_ppm": 900_000,
        "validation": {"cid": "b" + "a" * 30, "size": 1, "purpose": "validation"},
        "certificate": IDENTITY.armored,
    } | changes
    return CampaignManifest.model_validate(values)


def settings(**accept: Any) -> CapsuleSettings:
    return CapsuleSettings.model_validate({"network": NETWORK, "accept": accept})


def seal(data: bytes) -> bytes:
    return bytes(pysequoia.encrypt(data, recipients=[IDENTITY.certificate], armor=False))


def test_every_type_is_read() -> None:
    table = parse_table(GOOD, manifest(), 10)
    np.testing.assert_array_equal(table["age"], [1.5, 2.5])
    np.testing.assert_array_equal(table["weight"], [7, 8])
    np.testing.assert_array_equal(table["scan"], [[1, 2], [3, 4.5]])
    np.testing.assert_array_equal(table["smokes"], [1, 0])
    assert table["town"] == ["x", "y"]
    assert table["kind"] == ["a", "b"]


def test_a_byte_order_mark_and_other_columns_do_no_harm() -> None:
    data = b"\xef\xbb\xbfextra," + GOOD.replace(b"\n1.5", b"\nz,1.5").replace(b"\n2.5", b"\nz,2.5")
    assert parse_table(data, manifest(), 10)["kind"] == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((b"age", b"height"), "header lacks"),
        ((b"weight,scan", b"age,scan"), "header lacks weight"),
        ((b"1.5", b"old"), "row 1: age is no number"),
        ((b"1.5", b"nan"), "row 1: age is no number"),
        ((b"1.5", b"1e999"), "row 1: age is no number"),
        ((b"1.5", b"-3"), "row 1: age is out of its range"),
        ((b",8,", b",8.5,"), "row 2: weight is no integer"),
        ((b'"[1, 2]"', b'"[1, 2, 3]"'), "row 1: scan is no array of 2 numbers"),
        ((b'"[1, 2]"', b'"[1, null]"'), "scan is no array"),
        ((b'"[1, 2]"', b'"[1, {}]"'), "scan is no array"),
        ((b",7,", b"," + b"9" * 400 + b","), "weight is no integer"),
        ((b",7,", b"," + b"9" * 9000 + b","), "weight is no integer"),
        ((b'"[1, 2]"', b"[[[[[["), "scan is no array"),
        ((b"true", b"perhaps"), "row 1: smokes is no boolean"),
        ((b",y,b", b",y,c"), "row 2: kind is none of its classes"),
        ((b",y,b", b",y"), "5 of 6 values"),
        ((b",x,a", b',"x,a'), "line"),
        ((b"2.5", b"\xff\xff"), "no UTF-8"),
    ],
)
def test_what_does_not_fit_is_named(change: tuple[bytes, bytes], said: str) -> None:
    with pytest.raises(CampaignRefused) as refused:
        parse_table(GOOD.replace(*change, 1), manifest(), 10)
    assert said in str(refused.value)
    assert not re.search(r"old|nan|-3|8\.5|perhaps|\[1", str(refused.value)), "values stay secret"
    assert len(refused.value.reason) <= MAX_REASON_CHARACTERS


def test_the_number_of_rows_is_limited_both_ways() -> None:
    with pytest.raises(CampaignRefused, match="more than 1 rows"):
        parse_table(GOOD, manifest(), 1)
    with pytest.raises(CampaignRefused, match="fewer than 2 rows"):
        parse_table(GOOD[: GOOD.index(b"2.5")], manifest(), 10)


def test_a_sealed_set_becomes_numbers_and_a_digest() -> None:
    wanted = manifest()
    spec = spec_from_manifest(wanted)
    found = read_validation(IDENTITY, settings(), wanted, spec, seal(GOOD))
    assert found.features.shape == (2, 6)
    np.testing.assert_array_equal(found.targets, np.eye(2))
    assert found.sha256 == hashlib.sha256(GOOD).hexdigest()
    weights = np.random.default_rng(0).normal(size=(6, 2))
    assert found.score(found.outputs(weights)) == evaluate(
        spec, weights, found.features, found.targets
    )


def test_r2_is_the_same_as_syfts_and_constant_targets_are_refused() -> None:
    wanted = manifest(
        output={"fields": [{"name": n, "type": "number"} for n in ("kind", "town2")]},
        algorithm={"kind": "linear-regression"},
        metric="r2",
        input={"fields": [{"name": "age", "type": "number"}]},
        features=[{"kind": "columns", "columns": ["age"]}],
    )
    random = np.random.default_rng(1)
    lines = [f"{a},{b},{c}" for a, b, c in random.normal(size=(20, 3))]
    data = "\n".join(["age,kind,town2", *lines]).encode()
    spec = spec_from_manifest(wanted)
    found = read_validation(IDENTITY, settings(), wanted, spec, seal(data))
    weights = random.normal(size=(2, 2))
    score = found.score(found.outputs(weights))
    assert score == pytest.approx(evaluate(spec, weights, found.features, found.targets))
    flat = "\n".join(["age,kind,town2", "1,2,3", "2,2,4"]).encode()
    with pytest.raises(CampaignRefused, match="same in every row"):
        read_validation(IDENTITY, settings(), wanted, spec, seal(flat))


@pytest.mark.parametrize(
    ("sealed", "said"),
    [
        (b"", "not sealed to this Capsule"),
        (GOOD, "not sealed to this Capsule"),
        (seal(GOOD)[:-30], "not sealed to this Capsule"),
        (seal(b"\x00" * 100), "header lacks"),
    ],
)
def test_bad_bytes_are_refused(sealed: bytes, said: str) -> None:
    wanted = manifest()
    with pytest.raises(CampaignRefused, match=said):
        read_validation(IDENTITY, settings(), wanted, spec_from_manifest(wanted), sealed)


def test_a_table_that_would_fill_the_memory_is_refused() -> None:
    wanted = manifest(
        features=[
            {"kind": "columns", "columns": ["age"]},
            {"kind": "random-fourier", "features": 8000, "gamma": 1.0, "seed": "00"},
        ]
    )
    rows = b"\n".join(b'1.5,7,"[1, 2]",true,x,a' for _ in range(20_000))
    data = GOOD + rows + b"\n"
    spec = spec_from_manifest(wanted)
    with pytest.raises(CampaignRefused, match="above 512 MiB"):
        read_validation(IDENTITY, settings(max_rows=30_000), wanted, spec, seal(data))


def test_outputs_of_a_batch_that_would_fill_the_memory_are_refused() -> None:
    wanted = manifest(scoring={"batch": 64})
    spec = spec_from_manifest(wanted)
    small = settings().model_copy(
        update={"accept": settings().accept.model_copy(update={"max_table_mb": 1})}
    )
    rows = b"\n".join(b'1.5,7,"[1, 2]",true,x,a' for _ in range(1100))
    with pytest.raises(CampaignRefused, match="a batch of 64 on 1102 rows x 2 outputs"):
        read_validation(IDENTITY, small, wanted, spec, seal(GOOD + rows + b"\n"))


def test_initial_weights_must_fit() -> None:
    spec = spec_from_manifest(manifest())
    good = np.ones((6, 2))
    found = read_initial_weights(IDENTITY, settings(), spec, seal(save_model(good)))
    np.testing.assert_array_equal(found, good)
    for bad in (save_model(np.ones((5, 2))), b"nonsense"):
        with pytest.raises(CampaignRefused, match="initial weights"):
            read_initial_weights(IDENTITY, settings(), spec, seal(bad))
