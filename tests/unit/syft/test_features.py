"""Feature maps: their values, their radius, and what they refuse."""

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from openmined.protocol import (
    ColumnsStep,
    FieldConstraints,
    HashedTextStep,
    ImagePatchesStep,
    RandomFourierStep,
    RandomReLUStep,
    SchemaField,
    TableSchema,
)
from openmined.syft import DataError, SpecError, array_features, build_features
from openmined.syft._expansion import expand_below, expand_gaussian, expand_uniform

SCHEMA = TableSchema(
    fields=(
        SchemaField(name="age", type="integer"),
        SchemaField(name="income", type="number"),
        SchemaField(name="member", type="boolean"),
        SchemaField(
            name="pixels",
            type="array",
            constraints=FieldConstraints(minLength=16, maxLength=16),
        ),
        SchemaField(name="text", type="string"),
    )
)
TABLE = {
    "age": np.array([30, 40, 50]),
    "income": np.array([1.0, 2.0, 4.0]),
    "member": np.array([True, False, True]),
    "pixels": np.random.default_rng(0).uniform(0, 1, (3, 16)),
    "text": ["good day", "bad day", "a day"],
}
NUMBERS = ColumnsStep(columns=("age", "income"), centre=(40.0, 2.0), scale=(10.0, 1.0))


def test_columns_are_standardised_and_a_bias_is_added():
    Z = build_features([NUMBERS], SCHEMA).transform(TABLE)
    np.testing.assert_allclose(Z, [[-1, -1, 1], [0, 0, 1], [1, 2, 1]])


def test_arrow_tables_and_mappings_agree():
    steps = [
        ColumnsStep(columns=("age", "member", "pixels")),
        HashedTextStep(column="text", features=32),
    ]
    features = build_features(steps, SCHEMA)
    table = pa.table({**TABLE, "pixels": pa.array(TABLE["pixels"].tolist())})
    fixed = table.set_column(
        3, "pixels", pa.array(TABLE["pixels"].tolist(), pa.list_(pa.float64(), 16))
    )
    wanted = features.transform(TABLE)
    assert wanted.shape == (3, features.outputs) == (3, 18 + 32 + 1)
    for given in (table, fixed, table.to_batches()[0], pa.concat_tables([table])):
        np.testing.assert_array_equal(features.transform(given), wanted)


