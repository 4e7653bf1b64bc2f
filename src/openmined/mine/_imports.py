"""From what the owner points at to a dataset: columnar files directly, others by adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from openmined.mine._datasets import Imported, import_batches
from openmined.mine._errors import ImportRefused
from openmined.mine._folder import MineFolder
from openmined.protocol import Frozen, TableSchema

if TYPE_CHECKING:
    from openmined.adapters import Export, RowError

_SHOWN_PROBLEMS = 20
_MAX_SCHEMA_BYTES = 1 << 20


class ImportReport(Frozen):
    """What an import did, and what it could not read."""

    imported: Imported
    adapter: str
    problems: int
    first_problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import, and how to read it."""

    source: Path
    dataset: str
    adapter: str | None = None
    mapping: Path | None = None
    mapping_value: Mapping[str, Any] | None = None
    """A mapping as its file would hold it, instead of `mapping`."""
    schema: TableSchema | None = None
    identity: tuple[str, ...] = ()
    strict: bool = False
    """Refuse the whole import when a record cannot be read."""


@dataclass(slots=True)
class _Problems:
    count: int = 0
    first: list[str] = field(default_factory=list)
    stopped: str = ""

    def note(self, error: RowError) -> None:
        self.count += 1
        if len(self.first) < _SHOWN_PROBLEMS:
            self.first.append(str(error))
        if error.stops:
            self.stopped = str(error)


def read_schema(path: Path) -> TableSchema:
    """Read a table schema (JSON).

    Raises:
        ImportRefused: if the file is none.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImportRefused(f"{path} cannot be read: {error.strerror}") from error
    try:
        if len(data) > _MAX_SCHEMA_BYTES:
            raise ImportRefused(f"{path} has {len(data)} bytes, too many for a table schema")
        return TableSchema.model_validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "document"
        raise ImportRefused(f"{path} is no table schema: {place}: {problem['msg']}") from error


def import_source(
    folder: MineFolder,
    identity: str,
    request: ImportRequest,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import a source into a dataset.

    Raises:
        ImportRefused: if rows do not fit, or the source stops in the middle.
        AdapterError: if no adapter reads it.
    """
    from openmined.mine._tables import TABLE_SUFFIXES, read_batches

    columnar = request.source.suffix.lower() in TABLE_SUFFIXES
    if request.schema is not None and columnar and request.adapter is None:
        done = import_batches(
            folder,
            identity,
            request.dataset,
            request.schema,
            read_batches(request.source, request.schema),
            fields=request.identity,
            progress=progress,
        )
        return ImportReport(imported=done, adapter="table", problems=0)
    with open_request(request) as export:
        problems = _Problems()
        done = import_batches(
            folder,
            identity,
            request.dataset,
            export.schema,
            _watched(export, problems, strict=request.strict),
            fields=request.identity or export.identity,
            progress=progress,
        )
        return ImportReport(
            imported=done,
            adapter=export.adapter.name,
            problems=problems.count,
            first_problems=tuple(problems.first),
        )


def open_request(request: ImportRequest) -> Export:
    """Open the source with the adapter and mapping that were asked for."""
    from openmined.adapters import TableMapping, open_export, parse_mapping, read_mapping

    mapping = None if request.mapping is None else read_mapping(request.mapping)
    if request.mapping_value is not None:
        mapping = parse_mapping(dict(request.mapping_value), "the mapping")
    if request.schema is not None and mapping is None:
        mapping = TableMapping.model_validate({"schema": request.schema.model_dump()})
    return open_export(request.source, adapter=request.adapter, mapping=mapping)


def _watched(export: Export, problems: _Problems, *, strict: bool) -> Iterator[Any]:
    for batch in export.batches(problems.note):
        yield batch
        if strict and problems.count:
            break
    if problems.stopped:
        raise ImportRefused(f"the source could not be read to its end: {problems.stopped}")
    if strict and problems.count:
        raise ImportRefused(f"a record does not fit: {problems.first[0]}")
