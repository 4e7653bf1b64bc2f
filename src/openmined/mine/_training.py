"""The training process: rows and statistics exist in the clear here, and nowhere else.

It is a fork of the mine with limits on memory, time and files. It reads encrypted rows, computes
statistics (kept encrypted for the campaign's next version), and the update on encrypted weights.
Only an owner who names a cluster in mine.toml has rows summed elsewhere: see `_cluster`.
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
    ClusterAway,
    DatasetDamaged,
    MineError,
    TrainingFailed,
    WeakParameters,
)
from openmined.mine._folder import MineFolder, write_private
from openmined.mine._usable import describe_need, usable_rows
from openmined.protocol import (
    CampaignManifest,
    CKKSParameters,
    OpenMinedError,
    Packing,
    PrivacyRequest,
)

if TYPE_CHECKING:
    from openmined.syft import LearningSpec, MLPClassifier, Statistics

MAX_CACHED_BYTES = 64 << 20
_CHUNK_ROWS = 16_384
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsJob:
    """Which rows a campaign learns from, and where they are summed."""

    folder: MineFolder
    identity: str = field(repr=False)
    campaign: CampaignManifest
    spec_digest: str
    datasets: tuple[Dataset, ...]
    executor: str = "here"
    """`here`, in the training process, or a Ray cluster: see `openmined.syft.open_executor`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob(RowsJob):
    """All that the training process needs, handed over by fork."""

    parameters: CKKSParameters
    keys: Mapping[str, bytes | Path] = field(repr=False)
    """Public keys by purpose; those of a network are tens of megabytes, so files are better."""
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
        ClusterAway, DiskFull: if the cluster cannot be used for now, or its sums not kept.
    """
    import libipld

    from openmined.syft import LimitError, run_limited

    if _wants_cluster(job):
        from openmined.mine._cluster import sum_on_cluster

        sum_on_cluster(job, seconds, progress)
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
        MLPClassifier,
        PublicKeys,
        compute_mlp_update,
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

    public = PublicKeys.from_blobs(job.parameters, job.keys)
    model = EncryptedModel.from_blobs(job.packing, job.model, job.parameters)
    if isinstance(spec, MLPClassifier):
        X, Y = _sample(job, spec, report("rows"))
        gradient = compute_mlp_update(model, public, X, Y, report("update"))
        return Trained(len(X), tuple(gradient.to_blobs()))
    statistics = _statistics(job, spec, report("statistics"))
    gradient = compute_update(
        model, public, statistics, job.campaign.update, spec.l2, report("update")
    )
    return Trained(statistics.n, tuple(gradient.to_blobs()))


def _wants_cluster(job: TrainingJob) -> bool:
    """Tell whether sums over the rows are missing that a cluster is to make."""
    # Nothing holds a cluster to a share of a processor.
    if job.executor == "here" or job.cpu_share < 1.0:
        return False
    if job.campaign.algorithm.kind == "mlp-classifier":
        return False
    if row_privacy(job.campaign) is not None and release_path(job.folder, job.spec_digest).exists():
        return False
    return not _sums_path(job).exists()


def _sums_path(job: RowsJob) -> Path:
    return job.folder.cache / f"{cache_key(job)}.age"


def cache_key(job: RowsJob) -> str:
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
    """Return what the update is computed from: exact sums, or the campaign's one noisy release."""
    privacy = row_privacy(job.campaign)
    if privacy is None:
        return _exact_statistics(job, spec, tell)
    from openmined.syft import LinearClassifier, LinearRegression, privatise_statistics

    path = release_path(job.folder, job.spec_digest)
    known = _load(path, job.identity)
    if known is not None:
        return known
    if not isinstance(spec, LinearRegression | LinearClassifier):
        raise TrainingFailed("only campaigns of the linear family can be answered privately")
    exact = _exact_statistics(job, spec, tell)
    released = privatise_statistics(exact, spec, privacy.epsilon, privacy.delta)
    # Kept before it is used: a second release would cost the rows' privacy a second time.
    _save(job, path, released)
    return released


def _exact_statistics(
    job: TrainingJob, spec: LearningSpec, tell: Callable[[int, int], None]
) -> Statistics:
    from openmined.syft import accumulate_statistics

    path = _sums_path(job)
    known = _load(path, job.identity)
    if known is not None:
        return known
    statistics = accumulate_statistics(_mapped(job, spec, tell))
    if statistics.gram.nbytes + statistics.cross.nbytes <= MAX_CACHED_BYTES:
        with suppress(OSError):
            _save(job, path, statistics)
    return statistics


