"""7. Bytes from strangers: refused with a reason, read in a child process with limits.

python examples/syft/7_what_strangers_send.py
"""

import os

import numpy as np

from openmined.protocol import CKKSParameters
from openmined.syft import (
    EncryptedGradient,
    LinearClassifier,
    OutOfTime,
    SyftError,
    accumulate_statistics,
    choose_parameters,
    compute_update,
    decrypt_update,
    encrypt_model,
    generate_keys,
    initial_weights,
    run_limited,
)

spec = LinearClassifier(inputs=3, classes=("no", "yes"))
keys = generate_keys(choose_parameters(spec), spec)
other = generate_keys(choose_parameters(spec), spec)
rows = np.random.default_rng(0).standard_normal((50, 3))
statistics = accumulate_statistics([(rows, np.eye(2)[np.arange(50) % 2])])
model = encrypt_model(initial_weights(spec), keys)
gradient = compute_update(model, keys.public, statistics, spec.update, spec.l2)
[honest] = gradient.to_blobs()


def read(blobs):
    received = EncryptedGradient.from_blobs(keys.packing, blobs, keys.parameters)
    return decrypt_update(received, keys)


def read_limited(blobs):
    """Read as Capsule does: a bad ciphertext is a rejected gradient, never a crash."""
    return run_limited(read, blobs, memory_mb=512, seconds=20)


assert read_limited([honest]).shape == (3, 2)

foreign = compute_update(
    encrypt_model(initial_weights(spec), other), other.public, statistics, spec.update, spec.l2
)
for what, blobs in (
    ("cut", [honest[:-100]]),
    ("swollen", [honest + bytes(100)]),
    ("random", [os.urandom(len(honest))]),
    ("missing", []),
    ("of another campaign", foreign.to_blobs()),
):
    try:
        read_limited(blobs)
    except SyftError as refusal:
        print(f"{what}: {type(refusal).__name__}: {refusal}")
    else:
        raise AssertionError(f"{what} bytes were taken")

# Parameters below 128 bits of security do not even make a context.
weak = CKKSParameters(
    poly_modulus_degree=8192,
    coeff_modulus_bits=(60, 60, 60, 60),
    weight_scale_bits=60,
    data_scale_bits=24,
)
try:
    generate_keys(weak, spec)
except SyftError as refusal:
    print(f"weak: {type(refusal).__name__}: {refusal}")
else:
    raise AssertionError("weak parameters were taken")


def forever():
    while True:
        pass


try:
    run_limited(forever, memory_mb=64, seconds=0.2)
except OutOfTime as refusal:
    print(f"too slow: {type(refusal).__name__}: {refusal}")
else:
    raise AssertionError("a limit did not hold")
