"""The door for a mine in another language: training and adapters, by messages on a pipe.

    python -m openmined.mine._door

A message is its length (four bytes, big-endian) and a DAG-CBOR map. What comes in is one request
after the other, each with an `action`; what goes out are `progress` messages and then one `answer`
or one `error` (its kind and its text). The process ends when its input does. Secrets come in by the
pipe, never by arguments or environment; nothing is written but what Mine.py would write.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from openmined.mine._errors import MineError
from openmined.protocol import OpenMinedError

MAX_MESSAGE_BYTES = 2 << 30
_PR_SET_PDEATHSIG = 1

Answer = dict[str, Any]
Tell = Callable[[Answer], None]


def main() -> None:
    """Serve requests until the input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    end_with_the_mine()
    # Ctrl-C reaches every process of a terminal: whether work is ended is for the mine to say.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # What a library prints must not get among the messages.
    out = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, out)


def end_with_the_mine() -> None:
    """Have the kernel end this process with the mine, and a training with this process (Linux)."""
    if sys.platform != "linux":
        return
    prctl = ctypes.CDLL(None).prctl

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    die_with_parent()
    os.register_at_fork(after_in_child=die_with_parent)


def serve(source: IO[bytes], out: int) -> None:
    """Answer each request of `source` on the file descriptor `out`."""
    while (request := read_message(source)) is not None:
        try:
            action = _ACTIONS[request["action"]]
            answer = action(request, lambda message: write_message(out, message))
            write_message(out, {"answer": answer})
        except OpenMinedError as error:
            write_message(out, {"error": type(error).__name__, "text": str(error)})
        except Exception as error:  # noqa: BLE001  (the other side must learn of it, by name only)
            text = f"{request.get('action')}: unforeseen {type(error).__name__}"
            write_message(out, {"error": "MineError", "text": text})


def _train(request: Answer, tell: Tell) -> Answer:
    """Compute one encrypted gradient in a limited child process."""
    from openmined.mine._datasets import load_dataset
    from openmined.mine._folder import MineFolder
    from openmined.mine._training import TrainingJob, train_limited
    from openmined.protocol import CampaignManifest, KeysManifest, ModelManifest, decode_manifest

    folder = MineFolder(Path(request["folder"]))
    keys = decode_manifest(request["keys"], KeysManifest)
    model = decode_manifest(request["model"], ModelManifest)
    job = TrainingJob(
        folder=folder,
        identity=request["identity"],
        campaign=decode_manifest(request["campaign"], CampaignManifest),
        spec_digest=request["spec"],
        datasets=tuple(load_dataset(folder, name) for name in request["datasets"]),
        parameters=keys.parameters,
        keys={purpose: Path(path) for purpose, path in request["key_files"].items()},
        packing=model.packing,
        model=tuple(request["ciphertexts"]),
        cpu_share=float(request["cpu_share"]),
        executor=request.get("executor", "here"),
    )
    trained = train_limited(
        job,
        memory_mb=request["memory_mb"],
        seconds=request["seconds"],
        progress=lambda part, done, of: tell({"progress": [part, done, of]}),
    )
    return {"samples": trained.samples, "ciphertexts": list(trained.ciphertexts)}


def _preview(request: Answer, _tell: Tell) -> Answer:
    """Show the first rows of a source as an import would keep them."""
    from openmined.mine._imports import open_request
    from openmined.mine.api._imports import _preview as preview_export

    with open_request(_import_request(request)) as export:
        return preview_export(export).model_dump(mode="json")


def _import(request: Answer, tell: Tell) -> Answer:
    """Import a source into an encrypted dataset."""
    from openmined.mine._folder import MineFolder
    from openmined.mine._imports import import_source

    order = replace(
        _import_request(request),
        identity=tuple(request["identity_fields"]),
        strict=request["strict"],
    )
    folder = MineFolder(Path(request["folder"]))
    report = import_source(
        folder, request["identity"], order, lambda rows: tell({"progress": ["rows", rows, 0]})
    )
    return report.model_dump(mode="json")


def _adapters(_request: Answer, _tell: Tell) -> Answer:
    """List the adapters that read exports."""
    from openmined.adapters import load_adapters

    found = sorted(load_adapters().by_name.values(), key=lambda adapter: adapter.name)
    return {
        "adapters": [
            {
                "name": adapter.name,
                "title": adapter.title,
                "schema_id": getattr(getattr(adapter, "schema", None), "id", None),
            }
            for adapter in found
        ]
    }


def _import_request(request: Answer) -> Any:
    from openmined.mine._imports import ImportRequest
    from openmined.protocol import TableSchema

    schema = request.get("table_schema")
    return ImportRequest(
        source=Path(request["source"]),
        dataset=request["dataset"],
        adapter=request.get("adapter"),
        mapping_value=request.get("mapping"),
        schema=None if schema is None else TableSchema.model_validate(schema),
    )


_ACTIONS: dict[str, Callable[[Answer, Tell], Answer]] = {
    "train": _train,
    "preview": _preview,
    "import": _import,
    "adapters": _adapters,
}


def read_message(source: IO[bytes]) -> Answer | None:
    """Wait for the next message; None when the other side has ended.

    Raises:
        MineError: if it says to be larger than `MAX_MESSAGE_BYTES`.
    """
    import libipld

    head = source.read(4)
    if len(head) < 4:
        return None
    size = int.from_bytes(head)
    if size > MAX_MESSAGE_BYTES:
        raise MineError(f"a request of {size} bytes is refused")
    value = libipld.decode_dag_cbor(source.read(size))
    assert isinstance(value, dict)
    return value


def write_message(out: int, message: Answer) -> None:
    """Send a message whole on a file descriptor."""
    import libipld

    data = bytes(libipld.encode_dag_cbor(message))
    view = memoryview(len(data).to_bytes(4) + data)
    while view:
        view = view[os.write(out, view) :]


if __name__ == "__main__":
    main()
