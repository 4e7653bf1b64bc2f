"""The data that everything is measured on: random rows, scikit-learn's digits, MNIST."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openmined.protocol import ColumnsStep, RandomReLUStep
from openmined.syft import FeatureMap, array_features, build_features

Floats = NDArray[np.float64]

DIGITS = tuple("0123456789")
MNIST = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"
MNIST_MISSING = "MNIST's test set is not in ../shared/data/mnist"


def random_rows(n: int, inputs: int, outputs: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Rows (n, inputs) with their bias, and one-hot targets (n, outputs)."""
    generator = np.random.default_rng(seed)
    X = np.hstack([generator.standard_normal((n, inputs - 1)), np.ones((n, 1))])
    return X, np.eye(outputs)[generator.integers(0, outputs, n)]


def load_digits() -> tuple[Floats, NDArray[Any]]:
    """scikit-learn's digits in a fixed order: (1797, 64) from 0 to 16, and labels."""
    from sklearn.datasets import load_digits as load

    X, labels = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], labels[order]


def load_mnist() -> tuple[Floats, NDArray[Any]]:
    """MNIST's test set in a fixed order: (10000, 784) from 0 to 1, and labels."""
    images = gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((MNIST / "t10k-labels-idx1-ubyte.gz").read_bytes())
    X = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784) / 255.0
    y = np.frombuffer(labels, np.uint8, offset=8).astype(int)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], y[order]


def relu_features(count: int) -> FeatureMap:
    """Random ReLU features of patches of an image of 28 x 28."""
    scaled = ColumnsStep(columns=("x",), scale=(0.3,) * 784)
    step = RandomReLUStep(features=count, seed="00", patch=8, height=28, width=28)
    return build_features((scaled, step), array_features(784).schema)
