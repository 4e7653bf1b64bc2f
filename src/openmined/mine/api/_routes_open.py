"""Routes that need no session: health, metrics, logging in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Cookie, Response
from fastapi.responses import PlainTextResponse

from openmined.mine._folder import is_running
from openmined.mine.api._context import Mine
from openmined.mine.api._models import Health, LogIn, Session
from openmined.mine.api._sessions import COOKIE

router = APIRouter()
Token = Annotated[str | None, Cookie(alias=COOKIE, include_in_schema=False)]


@router.get("/api/v1/health", tags=["mine"])
def read_health(mine: Mine) -> Health:
    """Say whether the mine works."""
    return Health(status="ok" if is_running(mine.folder.path) else "stopped")


@router.post("/api/v1/session", tags=["session"], status_code=200)
def log_in(body: LogIn, mine: Mine, response: Response) -> Session:
    """Open a session with the passphrase; it lives in a cookie that no script can read."""
    token = mine.sessions.log_in(body.passphrase)
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", path="/")
    return Session(logged_in=True)


@router.get("/api/v1/session", tags=["session"])
def read_session(mine: Mine, token: Token = None) -> Session:
    """Say whether the session of the request is open."""
    return Session(logged_in=mine.sessions.is_open(token))


@router.delete("/api/v1/session", tags=["session"])
def log_out(mine: Mine, response: Response, token: Token = None) -> Session:
    """Close the session; its cookie is worth nothing from now on."""
    mine.sessions.log_out(token)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
    return Session(logged_in=False)


@router.get("/metrics", tags=["mine"], response_class=PlainTextResponse)
def read_metrics(mine: Mine) -> PlainTextResponse:
    """Return counts for Prometheus: no name, no amount, nothing of the data."""
    with mine.ledger() as ledger:
        submissions = ledger.submissions()
        verdicts = [record.verdict for record in ledger.decisions(latest=True)]
        campaigns = len(mine.views(ledger))
    lines = [
        "# HELP openmined_mine_running Whether the mine's loop runs.",
        "# TYPE openmined_mine_running gauge",
        f"openmined_mine_running {int(is_running(mine.folder.path))}",
        "# HELP openmined_mine_campaigns Campaigns seen.",
        "# TYPE openmined_mine_campaigns gauge",
        f"openmined_mine_campaigns {campaigns}",
        "# HELP openmined_mine_gradients Gradients by step.",
        "# TYPE openmined_mine_gradients gauge",
        *_by("openmined_mine_gradients", "step", [s.step.value for s in submissions]),
        "# HELP openmined_mine_decisions Standing decisions by verdict.",
        "# TYPE openmined_mine_decisions gauge",
        *_by("openmined_mine_decisions", "verdict", verdicts),
    ]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


def _by(metric: str, label: str, values: list[str]) -> list[str]:
    return [f'{metric}{{{label}="{name}"}} {values.count(name)}' for name in sorted(set(values))]
