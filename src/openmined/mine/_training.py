"""The training process: rows and statistics exist in the clear here, and nowhere else.

It is a fork of the mine with limits on memory, time and files. It reads encrypted rows, computes
statistics (kept encrypted for the campaign's next version), and the update on encrypted weights.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openmined.mine._age import decrypt_bytes, encrypt_bytes
from openmined.mine._datasets import Dataset, read_dataset
from openmined.mine._errors import (
    BadDownload,
    DatasetDamaged,
    MineError,
    TrainingFailed,
    WeakParameters,
)
from openmined.mine._folder import MineFolder, write_private
from openmined.protocol import CampaignManifest, CKKSParameters, OpenMinedError, Packing

if TYPE_CHECKING:
    from openmined.syft import LearningSpec, Statistics

MAX_CACHED_BYTES = 64 << 20
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """All that the training process needs, handed over by fork."""

    folder: MineFolder
    identity: str = field(repr=False)
    campaign: CampaignManifest
    spec_digest: str
    datasets: tuple[Dataset, ...]
    parameters: CKKSParameters
    keys: Mapping[str, bytes] = field(repr=False)
    packing: Packing
    model: tuple[bytes, ...] = field(repr=False)
    cpu_share: float = 1.0


@dataclass(frozen=True, slots=True)
class Trained:
    """What comes back: ciphertexts, and the count of rows."""

    samples: int
    ciphertexts: tuple[bytes, ...] = field(repr=False)


def train_limited(job: TrainingJob, *, memory_mb: int, seconds: int, progress: Progress) -> Trained:
    """Train in a child process of its own.

    Raises:
        BadDownload, WeakParameters: if keys or model are not what they should be.
        DatasetDamaged: if rows cannot be read.
        TrainingFailed: if the child died or ran out of its limits.
    """
    import libipld

    from openmined.syft import LimitError, run_limited

    try:
        answer = run_limited(_train_to_bytes, job, progress, memory_mb=memory_mb, seconds=seconds)
    except LimitError as error:
        raise TrainingFailed(f"training did not finish: {error}") from error
    value = libipld.decode_dag_cbor(answer)
    if "error" in value:
        raise _ERRORS.get(value["error"], TrainingFailed)(value["text"])
    return Trained(value["samples"], tuple(value["ciphertexts"]))


def train(job: TrainingJob, progress: Progress) -> Trained:
    """Compute the update of a job in this process."""
    from openmined.syft import (
        EncryptedModel,
        PublicKeys,
        compute_update,
        spec_from_manifest,
    )

    spec = spec_from_manifest(job.campaign)
    rest = _Rest(job.cpu_share)

    def report(part: str) -> Callable[[int, int], None]:
        def tell(done: int, of: int) -> None:
            progress(part, done, of)
            rest.pause()

        return tell

    statistics = _statistics(job, spec, report("statistics"))
    public = PublicKeys.from_blobs(job.parameters, job.keys)
    model = EncryptedModel.from_blobs(job.packing, job.model, job.parameters)
    gradient = compute_update(
        model, public, statistics, job.campaign.update, spec.l2, report("update")
    )
    return Trained(statistics.n, tuple(gradient.to_blobs()))


def cache_key(job: TrainingJob) -> str:
    """Return the name under which statistics are kept: campaign and exact rows."""
    revisions = "\n".join(sorted(dataset.revision for dataset in job.datasets))
    return hashlib.sha256(f"{job.spec_digest}\n{revisions}".encode()).hexdigest()


def _train_to_bytes(job: TrainingJob, progress: Progress) -> bytes:
    """Run in the child: every foreseen failure goes back by name, not as a dead process."""
    import libipld

    from openmined.syft import CiphertextError, KeyMismatch, ParameterError

    try:
        trained = train(job, progress)
        value: dict[str, Any] = {
            "samples": trained.samples,
            "ciphertexts": list(trained.ciphertexts),
        }
    except (CiphertextError, KeyMismatch) as error:
        value = {"error": BadDownload.__name__, "text": f"its keys or model: {error}"}
    except ParameterError as error:
        value = {"error": WeakParameters.__name__, "text": f"its parameters: {error}"}
    except OpenMinedError as error:
        value = {"error": type(error).__name__, "text": str(error)}
    return bytes(libipld.encode_dag_cbor(value))


_ERRORS: dict[str, type[MineError]] = {
    kind.__name__: kind for kind in (BadDownload, WeakParameters, DatasetDamaged, TrainingFailed)
}


def _statistics(
    job: TrainingJob, spec: LearningSpec, tell: Callable[[int, int], None]
) -> Statistics:
    from openmined.syft import accumulate_statistics

    key = cache_key(job)
    known = _load_statistics(job, key)
    if known is not None:
        return known
    statistics = accumulate_statistics(_mapped(job, spec, tell))
    _save_statistics(job, key, statistics)
    return statistics


def _mapped(
    job: TrainingJob, spec: LearningSpec, tell: Callable[[int, int], None]
) -> Iterator[tuple[Any, Any]]:
    from openmined.syft import encode_targets

    total = sum(dataset.rows for dataset in job.datasets)
    targets = job.campaign.output.names
    done = 0
    assert spec.features is not None
    for dataset in job.datasets:
        for batch in read_dataset(job.folder, dataset, job.identity):
            columns = [batch.column(name) for name in targets]
            Y = encode_targets(spec, columns if len(columns) > 1 else columns[0])
            yield spec.features.transform(batch), Y
            done += batch.num_rows
            tell(done, total)


def _load_statistics(job: TrainingJob, key: str) -> Statistics | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from openmined.syft import Statistics

    path = job.folder.cache / f"{key}.age"
    try:
        tensors = load(decrypt_bytes(path.read_bytes(), job.identity, str(path)))
        return Statistics(int(tensors["n"][0]), tensors["gram"], tensors["cross"])
    except (OSError, DatasetDamaged, SafetensorError, KeyError):
        # A cache that cannot be read is computed again.
        return None


def _save_statistics(job: TrainingJob, key: str, statistics: Statistics) -> None:
    import numpy as np
    from safetensors.numpy import save

    if statistics.gram.nbytes + statistics.cross.nbytes > MAX_CACHED_BYTES:
        return
    tensors = {
        "n": np.array([statistics.n], np.int64),
        "gram": np.ascontiguousarray(statistics.gram),
        "cross": np.ascontiguousarray(statistics.cross),
    }
    about = {"campaign": job.spec_digest, "datasets": [d.name for d in job.datasets]}
    with suppress(OSError):
        path: Path = job.folder.cache / f"{key}.age"
        # What it is made of is written first: a deleted dataset must find all that is its own.
        write_private(path.with_suffix(".json"), json.dumps(about).encode())
        write_private(path, encrypt_bytes(save(tensors), job.folder.recipient))


class _Rest:
    """Holds training to a share of one processor: after each piece of work it rests."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._since = time.process_time()

    def pause(self) -> None:
        now = time.process_time()
        worked, self._since = now - self._since, now
        if self._share < 1.0 and worked > 0:
            time.sleep(min(5.0, worked * (1.0 / self._share - 1.0)))
