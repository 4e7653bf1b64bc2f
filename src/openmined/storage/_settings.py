"""What the embedded node permits. Apart from the node, so that naming it loads no web framework."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

from openmined.storage._errors import FolderError

_MIN_TOKEN_LENGTH = 16


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What the node permits.

    `allowed_hosts`: names, besides localhost and plain addresses, under which the RPC may be
    called. `allowed_origins`: web pages that may write, like "http://127.0.0.1:5173".
    `stalled_upload_s`: how long an upload may send nothing. `write_token`: if set, writers must
    show it as a bearer token. Reading is open to all: blocks are public.
    """

    allowed_hosts: frozenset[str] = frozenset()
    allowed_origins: frozenset[str] = frozenset()
    max_upload_bytes: int = 4 << 30
    stalled_upload_s: float = 30.0
    write_token: str | None = field(default=None, repr=False)


def read_token(file: Path) -> str:
    """Read a write token from a file that only its owner can read.

    Raises:
        FolderError: if others can read the file, or it holds no token of 16 characters or more.
    """
    try:
        mode = file.stat().st_mode
        token = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FolderError(
            f"cannot read the write token in {file}: {type(error).__name__}"
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise FolderError(f"{file} can be read by others: chmod 600 {file}")
    if len(token) < _MIN_TOKEN_LENGTH or not token.isprintable() or " " in token:
        raise FolderError(f"{file} must hold one word of {_MIN_TOKEN_LENGTH} characters or more")
    return token
