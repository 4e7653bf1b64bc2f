"""Folders of mines without a network around them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import uvicorn

from openmined.mine import MineFolder, Secrets, create_mine
from openmined.protocol import TableSchema

PASSPHRASE = "correct horse battery staple"
SCHEMA = TableSchema.model_validate(
    {
        "fields": [
            {
                "name": "pixels",
                "type": "array",
                "constraints": {"minLength": 8, "maxLength": 8},
            },
            {"name": "label", "type": "string", "constraints": {"enum": ["a", "b", "c"]}},
        ]
    }
)


def settings(**changes: Any) -> dict[str, Any]:
    return {
        "format": "openmined/mine@1",
        "name": "test",
        "network": {
            "name": "devnet",
            "chain_id": 31337,
            "rpc_url": "http://127.0.0.1:1",
            "sonar": "0x" + "5" * 40,
            "store_url": "http://127.0.0.1:2",
        },
    } | changes


def make_folder(path: Path, **changes: Any) -> tuple[MineFolder, Secrets]:
    return create_mine(path, settings(**changes), PASSPHRASE, cost="light")


def rows(count: int, seed: int = 0) -> pa.RecordBatch:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    pixels = random.normal(0, 0.3, (count, 8))
    pixels[np.arange(count), labels] += 1.0
    flat = pa.array(pixels.ravel())
    return pa.RecordBatch.from_arrays(
        [pa.FixedSizeListArray.from_arrays(flat, 8), pa.array(["abc"[n] for n in labels])],
        names=["pixels", "label"],
    )


def table(count: int, seed: int = 0) -> pa.Table:
    return pa.Table.from_batches([rows(count, seed)])


@contextmanager
def serving(app: Any) -> Iterator[httpx.Client]:
    """A client of an application that a real server serves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        with httpx.Client(base_url=f"http://localhost:{port}", timeout=30) as client:
            yield client
        server.should_exit = True
        thread.join()
