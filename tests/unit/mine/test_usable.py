"""Exports have gaps: which rows a campaign learns from, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.mine.folder_world import make_folder

from openmined.mine import TrainingFailed, import_batches, load_dataset
from openmined.mine._training import TrainingJob, _rows, _sample
from openmined.mine._usable import usable_rows
from openmined.protocol import (
    BlobRef,
    CampaignManifest,
    CKKSParameters,
    InterleavedPacking,
    TableSchema,
)
from openmined.syft import MLPClassifier, build_features

FIELDS: list[dict[str, Any]] = [
    {"name": "body", "type": "string"},
    {"name": "score", "type": "number"},
]
SCALE = 400.0
MOODS = {"name": "label", "type": "string", "constraints": {"enum": ["joy", "anger"]}}


def campaign(output: dict[str, Any] = MOODS) -> CampaignManifest:
    classifier = "constraints" in output
    return CampaignManifest.model_validate(
        {
            "title": "Moods",
            "input": {"fields": FIELDS},
            "output": {"fields": [output]},
            "features": [{"kind": "columns", "columns": ["score"], "scale": [SCALE]}],
            "algorithm": {"kind": "linear-classifier" if classifier else "linear-regression"},
            "update": {"kind": "gradient"},
            "metric": "accuracy" if classifier else "r2",
            "start_ppm": 0,
            "target_ppm": 500_000,
            "validation": BlobRef(cid="b" + "a" * 58, size=1, purpose="validation"),
            "certificate": "-----BEGIN PGP PUBLIC KEY BLOCK-----",
        }
    )


def table(labels: list[Any], kind: Any = None) -> pa.RecordBatch:
    count = len(labels)
    return pa.RecordBatch.from_pydict(
        {
            "id": [None] * count,
            "body": ["a tweet"] * count,
            "score": [float(n) for n in range(count)],
            "label": pa.array(labels, kind),
        }
    )


def scores(batch: Any) -> list[float]:
    return list(batch.column("score").to_pylist())


def test_rows_without_a_label_of_the_campaign_are_left_out() -> None:
    batch = table(["joy", None, "monday", "anger", "Joy", ""])
    assert scores(usable_rows(campaign(), batch)) == [0.0, 3.0]


def test_rows_with_a_gap_in_a_used_field_are_left_out_and_other_gaps_do_not_matter() -> None:
    batch = table(["joy"] * 3).set_column(2, "score", pa.array([1.0, None, 3.0]))
    assert scores(usable_rows(campaign(), batch)) == [1.0, 3.0]
    batch = table(["joy"] * 2).set_column(1, "body", pa.array([None, "text"]))
    assert scores(usable_rows(campaign(), batch)) == [1.0]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([0, 1, 2, None], ["0", "1"]), ([0.0, 1.0, 0.5, None], ["0", "1"])],
)
def test_labels_that_are_numbers_are_classes_by_their_text(
    labels: list[Any], classes: list[str]
) -> None:
    kind = "integer" if isinstance(labels[0], int) else "number"
    output = {"name": "label", "type": kind, "constraints": {"enum": classes}}
    assert scores(usable_rows(campaign(output), table(labels))) == [0.0, 1.0]


def test_a_regression_needs_its_target() -> None:
    output = {"name": "label", "type": "number"}
    assert scores(usable_rows(campaign(output), table([1.5, None, -3.0]))) == [0.0, 2.0]


def job(tmp_path: Path, labels: list[Any]) -> TrainingJob:
    folder, secrets = make_folder(tmp_path / "mine")
    schema = TableSchema.model_validate({"fields": [*FIELDS, {"name": "label", "type": "string"}]})
    batch = table(labels, pa.string()).select(["body", "score", "label"])
    half = len(labels) // 2
    import_batches(folder, secrets.identity, "data", schema, [batch[:half], batch[half:]])
    return TrainingJob(
        folder=folder,
        identity=secrets.identity,
        campaign=campaign(),
        spec_digest="00" * 32,
        datasets=(load_dataset(folder, "data"),),
        parameters=CKKSParameters(
            poly_modulus_degree=4096,
            coeff_modulus_bits=(36, 36, 37),
            weight_scale_bits=30,
            data_scale_bits=18,
        ),
        keys={},
        packing=InterleavedPacking(
            rows=2, columns=2, dimension=2, columns_per_ciphertext=1024, giant_step=1
        ),
        model=(),
    )


def test_no_usable_row_is_said_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed) as caught:
        list(_rows(job(tmp_path, ["monday", None, "tuesday"]), lambda *_: None))
    assert str(caught.value) == (
        "none of the 3 rows of data can be used: the campaign needs rows with a value in each of "
        "body, score, label, and a label among joy, anger"
    )


def test_a_network_draws_from_usable_rows_only_each_at_most_once(tmp_path: Path) -> None:
    labels = [["joy", None, "anger", "monday"][n % 4] for n in range(400)]
    given = job(tmp_path, labels)
    spec = MLPClassifier(
        inputs=2,
        classes=("joy", "anger"),
        hidden=4,
        batch=64,
        features=build_features(given.campaign.features, given.campaign.input),
    )
    drawn = [_sample(given, spec, lambda *_: None)[0][:, 0] for _ in range(2)]
    for rows in drawn:
        assert len(np.unique(rows)) == 64
        assert set(np.round(rows * SCALE) % 2) == {0.0}
    assert set(drawn[0]) != set(drawn[1])
