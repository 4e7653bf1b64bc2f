"""4. Mines that hold one class each: plain gradients and Anderson acceleration.

Here every mine has the images of one digit only. Its own optimum knows one answer, and averaging
optima does not help. So mines send plain gradients, and the key holder combines a round of them.

    python examples/syft/4_mines_that_differ.py
"""

import numpy as np
from sklearn.datasets import load_digits

from openmined.protocol import LocalSteps
from openmined.syft import (
    Anderson,
    LinearClassifier,
    UpdateCache,
    accumulate_statistics,
    apply_update,
    choose_parameters,
    compute_update,
    decrypt_update,
    encode_targets,
    encrypt_model,
    evaluate,
    generate_keys,
    initial_weights,
)

DIGITS = ("0", "1", "2", "3", "4")
images, digits = load_digits(n_class=5, return_X_y=True)
X, labels = images / 8.0, digits.astype(str)
Z = np.hstack([X, np.ones((len(X), 1))])

spec = LinearClassifier(inputs=65, classes=DIGITS, l2=1e-3)
Y = encode_targets(spec, labels)
mines = [accumulate_statistics([(Z[labels == k], Y[labels == k])]) for k in DIGITS]
caches = [UpdateCache() for _ in mines]  # a mine keeps its encoded matrix across rounds
keys = generate_keys(choose_parameters(spec), spec)

# Each mine at its own optimum, in the clear: what not to do.
far = LocalSteps(steps=100_000)
own = [apply_update(initial_weights(spec), mine, far, spec.l2) for mine in mines]
averaged = evaluate(spec, np.mean(own, axis=0), Z, Y)
print(f"the mines' own optima, averaged: {averaged:.1%}")

optimizer = Anderson(0.02, memory=8)
weights = initial_weights(spec)
state = optimizer.start(weights)
for round_number in range(6):
    model = encrypt_model(weights, keys)
    gradients = [
        decrypt_update(
            compute_update(model, keys.public, mine, spec.update, spec.l2, cache=cache), keys
        )
        for mine, cache in zip(mines, caches, strict=True)
    ]
    shares = np.array([mine.n for mine in mines]) / len(X)
    weights, state = optimizer.step(weights, np.tensordot(shares, gradients, 1), state)
    print(f"round {round_number + 1}: {evaluate(spec, weights, Z, Y):.1%}")

centralised = spec.fit(X, labels).score(X, labels)
print(f"all rows in one place: {centralised:.1%}")
assert averaged < 0.6
assert evaluate(spec, weights, Z, Y) > centralised - 0.01
