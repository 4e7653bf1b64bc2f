"""The tables of docs/syft.md that a whole run measures anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.syft._rows import Row

Table = list[list[str]]


def rewrite_page(page: str, rows: list[Row]) -> str:
    """Return the page with every `<!-- measured: NAME -->` ... `<!-- end -->` filled from rows."""
    for name, render in TABLES.items():
        head, mark, rest = page.partition(f"<!-- measured: {name} -->\n")
        if not mark:
            raise ValueError(f"the page has no place for the table {name!r}")
        tail = rest[rest.index("<!-- end -->") :]
        page = head + mark + markdown(render(rows)) + tail
    return page


def markdown(table: Table) -> str:
    """Write a table whose first row is its head."""
    head, *body = table
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def updates_table(rows: list[Row]) -> Table:
    """Time, memory, sizes and precision of every update, beside its rival."""
    head = "protected update, seconds, memory, keys once, down, up, bits, rival, ratio"
    table = [head.split(", ")]
    for row in _named(rows, "update ", "MLP ", "statistics "):
        if row["seconds"] is None:
            continue
        sizes = [_megabytes(row.get(key)) for key in ("bytes_keys", "bytes_down", "bytes_up")]
        rival = f"{row['rival']}: {_short(row['rival_seconds'])} s" if row["rival"] else ""
        ratio = "" if row["ratio"] is None else _short(row["ratio"])
        line = [row["name"], _short(row["seconds"]), f"{row['peak_mb']} MB", *sizes]
        table.append([*line, _bits(row), rival, ratio])
    return table


def operations_table(rows: list[Row]) -> Table:
    """Operations of every network, and its time beside theirs."""
    table = [["network, samples", "operations", "over all of SEAL's", "over those four"]]
    for row in _named(rows, "MLP "):
        counts = "/".join(map(str, row["operations"].values()))
        times = [f"{row[key]:.2f}" for key in ("over_operations", "over_those_four")]
        table.append([row["name"].removeprefix("MLP "), counts, *times])
    return table


def learning_table(rows: list[Row]) -> Table:
    """What was learned, and after how much."""
    table = [["all encrypted, protection on", "accuracy", "all rows in one place", "seconds"]]
    for row in rows:
        if "accuracy" not in row:
            continue
        reached = _percent(row["accuracy"])
        if row.get("gradients") is not None:
            reached += f" after {row['gradients']} gradients"
        if row.get("gradients_to_93") is not None:
            reached += f" (93 % after {row['gradients_to_93']})"
        best = _percent(row["centralised"]) if "centralised" in row else ""
        table.append([row["name"], reached, best, f"{row['seconds']:.0f}"])
    return table


def privacy_table(rows: list[Row]) -> Table:
    """Accuracy under AdaSSP by the rows that one mine holds."""
    found = [row for row in _named(rows, "AdaSSP, ") if "accuracy_by_epsilon" in row]
    epsilons = list(found[0]["accuracy_by_epsilon"])[1:] if found else []
    table = [["task", "rows a mine", "no privacy", *(f"ε = {epsilon}" for epsilon in epsilons)]]
    before = ""
    for row in found:
        task, _, count = row["name"].removeprefix("AdaSSP, ").rpartition(", ")
        scores = [_percent(score) for score in row["accuracy_by_epsilon"].values()]
        table.append([task if task != before else "", count.removesuffix(" rows a mine"), *scores])
        before = task
    return table


TABLES: dict[str, Callable[[list[Row]], Table]] = {
    "updates": updates_table,
    "operations": operations_table,
    "learning": learning_table,
    "privacy": privacy_table,
}


def _named(rows: Iterable[Row], *starts: str) -> list[Row]:
    return [row for row in rows if row["name"].startswith(starts)]


def _bits(row: Row) -> str:
    if row["bits"] is None:
        return ""
    layers = row.get("bits_of_layers")
    return f"{row['bits']:.1f}" + (f" ({', '.join(map(str, layers))})" if layers else "")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _percent(value: Any) -> str:
    return f"{100 * value:.1f} %"


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.3g} MB"
