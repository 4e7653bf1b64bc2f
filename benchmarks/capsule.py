"""How fast Capsule opens and scores gradients, and what memory that takes.

    python benchmarks/capsule.py [--gradients 200] [--json FILE]

Linear gradients of 512 x 10 weights, each trained on encrypted weights and sealed by its own mine;
360 validation rows; batches of at most 64, as the contract takes them.
"""

import argparse
import json
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pysequoia

from openmined.capsule import Identity
from openmined.capsule._envelopes import Expected, OpenedGradient, open_envelopes
from openmined.capsule._evaluation import ValidationSet
from openmined.capsule._scoring import Rules, Standing, Update, score_local_steps
from openmined.capsule._settings import CapsuleSettings
from openmined.capsule._state import Pending
from openmined.protocol import GradientBody, LocalSteps, SonarRef, encode_gradient_body
from openmined.syft import (
    EncryptedModel,
    LinearClassifier,
    PublicKeys,
    accumulate_statistics,
    choose_parameters,
    compute_update,
    encrypt_model,
    generate_keys,
)

FEATURES, CLASSES, BATCH, VALIDATION_ROWS, ROWS = 512, 10, 64, 360, 140
CHAIN = SonarRef(chain_id=31337, sonar="0x" + "5" * 40)
SPEC = LinearClassifier(
    inputs=FEATURES, classes=tuple("0123456789"), l2=1e-4, update=LocalSteps(steps=30)
)


def make_rows(count: int, seed: int) -> tuple[Any, Any]:
    """Ten Gaussian classes on random Fourier features."""
    random = np.random.default_rng(seed)
    shared = np.random.default_rng(2018)
    centres = shared.normal(size=(CLASSES, 32))
    omega = shared.normal(size=(32, FEATURES - 1)) * 0.25
    phase = shared.uniform(0, 2 * np.pi, FEATURES - 1)
    labels = random.integers(0, CLASSES, count)
    points = centres[labels] + 1.2 * random.normal(size=(count, 32))
    features = np.sqrt(2 / (FEATURES - 1)) * np.cos(points @ omega + phase)
    return np.c_[features, np.ones(count)], np.eye(CLASSES)[labels]


@dataclass
class Mine:
    parameters: Any
    keys: dict[str, bytes]
    packing: Any
    model: list[bytes]

    def train(self, number: int) -> list[bytes]:
        public = PublicKeys.from_blobs(self.parameters, self.keys)
        model = EncryptedModel.from_blobs(self.packing, self.model, self.parameters)
        statistics = accumulate_statistics([make_rows(ROWS, seed=number + 1)])
        return compute_update(model, public, statistics, SPEC.update, SPEC.l2).to_blobs()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gradients", type=int, default=200)
    parser.add_argument("--json", help="also write the numbers here")
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    keys = generate_keys(choose_parameters(SPEC), SPEC)
    identity = Identity.generate("Capsule <capsule@example.org>")
    start = np.zeros((FEATURES, CLASSES))
    model = encrypt_model(start, keys)
    mine = Mine(keys.parameters, keys.public.to_blobs(), keys.packing, model.to_blobs())
    began = time.monotonic()
    with ProcessPoolExecutor(cores, mp_context=get_context("fork")) as pool:
        trained = list(pool.map(mine.train, range(options.gradients)))
    training_s = time.monotonic() - began
    envelopes = [seal(identity, number, blobs) for number, blobs in enumerate(trained)]
    del trained
    validation = ValidationSet(*make_rows(VALIDATION_ROWS, seed=0), "accuracy", "00" * 32)
    found = run(identity, keys, validation, start, envelopes, cores)
    found |= {"training_seconds": round(training_s, 1), "cores": cores}
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {value}")
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2), encoding="utf-8")
    return 0


def seal(identity: Identity, number: int, blobs: list[bytes]) -> bytes:
    body = GradientBody(
        chain=CHAIN,
        campaign=1,
        version=1,
        epoch=1,
        miner=f"0x{number:040x}",
        kind="local-steps",
        samples=ROWS,
        ciphertexts=tuple(blobs),
    )
    data = encode_gradient_body(body)
    return bytes(pysequoia.encrypt(data, recipients=[identity.certificate], armor=False))


def run(
    identity: Identity,
    keys: Any,
    validation: ValidationSet,
    start: Any,
    envelopes: list[bytes],
    cores: int,
) -> dict[str, Any]:
    network = {
        "chain_id": 31337,
        "rpc_url": "http://127.0.0.1:9",
        "sonar": CHAIN.sonar,
        "store_url": "http://127.0.0.1:9",
    }
    settings = CapsuleSettings.model_validate({"network": network})
    expected = Expected(CHAIN, 1, "local-steps", epoch=1, epoch_of={1: 1})
    standing, best, opening_s, scoring_s = Standing(1, start), 100_000, 0.0, 0.0
    peaks: list[int] = []
    for first in range(0, len(envelopes), BATCH):
        sealed = [
            (Pending(first + i, f"0x{first + i:040x}", 1, bytes(32), 0.0, 0), data)
            for i, data in enumerate(envelopes[first : first + BATCH])
        ]
        began = time.monotonic()
        opened = open_envelopes(sealed, identity, keys, expected, settings, cores)
        opening_s += time.monotonic() - began
        began = time.monotonic()
        updates = [
            Update(o.pending.gradient, o.pending.miner, 1, o.samples, o.values - start)
            for o in opened
            if isinstance(o, OpenedGradient)
        ]
        assert len(updates) == len(sealed)
        rules = Rules(best, 1_000_000, 1000, 100)
        scored = score_local_steps(
            validation, standing, updates, rules, seed=1, sketch_key=b"benchmark"
        )
        scoring_s += time.monotonic() - began
        best = max(best, scored.accuracy_ppm)
        weights = standing.weights if scored.weights is None else scored.weights
        known = standing.known + scored.fingerprints
        standing = Standing(standing.version + 1, weights, standing.memory, known)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
    return {
        "gradients": len(envelopes),
        "weights": f"{FEATURES} x {CLASSES}",
        "sealed_bytes": len(envelopes[0]),
        "opening_seconds": round(opening_s, 2),
        "scoring_seconds": round(scoring_s, 2),
        "gradients_per_second": round(len(envelopes) / (opening_s + scoring_s), 1),
        "peak_mib_after_each_batch": peaks,
        "child_peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10,
        "accuracy_ppm": best,
    }


if __name__ == "__main__":
    sys.exit(main())
