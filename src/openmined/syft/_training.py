"""One update from a stream of rows, whichever the algorithm: what a mine calls."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openmined.syft._errors import DataError
from openmined.syft._executors import choose_executor
from openmined.syft._mlp_gradient import compute_mlp_update
from openmined.syft._mlp_keys import check_mlp_packing
from openmined.syft._settings import require_whole
from openmined.syft._specs import MLPClassifier
from openmined.syft._statistics import NO_ROWS, accumulate_statistics, check_batch, pairs
from openmined.syft._updates import compute_update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from openmined.syft._executors import Executor
    from openmined.syft._keys import PublicKeys
    from openmined.syft._specs import LearningSpec
    from openmined.syft._states import EncryptedGradient, EncryptedModel

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainedUpdate:
    """An encrypted update and the number of rows it speaks for."""

    gradient: EncryptedGradient
    samples: int


def train_update(
    spec: LearningSpec,
    model: EncryptedModel,
    public: PublicKeys,
    batches: Iterable[tuple[Any, Any]],
    progress: Callable[[int, int], None] | None = None,
    *,
    processes: int = 1,
    executor: Executor | None = None,
) -> TrainedUpdate:
    """Compute a protected update from batches of rows, as the spec's algorithm wants it.

    The linear family uses every row through its statistics; a network draws `spec.batch` of them.

    Args:
        spec: the task.
        model: the encrypted weights.
        public: the keys they were encrypted under.
        batches: pairs (Z, Y), from `encode_batches` for instance; read once, a batch at a time.
        progress: called with (done, all).
        processes: forked processes to share the work.
        executor: shares the work in another way, on a Ray cluster for instance.

    Raises:
        SyftError: as `compute_update` and `compute_mlp_update` do.
    """
    executor = choose_executor(executor, processes)
    if isinstance(spec, MLPClassifier):
        check_mlp_packing(spec, model.packing)
        X, Y = draw_rows(batches, spec.batch)
        gradient = compute_mlp_update(model, public, X, Y, progress, executor=executor)
        return TrainedUpdate(gradient, len(X))
    statistics = accumulate_statistics(batches, executor)
    gradient = compute_update(
        model, public, statistics, spec.update, spec.l2, progress, executor=executor
    )
    return TrainedUpdate(gradient, statistics.n)


def draw_rows(batches: Iterable[tuple[Any, Any]], count: int) -> tuple[Floats, Floats]:
    """Draw `count` rows uniformly from a stream without knowing its length (all, if fewer).

    Every row gets a random rank and the smallest ranks win, so memory is that of one batch and of
    the rows kept. The randomness is secret: who knew which rows were drawn could single them out.

    Raises:
        SpecError: if `count` is no whole number of 1 or more.
        DataError: if there are no rows, a value is not finite, or batches differ in shape.
    """
    require_whole(count, "count")
    generator = np.random.default_rng(secrets.randbits(128))
    kept: tuple[Floats, Floats, Floats] | None = None
    for X, Y in pairs(batches):
        rows, targets = check_batch(X, Y)
        ranks = generator.random(len(rows))
        if kept is not None:
            if (rows.shape[1], targets.shape[1]) != (kept[1].shape[1], kept[2].shape[1]):
                raise DataError(
                    f"a batch of {rows.shape[1]} x {targets.shape[1]} columns differs from others: "
                    "use one feature map for all"
                )
            ranks = np.concatenate([kept[0], ranks])
            rows, targets = np.vstack([kept[1], rows]), np.vstack([kept[2], targets])
        chosen = np.argsort(ranks)[:count]
        kept = (ranks[chosen], rows[chosen], targets[chosen])
    if kept is None or not len(kept[0]):
        raise DataError(NO_ROWS)
    return kept[1], kept[2]
