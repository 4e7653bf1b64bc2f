"""1. One round of encrypted learning, with all parties in one process.

A key holder (Capsule, in a campaign) encrypts a model. A data owner (a mine) computes a gradient on
it without being able to read it. The key holder decrypts the gradient and improves the model.

    python examples/syft/1_first_round.py
"""

import numpy as np

from openmined.syft import (
    EncryptedGradient,
    EncryptedModel,
    LinearClassifier,
    PublicKeys,
    accumulate_statistics,
    apply_update,
    choose_parameters,
    compute_update,
    decrypt_update,
    encode_targets,
    encrypt_model,
    estimator_from_weights,
    generate_keys,
    initial_weights,
)

# The task: four features and a bias, two classes, least squares with a little regularisation.
spec = LinearClassifier(inputs=5, classes=("benign", "malignant"), l2=0.01)

# The key holder chooses parameters of 128-bit security by a cost model, and makes the keys.
parameters = choose_parameters(spec)
keys = generate_keys(parameters, spec)
print(f"ring degree {parameters.poly_modulus_degree}, primes {parameters.coeff_modulus_bits}")

# It encrypts the model. What travels is bytes: keys once, the model every round.
weights = initial_weights(spec)
key_blobs = keys.public.to_blobs()
model_blobs = encrypt_model(weights, keys).to_blobs()
print(f"keys {sum(map(len, key_blobs.values())) / 1e6:.1f} MB, once")
print(f"model {sum(map(len, model_blobs)) / 1e3:.0f} kB a round")

# The mine has rows in the clear, and what it was sent. All of a least squares update's knowledge
# of the rows is in two sums: Z'Z and Z'Y.
generator = np.random.default_rng(0)
X = generator.standard_normal((300, 4))
labels = np.where(X[:, 0] - X[:, 1] > 0.2, "malignant", "benign")
Z = np.hstack([X, np.ones((300, 1))])
statistics = accumulate_statistics([(Z, encode_targets(spec, labels))])

public = PublicKeys.from_blobs(parameters, key_blobs)
model = EncryptedModel.from_blobs(keys.packing, model_blobs, parameters)
gradient = compute_update(model, public, statistics, spec.update, spec.l2)
print(f"gradient {sum(map(len, gradient.to_blobs())) / 1e3:.0f} kB, noise and all")

# The key holder reads it. It is what the mine would have computed in the clear, to 15 bits or so.
received = EncryptedGradient.from_blobs(keys.packing, gradient.to_blobs(), parameters)
found = decrypt_update(received, keys)
wanted = apply_update(weights, statistics, spec.update, spec.l2)
print(f"precision {np.log2(np.abs(wanted).max() / np.abs(found - wanted).max()):.1f} bits")
assert np.abs(found - wanted).max() < 2**-12 * np.abs(wanted).max()

# A step against the gradient, and the model has learned.
estimator = estimator_from_weights(spec, weights - found)
print(f"accuracy {estimator.score(X, labels):.1%}")
assert estimator.score(X, labels) > 0.9
