"""One row of the table: what was measured, beside what, and what was asked of it."""

from __future__ import annotations

from typing import Any

from benchmarks.syft._clock import peak_mb

KEYS = (
    "name",
    "seconds",
    "rival",
    "rival_seconds",
    "ratio",
    "peak_mb",
    "bytes_down",
    "bytes_up",
    "bits",
    "operations",
)
"""What every row has, null where there is none. A row may say more, after these."""

Row = dict[str, Any]


def make_row(
    name: str, seconds: float | None, *, required: dict[str, bool] | None = None, **more: Any
) -> Row:
    """Make a row; its memory is this process's peak since the last row.

    Args:
        name: what was measured.
        seconds: wall time of once.
        required: figures that are asked for, in words, and whether they were reached.
        **more: other keys; `rival_seconds` gives the ratio.
    """
    found: Row = dict.fromkeys(KEYS) | {"name": name, "seconds": seconds, **more}
    found["peak_mb"] = peak_mb()
    if seconds is not None:
        found["seconds"] = round(seconds, 4)
        if found["rival_seconds"] is not None:
            found["ratio"] = float(f"{found['rival_seconds'] / seconds:.4g}")
            found["rival_seconds"] = float(f"{found['rival_seconds']:.6g}")
    if required:
        found["required"] = required
    return found


def missing_row(name: str, why: str) -> Row:
    """Make the row of something that could not be measured: it counts as not reached."""
    return make_row(name, None, required={why: False})


def not_reached(rows: list[Row]) -> list[str]:
    """Return, in words, every figure that was asked for and not reached."""
    return [
        f"{found['name']}: {text}"
        for found in rows
        for text, reached in found.get("required", {}).items()
        if not reached
    ]


_COLUMNS = "{:<58}{:>10}{:>12}{:>10}{:>7}{:>9}{:>8}{:>6}  {}"
_HEAD = ("", "seconds", "rival s", "ratio", "MB", "kB down", "kB up", "bits", "rival; more")


def table_head() -> str:
    """Return the head of the table."""
    return _COLUMNS.format(*_HEAD)


def table_line(found: Row) -> str:
    """Return a row as a line of the table, and a line for every figure not reached."""

    def number(key: str, per: float = 1.0, form: str = ",.0f") -> str:
        return "" if found[key] is None else format(found[key] / per, form)

    line = _COLUMNS.format(
        found["name"],
        number("seconds", form=",.3f"),
        number("rival_seconds", form=",.3f"),
        number("ratio", form=",.3g"),
        number("peak_mb"),
        number("bytes_down", 1e3),
        number("bytes_up", 1e3),
        number("bits", form=".1f"),
        "; ".join(_more(found)),
    )
    failed = [
        f"    NOT REACHED: {text}" for text, ok in found.get("required", {}).items() if not ok
    ]
    return "\n".join([line.rstrip(), *failed])


def _more(found: Row) -> list[str]:
    more = [found["rival"]] if found["rival"] else []
    if found["operations"]:
        more.append("/".join(str(count) for count in found["operations"].values()))
    for key, value in found.items():
        if key not in KEYS and key != "required":
            more.append(f"{key.replace('_', ' ')} {_short(value)}")
    return more


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_short(each)}" for key, each in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
