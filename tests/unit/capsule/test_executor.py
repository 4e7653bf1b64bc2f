"""The shares of a large batch are the same from one process, several, and a Ray cluster."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openmined.capsule import CapsuleSettings, SettingsError
from openmined.capsule._descent import NetworkDescent, score_gradients
from openmined.capsule._evaluation import ValidationSet
from openmined.capsule._folder import scoring_executor
from openmined.capsule._scoring import (
    Rules,
    ScoredBatch,
    Standing,
    Update,
)
from openmined.capsule._settings import parse_settings
from openmined.syft import (
    Executor,
    LimitError,
    MLPClassifier,
    initial_weights,
    mlp_gradient,
)

MINES = 16
RULES = Rules(0, 1_000_000, 1000, release_step_ppm=100)
NETWORK = MLPClassifier(inputs=9, classes=("a", "b", "c"), hidden=6)
PLACE = {
    "chain_id": 31337,
    "rpc_url": "http://127.0.0.1:9",
    "sonar": "0x" + "5" * 40,
    "store_url": "http://127.0.0.1:9",
}


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    points = random.normal(0, 0.3, (count, 8))
    points[np.arange(count), labels] += 1.0
    return np.c_[points, np.ones(count)], np.eye(3)[labels]


def settings(executor: str) -> CapsuleSettings:
    value = {"network": PLACE, "limits": {"executor": executor}}
    return parse_settings(value, Path("capsule.toml"))


def score(executor: Executor | None) -> ScoredBatch:
    validation = ValidationSet(*rows(60, seed=0), "accuracy", "00" * 32, NETWORK)
    standing = Standing(1, initial_weights(NETWORK))
    updates = [
        Update(i, f"0x{i:040x}", 1, 30, -mlp_gradient(standing.weights, *rows(30, seed=1 + i)))
        for i in range(MINES)
    ]
    return score_gradients(
        validation,
        standing,
        updates,
        RULES,
        NetworkDescent(0.05),
        sketch_key=b"key",
        executor=executor,
    )


def split(name: str) -> dict[str, Any]:
    """Score a batch on what the setting names; return everything that leaves."""
    with scoring_executor(settings(name)) as executor:
        batch = score(executor)
    return {
        "attribution": batch.attribution,
        "accuracy": batch.accuracy_ppm,
        "shares": {str(g): v.share_ppm for g, v in sorted(batch.verdicts.items())},
        "weights": [] if batch.weights is None else batch.weights.ravel().tolist(),
    }


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return split("here")


def test_the_batch_is_paid(alone: dict[str, Any]) -> None:
    assert alone["attribution"] == "shapley"
    assert sum(alone["shares"].values()) == 1_000_000


def test_processes_split_alike(alone: dict[str, Any]) -> None:
    assert split("processes:2") == alone


def test_a_ray_cluster_splits_alike(alone: dict[str, Any], tmp_path: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'openmined[ray]'")
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    # In a process of its own: Ray keeps a cluster's token and its processes until the end.
    done = subprocess.run(
        [sys.executable, __file__, "ray"],
        env={**os.environ, "RAY_AUTH_TOKEN_PATH": str(token)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert json.loads(done.stdout.splitlines()[-1]) == alone


def test_here_means_no_executor() -> None:
    with scoring_executor(settings("here")) as found:
        assert found is None


def test_a_cluster_that_does_not_answer_is_named() -> None:
    with (
        pytest.raises(LimitError, match=r"no Ray cluster at 127\.0\.0\.1:1: .*refused"),
        scoring_executor(settings("ray:127.0.0.1:1")),
    ):
        pass


@pytest.mark.parametrize("name", ["threads", "processes:0", "ray: somewhere", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"limits\.executor"):
        settings(name)


if __name__ == "__main__":
    print(json.dumps(split(sys.argv[1])))
