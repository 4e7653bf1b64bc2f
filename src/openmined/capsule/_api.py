"""The read-only HTTP interface. It runs in a process of its own, which holds no secret at all.

It serves what is public anyway: the certificate, the keys of campaigns, health and numbers. No
request can make Capsule decrypt, sign or send anything: that process is another one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Response
from fastapi import Path as Parameter
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from openmined import __version__
from openmined.capsule._errors import StateError
from openmined.capsule._folder import CERTIFICATE_FILE
from openmined.capsule._pgp import wkd_hash
from openmined.capsule._settings import CapsuleSettings, load_settings
from openmined.capsule._state import CampaignRow, State, open_read_only

READY_WITHIN_S = 60.0
"""A Capsule whose loop was not heard of for so long is not ready."""

CampaignId = Annotated[int, Parameter(ge=1, le=2**53)]


class CampaignView(BaseModel):
    """What Capsule says of a campaign."""

    campaign: int
    phase: str
    title: str | None = None
    version: int | None = None
    epoch: int | None = None
    batches: int | None = None


class KeysView(BaseModel):
    """Where a campaign's public keys are: digests of keys manifests by epoch, hexadecimal."""

    campaign: int
    epoch: int
    keys: dict[str, str]


class HealthView(BaseModel):
    """Whether this interface runs."""

    status: str = "ok"
    software: str = f"openmined {__version__}"


def build_api(folder: Path) -> FastAPI:
    """Build the interface over a Capsule's folder."""
    settings = load_settings(folder)
    api = FastAPI(
        title="Capsule",
        version=__version__,
        summary="Read-only: the certificate, campaign keys, health and metrics of a Capsule.",
        docs_url=None,
        redoc_url=None,
    )
    # All of it is public and nothing can be changed: web pages may read it, Sonar UI does.
    api.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET"])

    @api.get("/certificate", response_class=PlainTextResponse, tags=["identity"])
    def certificate() -> Response:
        """Return the OpenPGP certificate in ASCII armour, and revoked ones after it."""
        text = (folder / CERTIFICATE_FILE).read_text()
        return PlainTextResponse(text, media_type="application/pgp-keys")

    @api.get("/.well-known/openpgpkey/policy", tags=["identity"])
    def policy() -> Response:
        """Return the (empty) policy of the Web Key Directory."""
        return PlainTextResponse("")

    @api.get("/.well-known/openpgpkey/hu/{name}", tags=["identity"])
    def web_key(name: Annotated[str, Parameter(pattern=r"^[a-z0-9]{32}$")]) -> Response:
        """Return the binary certificate of a mail address's hash (Web Key Directory, direct)."""
        from pysequoia import Cert

        if name != wkd_hash(settings.mail.split("@")[0]):
            raise HTTPException(404, "no certificate of that name")
        certificates = Cert.split_bytes((folder / CERTIFICATE_FILE).read_bytes())
        return Response(bytes(certificates[0]), media_type="application/octet-stream")

    @api.get("/campaigns", tags=["campaigns"])
    def campaigns() -> list[CampaignView]:
        """List the campaigns this Capsule has worked on."""
        with _reading(folder) as db:
            return [_view(row) for row in db.campaigns()]

    @api.get("/campaigns/{campaign}/keys", tags=["campaigns"])
    def keys(campaign: CampaignId) -> KeysView:
        """Return the digests of a campaign's keys manifests."""
        with _reading(folder) as db:
            row = db.campaign(campaign)
        if row is None or not row.facts.get("keys"):
            raise HTTPException(404, f"no keys for campaign {campaign}")
        return KeysView(campaign=campaign, epoch=row.facts["epoch"], keys=row.facts["keys"])

    @api.get("/health", tags=["operation"])
    def health() -> HealthView:
        """Say that this interface runs; see `ready` for whether Capsule works."""
        return HealthView()

    @api.get("/ready", tags=["operation"], responses={503: {"description": "sealed, or stuck"}})
    def ready() -> Response:
        """Say whether Capsule is unsealed and its loop turns."""
        with _reading(folder) as db:
            status = readiness(db)
        return JSONResponse({"status": status}, status_code=200 if status == "ready" else 503)

    @api.get("/metrics", response_class=PlainTextResponse, tags=["operation"])
    def metrics() -> Response:
        """Return Prometheus metrics (text format 0.0.4)."""
        with _reading(folder) as db:
            text = render_metrics(db, settings)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    return api


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[State]:
    """Open the state file for one request; a file that cannot be read is answered with 503."""
    try:
        state = open_read_only(folder)
    except StateError as error:
        raise HTTPException(503, "the state file cannot be read") from error
    try:
        yield state
    except StateError as error:
        raise HTTPException(503, "the state file cannot be read") from error
    finally:
        state.close()


def readiness(state: State) -> str:
    """Return `ready`, `sealed` or `stalled`."""
    turned = state.meta("turned_at")
    if state.meta("seal") != "open" or turned is None:
        return "sealed"
    return "ready" if time.time() - float(turned) < READY_WITHIN_S else "stalled"


def _view(row: CampaignRow) -> CampaignView:
    facts = row.facts
    known = {key: facts.get(key) for key in ("title", "version", "epoch", "batches")}
    return CampaignView(campaign=row.id, phase=row.phase, **known)


def render_metrics(state: State, settings: CapsuleSettings) -> str:
    """Write the numbers as Prometheus text; all of them are public on chain."""
    rows = state.campaigns()
    lines = [
        "# HELP capsule_info Software and network.",
        "# TYPE capsule_info gauge",
        f'capsule_info{{version="{__version__}",network="{_label(settings.network.name)}"}} 1',
        "# HELP capsule_ready Whether Capsule is unsealed and its loop turns.",
        "# TYPE capsule_ready gauge",
        f"capsule_ready {int(readiness(state) == 'ready')}",
        "# HELP capsule_last_turn_seconds Unix time of the loop's last turn.",
        "# TYPE capsule_last_turn_seconds gauge",
        f"capsule_last_turn_seconds {float(state.meta('turned_at') or 0):.3f}",
        "# HELP capsule_campaigns Campaigns by phase.",
        "# TYPE capsule_campaigns gauge",
    ]
    for phase in ("opening", "open", "ended", "foreign"):
        count = sum(row.phase == phase for row in rows)
        lines.append(f'capsule_campaigns{{phase="{phase}"}} {count}')
    lines += _per_campaign(state, rows)
    return "\n".join(lines) + "\n"


def _per_campaign(state: State, rows: list[CampaignRow]) -> list[str]:
    lines: list[str] = []
    series: dict[str, tuple[str, str, Any]] = {
        "capsule_pending_gradients": (
            "gauge",
            "Gradients waiting to be scored.",
            lambda row: len(state.pending(row.id)),
        ),
        "capsule_batches_total": (
            "counter",
            "Batches scored.",
            lambda row: row.facts.get("batches", 0),
        ),
        "capsule_decryptions_total": (
            "counter",
            "Updates decrypted.",
            lambda row: sum(row.facts.get("decryptions", {}).values()),
        ),
        "capsule_model_version": (
            "gauge",
            "Version of the encrypted model.",
            lambda row: row.facts.get("version", 0),
        ),
    }
    for name, (kind, text, value) in series.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f'{name}{{campaign="{row.id}"}} {value(row)}' for row in rows]
    return lines


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
