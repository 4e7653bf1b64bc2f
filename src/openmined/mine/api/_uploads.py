"""Uploads are plaintext: they are held in memory (tmpfs) and never on a disk."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from openmined.mine._errors import ImportRefused

_MEMORY = Path("/dev/shm")  # noqa: S108  (the very point: a folder that is memory)
_KEPT_S = 3600.0
_MAX_UPLOADS = 4


@dataclass(slots=True)
class _Held:
    path: Path
    size: int
    at: float


class Uploads:
    """Files that a browser sent, by a number that cannot be guessed.

    Args:
        most_bytes: the largest file.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: dict[str, _Held] = {}
        self._folder: Path | None = None

    async def take(self, name: str, pieces: AsyncIterator[bytes]) -> tuple[str, str, int]:
        """Hold a file; return its number, the name it is known by, and its size.

        Raises:
            ImportRefused: if it is too large, or this machine has no memory folder.
        """
        self._forget_old()
        if len(self._held) >= _MAX_UPLOADS:
            raise ImportRefused(f"{_MAX_UPLOADS} uploads wait already: import or delete them first")
        number, name = secrets.token_hex(16), plain_name(name)
        place = self._root() / number
        place.mkdir(mode=0o700)
        size = 0
        try:
            with (place / name).open("xb") as file:
                async for piece in pieces:
                    size += len(piece)
                    if size > self._most_bytes:
                        raise ImportRefused(
                            f"an upload of more than {self._most_bytes} bytes is refused: "
                            "put the file on the mine's machine and give its path"
                        )
                    file.write(piece)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        self._held[number] = _Held(place / name, size, time.monotonic())
        return number, name, size

    def path(self, number: str) -> Path:
        """Return where an upload is.

        Raises:
            ImportRefused: if there is none of that number (any more).
        """
        self._forget_old()
        if number not in self._held:
            raise ImportRefused("there is no such upload any more: send the file again")
        return self._held[number].path

    def forget(self, number: str) -> None:
        """Delete an upload."""
        held = self._held.pop(number, None)
        if held is not None:
            shutil.rmtree(held.path.parent, ignore_errors=True)

    def close(self) -> None:
        """Delete them all."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        self._held.clear()

    def _forget_old(self) -> None:
        old = time.monotonic() - _KEPT_S
        for number in [key for key, held in self._held.items() if held.at < old]:
            self.forget(number)

    def _root(self) -> Path:
        if self._folder is None:
            if not _MEMORY.is_dir():
                raise ImportRefused(
                    "this machine has no memory folder (/dev/shm), and uploads are never written "
                    "to a disk: put the file on the mine's machine and give its path"
                )
            self._folder = Path(tempfile.mkdtemp(prefix="openmined-mine-", dir=_MEMORY))
        return self._folder


def plain_name(name: str) -> str:
    """Return a file name without folders or anything strange; adapters go by its ending."""
    base = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[^\w.\- ]", "_", base, flags=re.ASCII).strip(". ")[-100:] or "upload"
