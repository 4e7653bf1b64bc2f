"""Numbers that specs, optimizers and executors are set by: of the right kind and in range."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from openmined.syft._errors import SpecError


def is_real(value: Any) -> bool:
    """Tell whether a value is a real number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """Tell whether a value is a real number that double precision has room for."""
    try:
        return is_real(value) and math.isfinite(value)
    except OverflowError:  # a whole number beyond
        return False


def require_number(value: Any, name: str, *, least: float | None = None) -> None:
    """Check a finite number: positive, or at least `least`.

    Raises:
        SpecError: if it is none.
    """
    low = 0 if least is None else least
    wanted = "positive" if least is None else f"{least:g} or more"
    if not is_finite(value) or value < low or (least is None and value == 0):
        raise SpecError(f"{name} = {_shown(value)} must be a finite number, {wanted}")


def require_fraction(value: Any, name: str) -> None:
    """Check a number in [0, 1).

    Raises:
        SpecError: if it is none.
    """
    if not is_real(value) or not 0 <= value < 1:
        raise SpecError(f"{name} = {_shown(value)} must be a number in [0, 1)")


def require_whole(value: Any, name: str, most: int | None = None) -> None:
    """Check a whole number from 1 to `most`.

    Raises:
        SpecError: if it is none.
    """
    if not is_whole(value) or not 1 <= value <= (math.inf if most is None else most):
        wanted = "of 1 or more" if most is None else f"from 1 to {most}"
        raise SpecError(f"{name} = {_shown(value)} must be a whole number {wanted}")


def is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number by type; True and False are none."""
    return isinstance(value, Integral) and is_real(value)


def _shown(value: Any) -> str:
    # An integer of thousands of digits has no text in Python, and nobody reads it.
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    return repr(value)[:80]
