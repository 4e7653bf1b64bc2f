"""Where a campaign starts: nothing, own rows, and what is said when nothing is chosen."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from tests.unit.sonar.conftest import Scene

from openmined.protocol import LinearClassifierAlgorithm, MLPClassifierAlgorithm
from openmined.sonar import FewWeights, LaunchRefused, _sonar
from openmined.sonar._choice import choose_task, make_spec
from openmined.sonar._cli_common import plain_warnings
from openmined.sonar._start import describe_risk, few_weights, start_from, start_from_own_rows
from openmined.sonar._tables import ValidationTable, read_table
from openmined.syft import LearningSpec


def asked(rows: int, columns: int = 3, estimator: Any = None) -> tuple[ValidationTable, Any]:
    found = np.random.default_rng(7).normal(size=(rows, columns))
    labels = np.where(found[:, 0] > 0.3 * found[:, 1], "yes", "no")
    table = read_table(found, labels)
    task = choose_task(table, estimator or LinearClassifierAlgorithm(), None, None)
    spec: LearningSpec = make_spec(table, task.features, task.algorithm, task.update)
    return table, spec


def test_own_rows_teach_and_the_others_measure() -> None:
    table, spec = asked(120)
    begin, nothing = start_from_own_rows(table, spec), start_from(table, spec, None)
    assert begin.weights is not None
    assert nothing.weights is None
    assert begin.table.rows == 60
    assert begin.ppm > 850_000 > nothing.ppm
    all_rows, rest = table.to_csv().splitlines(), begin.table.to_csv().splitlines()
    assert set(rest) <= set(all_rows)


def test_the_same_rows_are_divided_alike_so_that_a_launch_can_be_run_again() -> None:
    first, second = (start_from_own_rows(*asked(121)) for _ in range(2))
    assert first.weights == second.weights
    assert first.table.to_csv() == second.table.to_csv()
    assert first.table.rows == 61


def test_few_weights_are_fewer_than_rows() -> None:
    assert few_weights(*asked(120))
    assert not few_weights(*asked(8))
    assert not few_weights(*asked(120, estimator=MLPClassifierAlgorithm(hidden=2)))


@pytest.mark.parametrize(("rows", "said"), [(120, "of your rows alone reach"), (18, "18 %")])
def test_the_risk_is_told_with_what_ones_own_rows_reach(rows: int, said: str) -> None:
    text = describe_risk(*asked(rows))
    assert text.startswith("8 weights are so few")
    assert text.endswith("start from nothing.")
    assert (said in text) == (rows == 120)


def test_own_rows_need_rows_and_a_linear_model() -> None:
    with pytest.raises(LaunchRefused, match="19 are too few"):
        start_from_own_rows(*asked(19))
    with pytest.raises(LaunchRefused, match="for linear models"):
        start_from_own_rows(*asked(120, estimator=MLPClassifierAlgorithm(hidden=2)))


def test_a_launch_from_ones_own_rows_is_one_campaign(scene: Scene) -> None:
    changes: dict[str, Any] = {"initial": "own", "target_accuracy": 1.0, "repeat": 77_001}
    campaign = scene.launch(**changes)
    assert scene.launch(**changes) == campaign
    assert campaign.manifest.initial_weights is not None
    assert campaign.manifest.start_ppm > 800_000
    assert scene.capsule.read_validation(campaign.id).count("\r\n") == 61
    assert scene.launch(initial="nothing").manifest.initial_weights is None
    with pytest.raises(LaunchRefused, match="'mine' is neither"):
        scene.launch(initial="mine")


def test_where_strangers_can_take_part_a_launch_says_what_few_weights_risk(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scene.launch()  # on a devnet nobody is a stranger
        monkeypatch.setattr(_sonar, "DEVNET_CHAINS", frozenset())
        scene.launch(initial="nothing")
        with pytest.raises(FewWeights, match='initial="own"'):
            scene.launch()


def test_the_command_says_a_warning_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with plain_warnings():
        warnings.simplefilter("always")
        warnings.warn("eight weights are few", FewWeights, stacklevel=1)
    assert capsys.readouterr().err == "note: eight weights are few\n"
