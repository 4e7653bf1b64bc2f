"""Reading campaign manifests from the store, for titles, schemas and search.

They are strangers' documents: verified against their digest, parsed by the protocol, kept as text.
One that cannot be found is asked for again, less and less often; the new ones come first, so that
nobody can hold up others by naming what is not there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection, delete, insert, literal, select, update

from openmined.protocol import CampaignManifest, OpenMinedError, ProtocolError, encode_canonical
from openmined.stats import _schema as schema
from openmined.stats._database import Database, database_away_as_error
from openmined.stats._errors import DatabaseAway
from openmined.stats._events import plain_text
from openmined.stats._words import distinct_words
from openmined.storage import Store, get_manifest

_log = logging.getLogger("openmined.stats")

_AT_ONCE = 8
_PATIENT_TRIES = 3
_FIRST_WAIT_S = 5
_LONGEST_WAIT_S = 6 * 3600
_MOST_FIELDS = 256
_MOST_DETAILS = 64 << 10


class ManifestReader:
    """Fetches what campaigns in the index name.

    Args:
        database: where they are kept.
        store: where they are read from.
        clock: unix time.
    """

    def __init__(
        self, database: Database, store: Store, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._noted = -1
        self.outcomes: Counter[str] = Counter()

    def run(self, stop: threading.Event, *, poll_s: float = 1.0) -> None:
        """Read manifests as campaigns come, until `stop` is set; a database away is waited for."""
        with ThreadPoolExecutor(_AT_ONCE, "manifests") as pool:
            while not stop.is_set():
                try:
                    with database_away_as_error():
                        found = self.read_some(pool)
                except DatabaseAway as error:
                    _log.warning("%s", error)
                    found = 0
                if not found:
                    stop.wait(poll_s)

    def read_some(self, pool: ThreadPoolExecutor) -> int:
        """Read the next few that are due; return how many were tried."""
        self._note_wanted()
        with self._database.reading() as connection:
            due = _due(connection, int(self._clock()))
        if not due:
            return 0
        found = list(pool.map(self._fetch, [digest for digest, _ in due]))
        with self._database.writing() as connection:
            for (digest, attempts), outcome in zip(due, found, strict=True):
                self._write(connection, digest, attempts, outcome)
            connection.execute(
                update(schema.cursor).values(side_generation=schema.cursor.c.side_generation + 1)
            )
        return len(due)

    def _note_wanted(self) -> None:
        # The indexer writes too: look first, and only where something has changed.
        with self._database.reading() as connection:
            generation = connection.execute(select(schema.cursor.c.generation)).scalar()
            if generation is None or generation == self._noted:
                return
            wanted = connection.execute(_WANTED.limit(1)).one_or_none()
        if wanted is not None:
            with self._database.writing() as connection:
                columns = ["digest", "state", "attempts", "next_attempt_at"]
                connection.execute(
                    insert(schema.manifests).from_select(columns, _WANTED, include_defaults=False)
                )
        self._noted = generation

    def _fetch(self, digest: str) -> CampaignManifest | OpenMinedError:
        try:
            return get_manifest(self._store, bytes.fromhex(digest[2:]), CampaignManifest)
        except OpenMinedError as error:
            return error

    def _write(
        self,
        connection: Connection,
        digest: str,
        attempts: int,
        found: CampaignManifest | OpenMinedError,
    ) -> None:
        if isinstance(found, CampaignManifest):
            values, words = _columns(found)
        else:
            values, words = self._trouble(found, attempts), []
        self.outcomes[str(values["state"])] += 1
        table = schema.manifests
        connection.execute(
            update(table).where(table.c.digest == digest).values(**values, attempts=attempts + 1)
        )
        if words:
            connection.execute(
                delete(schema.manifest_words).where(schema.manifest_words.c.digest == digest)
            )
            connection.execute(
                insert(schema.manifest_words),
                [{"word": word, "digest": digest} for word in words],
            )

    def _trouble(self, error: OpenMinedError, attempts: int) -> dict[str, Any]:
        problem = plain_text(str(error))[:1000]
        if isinstance(error, ProtocolError):
            return {"state": "refused", "problem": problem}
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(attempts, 20))
        return {
            "state": "missing" if attempts + 1 >= _PATIENT_TRIES else "wanted",
            "problem": problem,
            "next_attempt_at": int(self._clock()) + wait_s,
        }


_WANTED = (
    select(schema.campaigns.c.spec, literal("wanted"), literal(0), literal(0))
    .where(
        ~select(schema.manifests.c.digest)
        .where(schema.manifests.c.digest == schema.campaigns.c.spec)
        .exists()
    )
    .distinct()
)
"""The manifests of campaigns that nobody has asked for yet."""


def _due(connection: Connection, now: int) -> list[tuple[str, int]]:
    m = schema.manifests.c
    found = connection.execute(
        select(m.digest, m.attempts)
        .where(m.state.in_(("wanted", "missing")), m.next_attempt_at <= now)
        .order_by(m.attempts, m.next_attempt_at, m.digest)
        .limit(_AT_ONCE)
    )
    return [(str(digest), int(attempts)) for digest, attempts in found]


# ---------------------------------------------------------------------------------------- contents


def schema_name(manifest: CampaignManifest) -> str:
    """Return the id of a campaign's input schema, or a name made of its columns."""
    if manifest.input.id is not None:
        return manifest.input.id
    fields = [[field.name, field.type] for field in manifest.input.fields]
    return "custom/" + hashlib.sha256(encode_canonical(fields)).hexdigest()[:16]


def _columns(manifest: CampaignManifest) -> tuple[dict[str, Any], list[str]]:
    fields = (*manifest.input.fields, *manifest.output.fields)
    name = schema_name(manifest)
    words = distinct_words(
        manifest.title, manifest.description, name, *(field.name for field in fields)
    )
    values = {
        "state": "read",
        "problem": None,
        "title": plain_text(manifest.title),
        "description": plain_text(manifest.description),
        "metric": manifest.metric,
        "algorithm": manifest.algorithm.kind,
        "update_kind": manifest.update.kind,
        "schema": name,
        "schema_title": plain_text(manifest.input.title or ""),
        "details": _details(manifest),
    }
    return values, words


def _details(manifest: CampaignManifest) -> str:
    # Without what only a mine needs (vectors, certificates), and never more than a page can show.
    whole: dict[str, Any] = {
        "input": _schema(manifest.input.model_dump(mode="json", exclude_none=True)),
        "output": _schema(manifest.output.model_dump(mode="json", exclude_none=True)),
        "features": [step.kind for step in manifest.features],
        "algorithm": manifest.algorithm.model_dump(mode="json"),
        "update": manifest.update.model_dump(mode="json"),
        "privacy": None if manifest.privacy is None else manifest.privacy.model_dump(mode="json"),
        "scoring": manifest.scoring.model_dump(mode="json"),
        "validation_bytes": manifest.validation.size,
        "truncated": False,
    }
    text = json.dumps(whole)
    if len(text) > _MOST_DETAILS:
        for side in ("input", "output"):
            whole[side]["fields"] = [
                {"name": field["name"], "type": field["type"]} for field in whole[side]["fields"]
            ]
            for name in ("title", "description"):
                whole[side].pop(name, None)
        text = json.dumps(whole | {"truncated": True})
    return text


def _schema(plain: dict[str, Any]) -> dict[str, Any]:
    return {**plain, "fields": plain["fields"][:_MOST_FIELDS]}
