"""6. Differential privacy: noise on the statistics once, and every round is answered from them.

Encryption hides the model from the mine. It does not hide the mine's update from the key holder. An
owner who wants a proof about single rows releases noisy statistics (AdaSSP) under a budget.

    python examples/syft/6_private_answers.py
"""

import numpy as np

from openmined.syft import (
    LinearClassifier,
    PrivacyLedger,
    ReleaseRefused,
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

ledger = PrivacyLedger(epsilon=2.0, delta=1e-6)  # the owner's budget, over all campaigns
ledger = ledger.spend(1.0, 1e-6)
private = privatise_statistics(exact, spec, 1.0, 1e-6)
print(f"spent epsilon {ledger.spent_epsilon:.2f} of {ledger.epsilon}")

keys = generate_keys(choose_parameters(spec), spec)
weights = initial_weights(spec)
for _ in range(3):  # as many rounds as anybody likes: post-processing of one release
    model = encrypt_model(weights, keys)
    update = compute_update(model, keys.public, private, spec.update, spec.l2)
    weights = weights - 0.5 * decrypt_update(update, keys)
print(f"accuracy with epsilon 1: {evaluate(spec, weights, Z, Y):.1%}")
assert evaluate(spec, weights, Z, Y) > 0.9
assert not np.array_equal(
    apply_update(weights, private, spec.update, spec.l2),
    apply_update(weights, exact, spec.update, spec.l2),
)

try:
    ledger.spend(2.0, 1e-6)
except ReleaseRefused as refusal:
    print(f"refused: {refusal}")
else:
    raise AssertionError("the budget was overdrawn")
