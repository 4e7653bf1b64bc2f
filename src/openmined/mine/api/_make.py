"""Wire the API's parts to a folder."""

from __future__ import annotations

from pathlib import Path

from openmined.mine._age import unwrap_with_passphrase
from openmined.mine._errors import FolderError
from openmined.mine._folder import MineFolder
from openmined.mine._progress import ProgressLog
from openmined.mine._settings import ApiSettings
from openmined.mine.api._app import UPLOAD_BYTES
from openmined.mine.api._context import Context
from openmined.mine.api._imports import Imports
from openmined.mine.api._sessions import Sessions
from openmined.mine.api._uploads import Uploads


def make_context(
    folder: MineFolder, identity: str, address: str, log: ProgressLog, settings: ApiSettings
) -> Context:
    """Build what the routes need.

    Args:
        folder: the mine's.
        identity: opens the index of known rows, for imports.
        address: of the mine's wallet.
        log: where imports are told.
        settings: of the API.
    """
    uploads = Uploads(UPLOAD_BYTES)
    return Context(
        folder=folder,
        address=address,
        sessions=Sessions(_checker(folder.path / "identity.age"), settings.session_s),
        uploads=uploads,
        imports=Imports(folder, identity, uploads, log),
    )


class _checker:  # noqa: N801  (a function with a name in tracebacks; holds no secret)
    def __init__(self, wrapped: Path) -> None:
        self._wrapped = wrapped

    def __call__(self, passphrase: str) -> None:
        try:
            data = self._wrapped.read_bytes()
        except OSError as error:
            raise FolderError("identity.age cannot be read: restore it from a backup") from error
        unwrap_with_passphrase(data, passphrase)
