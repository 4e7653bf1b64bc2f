"""5. A network whose hidden layer is encrypted too, trained by backpropagation on ciphertexts.

Six multiplications deep, without bootstrapping: the key holder encrypts every version afresh and
runs the optimizer. The activation is z -> z^2.

    python examples/syft/5_a_network.py
"""

import numpy as np

from openmined.syft import (
    SGD,
    MLPClassifier,
    ReleaseLedger,
    choose_parameters,
    compute_mlp_update,
    decrypt_update,
    encode_targets,
    encrypt_model,
    estimator_from_weights,
    evaluate,
    generate_keys,
    initial_weights,
    mlp_gradient,
    release_weights,
)

# Exclusive or: no linear model does better than chance.
generator = np.random.default_rng(0)
X = generator.uniform(-1.0, 1.0, (256, 2))
labels = np.where(X[:, 0] * X[:, 1] > 0, "same", "different")
Z = np.hstack([2.0 * X, np.ones((256, 1))])

spec = MLPClassifier(inputs=3, hidden=32, classes=("same", "different"), seed="01")
Y = encode_targets(spec, labels)
keys = generate_keys(choose_parameters(spec), spec)
print(f"keys {sum(map(len, keys.public.to_blobs().values())) / 1e6:.0f} MB, once")

optimizer = SGD(0.1)
weights = initial_weights(spec)
state = optimizer.start(weights)
for number in range(4):
    gradient = compute_mlp_update(encrypt_model(weights, keys), keys.public, Z, Y)
    found, wanted = decrypt_update(gradient, keys), mlp_gradient(weights, Z, Y)
    bits = np.log2(np.abs(wanted).max() / np.abs(found - wanted).max())
    weights, state = optimizer.step(weights, found, state)
    accuracy = evaluate(spec, weights, Z, Y)
    print(f"gradient {number + 1}: {bits:.1f} bits precise, accuracy {accuracy:.1%}")

# Decrypted numbers could leak the key, so the final weights leave with noise for every decryption.
released, _ = release_weights(weights, keys, ReleaseLedger().count_decryption(4))
estimator = estimator_from_weights(spec, released)
print(f"released: {estimator.score(Z, labels):.1%}")
assert estimator.score(Z, labels) > 0.9