def test_rows_are_shortened_to_the_radius():
    features = array_features(4)
    Z = features.transform({"x": [[1, 1, 1, 1], [100, 0, 0, 0]]})
    np.testing.assert_allclose(Z[0], [1, 1, 1, 1, 1])
    np.testing.assert_allclose(Z[1], [4, 0, 0, 0, 1])
    assert features.radius == pytest.approx(np.sqrt(17))
    huge = features.transform({"x": [[1e200, 1, 0, 0], [-1e308, 1e308, 0, 0]]})
    np.testing.assert_allclose(huge[0], [4, 0, 0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(huge[1], [-np.sqrt(8), np.sqrt(8), 0, 0, 1])


@pytest.mark.parametrize(
    ("step", "value"),
    [
        (ColumnsStep(columns=("income",), scale=(1e-300,)), 1e100),
        (ColumnsStep(columns=("income",), centre=(-1e308,)), 1e308),
    ],
)
def test_numbers_that_overflow_are_refused(step, value):
    with pytest.raises(DataError, match="too large"):
        build_features([step], SCHEMA).transform({"income": [value]})


@pytest.mark.parametrize(
    "step",
    [
        RandomFourierStep(features=40, gamma=0.1, seed="01"),
        RandomReLUStep(features=40, seed="01"),
        RandomReLUStep(features=40, seed="01", patch=3, height=4, width=4),
        ImagePatchesStep(height=4, width=4, patch=2, stride=1, filters=5, pool=2, seed="01"),
    ],
)
def test_no_row_is_longer_than_the_radius(step):
    features = array_features(16, step)
    rows = 50 * np.random.default_rng(0).standard_normal((64, 16))
    lengths = np.linalg.norm(features.transform({"x": rows}), axis=1)
    assert lengths.max() <= features.radius * (1 + 1e-12)
    assert features.transform({"x": rows}).shape == (64, features.outputs)


def test_random_fourier_features_approximate_the_gaussian_kernel():
    gamma = 0.05
    features = array_features(5, RandomFourierStep(features=6000, gamma=gamma, seed="77"))
    X = np.random.default_rng(0).standard_normal((6, 5))
    Z = features.transform({"x": X})[:, :-1]
    kernel = np.exp(-gamma * ((X[:, None] - X[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(Z @ Z.T, kernel, atol=0.05)


def test_random_relu_features_by_hand():
    step = RandomReLUStep(features=3, seed="05")
    x = np.array([[0.5, -1.0]])
    omega = expand_gaussian("05", "random-relu/omega", (3, 2)) / np.sqrt(2)
    shift = expand_gaussian("05", "random-relu/shift", (3,)) / 4
    wanted = np.sqrt(2 / 3) * np.maximum(x @ omega.T + shift, 0)
    np.testing.assert_allclose(array_features(2, step).transform({"x": x})[:, :-1], wanted)


def test_patch_units_see_their_patch_alone():
    step = RandomReLUStep(features=30, seed="05", patch=2, height=4, width=4)
    from openmined.syft._features import relu_weights

    omega, _ = relu_weights(step, 16)
    assert ((omega != 0).sum(axis=1) == 4).all()
    assert (omega.reshape(30, 4, 4) != 0).any(axis=0).all()


def test_image_patches_by_hand():
    step = ImagePatchesStep(height=4, width=4, patch=2, stride=2, filters=3, pool=1, seed="09")
    image = np.random.default_rng(0).uniform(size=(4, 4))
    filters = expand_gaussian("09", "image-patches/filters", (3, 2, 2)) / 2
    patches = [image[r : r + 2, c : c + 2] for r in (0, 2) for c in (0, 2)]
    means = [np.mean([max(0, (patch * one).sum()) for patch in patches]) for one in filters]
    found = array_features(16, step).transform({"x": image.reshape(1, 16)})[0, :-1]
    np.testing.assert_allclose(found, np.sqrt(2 / 3) * np.array(means))


def test_hashed_text_is_scikit_learns():
    from sklearn.feature_extraction.text import HashingVectorizer

    features = build_features([HashedTextStep(column="text", features=64)], SCHEMA)
    wanted = HashingVectorizer(n_features=64, ngram_range=(1, 2)).transform(TABLE["text"])
    np.testing.assert_allclose(features.transform(TABLE)[:, :-1], wanted.toarray())


def test_expansion_is_deterministic_uniform_and_normal():
    draws = expand_uniform("ab", "test", (100_000,))
    assert abs(draws.mean() - 0.5) < 0.005
    normal = expand_gaussian("ab", "test", (100_000,))
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.01
    assert not np.array_equal(expand_gaussian("ac", "test", (5,)), normal[:5])
    assert not np.array_equal(expand_gaussian("ab", "tests", (5,)), normal[:5])
    np.testing.assert_array_equal(expand_gaussian("ab", "test", (7,)), normal[:7])
    assert set(expand_below("ab", "test", 1000, 5)) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [RandomFourierStep(features=5, gamma=1, seed="00")],
        [ColumnsStep(columns=("weight",))],
        [ColumnsStep(columns=("text",))],
        [ColumnsStep(columns=("age",), centre=(1.0, 2.0))],
        [ColumnsStep(columns=("age",), scale=(0.0,))],
        [HashedTextStep(column="age", features=8)],
        [HashedTextStep(column="text", features=8, ngram_min=3, ngram_max=2)],
        [NUMBERS, RandomReLUStep(features=5, seed="00", patch=2)],
        [NUMBERS, RandomReLUStep(features=5, seed="00", patch=2, height=4, width=4)],
        [
            NUMBERS,
            ImagePatchesStep(height=4, width=4, patch=2, stride=1, filters=1, pool=1, seed="00"),
        ],
        [
            ColumnsStep(columns=("pixels",)),
            ImagePatchesStep(height=4, width=4, patch=3, stride=2, filters=1, pool=4, seed="00"),
        ],
        [HashedTextStep(column="text", features=8192)],
    ],
)
def test_senseless_chains_are_refused(steps):
    with pytest.raises(SpecError):
        build_features(steps, SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"age": np.array([])},
        {"age": np.array([1.0, np.nan, 2.0])},
        {"income": [1.0, float("inf"), 2.0]},
        {"income": ["a", "b", "c"]},
        {"income": np.array([1.0, 2.0])},
        {"pixels": np.zeros((3, 15))},
        {"pixels": [[1.0] * 16, [1.0] * 15, [1.0] * 16]},
        {"text": ["a", None, "b"]},
        {"text": [1, 2, 3]},
        {"text": "abc"},
        {"text": 5},
        {"income": 5.0},
        {"income": ["1", "2", "3"]},
        {"income": np.array([1, 2, 3]) * (1 + 1j)},
        {"income": np.array(["2020-01-01"] * 3, dtype="datetime64[s]")},
        {"income": np.array([True, False, True], dtype=object)},
        {"income": np.ma.masked_array([1.0, 2.0, 3.0], mask=[1, 0, 0])},
        {"income": pa.array(["1", "2", "3"])},
        {"income": pa.array([datetime.datetime(2020, 1, 1)] * 3)},
        {"income": pa.array([datetime.date(2020, 1, 1)] * 3)},
        {"income": pa.array([{"a": 1}] * 3)},
        {"pixels": pa.array([["1"] * 16] * 3)},
    ],
)
def test_bad_tables_are_refused(change):
    steps = [
        ColumnsStep(columns=("age", "income", "pixels")),
        HashedTextStep(column="text", features=8),
    ]
    with pytest.raises(DataError):
        build_features(steps, SCHEMA).transform({**TABLE, **change})


@pytest.mark.parametrize(
    "column",
    [
        pa.array([Decimal(1), Decimal(0), Decimal(1)]),
        pa.array([True, False, True]),
        pa.array([1.0, 0.0, 1.0]).dictionary_encode(),
        np.array([1, 0, 1.0], dtype=object),
        np.ma.masked_array([1.0, 0.0, 1.0]),
    ],
)
def test_numbers_of_every_kind_are_taken(column):
    Z = build_features([ColumnsStep(columns=("income",))], SCHEMA).transform({"income": column})
    np.testing.assert_array_equal(Z[:, 0], [1, 0, 1])


@pytest.mark.parametrize("table", [None, 5, [1.0], np.zeros((3, 2))])
def test_what_is_no_table_is_refused(table):
    with pytest.raises(DataError, match=r"no table.*dict\(frame\)"):
        build_features([NUMBERS], SCHEMA).transform(table)


def test_data_frames_are_taken_column_by_column():
    import pandas

    frame = pandas.DataFrame({**TABLE, "pixels": list(TABLE["pixels"])})
    features = build_features([ColumnsStep(columns=("age", "member", "pixels"))], SCHEMA)
    np.testing.assert_array_equal(features.transform(dict(frame)), features.transform(TABLE))
    with pytest.raises(DataError, match=r"dict\(frame\)"):
        features.transform(frame)


def test_half_a_character_is_no_text():
    features = build_features([HashedTextStep(column="text", features=8, analyzer="char")], SCHEMA)
    with pytest.raises(DataError, match="is no character"):
        features.transform({"text": ["good", "bad \ud83d"]})


def test_columns_of_one_name_are_not_chosen_from():
    twice = pa.table([pa.array([1.0]), pa.array([2.0])], names=["income", "income"])
    with pytest.raises(DataError, match="2 columns are named 'income'"):
        build_features([ColumnsStep(columns=("income",))], SCHEMA).transform(twice)


@pytest.mark.parametrize("columns", [0, -1, 2.5, "x", None, True, 10**9])
def test_arrays_of_no_length_are_refused(columns):
    with pytest.raises(SpecError, match="columns"):
        array_features(columns)


@pytest.mark.parametrize(
    ("steps", "schema"), [(None, SCHEMA), (["x"], SCHEMA), ([NUMBERS], None), (5, SCHEMA)]
)
def test_what_are_no_steps_or_schema_is_refused(steps, schema):
    with pytest.raises(SpecError, match=r"give|must be"):
        build_features(steps, schema)


def test_an_array_needs_a_name_that_fields_may_have():
    with pytest.raises(SpecError, match="name ''"):
        array_features(3, name="")


def test_missing_columns_and_nulls_are_named():
    features = build_features([ColumnsStep(columns=("age", "pixels"))], SCHEMA)
    with pytest.raises(DataError, match="no column 'age'"):
        features.transform({"pixels": TABLE["pixels"]})
    with pytest.raises(DataError, match="lacks 1 values"):
        features.transform(pa.table({"age": [1, None, 3], "pixels": TABLE["pixels"].tolist()}))
    with pytest.raises(DataError, match="inside"):
        features.transform(pa.table({"age": [1], "pixels": [[1.0] * 15 + [None]]}))


def test_empty_tables_are_refused():
    features = build_features([NUMBERS], SCHEMA)
    with pytest.raises(DataError, match="no rows"):
        features.transform(
            pa.table({"age": pa.array([], pa.int64()), "income": pa.array([], pa.float64())})
        )
    with pytest.raises(DataError, match="no rows"):
        features.transform({"age": [], "income": []})
    with pytest.raises(DataError, match="no rows"):
        build_features([HashedTextStep(column="text", features=8)], SCHEMA).transform({"text": []})
