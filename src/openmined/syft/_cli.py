"""`openmined syft`: train on encrypted weights from files, without a chain or a store.

What strangers wrote, keys and model, is opened in a child process with limits, as mines do it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from openmined.protocol import (
    MAX_MANIFEST_BYTES,
    BlobRef,
    CampaignManifest,
    GradientBody,
    KeysManifest,
    Manifest,
    ModelManifest,
    ProtocolError,
    decode_manifest,
    encode_gradient_body,
    manifest_digest,
)
from openmined.syft._errors import DataError, KeyMismatch, OutOfMemory, OutOfTime, SpecError
from openmined.syft._executors import Executor, choose_executor, open_executor
from openmined.syft._keys import PublicKeys
from openmined.syft._limits import run_limited
from openmined.syft._parameters import choose_parameters, plan_parameters
from openmined.syft._specs import MLPClassifier, spec_from_manifest
from openmined.syft._states import EncryptedModel
from openmined.syft._streaming import encode_batches
from openmined.syft._training import train_update

M = TypeVar("M", bound=Manifest)
R = TypeVar("R")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

app = typer.Typer(
    help="Train on encrypted weights, from files.", no_args_is_help=True, add_completion=False
)


@app.callback()
def _group() -> None:
    """Train on encrypted weights, from files."""


@app.command()
def train(
    campaign: Annotated[Path, typer.Argument(help="The campaign's manifest.")],
    keys: Annotated[Path, typer.Argument(help="The keys' manifest.")],
    model: Annotated[Path, typer.Argument(help="The model's manifest.")],
    data: Annotated[Path, typer.Argument(help="Rows: .arrow, .parquet or .csv.")],
    blobs: Annotated[
        Path,
        typer.Option(
            help="Folder of the manifests' blobs, named by CID. Only their sizes are checked here: "
            "`openmined store get` fetches and checks them."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where the gradient body goes.")],
    miner: Annotated[str, typer.Option(help="The mine's address, which the body is bound to.")],
    processes: Annotated[int, typer.Option(min=1, help="Processes to share the work.")] = 1,
    executor: Annotated[
        str, typer.Option(help="Where to work: here, processes:4, ray, or ray:ADDRESS.")
    ] = "here",
    memory_mb: Annotated[int, typer.Option(min=64, help="Most memory of a process.")] = 4096,
    seconds: Annotated[float, typer.Option(min=0, help="Most time that all takes.")] = 900.0,
) -> None:
    """Compute one encrypted gradient; write its body (DAG-CBOR), ready to be sealed to Capsule.

    Keys and model are opened, and the gradient is computed, in a child process with limits. On Ray
    they are only tried in one before: no limits hold on a cluster.

    Progress goes to standard error, a JSON object a line: {"done": 3, "of": 32}.
    """
    _check_miner(miner)
    _check_place(out)
    task = _read_manifest(campaign, CampaignManifest)
    _check_privacy(task)
    key_manifest = _read_manifest(keys, KeysManifest)
    model_manifest = _read_manifest(model, ModelManifest)
    _check_bound(key_manifest, model_manifest)
    job = _Job(task, key_manifest, model_manifest, data, blobs, miner)
    memory_mb += _mapped_mb(data)
    if executor.partition(":")[0] == "ray":  # it does not start below limits
        _run_limited(try_blobs, job, memory_mb=memory_mb, seconds=seconds)
        body = train_from_files(job, open_executor(executor))
    else:
        place = choose_executor(open_executor(executor), processes)
        body = _run_limited(train_from_files, job, place, memory_mb=memory_mb, seconds=seconds)
    _write(out, body)


@dataclass(frozen=True)
class _Job:
    campaign: CampaignManifest
    keys: KeysManifest
    model: ModelManifest
    data: Path
    blobs: Path
    miner: str


def _run_limited(function: Callable[..., R], *args: object, memory_mb: int, seconds: float) -> R:
    try:
        return run_limited(function, *args, memory_mb=memory_mb, seconds=seconds)
    except (OutOfTime, OutOfMemory) as error:
        raise type(error)(f"{error}, or --memory-mb and --seconds too low for it") from error


def _mapped_mb(data: Path) -> int:
    # Such a file is mapped: address space, however little of it is in memory at a time.
    mapped = data.suffix == ".arrow" and data.is_file()
    return (data.stat().st_size >> 20) + 1 if mapped else 0


def _open_blobs(job: _Job) -> tuple[PublicKeys, EncryptedModel]:
    parameters = job.keys.parameters
    files = {ref.purpose: _find_blob(job.blobs, ref) for ref in job.keys.blobs}
    public = PublicKeys.from_blobs(parameters, files)
    ciphertexts = [_read(_find_blob(job.blobs, ref)) for ref in job.model.ciphertexts]
    return public, EncryptedModel.from_blobs(job.model.packing, ciphertexts, parameters)


def try_blobs(job: _Job) -> None:
    """Open the keys and the model of a job, and let them go."""
    _open_blobs(job)


def train_from_files(job: _Job, executor: Executor | None) -> bytes:
    """Return the gradient body of a job, encoded."""
    spec = spec_from_manifest(job.campaign)
    public, model = _open_blobs(job)
    rows = encode_batches(spec, read_batches(job.data), job.campaign.output.names)
    trained = train_update(spec, model, public, rows, _report, executor=executor)
    kind: Any = "mlp-gradient" if isinstance(spec, MLPClassifier) else spec.update.kind
    body = GradientBody(
        chain=job.model.chain,
        campaign=job.model.campaign,
        version=job.model.version,
        epoch=job.model.epoch,
        miner=job.miner,
        kind=kind,
        samples=trained.samples,
        ciphertexts=tuple(trained.gradient.to_blobs()),
    )
    return encode_gradient_body(body)


@app.command()
def plan(
    campaign: Annotated[Path, typer.Argument(help="The campaign's manifest.")],
) -> None:
    """Show what a campaign costs a mine: parameters and, of the linear family, time and bytes."""
    spec = spec_from_manifest(_read_manifest(campaign, CampaignManifest))
    if isinstance(spec, MLPClassifier):
        parameters = choose_parameters(spec)
        typer.echo(f"network        {spec.inputs}-{spec.hidden}-{spec.outputs}")
        typer.echo(f"ring degree    {parameters.poly_modulus_degree}")
        typer.echo(f"primes (bits)  {', '.join(map(str, parameters.coeff_modulus_bits))}")
        typer.echo(f"a gradient     on {spec.batch} rows; docs/syft.md has times and sizes")
        return
    found = plan_parameters(spec)
    typer.echo(f"weights        {spec.inputs} x {spec.outputs}")
    typer.echo(f"ring degree    {found.parameters.poly_modulus_degree}")
    typer.echo(f"primes (bits)  {', '.join(map(str, found.parameters.coeff_modulus_bits))}")
    typer.echo(f"an update      {found.seconds:.2f} s on one core, estimated")
    typer.echo(f"keys           {found.bytes_keys / 1e6:.2f} MB, once")
    typer.echo(f"model down     {found.bytes_model / 1e6:.2f} MB a round")
    typer.echo(f"update up      {found.bytes_update / 1e6:.2f} MB a round")


def _report(done: int, total: int) -> None:
    # By the descriptor: a forked child has its parent's buffers, and nobody may be listening.
    with suppress(OSError):
        os.write(2, json.dumps({"done": done, "of": total}).encode() + b"\n")


def _check_miner(miner: str) -> None:
    if _ADDRESS.fullmatch(miner) is None:
        raise DataError(f"--miner {miner[:80]!r} is no address: 0x and 40 hexadecimal digits")


def _check_place(out: Path) -> None:
    # Before the work, which may take long.
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise DataError(f"cannot write {out}: give a file in a folder that is there")


def _check_privacy(task: CampaignManifest) -> None:
    # One release has to be kept and to answer every round; a file in and a file out cannot.
    if task.privacy is not None and task.privacy.level == "record":
        raise SpecError(
            f"the campaign asks for epsilon {task.privacy.epsilon:g} of privacy for rows, and this "
            "command answers from exact rows: use a mine, `openmined mine`, which keeps one noisy "
            "release and counts what it costs"
        )


def _check_bound(keys: KeysManifest, model: ModelManifest) -> None:
    found, wanted = manifest_digest(keys).hex(), model.keys
    if found != wanted:
        raise KeyMismatch(
            f"the model was encrypted under the keys of manifest {wanted}, the one given is "
            f"{found}: give the keys that the model names"
        )
    for name, of_keys, of_model in (
        ("chain", keys.chain.chain_id, model.chain.chain_id),
        ("contract", keys.chain.sonar.lower(), model.chain.sonar.lower()),
        ("campaign", keys.campaign, model.campaign),
        ("key epoch", keys.epoch, model.epoch),
    ):
        if of_keys != of_model:
            raise KeyMismatch(
                f"the keys are of {name} {of_keys}, the model is of {name} {of_model}: "
                "give two manifests of one campaign and epoch"
            )


def _read_manifest(path: Path, kind: type[M]) -> M:
    try:
        return decode_manifest(_read(path, MAX_MANIFEST_BYTES + 1), kind)
    except ProtocolError as error:
        raise type(error)(f"{path}: {error}") from error


def _find_blob(folder: Path, ref: BlobRef) -> Path:
    path = folder / ref.cid
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(
            f"the {ref.purpose} {path} cannot be read ({error.strerror}): fetch what the manifests "
            "list into the folder of --blobs, named by CID"
        ) from error
    if size != ref.size:
        raise DataError(
            f"the {ref.purpose} {path} has {size} bytes, its manifest says {ref.size}: "
            "fetch it again"
        )
    return path


def _read(path: Path, most_bytes: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most_bytes)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error.strerror}") from error


def read_batches(path: Path) -> Iterator[Any]:
    """Stream the record batches of an Arrow, Parquet or CSV file.

    Raises:
        DataError: if the file is missing, of another kind, or damaged.
    """
    import pyarrow as pa

    if not path.is_file():
        raise DataError(f"cannot read rows from {path}: there is no such file")
    try:
        for batch in _open_batches(path):
            batch.validate(full=True)  # Arrow trusts the offsets of a file, and would crash
            if not batch.schema.names:  # which are decoded by this: they may be no text
                raise DataError(f"cannot read rows from {path}: it has no columns")
            yield batch
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read rows from {path}: {error}") from error


def _open_batches(path: Path) -> Iterator[Any]:
    if path.suffix == ".arrow":
        import pyarrow as pa

        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)
    elif path.suffix == ".parquet":
        from pyarrow import parquet

        with parquet.ParquetFile(path) as source:
            yield from source.iter_batches()
    elif path.suffix == ".csv":
        from pyarrow import csv

        yield from csv.open_csv(path)
    else:
        raise DataError(f"rows from {path.name!r}: give an .arrow, .parquet or .csv file")
