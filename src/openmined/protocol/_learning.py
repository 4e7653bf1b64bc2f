"""What is learned, from what, and how: features, algorithms, update kinds, CKKS parameters.

Everything here is data that travels in manifests. The mathematics is in `openmined.syft`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from openmined.protocol._canonical import Frozen
from openmined.protocol._schema import Name

Seed = Annotated[str, Field(pattern=r"^[0-9a-f]{2,64}$")]
"""Public seed of random weights, hexadecimal; expanded by SHAKE-256 (see openmined.syft)."""

Dimension = Annotated[int, Field(ge=1, le=8192)]
Positive = Annotated[float, Field(gt=0, lt=1e12)]
Vector = Annotated[tuple[float, ...], Field(max_length=8192)]


class ColumnsStep(Frozen):
    """Numeric columns (arrays flattened), (x - centre) / scale; first in most chains."""

    kind: Literal["columns"] = "columns"
    columns: tuple[Name, ...] = Field(min_length=1, max_length=4096)
    centre: Vector = ()
    scale: Vector = ()


class HashedTextStep(Frozen):
    """Hashed n-grams of a text column (scikit-learn's HashingVectorizer), L2-normalised rows."""

    kind: Literal["hashed-text"] = "hashed-text"
    column: Name
    features: Dimension
    analyzer: Literal["word", "char", "char_wb"] = "word"
    ngram_min: int = Field(default=1, ge=1, le=8)
    ngram_max: int = Field(default=2, ge=1, le=8)


class ImagePatchesStep(Frozen):
    """ReLU responses to random patches of an image, mean-pooled on a grid."""

    kind: Literal["image-patches"] = "image-patches"
    height: int = Field(ge=2, le=512)
    width: int = Field(ge=2, le=512)
    patch: int = Field(ge=2, le=32)
    stride: int = Field(ge=1, le=32)
    filters: int = Field(ge=1, le=1024)
    pool: int = Field(ge=1, le=16)
    seed: Seed


class RandomFourierStep(Frozen):
    """sqrt(2 / m) cos(x Omega + b): random Fourier features of a Gaussian kernel of width gamma."""

    kind: Literal["random-fourier"] = "random-fourier"
    features: Dimension
    gamma: Positive
    seed: Seed


class RandomReLUStep(Frozen):
    """max(0, x Omega + b): the fixed hidden layer of a two-layer network.

    `patch` restricts each unit to a random square patch of a height x width image.
    """

    kind: Literal["random-relu"] = "random-relu"
    features: Dimension
    seed: Seed
    patch: int | None = Field(default=None, ge=2, le=512)
    height: int | None = Field(default=None, ge=2, le=512)
    width: int | None = Field(default=None, ge=2, le=512)


FeatureStep = Annotated[
    ColumnsStep | HashedTextStep | ImagePatchesStep | RandomFourierStep | RandomReLUStep,
    Field(discriminator="kind"),
]


class LinearRegressionAlgorithm(Frozen):
    """Ridge regression: minimise |XW - Y|^2 / 2n + l2 |W|^2 / 2; metric R2.

    Outputs are brought to about [-1, 1] by their minimum and maximum where the schema has them.
    """

    kind: Literal["linear-regression"] = "linear-regression"
    l2: Positive = 1e-3


class LinearClassifierAlgorithm(Frozen):
    """One-hot least squares; the class of the largest output; metric accuracy."""

    kind: Literal["linear-classifier"] = "linear-classifier"
    l2: Positive = 1e-3


class MLPClassifierAlgorithm(Frozen):
    """One hidden layer with activation z^2, trained by backpropagation on ciphertexts."""

    kind: Literal["mlp-classifier"] = "mlp-classifier"
    hidden: int = Field(ge=1, le=256)
    learning_rate: Positive = 0.02
    batch: int = Field(default=128, ge=1, le=65536)
    seed: Seed = "00"


Algorithm = Annotated[
    LinearRegressionAlgorithm | LinearClassifierAlgorithm | MLPClassifierAlgorithm,
    Field(discriminator="kind"),
]


class PlainGradient(Frozen):
    """One gradient G W - C at the current model; Capsule runs the optimizer."""

    kind: Literal["gradient"] = "gradient"


class LocalSteps(Frozen):
    """`steps` local gradient steps of relative rate `rate` / lambda_max(G), in one product.

    W_K = A W + B with A = (I - eta G)^K and B = (I - A) G^-1 C, eta = rate / lambda_max(G).
    """

    kind: Literal["local-steps"] = "local-steps"
    steps: int = Field(ge=1, le=10_000_000)
    rate: float = Field(default=1.0, gt=0, le=1.0)


UpdateKind = Annotated[PlainGradient | LocalSteps, Field(discriminator="kind")]


class CKKSParameters(Frozen):
    """A CKKS parameter set; checked against SEAL's 128-bit table where it is used."""

    scheme: Literal["ckks"] = "ckks"
    poly_modulus_degree: Literal[4096, 8192, 16384, 32768]
    coeff_modulus_bits: tuple[Annotated[int, Field(ge=20, le=60)], ...] = Field(
        min_length=2, max_length=24
    )
    weight_scale_bits: int = Field(ge=10, le=100)
    data_scale_bits: int = Field(ge=5, le=60)
    flood_bits: int = Field(default=30, ge=0, le=60)


class InterleavedPacking(Frozen):
    """Depth-1 packing: slot = row * columns_per_ciphertext + column; `dimension` rows, padded.

    Slots are complex and a slot column carries two real columns of weights, one in its real part,
    one in its imaginary part: `columns` counts real columns, `columns_per_ciphertext` slot columns.
    """

    kind: Literal["interleaved"] = "interleaved"
    rows: Dimension
    columns: int = Field(ge=1, le=4096)
    dimension: Annotated[int, Field(ge=1, le=16384)]
    columns_per_ciphertext: int = Field(ge=1, le=16384)
    giant_step: int = Field(ge=1, le=16384)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.dimension < self.rows or self.dimension & (self.dimension - 1):
            raise ValueError(f"dimension {self.dimension} is no power of two >= {self.rows} rows")
        if self.giant_step > self.dimension or self.dimension % self.giant_step:
            raise ValueError(f"giant step {self.giant_step} does not divide {self.dimension}")
        return self


class MLPPacking(Frozen):
    """Packing of a two-layer network; see openmined.syft's documentation of the layout.

    `row_length` is the length of rows, as root mean square, that gradients are protected for; it
    follows from the campaign's features, and whoever is given another one refuses.
    """

    kind: Literal["mlp"] = "mlp"
    inputs: Dimension
    hidden: int = Field(ge=1, le=256)
    outputs: int = Field(ge=1, le=4096)
    block: int = Field(ge=1, le=16384)
    row_length: float = Field(gt=0, le=64)


Packing = Annotated[InterleavedPacking | MLPPacking, Field(discriminator="kind")]


class PrivacyRequest(Frozen):
    """Differential privacy asked of every mine (AdaSSP, DESIGN 6.5) or of Capsule (DP-FedAvg)."""

    epsilon: float = Field(gt=0, le=1000)
    delta: float = Field(gt=0, le=1e-5)
    """A chance of no privacy at all: far below one in the number of rows."""
    level: Literal["record", "client"] = "record"


class ScoringSettings(Frozen):
    """How Capsule gathers and scores gradients."""

    window_s: float = Field(default=30.0, ge=0, le=86_400)
    """Longest wait, from the first pending gradient, for others to join its batch."""
    batch: int = Field(default=16, ge=1, le=64)
    """Score at once when this many are pending."""
    quota: int = Field(default=64, ge=1, le=100_000)
    """Gradients that one mine may submit to the campaign."""
    release_step_ppm: int = Field(default=100, ge=1, le=100_000)
    """Accuracy is released rounded to this step."""
