"""3. A curved boundary with a linear model: random features, alike at every mine.

The features are a public map that each mine computes from the campaign's seed (SHAKE-256), so that
the encrypted part stays linear: a two-layer network whose hidden layer everybody knows.

    python examples/syft/3_random_features.py
"""

import numpy as np

from openmined.protocol import ColumnsStep, LocalSteps, RandomFourierStep
from openmined.syft import (
    RandomFeatureClassifier,
    accumulate_statistics,
    array_features,
    build_features,
    choose_parameters,
    compute_update,
    decrypt_update,
    encode_targets,
    encrypt_model,
    estimator_from_weights,
    evaluate,
    generate_keys,
    initial_weights,
)

generator = np.random.default_rng(0)
X = generator.uniform(-1.5, 1.5, (600, 2))
labels = np.where((X**2).sum(axis=1) < 1.0, "inside", "outside")

features = build_features(
    (ColumnsStep(columns=("x",)), RandomFourierStep(features=63, gamma=1.0, seed="2a")),
    array_features(2).schema,
)
spec = RandomFeatureClassifier(
    inputs=features.outputs,
    classes=("inside", "outside"),
    l2=1e-4,
    update=LocalSteps(steps=10_000),
    features=features,
)
Z, Y = features.transform({"x": X}), encode_targets(spec, labels)
keys = generate_keys(choose_parameters(spec), spec)

# Three mines take turns. Each sees the others' rows only through the model it cannot read.
weights = initial_weights(spec)
for turn, rows in enumerate(np.array_split(np.arange(450), 3)):
    statistics = accumulate_statistics([(Z[rows], Y[rows])])
    update = compute_update(
        encrypt_model(weights, keys), keys.public, statistics, spec.update, spec.l2
    )
    weights = weights + (decrypt_update(update, keys) - weights) / (turn + 1)
    print(f"after mine {turn + 1}: {evaluate(spec, weights, Z[450:], Y[450:]):.1%}")

estimator = estimator_from_weights(spec, weights)  # carries the feature map
assert estimator.score(X[450:], labels[450:]) > 0.93