def sum_rows_elsewhere(job: RowsJob, tell: Callable[[int, int], None]) -> None:
    """Sum a job's rows on its executor, and keep the sums, whatever their size, encrypted.

    Raises:
        ClusterAway: if the executor cannot be had.
        LimitError: if one of its workers failed.
        TrainingFailed, DatasetDamaged, DiskFull: as in `train_limited`.
    """
    from openmined.syft import (
        LimitError,
        MissingExtra,
        open_executor,
        spec_from_manifest,
        stream_statistics,
    )

    spec, names = spec_from_manifest(job.campaign), job.campaign.output.names
    clipped = row_privacy(job.campaign) is not None
    try:
        executor = open_executor(job.executor)
    except (LimitError, MissingExtra) as error:
        raise ClusterAway(f"the rows are to be summed on {job.executor}: {error}") from error
    try:
        rows = _rows(job, tell)
        statistics = stream_statistics(spec, rows, names, executor=executor, clipped=clipped)
    finally:
        close = getattr(executor, "close", None)
        if close is not None:
            close()
    _save(job, _sums_path(job), statistics)


def _mapped(
    job: TrainingJob, spec: LearningSpec, tell: Callable[[int, int], None]
) -> Iterator[tuple[Any, Any]]:
    from openmined.syft import LinearClassifier, LinearRegression, clip_targets, encode_batches

    bounded = row_privacy(job.campaign) is not None
    for Z, Y in encode_batches(spec, _rows(job, tell), job.campaign.output.names):
        if bounded and isinstance(spec, LinearRegression | LinearClassifier):
            yield Z, clip_targets(spec, Y)
        else:
            yield Z, Y


def _rows(job: RowsJob, tell: Callable[[int, int], None]) -> Iterator[Any]:
    """Yield the rows that the campaign can learn from, a chunk at a time.

    Raises:
        TrainingFailed: if there is not one.
    """
    total = sum(dataset.rows for dataset in job.datasets)
    read = used = 0
    for dataset in job.datasets:
        for batch in read_dataset(job.folder, dataset, job.identity):
            for start in range(0, batch.num_rows, _CHUNK_ROWS):
                chunk = batch.slice(start, _CHUNK_ROWS)
                rows = usable_rows(job.campaign, chunk)
                if rows.num_rows:
                    yield rows
                read, used = read + chunk.num_rows, used + rows.num_rows
                tell(read, total)
    if not used:
        names = ", ".join(dataset.name for dataset in job.datasets)
        raise TrainingFailed(
            f"none of the {total} rows of {names} can be used: the campaign needs rows with "
            f"{describe_need(job.campaign)}"
        )


def _sample(
    job: TrainingJob, spec: MLPClassifier, tell: Callable[[int, int], None]
) -> tuple[Any, Any]:
    """Draw the rows of one stochastic gradient, anew for every version: `spec.batch` of them.

    Every usable row gets a random number; those with the smallest are drawn.
    """
    import os

    import numpy as np
    import pyarrow as pa

    from openmined.syft import encode_batches

    random = np.random.default_rng(int.from_bytes(os.urandom(16)))
    drawn, numbers = None, np.empty(0)
    for batch in _rows(job, tell):
        rows = pa.Table.from_batches([batch])
        drawn = rows if drawn is None else pa.concat_tables([drawn, rows])
        numbers = np.concatenate([numbers, random.random(batch.num_rows)])
        if len(numbers) > spec.batch:
            kept = np.sort(np.argpartition(numbers, spec.batch - 1)[: spec.batch])
            drawn, numbers = drawn.take(kept), numbers[kept]
    pairs = list(encode_batches(spec, [drawn], job.campaign.output.names))
    return np.vstack([X for X, _ in pairs]), np.vstack([Y for _, Y in pairs])


def row_privacy(campaign: CampaignManifest) -> PrivacyRequest | None:
    """Return the differential privacy that mines themselves have to add, if any."""
    privacy = campaign.privacy
    return privacy if privacy is not None and privacy.level == "record" else None


def release_path(folder: MineFolder, spec_digest: str) -> Path:
    """Return where a campaign's noisy release is kept, encrypted; it is made once."""
    return folder.releases / f"{spec_digest}.age"


def release_datasets(folder: MineFolder, spec_digest: str) -> tuple[str, ...] | None:
    """Return the datasets that a campaign's release was made from; None if there is none."""
    path = release_path(folder, spec_digest)
    if not path.is_file():
        return None
    try:
        return tuple(
            str(name) for name in json.loads(path.with_suffix(".json").read_bytes())["datasets"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetDamaged(
            f"{path.with_suffix('.json')} is damaged: restore it from a backup"
        ) from error


def _load(path: Path, identity: str) -> Statistics | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from openmined.syft import Statistics

    try:
        tensors = load(decrypt_bytes(path.read_bytes(), identity, str(path)))
        return Statistics(int(tensors["n"][0]), tensors["gram"], tensors["cross"])
    except (FileNotFoundError, SafetensorError, KeyError):
        return None


def _save(job: RowsJob, path: Path, statistics: Statistics) -> None:
    import numpy as np
    from safetensors.numpy import save

    tensors = {
        "n": np.array([statistics.n], np.int64),
        "gram": np.ascontiguousarray(statistics.gram),
        "cross": np.ascontiguousarray(statistics.cross),
    }
    about = {"campaign": job.spec_digest, "datasets": [d.name for d in job.datasets]}
    # What it is made of is written first: a deleted dataset must find all that is its own.
    path.parent.mkdir(mode=0o700, exist_ok=True)
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
