"""Ten million rows of 64 features: the import and the statistics stay within a gigabyte."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.mine.folder_world import make_folder

from openmined.protocol import TableSchema

ROWS = 10_000_000
WIDTH = 64
GIGABYTE = 1 << 30
SCHEMA = TableSchema.model_validate(
    {
        "fields": [
            *({"name": f"x{n}", "type": "number"} for n in range(WIDTH)),
            {"name": "label", "type": "string", "constraints": {"enum": ["a", "b"]}},
        ]
    }
)

# A process of its own, so that its peak memory is its own: what it prints is bytes, and a result.
MEASURED = """
import json, resource, sys
from pathlib import Path
from openmined.mine import ImportRequest, MineFolder, import_source
from openmined.mine._imports import read_schema

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

folder, identity = MineFolder(Path(sys.argv[1])), sys.stdin.read()
if sys.argv[2] == "import":
    schema = read_schema(Path(sys.argv[4]))
    request = ImportRequest(source=Path(sys.argv[3]), dataset="big", schema=schema)
    result = import_source(folder, identity, request).imported.total
else:
    from openmined.mine import load_dataset
    from openmined.mine._datasets import read_dataset
    from openmined.protocol import ColumnsStep
    from openmined.syft import LinearClassifier, build_features, stream_statistics
    dataset = load_dataset(folder, "big")
    names = tuple(name for name in dataset.dataset_schema.names if name != "label")
    features = build_features([ColumnsStep(columns=names)], dataset.dataset_schema)
    spec = LinearClassifier(inputs=len(names) + 1, classes=("a", "b"), features=features)
    result = stream_statistics(spec, read_dataset(folder, dataset, identity), ["label"]).n
print(json.dumps({"peak": peak(), "result": result}))
"""


def write_rows(path: Path) -> None:
    random = np.random.default_rng(7)
    with pq.ParquetWriter(path, pa.table(columns(random, 1)).schema) as writer:
        for _ in range(ROWS // 100_000):
            writer.write_table(pa.table(columns(random, 100_000)))


def columns(random: np.random.Generator, count: int) -> dict[str, object]:
    numbers: dict[str, object] = {f"x{n}": random.normal(size=count) for n in range(WIDTH)}
    return numbers | {"label": np.where(random.random(count) > 0.5, "a", "b")}


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_million_rows_stay_below_a_gigabyte(tmp_path: Path) -> None:
    folder, secrets = make_folder(tmp_path / "mine")
    write_rows(tmp_path / "big.parquet")
    (tmp_path / "schema.json").write_text(SCHEMA.model_dump_json(exclude_none=True))

    def measure(*words: str) -> dict[str, int]:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, str(folder.path), *words],
            input=secrets.identity,
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, int] = json.loads(done.stdout)
        return found

    imported = measure("import", str(tmp_path / "big.parquet"), str(tmp_path / "schema.json"))
    assert imported["result"] == ROWS
    assert imported["peak"] < GIGABYTE, f"{imported['peak'] / 2**20:.0f} MiB"
    summed = measure("statistics")
    assert summed["result"] == ROWS
    assert summed["peak"] < GIGABYTE, f"{summed['peak'] / 2**20:.0f} MiB"
    print(f"import {imported['peak'] >> 20} MiB, statistics {summed['peak'] >> 20} MiB")
