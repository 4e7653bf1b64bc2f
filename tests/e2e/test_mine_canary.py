"""Rows planted in a dataset appear nowhere but in encrypted files and the training process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from tests.unit.mine.mine_world import MineProcess, MineWorld, mine_world, part, wait_for

from openmined.mine import MineFolder
from openmined.protocol import LinearClassifierAlgorithm, TableSchema

CANARY = "zq-canary-7731-xv"
NUMBER = 0.6180339887498949
SCHEMA = TableSchema.model_validate(
    {
        "fields": [
            {"name": "text", "type": "string"},
            {"name": "age", "type": "number"},
            {"name": "label", "type": "string", "constraints": {"enum": ["a", "b"]}},
        ]
    }
)
FEATURES = [
    {"kind": "columns", "columns": ["age"]},
    {"kind": "hashed-text", "column": "text", "features": 32},
]


@pytest.fixture
def world() -> Iterator[MineWorld]:
    with mine_world() as made:
        yield made


def planted(count: int = 60) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "text": [f"{CANARY} row {n}" for n in range(count)],
            "age": [NUMBER] * count,
            "label": ["ab"[n % 2] for n in range(count)],
        }
    )


def needles() -> list[bytes]:
    number = pa.array([NUMBER]).to_numpy().tobytes()
    return [CANARY.encode(), CANARY.encode("utf-16-le"), number, b"0.618033988749"]


def assert_clean(what: str, data: bytes) -> None:
    for needle in needles():
        assert needle not in data, f"{what} holds a planted row"


def all_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes()


def serving_url(folder: MineFolder) -> str | None:
    if not folder.log_path.exists():
        return None
    lines = [json.loads(line) for line in folder.log_path.read_text().splitlines()]
    return next((line["url"] for line in lines if line["step"] == "serving"), None)


def test_planted_rows_appear_nowhere(world: MineWorld) -> None:
    folder, _ = world.make_mine(batch=planted(), schema=SCHEMA, api={"enabled": True, "port": 0})
    manifest = world.manifest(
        input=part(SCHEMA, "text", "age"),
        output=part(SCHEMA, "label"),
        features=FEATURES,
        algorithm=LinearClassifierAlgorithm(l2=1e-2),
    )
    with MineProcess(folder.path) as mine:
        url = wait_for(lambda: serving_url(folder))
        opened = world.open(world.launch(manifest), manifest)
        (event,) = world.wait_submitted(opened.campaign)
        # It was trained on: the answer is not zero. And still:
        assert abs(world.decrypt(opened, event)).max() > 1e-3
        for path in ("/", "/metrics", "/api/v1/health", "/api/v1/datasets", "/api/v1/session"):
            assert_clean(path, httpx.get(url + path).content)
        output = mine.stop()
    assert_clean("standard output", output.encode())
    for name, data in all_files(folder.path):
        assert_clean(name, data)
    for name, data in all_files(world.folder / "store"):
        assert_clean(name, data)
    block = world.anvil.call("eth_getBlockByHash", event.block_hash, True)
    assert_clean("the chain", json.dumps(block).encode())
    assert_clean("the envelope's body", b"".join(world.open_envelope(event).ciphertexts))


def test_the_search_finds_what_is_planted(tmp_path: Path) -> None:
    place = str(tmp_path / "rows.arrow")
    with pa.OSFile(place, "wb") as sink, pa.ipc.new_stream(sink, planted().schema) as writer:
        writer.write_batch(planted())
    with pytest.raises(AssertionError, match="planted row"):
        assert_clean("a plain file", (tmp_path / "rows.arrow").read_bytes())
