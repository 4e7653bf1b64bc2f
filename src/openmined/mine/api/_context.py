"""What every route needs, kept on the application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Cookie, Depends, Request

from openmined.mine._campaigns import CampaignView, fold_events
from openmined.mine._errors import MineError
from openmined.mine._folder import MineFolder
from openmined.mine._ledger import Ledger
from openmined.mine.api._imports import Imports
from openmined.mine.api._sessions import COOKIE, Sessions
from openmined.mine.api._uploads import Uploads


class NotLoggedIn(MineError):
    """The request has no open session."""


class NotThere(MineError):
    """There is nothing of that name or number."""


@dataclass(frozen=True, slots=True)
class Context:
    """The mine behind the API."""

    folder: MineFolder
    address: str
    sessions: Sessions
    uploads: Uploads
    imports: Imports

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger for one request: connections are not shared between threads."""
        ledger = self.folder.ledger()
        try:
            yield ledger
        finally:
            ledger.close()

    def views(self, ledger: Ledger) -> dict[int, CampaignView]:
        """Return the campaigns as the ledger tells them."""
        return fold_events(ledger.events(), self.address)


def context_of(request: Request) -> Context:
    """Return the mine behind the application."""
    return cast("Context", request.app.state.context)


def require_session(
    request: Request, token: Annotated[str | None, Cookie(alias=COOKIE)] = None
) -> Context:
    """Let only the owner pass.

    Raises:
        NotLoggedIn: without an open session.
    """
    context = context_of(request)
    if not context.sessions.is_open(token):
        raise NotLoggedIn("log in first, with the mine's passphrase")
    return context


Mine = Annotated[Context, Depends(context_of)]
Owner = Annotated[Context, Depends(require_session)]
