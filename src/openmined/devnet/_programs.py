"""Find the EVM node the devnet runs: anvil, from npm's `@foundry-rs/anvil`."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from openmined.devnet._errors import MissingProgram

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def find_anvil(start: Path | None = None) -> Path:
    """Return anvil's path: from the nearest node_modules above `start`, or from PATH.

    Raises:
        MissingProgram: if it is in neither.
    """
    here = (start or Path.cwd()).resolve()
    package = Path(__file__).resolve().parent
    relative = _platform_binary()
    for folder in (here, *here.parents, *package.parents):
        candidate = folder / "node_modules" / relative
        if candidate.is_file():
            return candidate
    found = shutil.which("anvil")
    if found:
        return Path(found)
    raise MissingProgram(
        "the devnet needs anvil, an EVM node, and found it neither in node_modules nor on PATH: "
        "run `npm install @foundry-rs/anvil` in this folder (or `make demo` in the repository)"
    )


def _platform_binary() -> Path:
    system = platform.system().lower()
    architecture = _ARCHITECTURES.get(platform.machine().lower(), platform.machine())
    suffix = ".exe" if system == "windows" else ""
    name = "win32" if system == "windows" else system
    return Path("@foundry-rs") / f"anvil-{name}-{architecture}" / "bin" / f"anvil{suffix}"
