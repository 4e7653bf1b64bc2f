"""How fast a Capsule scores many gradients that are pending at once, and what memory that takes.

    python benchmarks/capsule.py [--gradients 50 100 200] [--json FILE]

A real Capsule, as `openmined capsule start` runs it, with a chain (anvil) and a store beside it.
Linear gradients of 512 x 10 weights, each trained on encrypted weights and sealed by its own mine;
360 validation rows; batches of at most 64, as the contract takes them. For each number a campaign
gets that many gradients while the Capsule is away; measured is from its start until all are scored.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.unit.capsule.capsule_world import CapsuleWorld, capsule_world

from openmined.protocol import (
    CampaignManifest,
    GradientBody,
    LinearClassifierAlgorithm,
    LocalSteps,
    Phase,
    TableSchema,
    encode_gradient_body,
)
from openmined.storage import connect_store, get_ref, open_node
from openmined.syft import (
    EncryptedModel,
    PublicKeys,
    accumulate_statistics,
    compute_update,
)

FEATURES, CLASSES, BATCH, VALIDATION_ROWS, ROWS, MINES = 512, 10, 64, 360, 140, 20
L2, UPDATE = 1e-4, LocalSteps(steps=30)
LABELS = [str(label) for label in range(CLASSES)]
PATIENCE_S = 900.0


def make_rows(count: int, seed: int) -> tuple[Any, Any]:
    """Ten Gaussian classes on random Fourier features: (count, 511) and labels (count,)."""
    random = np.random.default_rng(seed)
    shared = np.random.default_rng(2018)
    centres = shared.normal(size=(CLASSES, 32))
    omega = shared.normal(size=(32, FEATURES - 1)) * 0.25
    phase = shared.uniform(0, 2 * np.pi, FEATURES - 1)
    labels = random.integers(0, CLASSES, count)
    points = centres[labels] + 1.2 * random.normal(size=(count, 32))
    return np.sqrt(2 / (FEATURES - 1)) * np.cos(points @ omega + phase), labels


@dataclass
class Mine:
    """What every mine downloads."""

    parameters: Any
    keys: dict[str, bytes]
    packing: Any
    model: list[bytes]

    def train(self, number: int) -> list[bytes]:
        """Train on encrypted weights, with rows of one's own."""
        public = PublicKeys.from_blobs(self.parameters, self.keys)
        model = EncryptedModel.from_blobs(self.packing, self.model, self.parameters)
        features, labels = make_rows(ROWS, seed=number + 1)
        rows = (np.c_[features, np.ones(ROWS)], np.eye(CLASSES)[labels])
        return compute_update(model, public, accumulate_statistics([rows]), UPDATE, L2).to_blobs()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gradients", type=int, nargs="+", default=[50, 100, 200])
    parser.add_argument("--json", help="also write the numbers here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, a_world(Path(folder)) as world:
        found = [measure(world, *each) for each in prepare(world, options.gradients)]
    for run in found:
        width = max(map(len, run))
        print("\n".join(f"{name:<{width}}  {value}" for name, value in run.items()), end="\n\n")
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2), encoding="utf-8")
    return 0


@contextmanager
def a_world(folder: Path) -> Iterator[CapsuleWorld]:
    """A chain, a store by URL, and a Capsule's folder."""
    with ExitStack() as stack:
        world = stack.enter_context(capsule_world(folder, miners=MINES))
        node = stack.enter_context(open_node(folder / "node"))
        world.store = stack.enter_context(connect_store(node.url))
        settings = world.capsule_folder / "capsule.toml"
        settings.write_text(settings.read_text().replace("http://127.0.0.1:9", node.url))
        yield world


def prepare(world: CapsuleWorld, numbers: list[int]) -> list[tuple[int, list[list[bytes]]]]:
    """Open a campaign for each number; train as many gradients as the largest wants."""
    manifest = make_manifest(world)
    campaigns = [launch(world, manifest)]
    with running(world):
        wait_until(lambda: is_open(world, campaigns[0]), "open")
    # The same CKKS keys for all, so that one training serves every campaign.
    keys = world.capsule_folder / "campaigns"
    for campaign in range(campaigns[0] + 1, campaigns[0] + len(numbers)):
        shutil.copytree(keys / str(campaigns[0]), keys / str(campaign))
        campaigns.append(launch(world, manifest))
        assert campaigns[-1] == campaign
    with running(world):
        wait_until(lambda: all(is_open(world, one) for one in campaigns), "open")
    public, model = world.published(campaigns[0])
    mine = Mine(
        public.parameters,
        {ref.purpose: get_ref(world.store, ref) for ref in public.blobs},
        model.packing,
        [get_ref(world.store, ref) for ref in model.ciphertexts],
    )
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("fork")) as pool:
        trained = list(pool.map(mine.train, range(max(numbers))))
    return [(one, trained[:count]) for one, count in zip(campaigns, numbers, strict=True)]


