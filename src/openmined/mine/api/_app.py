"""The application: routes, errors, the user interface, and the shield around them all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from openmined.mine._errors import (
    DatasetError,
    FolderError,
    SettingsError,
    UnknownDataset,
    WrongPassphrase,
)
from openmined.mine.api import _routes_data, _routes_open, _routes_work
from openmined.mine.api._context import Context, NotLoggedIn, NotThere
from openmined.mine.api._models import ErrorAnswer
from openmined.mine.api._sessions import TooManyAttempts
from openmined.mine.api._shield import MAX_BODY_BYTES, Shield
from openmined.protocol import OpenMinedError

STATIC = Path(__file__).resolve().parents[1] / "_static"
UPLOAD_BYTES = 2 << 30
API_VERSION = "1"

_STATUS: tuple[tuple[type[OpenMinedError], int], ...] = (
    (NotLoggedIn, 401),
    (WrongPassphrase, 401),
    (TooManyAttempts, 429),
    (UnknownDataset, 404),
    (NotThere, 404),
    (DatasetError, 422),
    (SettingsError, 422),
    (FolderError, 507),
    (OpenMinedError, 422),
)
_ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer, "description": text}
    for code, text in (
        (400, "The body is no JSON."),
        (401, "Not logged in, or a wrong passphrase."),
        (403, "Asked under a foreign name, or by a foreign page."),
        (404, "There is nothing of that name."),
        (413, "The body is too large."),
        (422, "What was asked makes no sense; the message says why."),
        (429, "Too many wrong passphrases."),
        (507, "The mine's folder cannot be used."),
    )
}


def create_app(context: Context | None) -> FastAPI:
    """Build the API; without a context only its document can be had."""
    app = FastAPI(
        title="OpenMined mine",
        description="A data owner's own server: data, permissions, decisions, progress, earnings.",
        version=API_VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        responses=_ERRORS,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.context = context
    for router in (_routes_open.router, _routes_data.router, _routes_work.router):
        app.include_router(router)
    app.add_exception_handler(OpenMinedError, _foreseen)
    app.add_exception_handler(RequestValidationError, _senseless)
    app.add_exception_handler(HTTPException, _plain)
    _serve_interface(app)
    return app


def protected(app: FastAPI, names: tuple[str, ...]) -> ASGIApp:
    """Put the shield around the API."""
    # A little more than an upload may have, so that the route itself says that it is too large.
    return Shield(app, names=names, upload_bytes=UPLOAD_BYTES + MAX_BODY_BYTES)


def openapi_document() -> dict[str, Any]:
    """Return the API's OpenAPI document: the same for every mine, whatever it is written in."""
    return create_app(None).openapi()


async def _foreseen(_request: Request, error: Exception) -> JSONResponse:
    status = next(code for kind, code in _STATUS if isinstance(error, kind))
    answer = _answer(status, _code(type(error).__name__), str(error))
    if isinstance(error, TooManyAttempts):
        answer.headers["retry-after"] = str(int(error.retry_s) + 1)
    return answer


async def _senseless(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    # Only the place and the rule: what was sent may be a passphrase.
    place = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    return _answer(422, "senseless", f"{place}: {first['msg']}")


async def _plain(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {400: "senseless", 404: "not-there", 405: "wrong-method"}.get(error.status_code, "http")
    return _answer(error.status_code, code, str(error.detail))


def _answer(status: int, code: str, message: str) -> JSONResponse:
    body = {"error": {"code": code, "message": message[:4000]}}
    return JSONResponse(body, status_code=status)


def _code(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _serve_interface(app: FastAPI) -> None:
    """Serve the user interface where it was built; its own paths all lead to its one page."""
    index = STATIC / "index.html"

    @app.get("/{path:path}", include_in_schema=False)
    def read_interface(path: str) -> FileResponse:
        wanted = _find_file(path) if path else index
        if wanted is not None and wanted.is_file():
            immutable = path.startswith("assets/")
            cache = "public, max-age=31536000, immutable" if immutable else "no-cache"
            return FileResponse(wanted, headers={"cache-control": cache})
        if path.startswith(("api/", "assets/")) or not index.is_file():
            raise HTTPException(404, "there is nothing here")
        return FileResponse(index, headers={"cache-control": "no-cache"})


def _find_file(path: str) -> Path | None:
    """Return the interface's file of that name; None if a stranger's path is none."""
    try:
        wanted = (STATIC / path).resolve()
        return wanted if wanted.is_relative_to(STATIC) and wanted.is_file() else None
    except (OSError, ValueError):  # too long for a name, or with a zero byte in it
        return None
