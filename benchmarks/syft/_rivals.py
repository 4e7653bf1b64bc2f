"""What the same thing costs elsewhere, measured in the same process just before ours.

`phe` (the 2018 Syft's Paillier) is under the GPL: nothing of ours depends on it, and `make bench`
installs it beside the environment, not into it.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.syft._clock import best_of
from benchmarks.syft._tasks import random_rows

from openmined.protocol import LocalSteps
from openmined.syft import LinearRegression, accumulate_statistics, apply_update

RIVALS = Path(sys.prefix) / "rivals"


def measure_rival(
    name: str, function: Callable[[], object], times: int = 1, repeat: int = 1
) -> dict[str, Any]:
    """Measure a rival: its best of a few runs, multiplied where one part stands for many."""
    seconds, cpu_seconds, _ = best_of(repeat, function)
    return {
        "rival": name,
        "rival_seconds": times * seconds,
        "rival_cpu_seconds": round(times * cpu_seconds, 4),
    }


def tenseal_mm(inputs: int, outputs: int) -> dict[str, Any]:
    """TenSEAL's `ckks_vector.mm` with the transposed matrix, a vector per output."""
    import tenseal as ts

    context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60])
    context.global_scale = 2**40
    context.generate_galois_keys()
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((inputs, inputs)).tolist()
    vector = ts.ckks_vector(context, generator.standard_normal(inputs).tolist())
    name = f"TenSEAL ckks_vector.mm, {outputs} columns by one"
    return measure_rival(name, lambda: vector.mm(matrix), times=outputs)


def tenseal_per_sample(inputs: int, outputs: int) -> dict[str, Any]:
    """One sample forward and backward with TenSEAL vectors, as in its tutorial, for each output."""
    import tenseal as ts

    context = ts.context(
        ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[40, 21, 21, 21, 21, 21, 21, 40]
    )
    context.global_scale = 2**21
    context.generate_galois_keys()
    generator = np.random.default_rng(0)
    weight = ts.ckks_vector(context, generator.standard_normal(inputs).tolist())
    bias = ts.ckks_vector(context, [0.1])
    x = ts.ckks_vector(context, generator.standard_normal(inputs).tolist())
    y = ts.ckks_vector(context, [1.0])

    def step() -> Any:
        out = (x.dot(weight) + bias).polyval([0.5, 0.197, 0, -0.004])
        return x * (out - y)

    name = f"TenSEAL per sample, ONE sample, {outputs} outputs by one"
    return measure_rival(name, step, times=outputs, repeat=3)


def paillier_rows(inputs: int, rows: int, key_bits: int = 3072) -> dict[str, Any] | None:
    """The 2018 Syft's way: a gradient on encrypted weights, row by row; one is run.

    None if `phe` is not there.
    """
    if RIVALS.is_dir() and str(RIVALS) not in sys.path:
        sys.path.append(str(RIVALS))
    try:
        paillier = importlib.import_module("phe.paillier")
    except ImportError:
        return None
    public, _ = paillier.generate_paillier_keypair(n_length=key_bits)
    generator = np.random.default_rng(0)
    weights = [public.encrypt(float(value)) for value in generator.standard_normal(inputs)]
    x = generator.standard_normal(inputs).tolist()

    def one_row() -> Any:
        error = sum(w * value for w, value in zip(weights, x, strict=True)) - 1.0
        return [error * value for value in x]

    name = f"Paillier (phe, {key_bits} bits), {rows:,} rows by one"
    return measure_rival(name, one_row, times=rows, repeat=3)


def numpy_update(inputs: int, outputs: int) -> dict[str, Any]:
    """The same update by NumPy, nothing encrypted."""
    spec = LinearRegression(inputs=inputs, outputs=outputs)
    X, Y = random_rows(1000, inputs, outputs)
    statistics = accumulate_statistics([(X, Y)])
    W = np.zeros((inputs, outputs))
    clear = functools.partial(apply_update, W, statistics, LocalSteps(steps=20), spec.l2)
    return measure_rival("NumPy in the clear", clear, repeat=3)
