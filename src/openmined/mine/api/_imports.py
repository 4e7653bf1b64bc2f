"""Previews and imports for the API: previews answer at once, imports run beside."""

from __future__ import annotations

import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openmined.mine._errors import ImportRefused
from openmined.mine._folder import MineFolder
from openmined.mine._imports import ImportRequest, import_source, open_request
from openmined.mine._progress import ProgressLog
from openmined.mine.api._models import ImportBody, ImportOrder, ImportState, Preview
from openmined.mine.api._uploads import Uploads
from openmined.protocol import OpenMinedError

if TYPE_CHECKING:
    from openmined.adapters import Export

PREVIEW_ROWS = 20
_PREVIEW_PROBLEMS = 20
_KEPT = 32


class Imports:
    """The imports of this process, one after the other."""

    def __init__(
        self, folder: MineFolder, identity: str, uploads: Uploads, log: ProgressLog
    ) -> None:
        self._folder, self._identity, self._uploads, self._log = folder, identity, uploads, log
        self._states: OrderedDict[str, ImportState] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def preview(self, body: ImportBody) -> Preview:
        """Read the first rows of a source."""
        with self._request(body, "preview") as request, open_request(request) as export:
            return _preview(export)

    def start(self, order: ImportOrder) -> ImportState:
        """Begin an import and return at once."""
        state = ImportState(id=secrets.token_hex(8), dataset=order.dataset, state="running")
        self._keep(state)
        thread = threading.Thread(
            target=self._run, args=(order, state), name="mine-import", daemon=True
        )
        thread.start()
        return state

    def state(self, number: str) -> ImportState | None:
        """Return how an import stands."""
        with self._lock:
            return self._states.get(number)

    def states(self) -> list[ImportState]:
        """Return the imports of this run, the newest first."""
        with self._lock:
            return list(reversed(self._states.values()))

    def _run(self, order: ImportOrder, state: ImportState) -> None:
        def progress(rows: int) -> None:
            self._keep(state.model_copy(update={"rows_read": rows}))

        try:
            with self._turn, self._request(order, order.dataset) as request:
                request = replace(request, identity=order.identity, strict=order.strict)
                report = import_source(self._folder, self._identity, request, progress)
        except OpenMinedError as error:
            self._end(state.model_copy(update={"state": "failed", "message": str(error)[:2000]}))
            return
        except Exception as error:  # noqa: BLE001 - a thread's failure must reach its watcher
            text = f"the import failed: {type(error).__name__}"
            self._end(state.model_copy(update={"state": "failed", "message": text}))
            return
        if order.upload is not None:
            self._uploads.forget(order.upload)
        done = report.imported
        self._end(
            ImportState(
                id=state.id,
                dataset=order.dataset,
                state="done",
                rows_read=done.rows_read,
                rows_added=done.rows_added,
                rows_known=done.rows_known,
                total=done.total,
                problems=report.problems,
                first_problems=report.first_problems,
            )
        )

    def _end(self, state: ImportState) -> None:
        self._keep(state)
        facts = {"dataset": state.dataset, "state": state.state, "rows_added": state.rows_added}
        self._log.say("imported", **facts, total=state.total)

    def _keep(self, state: ImportState) -> None:
        with self._lock:
            self._states[state.id] = state
            while len(self._states) > _KEPT:
                self._states.popitem(last=False)

    @contextmanager
    def _request(self, body: ImportBody, dataset: str) -> Iterator[ImportRequest]:
        if (body.upload is None) == (body.path is None):
            raise ImportRefused("give either an upload or a path on the mine's machine")
        source = Path(body.path) if body.path else self._uploads.path(body.upload or "")
        yield ImportRequest(
            source=source,
            dataset=dataset,
            adapter=body.adapter,
            mapping_value=body.mapping,
            schema=body.table_schema,
        )


def _preview(export: Export) -> Preview:
    from openmined.adapters import RowError, shown

    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for item in export.rows():
        if isinstance(item, RowError):
            problems.append(shown(str(item), 400))
        else:
            rows.append({name: _plain(value) for name, value in item.values.items()})
        if len(rows) >= PREVIEW_ROWS or len(problems) >= _PREVIEW_PROBLEMS:
            break
    return Preview(
        adapter=export.adapter.name,
        title=export.adapter.title,
        table_schema=export.schema,
        rows=tuple(rows),
        problems=tuple(problems),
        refused=tuple(f"{shown(entry.name)}: {entry.reason}" for entry in export.refused),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return value[:500]
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [json.loads(json.dumps(item)) for item in value[:64]]
    return value
