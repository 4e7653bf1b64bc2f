"""What differential privacy costs: accuracy of the closed-form solution under AdaSSP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from benchmarks.syft._clock import Clock, Voice
from benchmarks.syft._rows import Row, make_row, missing_row
from benchmarks.syft._tasks import (
    DIGITS,
    MNIST,
    MNIST_MISSING,
    load_digits,
    load_mnist,
    relu_features,
)

from openmined.protocol import ColumnsStep
from openmined.syft import (
    FeatureMap,
    LinearClassifier,
    Statistics,
    accumulate_statistics,
    array_features,
    build_features,
    evaluate,
    privatise_statistics,
)

SAMPLES = (100, 1_000, 10_000, 50_000)
EPSILONS = (10.0, 3.0, 1.0)
DELTA = 1e-6
Problem = tuple[str, FeatureMap, Any, Any, int]


def bench_privacy(quick: bool) -> Iterator[Row]:
    """Accuracy for mines of 100 to 50,000 rows, without privacy and at three epsilons.

    Where a mine is to have more rows than the data set, its statistics are those of the whole
    training split, multiplied: the noise is that of so many rows, the optimum that of the split.
    """
    for name, features, X, labels, split in _problems(quick):
        spec = LinearClassifier(inputs=features.outputs, classes=DIGITS, l2=1e-4, features=features)
        Z, Y = features.transform({"x": X}), np.eye(10)[labels]
        test = (Z[split:], Y[split:])
        for count in SAMPLES[-1:] if quick else SAMPLES:
            yield _row(f"AdaSSP, {name}, {count:,} rows a mine", spec, (Z, Y), split, count, test)
    if not MNIST.exists():
        yield missing_row("AdaSSP, MNIST", MNIST_MISSING)


def _row(
    name: str, spec: LinearClassifier, rows: Any, split: int, count: int, test: Any, draws: int = 5
) -> Row:
    Z, Y = rows
    used = slice(0, min(count, split))
    many = _multiply(accumulate_statistics([(Z[used], Y[used])]), count)
    scores = {"none": round(evaluate(spec, _solve(spec, many), *test), 4)}
    voice, clock = Voice(name), Clock()
    for epsilon in EPSILONS:
        found = []
        for draw in range(draws):
            voice.say(f"epsilon {epsilon:g}, draw {draw + 1} of {draws}")
            released = privatise_statistics(many, spec, epsilon, DELTA)
            found.append(evaluate(spec, _solve(spec, released), *test))
        scores[f"{epsilon:g}"] = round(float(np.mean(found)), 4)
    seconds = clock.seconds / draws / len(EPSILONS)
    return make_row(name, seconds, accuracy_by_epsilon=scores)


def _solve(spec: LinearClassifier, statistics: Statistics) -> Any:
    G = statistics.gram / statistics.n + spec.l2 * np.eye(spec.inputs)
    return np.linalg.solve(G, statistics.cross / statistics.n)


def _multiply(statistics: Statistics, count: int) -> Statistics:
    """As if there were `count` rows of the same distribution."""
    times = count / statistics.n
    return Statistics(count, statistics.gram * times, statistics.cross * times)


def _problems(quick: bool) -> Iterator[Problem]:
    scaling = ColumnsStep(columns=("x",), centre=(5.0,) * 64, scale=(6.0,) * 64)
    pixels = build_features((scaling,), array_features(64).schema)
    X, labels = load_digits()
    yield "digits, 64 pixels", pixels, X, labels, 1437
    if MNIST.exists() and not quick:
        X, labels = load_mnist()
        for count in (127, 1023):
            yield f"MNIST, {count:,} ReLU features", relu_features(count), X, labels, 8000
