"""Updates of the linear family: time, size, precision and operations, beside TenSEAL and others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from benchmarks.syft._clock import Clock, Voice, best_of, bits_of
from benchmarks.syft._rivals import (
    numpy_update,
    paillier_rows,
    tenseal_mm,
    tenseal_per_sample,
)
from benchmarks.syft._rows import Row, make_row, missing_row
from benchmarks.syft._tasks import random_rows

from openmined.protocol import InterleavedPacking, LocalSteps, PlainGradient, UpdateKind
from openmined.syft import (
    LinearRegression,
    SecretKeys,
    Statistics,
    UpdateCache,
    accumulate_statistics,
    apply_update,
    array_features,
    choose_parameters,
    compute_update,
    decrypt_update,
    encrypt_model,
    generate_keys,
    stream_statistics,
)

WANTED_BITS = 12
Task = tuple[LinearRegression, SecretKeys, Statistics, Any]


def linear_task(
    inputs: int,
    outputs: int,
    n: int = 1000,
    update: UpdateKind | None = None,
    *,
    few_rows: bool = False,
) -> Task:
    """A regression on random rows, with its keys, statistics and weights to be updated."""
    spec = LinearRegression(inputs=inputs, outputs=outputs, update=update or PlainGradient())
    keys = generate_keys(choose_parameters(spec, few_rows=few_rows), spec)
    X, Y = random_rows(n, inputs, max(outputs, 2))
    W = 0.05 * np.random.default_rng(1).standard_normal((inputs, outputs))
    return spec, keys, accumulate_statistics([(X, Y[:, :outputs])]), W


def measure_update(
    name: str,
    task: Task,
    *,
    against: dict[str, Any] | None = None,
    at_least: float | None = None,
    cache: UpdateCache | None = None,
    processes: int = 1,
    repeat: int = 3,
) -> Row:
    """Measure a protected update: the best of a few, keys and model loaded before.

    Args:
        name: of the row.
        task: from `linear_task`.
        against: a rival.
        at_least: so many times faster than the rival is asked for.
        cache: of the matrix's encodings; filled before.
        processes: forked ones.
        repeat: runs.
    """
    spec, keys, statistics, W = task
    model = encrypt_model(W, keys)
    keys.public.check()
    assert model.ciphertexts
    voice = Voice(name)

    def update() -> Any:
        return compute_update(
            model,
            keys.public,
            statistics,
            spec.update,
            spec.l2,
            lambda done, of: voice.say(f"{done} of {of}"),
            processes=processes,
            cache=cache,
        )

    if cache is not None:
        update()
    seconds, cpu_seconds, gradient = best_of(repeat, update)
    wanted = apply_update(W, statistics, spec.update, spec.l2)
    bits = bits_of(decrypt_update(gradient, keys), wanted)
    required = {f"{WANTED_BITS} bits after protection": bits >= WANTED_BITS}
    if at_least is not None and against is not None:
        ratio = against["rival_seconds"] / seconds
        required[f"at least {at_least:g} times as fast as {against['rival']}"] = ratio >= at_least
    return make_row(
        name,
        seconds,
        required=required,
        bytes_down=sum(map(len, model.to_blobs())),
        bytes_up=sum(map(len, gradient.to_blobs())),
        bits=bits,
        operations=None if "two products" in name else _operations(keys, len(model.ciphertexts)),
        **(against or {}),
        # The clock of processor time does not see other processes.
        **({"cpu_seconds": cpu_seconds} if processes == 1 else {"processes": processes}),
        bytes_keys=sum(map(len, keys.public.to_blobs().values())),
    )


def _operations(keys: SecretKeys, ciphertexts: int) -> dict[str, int]:
    packing = keys.packing
    assert isinstance(packing, InterleavedPacking)
    rotations = packing.giant_step - 1 + packing.dimension // packing.giant_step - 1
    return {
        "plaintext multiplications": ciphertexts * packing.dimension,
        "rotations": ciphertexts * rotations,
    }


def bench_small(quick: bool) -> Iterator[Row]:
    """A whole update at 64x10 beside TenSEAL per sample and Paillier per row."""
    yield measure_update(
        "update 64x10, any rows, any steps",
        linear_task(64, 10, n=100_000, update=LocalSteps(steps=1000)),
        against=tenseal_per_sample(64, 10),
        at_least=1.0,
    )
    few, many = (
        measure_update(f"update 64x10 on {n:,} rows", linear_task(64, 10, n=n), repeat=9)
        for n in (100, 100_000)
    )
    yield few
    text = "no more than a quarter above 100 rows"
    many["required"][text] = many["seconds"] <= 1.25 * few["seconds"]
    yield many
    paillier = paillier_rows(11, 100_000, 512 if quick else 3072)
    name = "update 11x1, 100,000 rows"
    if paillier is None:
        yield missing_row(name, "phe, the 2018 Syft's Paillier, is not installed: run `make bench`")
    else:
        yield measure_update(name, linear_task(11, 1, n=100_000), against=paillier)


def bench_product(quick: bool) -> Iterator[Row]:
    """The depth-1 product beside TenSEAL's own matrix product and NumPy."""
    size = 128 if quick else 785
    tenseal = tenseal_mm(size, 10)
    at_least = 20.0
    task = linear_task(size, 10)
    yield measure_update(f"update {size}x10", task, against=tenseal, at_least=at_least)
    yield measure_update(
        f"update {size}x10, diagonals kept",
        task,
        against=tenseal,
        at_least=at_least,
        cache=UpdateCache(),
    )
    yield measure_update(f"update {size}x10, two processes", task, processes=2)
    yield measure_update(
        f"update {size}x10, 20 local steps",
        linear_task(size, 10, update=LocalSteps(steps=20)),
        against=numpy_update(size, 10),
    )
    rows = size // 12
    yield measure_update(
        f"update {size}x10 from {rows} rows, two products",
        linear_task(size, 10, n=rows, few_rows=True),
    )


def bench_large(quick: bool) -> Iterator[Row]:
    """The largest linear update."""
    inputs, outputs = (256, 20) if quick else (2048, 100)
    yield measure_update(
        f"update {inputs}x{outputs}, two processes",
        linear_task(inputs, outputs),
        processes=2,
        repeat=1,
    )


def bench_streaming(quick: bool) -> Iterator[Row]:
    """Ten million rows of 64 features through Arrow record batches."""
    import pyarrow as pa

    spec = LinearRegression(inputs=64, features=array_features(63))
    rows, batches = 100_000, 3 if quick else 100
    flat = np.random.default_rng(0).standard_normal(63 * rows)
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat), 63)
    batch = pa.record_batch({"x": column, "y": pa.array(np.zeros(rows))})
    name = f"statistics of {rows * batches:,} x 64, streamed"
    voice, clock = Voice(name), Clock()
    statistics = stream_statistics(
        spec, (batch for _ in range(batches)), ["y"], lambda done: voice.say(f"{done:,} rows")
    )
    assert statistics.n == rows * batches
    seconds = clock.seconds
    found = make_row(name, seconds, rows_per_second=round(statistics.n / seconds))
    found["required"] = {"under 1 GB": found["peak_mb"] < 1000}
    yield found
