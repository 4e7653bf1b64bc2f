"""Statistics of data larger than memory, over Arrow record batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openmined.syft._columns import read_raw
from openmined.syft._errors import DataError, SpecError
from openmined.syft._executors import Call, choose_executor, silent
from openmined.syft._privacy import clip_targets
from openmined.syft._specs import LinearRegression, require_spec
from openmined.syft._statistics import Statistics, Sums
from openmined.syft._targets import encode_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from openmined.syft._executors import Executor, Tick
    from openmined.syft._specs import LearningSpec

CHUNK_ROWS = 16_384


def stream_statistics(
    spec: LearningSpec,
    batches: Iterable[Any],
    targets: Sequence[str],
    progress: Callable[[int], None] | None = None,
    executor: Executor | None = None,
    *,
    clipped: bool = False,
) -> Statistics:
    """Sum the statistics of a task over Arrow record batches, in the memory of a chunk a worker.

    Args:
        spec: the task; it must carry its feature map.
        batches: `pyarrow.RecordBatch` or `Table` objects: a `RecordBatchReader`, a scanner's
            `to_batches()`, or any other iterable. Large ones are cut into chunks of 16,384 rows.
            An item may also be a function without arguments that returns an iterable of them: it
            is called by the worker, which so reads its own part of the data.
        targets: name of the label's column, or of each target of a regression in order.
        progress: called with the number of rows done so far.
        executor: shares chunks, and their feature map, among workers; None does all here.
        clipped: bound the targets by `clip_targets`, as `privatise_statistics` wants them.

    Raises:
        SpecError: if the spec has no feature map.
        DataError: if the targets are not named as the task has them, a batch does not fit, or
            there are no rows at all.
        LimitError: if a worker died.
    """
    _check_task(spec, targets)
    executor = choose_executor(executor)
    sums = Sums()
    if executor is None:
        for rows, encoded in encode_batches(
            spec, _open_all(batches), targets, progress, clipped=clipped
        ):
            sums.add_rows(rows, encoded)
        return sums.statistics()
    shared = (spec, tuple(targets), clipped)
    works = (Call(_stream_there, (item,), shared) for item in _chunks(batches))
    for saved in executor.run(works, silent):
        sums.add_saved(saved)
        if progress is not None:
            progress(sums.n)
    return sums.statistics()


def _stream_there(
    _tick: Tick, spec: LearningSpec, targets: Sequence[str], clipped: bool, item: Any
) -> list[bytes]:
    sums = Sums()
    for rows, encoded in encode_batches(spec, _open_all([item]), targets, clipped=clipped):
        sums.add_rows(rows, encoded)
    return sums.save()


def _open_all(batches: Iterable[Any]) -> Iterator[Any]:
    for item in _several(batches):
        if callable(item):
            yield from _several(item())
        else:
            yield item


def _chunks(batches: Iterable[Any]) -> Iterator[Any]:
    for item in _several(batches):
        if callable(item):
            yield item
        else:
            yield from _cut(item)


def _several(batches: Any) -> Iterable[Any]:
    if not hasattr(batches, "__iter__"):
        raise DataError(f"batches are {type(batches).__name__}: give several Arrow record batches")
    found: Iterable[Any] = batches
    return found


def _cut(batch: Any) -> Iterator[Any]:
    if not hasattr(batch, "num_rows") or not hasattr(batch, "slice"):
        raise DataError(
            f"a batch is {type(batch).__name__}: give a pyarrow RecordBatch or Table, of a pandas "
            "DataFrame pyarrow.Table.from_pandas(frame)"
        )
    for start in range(0, batch.num_rows, CHUNK_ROWS):
        yield batch.slice(start, CHUNK_ROWS)


def encode_batches(
    spec: LearningSpec,
    batches: Iterable[Any],
    targets: Sequence[str],
    progress: Callable[[int], None] | None = None,
    *,
    clipped: bool = False,
) -> Iterator[tuple[Any, Any]]:
    """Yield (Z, Y) for each chunk of rows; see `stream_statistics`.

    Raises:
        SpecError, DataError: as `stream_statistics` does.
    """
    _check_task(spec, targets)
    assert spec.features is not None
    rows = 0
    for batch in _several(batches):
        for chunk in _cut(batch):
            encoded = _read_targets(spec, chunk, targets)
            if clipped and isinstance(spec, LinearRegression):
                encoded = clip_targets(spec, encoded)
            yield spec.features.transform(chunk), encoded
            rows += chunk.num_rows
            if progress is not None:
                progress(rows)


def _check_task(spec: LearningSpec, targets: Sequence[str]) -> None:
    require_spec(spec)
    if spec.features is None:
        raise SpecError("streaming needs a spec with its feature map: see spec_from_manifest")
    one = not isinstance(spec, LinearRegression)
    named = isinstance(targets, list | tuple) and all(isinstance(name, str) for name in targets)
    if not named or not targets or (one and len(targets) > 1):
        wanted = "one column's name" if one else "the name of each target's column"
        raise DataError(f"targets {targets!r:.80} must be a list of {wanted}")


def _read_targets(spec: LearningSpec, chunk: Any, targets: Sequence[str]) -> Any:
    columns = [read_raw(chunk, name) for name in targets]
    if len(columns) == 1 or not isinstance(spec, LinearRegression):
        return encode_targets(spec, columns[0])
    return encode_targets(spec, columns)
