"""Syft: learning on encrypted weights, from data that never leave their owner.

CKKS through Microsoft SEAL: every operation on secrets is SEAL's, ours is public linear algebra on
ciphertexts. The order of use:

    spec -> choose_parameters -> generate_keys -> encrypt_model            (key holder)
         -> accumulate_statistics -> compute_update                        (mine)
         -> decrypt_update -> evaluate -> encrypt_model ...                (key holder)
         -> estimator_from_weights                                         (data scientist)

This package knows no chain, no files and no network.
"""

from typing import TYPE_CHECKING, Any

from openmined.syft._errors import (
    CiphertextError,
    DataError,
    KeyMismatch,
    LimitError,
    MissingExtra,
    ModelFileError,
    OutOfMemory,
    OutOfTime,
    ParameterError,
    RangeError,
    ReleaseRefused,
    SpecError,
    SyftError,
)
from openmined.syft._estimators import (
    LinearEstimator,
    estimator_from_weights,
    evaluate,
)
from openmined.syft._executors import Call, Executor, ForkExecutor, Work, map_arrays, open_executor
from openmined.syft._features import FeatureMap, array_features, build_features
from openmined.syft._interop import from_sklearn, from_torch, to_sklearn, to_torch
from openmined.syft._keys import PublicKeys, SecretKeys, generate_keys
from openmined.syft._limits import run_limited
from openmined.syft._mlp import MLPEstimator, mlp_gradient, mlp_pullback, mlp_tangent
from openmined.syft._mlp_gradient import compute_mlp_update
from openmined.syft._mlp_keys import check_mlp_packing
from openmined.syft._model_file import load_model, save_model
from openmined.syft._optimizers import SGD, Adam, AdamState, Anderson, AndersonState, SGDState
from openmined.syft._parameters import choose_parameters
from openmined.syft._privacy import clip_targets, privatise_statistics
from openmined.syft._ray import RayExecutor
from openmined.syft._release import ReleaseLedger, release_weights
from openmined.syft._specs import (
    LearningSpec,
    LinearClassifier,
    LinearRegression,
    MLPClassifier,
    RandomFeatureClassifier,
    RandomFeatureRegressor,
    initial_weights,
    spec_from_manifest,
)
from openmined.syft._states import EncryptedGradient, EncryptedModel, encrypt_model
from openmined.syft._statistics import Statistics, accumulate_statistics
from openmined.syft._streaming import encode_batches, stream_statistics
from openmined.syft._targets import encode_targets
from openmined.syft._training import TrainedUpdate, draw_rows, train_update
from openmined.syft._updates import UpdateCache, apply_update, compute_update, decrypt_update

__all__ = [
    "SGD",
    "Adam",
    "AdamState",
    "Anderson",
    "AndersonState",
    "Call",
    "CiphertextError",
    "DataError",
    "EncryptedGradient",
    "EncryptedModel",
    "Executor",
    "FeatureMap",
    "ForkExecutor",
    "KeyMismatch",
    "LearningSpec",
    "LimitError",
    "LinearClassifier",
    "LinearEstimator",
    "LinearRegression",
    "MLPClassifier",
    "MLPEstimator",
    "MissingExtra",
    "ModelFileError",
    "OutOfMemory",
    "OutOfTime",
    "ParameterError",
    "PublicKeys",
    "RandomFeatureClassifier",
    "RandomFeatureRegressor",
    "RangeError",
    "RayExecutor",
    "ReleaseLedger",
    "ReleaseRefused",
    "SGDState",
    "SecretKeys",
    "SpecError",
    "Statistics",
    "SyftError",
    "TrainedUpdate",
    "UpdateCache",
    "Work",
    "accumulate_statistics",
    "app",
    "apply_update",
    "array_features",
    "build_features",
    "check_mlp_packing",
    "choose_parameters",
    "clip_targets",
    "compute_mlp_update",
    "compute_update",
    "decrypt_update",
    "draw_rows",
    "encode_batches",
    "encode_targets",
    "encrypt_model",
    "estimator_from_weights",
    "evaluate",
    "from_sklearn",
    "from_torch",
    "generate_keys",
    "initial_weights",
    "load_model",
    "map_arrays",
    "mlp_gradient",
    "mlp_pullback",
    "mlp_tangent",
    "open_executor",
    "privatise_statistics",
    "release_weights",
    "run_limited",
    "save_model",
    "spec_from_manifest",
    "stream_statistics",
    "to_sklearn",
    "to_torch",
    "train_update",
]


if TYPE_CHECKING:
    from openmined.syft._cli import app


def __getattr__(name: str) -> Any:
    """Import the command line when it is asked for: mines and Capsules have no use for it."""
    if name == "app":
        from openmined.syft._cli import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
