"""Statistics of data larger than memory, over Arrow record batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openmined.syft._columns import read_raw
from openmined.syft._errors import SpecError
from openmined.syft._specs import LinearRegression, encode_targets
from openmined.syft._statistics import Statistics, accumulate_statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from openmined.syft._specs import LearningSpec

CHUNK_ROWS = 16_384


def stream_statistics(
    spec: LearningSpec,
    batches: Iterable[Any],
    targets: Sequence[str],
    progress: Callable[[int], None] | None = None,
) -> Statistics:
    """Sum the statistics of a task over Arrow record batches, in the memory of one chunk.

    Args:
        spec: the task; it must carry its feature map.
        batches: `pyarrow.RecordBatch` or `Table` objects: a `RecordBatchReader`, a scanner's
            `to_batches()`, or any other iterable. Large ones are cut into chunks of 16,384 rows.
        targets: name of the label's column, or of each target of a regression in order.
        progress: called with the number of rows done so far.

    Raises:
        SpecError: if the spec has no feature map.
        DataError: if a batch does not fit, or there are no rows at all.
    """
    return accumulate_statistics(encode_batches(spec, batches, targets, progress))


def encode_batches(
    spec: LearningSpec,
    batches: Iterable[Any],
    targets: Sequence[str],
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield (Z, Y) for each chunk of rows; see `stream_statistics`."""
    if spec.features is None:
        raise SpecError("streaming needs a spec with its feature map: see spec_from_manifest")
    rows = 0
    for batch in batches:
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            chunk = batch.slice(start, CHUNK_ROWS)
            yield spec.features.transform(chunk), _read_targets(spec, chunk, targets)
            rows += chunk.num_rows
            if progress is not None:
                progress(rows)


def _read_targets(spec: LearningSpec, chunk: Any, targets: Sequence[str]) -> Any:
    columns = [read_raw(chunk, name) for name in targets]
    if len(columns) == 1 or not isinstance(spec, LinearRegression):
        return encode_targets(spec, columns[0])
    return encode_targets(spec, columns)
