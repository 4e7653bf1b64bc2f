"""Run a mine that is killed at a named moment: arguments FOLDER MOMENT.

A moment is a `Step`, or an effect whose record is still missing: `stored`, `sent`, `broadcast`; or
`training`: then its training process, which writes down who it is, would never end by itself.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.unit.mine.mine_world import PASSPHRASE

from openmined.mine import MineFolder, run_mine
from openmined.mine import _training as training
from openmined.mine import _work as work
from openmined.sonar import SonarContract
from openmined.sonar._send import Sender


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(owner: Any, name: str) -> None:
    real = getattr(owner, name)

    def killed(*args: Any, **options: Any) -> Any:
        real(*args, **options)
        die()

    setattr(owner, name, killed)


def outlive_the_mine(folder: Path) -> Any:
    def train(*_: Any) -> None:
        (folder / "training.pid").write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGKILL)
        while True:
            signal.pause()

    return train


def main(folder: str, moment: str) -> None:
    if moment == "stored":
        die_after(work.Worker, "_upload_bytes")
    elif moment == "sent":
        die_after(SonarContract, "submit_gradient")
    elif moment == "broadcast":
        die_after(Sender, "_submit")
    elif moment == "training":
        training._train_to_bytes = outlive_the_mine(Path(folder))
    mine = MineFolder(Path(folder))
    secrets = mine.unlock(PASSPHRASE)
    run_mine(mine, secrets, at_step=lambda step: die() if step.value == moment else None)


if __name__ == "__main__":
    main(*sys.argv[1:])
