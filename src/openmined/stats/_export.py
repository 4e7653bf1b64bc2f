"""A static snapshot: every table as CSV and Parquet, and totals, in one folder."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from openmined.stats._database import Database
from openmined.stats._errors import StatsError
from openmined.stats._feed import read_state
from openmined.stats._indexer import read_settings
from openmined.stats._tables import DATASETS, Dataset, csv_stream, parquet_stream
from openmined.stats._totals import read_series, read_totals

FORMAT = "openmined/snapshot@1"
_EVER = 2**53
_STREAMS: dict[str, Callable[[Connection, Dataset], Iterator[bytes]]] = {
    "csv": csv_stream,
    "parquet": parquet_stream,
}


def export_snapshot(database: Database, folder: Path) -> Path:
    """Write a snapshot of one state of the index; `index.json` comes last and lists the rest.

    Two snapshots of the same state are the same bytes.

    Raises:
        StatsError: if there is no index, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with database.reading() as connection:
            state = read_state(connection)
            if state.block_number is None:
                raise StatsError(f"there is no index in {database.url} to export")
            files = {}
            for name, dataset in DATASETS.items():
                for kind, stream in _STREAMS.items():
                    file = f"{name}.{kind}"
                    files[file] = _write(folder / file, stream(connection, dataset))
            totals = read_totals(connection).model_dump(mode="json")
            files["totals.json"] = _write(folder / "totals.json", iter([_json(totals)]))
            for interval in ("day", "week"):
                series = read_series(connection, interval, 0, _EVER, 1000)
                file = f"series-{interval}.json"
                files[file] = _write(folder / file, iter([_json(series.model_dump(mode="json"))]))
            index = {
                "format": FORMAT,
                **read_settings(connection),
                "block_number": state.block_number,
                "block_hash": state.block_hash,
                "files": files,
            }
        _write(folder / "index.json", iter([_json(index)]))
    except OSError as error:
        raise StatsError(f"cannot write the snapshot to {folder}: {error.strerror}") from error
    return folder / "index.json"


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


def _write(path: Path, parts: Iterator[bytes]) -> dict[str, Any]:
    # Into place only when whole, so that whoever serves the folder never serves half a file.
    hasher, size = hashlib.sha256(), 0
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                file.write(part)
                hasher.update(part)
                size += len(part)
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    return {"bytes": size, "sha256": hasher.hexdigest()}
