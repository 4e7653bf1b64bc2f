"""Datasets: immutable Arrow streams, encrypted with age, described by a dataset.json.

A dataset is a list of parts. An import adds one; nothing changes a part once it is written. What
rows are there already is known from `rows.index.age`, keyed hashes that are encrypted too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from openmined.mine._age import decrypting, encrypting
from openmined.mine._errors import (
    DatasetDamaged,
    DatasetError,
    ImportRefused,
    UnknownDataset,
)
from openmined.mine._folder import MineFolder, delete_tree, raise_if_full, write_private
from openmined.mine._ledger import now_text
from openmined.protocol import Digest, Frozen, TableSchema

if TYPE_CHECKING:
    from openmined.adapters import RowIndex

_NAME = re.compile(r"^[a-z0-9][a-z0-9\-]{0,63}$")
_INDEX = "rows.index.age"
_ABOUT = "dataset.json"
_KEY_BYTES = 32


class DatasetPart(Frozen):
    """One import's rows."""

    file: Annotated[str, Field(pattern=r"^part-\d{4,8}\.arrow\.age$")]
    rows: int = Field(ge=1)
    bytes: int = Field(ge=1)
    sha256: Digest
    """Of the encrypted file."""
    imported: str


class Dataset(Frozen):
    """What dataset.json says: no row, no value."""

    format: Literal["openmined/dataset@1"] = "openmined/dataset@1"
    name: Annotated[str, Field(pattern=_NAME.pattern)]
    dataset_schema: TableSchema = Field(alias="schema")
    identity: tuple[str, ...] = ()
    """Fields by which a row is known again; all when empty."""
    parts: tuple[DatasetPart, ...] = ()

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def revision(self) -> str:
        """A digest that changes with the rows: what caches are keyed by."""
        parts = "\n".join(part.sha256 for part in self.parts)
        return hashlib.sha256(f"{self.name}\n{parts}".encode()).hexdigest()


class Imported(Frozen):
    """What an import did."""

    dataset: str
    rows_read: int
    rows_added: int
    rows_known: int
    """Rows that were there already."""
    total: int


def list_datasets(folder: MineFolder) -> list[Dataset]:
    """Return the datasets by name."""
    if not folder.datasets.is_dir():
        return []
    return [
        load_dataset(folder, entry.name)
        for entry in sorted(folder.datasets.iterdir())
        if _NAME.match(entry.name) and (entry / _ABOUT).is_file()
    ]


def load_dataset(folder: MineFolder, name: str) -> Dataset:
    """Read what a dataset is.

    Raises:
        UnknownDataset: if there is none of that name.
        DatasetDamaged: if its description cannot be read.
    """
    place = _place(folder, name)
    try:
        value = json.loads((place / _ABOUT).read_bytes())
        return Dataset.model_validate(value)
    except FileNotFoundError as error:
        raise UnknownDataset(
            f"there is no dataset {name!r}; see `openmined mine datasets`"
        ) from error
    except (ValueError, ValidationError) as error:
        raise DatasetDamaged(
            f"{place / _ABOUT} is damaged: restore it from a backup, or delete the dataset"
        ) from error


