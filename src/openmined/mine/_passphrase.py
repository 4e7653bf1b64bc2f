"""The owner's passphrase: typed, or read from a file that only the owner can read."""

from __future__ import annotations

import stat
from pathlib import Path

from openmined.mine._errors import SettingsError

_MAX_BYTES = 4096


def read_passphrase(file: Path | None, *, confirm: bool = False) -> str:
    """Ask for the passphrase, or read it from a file of mode 0600; one final newline is dropped.

    Raises:
        SettingsError: if the file cannot be read, or others can read it too.
    """
    if file is None:
        import typer

        return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm))
    try:
        mode = file.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(
                f"{file} is readable by others (mode {stat.S_IMODE(mode):04o}): "
                f"run `chmod 600 {file}` first"
            )
        data = file.read_bytes()[: _MAX_BYTES + 1]
        if len(data) > _MAX_BYTES:
            raise SettingsError(f"{file} is too long for a passphrase")
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the passphrase file {file} cannot be read: {error}") from error
    return text.removesuffix("\n").removesuffix("\r")
