"""6. Differential privacy: noise on the statistics once, and every round is answered from them.

Encryption hides the model from the mine. It does not hide the mine's update from the key holder. An
owner who wants a proof about single rows releases noisy statistics (AdaSSP): what anybody sees then
hardly depends on whether any one row is there. The price is accuracy: the fewer rows, the more.

    python examples/syft/6_private_answers.py
"""

import numpy as np

from openmined.syft import (
    LinearClassifier,
    accumulate_statistics,
    choose_parameters,
    compute_update,
    decrypt_update,
    encode_targets,
    encrypt_model,
    evaluate,
    generate_keys,
    initial_weights,
    privatise_statistics,
)

generator = np.random.default_rng(0)
X = 0.5 * generator.standard_normal((20_000, 4))
labels = np.where(X.sum(axis=1) > 0, "yes", "no")
Z = np.hstack([X, np.ones((20_000, 1))])

# `radius` is the public bound on the length of a row: the noise is made for it.
spec = LinearClassifier(inputs=5, classes=("no", "yes"), l2=1e-3, radius=2.5)
Z *= np.minimum(1.0, spec.radius / np.linalg.norm(Z, axis=1, keepdims=True))
Y = encode_targets(spec, labels)
exact = accumulate_statistics([(Z, Y)])

keys = generate_keys(choose_parameters(spec), spec)


def train(statistics):
    """Three rounds; as many as anybody likes cost no more privacy: all come from one release."""
    weights = initial_weights(spec)
    for _ in range(3):
        model = encrypt_model(weights, keys)
        update = compute_update(model, keys.public, statistics, spec.update, spec.l2)
        weights = weights - 0.5 * decrypt_update(update, keys)
    return evaluate(spec, weights, Z, Y)


print(f"accuracy from exact statistics: {train(exact):.1%}")
for epsilon in (1.0, 0.1):
    private = privatise_statistics(exact, spec, epsilon, delta=1e-6)
    change = np.linalg.norm(private.gram - exact.gram) / np.linalg.norm(exact.gram)
    accuracy = train(private)
    print(f"with epsilon {epsilon:g}: {accuracy:.1%}; the release is {change:.2%} off")
    if epsilon == 1.0:
        assert accuracy > 0.9
        assert change > 0
