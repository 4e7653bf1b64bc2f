"""What the adapters of JSON exports share: one object in, one row or one error out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from openmined.adapters._rows import Place, Row, RowError, Rows, Value, shown


def rows_from(
    found: Iterable[tuple[Place, Any] | RowError],
    convert: Callable[[Mapping[str, Any]], Mapping[str, Value]],
) -> Rows:
    """Convert each object to a row; whatever is wrong with one becomes its error."""
    for item in found:
        yield item if isinstance(item, RowError) else row_from(*item, convert)


def row_from(
    place: Place, element: Any, convert: Callable[[Mapping[str, Any]], Mapping[str, Value]]
) -> Row | RowError:
    """Convert one object; the error names the key that is missing or the value that is odd."""
    if not isinstance(element, Mapping):
        return RowError(place, f"{shown(element)} where an object was expected")
    try:
        return Row(convert(element), place)
    except KeyError as error:
        return RowError(place, f"{shown(str(error.args[0]))} is missing")
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        return RowError(place, f"not in the form of this export: {shown(str(error), 120)}")
