"""2. Rows and epochs cost nothing on ciphertexts: the update is one matrix product.

K steps of gradient descent on a quadratic loss are an affine map of the weights, W -> A W + B. A
and B are plaintext at the mine. Rows may outgrow memory, or one processor.

    python examples/syft/2_any_number_of_rows.py
"""

import time

import numpy as np
import pyarrow as pa

from openmined.protocol import LocalSteps
from openmined.syft import (
    ForkExecutor,
    LinearRegression,
    apply_update,
    array_features,
    choose_parameters,
    compute_update,
    decrypt_update,
    encrypt_model,
    generate_keys,
    initial_weights,
    stream_statistics,
)

TRUTH = np.random.default_rng(0).standard_normal(20)


def batches(rows):
    """Record batches, as a file too large for memory would give them."""
    generator = np.random.default_rng(1)
    for start in range(0, rows, 10_000):
        x = generator.standard_normal((min(10_000, rows - start), 20))
        column = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), 20)
        yield pa.record_batch({"x": column, "y": pa.array(x @ TRUTH)})


features = array_features(20)
spec = LinearRegression(
    inputs=features.outputs, l2=1e-6, update=LocalSteps(steps=1_000_000), features=features
)
keys = generate_keys(choose_parameters(spec), spec)
model = encrypt_model(initial_weights(spec), keys)

for rows in (100, 50_000):
    # Two forked processes share the chunks; `executor=None` would do them here, and a
    # `RayExecutor` on a cluster.
    statistics = stream_statistics(spec, batches(rows), ["y"], executor=ForkExecutor(2))
    start = time.perf_counter()
    update = compute_update(model, keys.public, statistics, spec.update, spec.l2)
    seconds = time.perf_counter() - start
    weights = decrypt_update(update, keys)
    size = sum(map(len, update.to_blobs())) / 1000
    print(f"{statistics.n:>6} rows, a million steps: one product, {seconds:.2f} s, {size:.0f} kB")
    wanted = apply_update(initial_weights(spec), statistics, spec.update, spec.l2)
    assert np.abs(weights - wanted).max() < 1e-3

print(f"largest error of a weight: {np.abs(weights[:-1, 0] - TRUTH).max():.0e}")
assert np.abs(weights[:-1, 0] - TRUTH).max() < 0.05