def import_batches(
    folder: MineFolder,
    identity: str,
    name: str,
    schema: TableSchema,
    batches: Iterable[Any],
    *,
    fields: tuple[str, ...] = (),
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Add the rows of `batches` that are new to a dataset; make it if there is none.

    Either all new rows are there afterwards, or none. `identity` opens the index of known rows.

    Raises:
        ImportRefused: if a dataset of that name has another schema.
        DiskFull: if the disk is full; nothing is added then.
    """
    from openmined.adapters import RowIndex

    dataset = _existing(folder, name, schema, fields)
    place = _place(folder, name)
    with _import_lock(folder, name):
        key, index = _load_index(place, identity, dataset)
        index = index if index is not None else RowIndex(key, dataset.identity)
        index.start_import()
        number = len(dataset.parts) + 1
        partial = place / f".part-{number:04d}.partial"
        partial.unlink(missing_ok=True)
        try:
            read, added = _write_part(folder, partial, batches, index, schema, progress)
            if added:
                dataset = _publish(folder, dataset, partial, number, added, key, index)
        except OSError as error:
            raise_if_full(error, folder.path)
            raise
        finally:
            partial.unlink(missing_ok=True)
            if not dataset.parts:
                delete_tree(place)
    return Imported(
        dataset=name, rows_read=read, rows_added=added, rows_known=read - added, total=dataset.rows
    )


def read_dataset(folder: MineFolder, dataset: Dataset, identity: str) -> Iterator[Any]:
    """Yield the record batches of a dataset, decrypted as they are read.

    Raises:
        DatasetDamaged: if a part is missing, changed or cut short.
    """
    import pyarrow as pa

    for part in dataset.parts:
        path = _place(folder, dataset.name) / part.file
        rows = 0
        try:
            with decrypting(path, identity) as stream, pa.ipc.open_stream(stream) as reader:
                for batch in reader:
                    rows += batch.num_rows
                    yield batch
                stream.read()
        except FileNotFoundError as error:
            raise DatasetDamaged(f"{path} is missing: restore it from a backup") from error
        except pa.ArrowException as error:
            raise DatasetDamaged(f"{path} is damaged: restore it from a backup") from error
        if rows != part.rows:
            raise DatasetDamaged(f"{path} holds {rows} rows, {part.rows} were imported")


def delete_dataset(folder: MineFolder, name: str) -> None:
    """Delete a dataset's bytes and every cache of them. The ledger keeps what was decided and paid.

    Raises:
        UnknownDataset: if there is none of that name.
    """
    place = _place(folder, name)
    if not place.is_dir():
        raise UnknownDataset(f"there is no dataset {name!r}; see `openmined mine datasets`")
    # The description goes first: killed in between, the dataset is gone, and its bytes on the next.
    (place / _ABOUT).unlink(missing_ok=True)
    delete_tree(place)
    forget_caches(folder, name)


def forget_caches(folder: MineFolder, name: str) -> None:
    """Delete every cached or released statistic that a dataset is part of."""
    for entry in (*folder.cache.glob("*.json"), *folder.releases.glob("*.json")):
        with suppress(OSError, ValueError, KeyError):
            if name in json.loads(entry.read_bytes())["datasets"]:
                entry.with_suffix(".age").unlink(missing_ok=True)
                entry.unlink(missing_ok=True)


def _existing(
    folder: MineFolder, name: str, schema: TableSchema, fields: tuple[str, ...]
) -> Dataset:
    if not _NAME.match(name):
        raise DatasetError(
            f"{name[:80]!r} is no name for a dataset: lower-case letters, digits and dashes"
        )
    unknown = sorted(set(fields) - set(schema.names))
    if unknown:
        raise ImportRefused(f"identity fields that the schema lacks: {', '.join(unknown)}")
    try:
        dataset = load_dataset(folder, name)
    except UnknownDataset:
        return Dataset(name=name, schema=schema, identity=fields)
    if dataset.dataset_schema != schema:
        raise ImportRefused(
            f"dataset {name!r} has another schema than this import: import under another name"
        )
    return dataset


def _write_part(
    folder: MineFolder,
    partial: Path,
    batches: Iterable[Any],
    index: RowIndex,
    schema: TableSchema,
    progress: Callable[[int], None] | None,
) -> tuple[int, int]:
    import pyarrow as pa

    from openmined.adapters import arrow_schema

    read = added = 0
    partial.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        encrypting(partial, folder.recipient) as stream,
        pa.ipc.new_stream(stream, arrow_schema(schema)) as writer,
    ):
        for batch in batches:
            fresh = index.select_new(batch)
            read += batch.num_rows
            added += fresh.num_rows
            if fresh.num_rows:
                writer.write_batch(fresh)
            if progress is not None:
                progress(read)
    partial.chmod(0o600)
    return read, added


def _publish(
    folder: MineFolder,
    dataset: Dataset,
    partial: Path,
    number: int,
    rows: int,
    key: bytes,
    index: RowIndex,
) -> Dataset:
    place = partial.parent
    file = f"part-{number:04d}.arrow.age"
    part = DatasetPart(
        file=file,
        rows=rows,
        bytes=partial.stat().st_size,
        sha256=part_digest(partial),
        imported=now_text(),
    )
    dataset = dataset.model_copy(update={"parts": (*dataset.parts, part)})
    partial.replace(place / file)
    _save_index(folder, place / _INDEX, key, index)
    about = dataset.model_dump(mode="json", by_alias=True, exclude_none=True)
    # The description makes the part count: until here a crash leaves the dataset as it was.
    write_private(place / _ABOUT, json.dumps(about, indent=2, ensure_ascii=False).encode())
    return dataset


def _load_index(place: Path, identity: str, dataset: Dataset) -> tuple[bytes, RowIndex | None]:
    from openmined.adapters import RowIndex

    if not dataset.parts:
        return os.urandom(_KEY_BYTES), None
    try:
        with decrypting(place / _INDEX, identity) as stream:
            key = stream.read(_KEY_BYTES)
            return key, RowIndex.read(stream, key, dataset.identity)
    except FileNotFoundError:
        raise DatasetDamaged(f"{place / _INDEX} is missing: restore it from a backup") from None


def _save_index(folder: MineFolder, path: Path, key: bytes, index: RowIndex) -> None:
    import pyarrow as pa

    # Ten million rows make two hundred megabytes of hashes: they are streamed too.
    pa.default_memory_pool().release_unused()
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with encrypting(partial, folder.recipient) as stream:
        stream.write(key)
        index.write(stream)
    partial.chmod(0o600)
    partial.replace(path)


@contextmanager
def _import_lock(folder: MineFolder, name: str) -> Iterator[None]:
    import sqlite3

    lock = folder.path / "import.sqlite"
    lock.touch(mode=0o600)
    db = sqlite3.connect(lock, timeout=0, isolation_level=None)
    try:
        db.execute("BEGIN EXCLUSIVE")
        yield
    except sqlite3.OperationalError as error:
        raise ImportRefused(
            f"another import into this mine is under way: wait for it before {name!r}"
        ) from error
    finally:
        db.close()


def part_digest(path: Path) -> str:
    """Return the sha2-256 of an encrypted part."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(folder: MineFolder, name: str) -> Path:
    if not _NAME.match(name):
        raise UnknownDataset(f"{name[:80]!r} is no name of a dataset")
    return folder.datasets / name
