"""4. Mines that hold one class each: plain gradients and Anderson acceleration.

Where rows are sorted, each mine's own optimum knows one answer only, and averaging optima does not
help. So mines send plain gradients, and the key holder combines a round of them.

    python examples/syft/4_mines_that_differ.py
"""

import numpy as np

from openmined.syft import (
    Anderson,
    LinearClassifier,
    UpdateCache,
    accumulate_statistics,
    choose_parameters,
    compute_update,
    decrypt_update,
    encode_targets,
    encrypt_model,
    evaluate,
    generate_keys,
    initial_weights,
)

generator = np.random.default_rng(0)
labels = np.sort(generator.choice(["a", "b", "c"], 600))
centres = {"a": (0.0, 1.2), "b": (1.0, -0.6), "c": (-1.0, -0.6)}
X = np.array([centres[label] for label in labels]) + 0.5 * generator.standard_normal((600, 2))
Z = np.hstack([X, np.ones((600, 1))])

spec = LinearClassifier(inputs=3, classes=("a", "b", "c"), l2=1e-3)
Y = encode_targets(spec, labels)
mines = [accumulate_statistics([(Z[labels == k], Y[labels == k])]) for k in "abc"]
caches = [UpdateCache() for _ in mines]  # a mine keeps its encoded matrix across rounds
keys = generate_keys(choose_parameters(spec), spec)

optimizer = Anderson(0.5, memory=8)
weights = initial_weights(spec)
state = optimizer.start(weights)
for round_number in range(4):
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
assert evaluate(spec, weights, Z, Y) > centralised - 0.01
