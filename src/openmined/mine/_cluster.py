"""Sums over rows on a Ray cluster, in a process of its own: `[training] executor` of mine.toml.

    python -m openmined.mine._cluster

Ray does not start below the limits of the training process, and the mine itself sees no row. So a
fresh process reads the encrypted rows, hands them in chunks to the cluster, and keeps the sums
encrypted in the mine's cache. The training process finds them there: keys and ciphertexts of
strangers are opened by it alone, within its limits. Messages are those of `_door`; the identity
comes in by the pipe, and never goes to the cluster.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer
from typing import TYPE_CHECKING, Any

from openmined.mine._door import end_with_the_mine, read_message, write_message
from openmined.mine._errors import (
    ClusterAway,
    DatasetDamaged,
    DiskFull,
    MineError,
    TrainingFailed,
)
from openmined.protocol import OpenMinedError

if TYPE_CHECKING:
    from openmined.mine._training import Progress, TrainingJob

_ERRORS: dict[str, type[MineError]] = {
    kind.__name__: kind for kind in (ClusterAway, DatasetDamaged, DiskFull, TrainingFailed)
}


def sum_on_cluster(job: TrainingJob, seconds: float, progress: Progress) -> None:
    """Have the cluster sum a job's rows, and the sums kept where the training process looks.

    Raises:
        ClusterAway: if Ray is not installed, or the cluster does not answer: it may pass.
        DatasetDamaged: if rows cannot be read.
        DiskFull: if the sums cannot be kept.
        TrainingFailed: if the rows cannot be used, a worker failed, or the time is over.
    """
    late = Event()
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "openmined.mine._cluster"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the mine to answer
    ) as process:

        def end() -> None:
            late.set()
            _end_group(process.pid)

        timer = Timer(seconds, end)
        timer.start()
        try:
            progress("statistics", 0, sum(dataset.rows for dataset in job.datasets))
            _follow(process, _request(job), progress)
        except TrainingFailed:
            if late.is_set():
                raise TrainingFailed(
                    f"training did not finish: the cluster did not sum the rows in {seconds:g} s"
                ) from None
            raise
        finally:
            timer.cancel()
            timer.join()
            _end_group(process.pid)


def _end_group(leader: int) -> None:
    """End a process, not waited for yet, and what Ray started of it; workers end with those."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _follow(process: subprocess.Popen[bytes], request: dict[str, Any], progress: Progress) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        write_message(process.stdin.fileno(), request)
    while (message := read_message(process.stdout)) is not None:
        if "progress" in message:
            progress(*message["progress"])
        elif "error" in message:
            raise _ERRORS.get(message["error"], TrainingFailed)(message["text"])
        else:
            return
    raise TrainingFailed("training did not finish: the process that uses the cluster ended")


def _request(job: TrainingJob) -> dict[str, Any]:
    from openmined.protocol import encode_manifest

    return {
        "parent": os.getpid(),
        "folder": str(job.folder.path),
        "identity": job.identity,
        "campaign": encode_manifest(job.campaign),
        "spec": job.spec_digest,
        "datasets": [item.model_dump_json(by_alias=True) for item in job.datasets],
        "executor": job.executor,
    }


def main() -> None:
    """Serve the one request on the input."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    end_with_the_mine()
    for number in (signal.SIGINT, signal.SIGTERM):  # a door ignores them; Ray needs them
        signal.signal(number, signal.SIG_DFL)
    # What a library prints must not get among the messages.
    out = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    request = read_message(sys.stdin.buffer)
    # Killed while this process started, the mine wants nothing any more.
    if request is not None and request["parent"] == os.getppid():
        answer = _answer(request, lambda *said: write_message(out, {"progress": list(said)}))
        write_message(out, answer)


def _answer(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    from openmined.syft import LimitError

    try:
        _sum_rows(request, progress)
    except LimitError as error:
        return {"error": TrainingFailed.__name__, "text": f"training did not finish: {error}"}
    except OpenMinedError as error:
        return {"error": type(error).__name__, "text": str(error)}
    except Exception as error:  # noqa: BLE001 - its text could quote rows
        kind = type(error).__name__
        return {"error": TrainingFailed.__name__, "text": f"summing on the cluster failed ({kind})"}
    return {"answer": {}}


def _sum_rows(request: dict[str, Any], progress: Progress) -> None:
    from openmined.mine._datasets import Dataset
    from openmined.mine._folder import MineFolder
    from openmined.mine._training import RowsJob, sum_rows_elsewhere
    from openmined.protocol import CampaignManifest, decode_manifest

    job = RowsJob(
        folder=MineFolder(Path(request["folder"])),
        identity=request["identity"],
        campaign=decode_manifest(request["campaign"], CampaignManifest),
        spec_digest=request["spec"],
        datasets=tuple(Dataset.model_validate_json(item) for item in request["datasets"]),
        executor=request["executor"],
    )
    sum_rows_elsewhere(job, lambda done, of: progress("statistics", done, of))


if __name__ == "__main__":
    main()