def make_manifest(world: CapsuleWorld) -> CampaignManifest:
    size = FEATURES - 1
    fields = [
        {
            "name": "features",
            "type": "array",
            "constraints": {"minLength": size, "maxLength": size},
        },
        {"name": "label", "type": "string", "constraints": {"enum": LABELS}},
    ]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["features", "label"])
    for row, label in zip(*make_rows(VALIDATION_ROWS, seed=0), strict=True):
        writer.writerow([json.dumps([round(value, 9) for value in row.tolist()]), LABELS[label]])
    return world.manifest(
        validation=world.seal(text.getvalue().encode()),
        input=TableSchema.model_validate({"fields": fields[:1]}),
        output=TableSchema.model_validate({"fields": fields[1:]}),
        features=[{"kind": "columns", "columns": ["features"]}],
        algorithm=LinearClassifierAlgorithm(l2=L2),
        update=UPDATE,
        start_ppm=100_000,
        target_ppm=1_000_000,
        scoring={"window_s": 0, "batch": BATCH, "quota": 1000},
    )


def launch(world: CapsuleWorld, manifest: CampaignManifest) -> int:
    return world.launch(manifest, max_batch=BATCH, deadline=world.data_scientist.now() + 86_400)


def is_open(world: CapsuleWorld, campaign: int) -> bool:
    return world.state(campaign).phase == Phase.OPEN


def submit(world: CapsuleWorld, campaign: int, trained: list[list[bytes]]) -> int:
    """Seal and submit gradients to a campaign; return the size of one."""
    sealed = b""
    for number, blobs in enumerate(trained):
        wallet = world.miners[number % MINES].wallet
        assert wallet is not None
        body = GradientBody(
            chain=world.chain,
            campaign=campaign,
            version=1,
            epoch=1,
            miner=wallet.address,
            kind="local-steps",
            samples=ROWS,
            ciphertexts=tuple(blobs),
        )
        sealed = world.seal(encode_gradient_body(body))
        world.submit(campaign, number % MINES, sealed, version=1)
    return len(sealed)


@dataclass
class Running:
    """A Capsule's process, and the largest memory seen of its children."""

    process: psutil.Process
    output: Path
    child_mib: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def log(self) -> list[dict[str, Any]]:
        lines = self.output.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def peak_mib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) >> 10

    def watch(self) -> None:
        while not self.stopped.wait(0.02):
            with suppress(psutil.NoSuchProcess):
                for child in self.process.children():
                    self.child_mib = max(self.child_mib, child.memory_info().rss >> 20)


@contextmanager
def running(world: CapsuleWorld) -> Iterator[Running]:
    """Run the Capsule as its operator does."""
    output = world.folder / "output"
    program = Path(sys.executable).with_name("openmined")
    command = [program, "capsule", "start", world.capsule_folder]
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*map(str, command), "--key-file", str(world.folder / "key")], stdout=file
        )
    found = Running(psutil.Process(process.pid), output)
    watcher = threading.Thread(target=found.watch)
    watcher.start()
    try:
        yield found
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        found.stopped.set()
        watcher.join()
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"still not {what}"
        time.sleep(0.05)


def measure(world: CapsuleWorld, campaign: int, trained: list[list[bytes]]) -> dict[str, Any]:
    """Let a Capsule find a campaign's gradients pending, and score them all."""
    size = submit(world, campaign, trained)
    assert world.state(campaign).pending == len(trained)
    with running(world) as capsule:
        wait_until(lambda: not world.state(campaign).pending, "scored")
        peak_mib = capsule.peak_mib()
        processor_s = sum(capsule.process.cpu_times()[:4])
        log = capsule.log()
    scored = world.events(campaign, "GradientScored")
    assert len(scored) == len(trained)
    assert {event.reason for event in scored} == {0}, "all are honest"
    phases = split_time(log)
    seconds = sum(phases.values())
    return {
        "gradients": len(trained),
        "weights": f"{FEATURES} x {CLASSES}",
        "sealed_bytes": size,
        "batches": world.state(campaign).batches,
        "seconds": round(seconds, 2),
        "gradients_per_second": round(len(trained) / seconds, 1),
        **{f"seconds_{name}": round(value, 2) for name, value in phases.items()},
        "processor_seconds": round(processor_s, 2),
        "peak_mib": peak_mib,
        "child_peak_mib": capsule.child_mib,
        "accuracy_ppm": world.state(campaign).best_ppm,
        "cores": os.cpu_count(),
    }


PHASES = {"open-envelopes": "opening", "score": "scoring"}


def split_time(log: list[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds from the start to the last report: opening, scoring, all the rest."""
    lines = [line for line in log if line["event"] in ("started", "step", "scored")]
    last = max(i for i, line in enumerate(lines) if line.get("step") in ("report", "adopt-batch"))
    seconds = {"opening": 0.0, "scoring": 0.0, "rest": 0.0}
    for line, following in pairwise(lines[: last + 1]):
        phase = PHASES.get(str(line.get("step")), "rest")
        seconds[phase] += following["at"] - line["at"]
    return seconds


if __name__ == "__main__":
    sys.exit(main())
