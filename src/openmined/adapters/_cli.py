"""`openmined adapters`: which exports are understood, and what is in this one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from openmined.adapters._export import Export, detect, open_export
from openmined.adapters._open import open_source
from openmined.adapters._registry import load_adapters
from openmined.adapters._rows import Row, RowError, shown
from openmined.protocol import OpenMinedError

app = typer.Typer(
    name="adapters",
    help="Data exports as rows of a schema: which are understood, and what is in one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

SourceArgument = Annotated[Path, typer.Argument(help="A file, a folder or a zip archive.")]
AdapterOption = Annotated[
    str | None, typer.Option("--adapter", "-a", help="The adapter to use; found when left out.")
]
MappingOption = Annotated[
    Path | None, typer.Option("--mapping", "-m", help="A mapping file (TOML or JSON).")
]
JSONOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("list")
def list_adapters(as_json: JSONOption = False) -> None:
    """Show every adapter, the schema of its rows, and plug-ins that do not load."""
    adapters = load_adapters()
    rows = [
        {
            "name": adapter.name,
            "title": adapter.title,
            "schema": _schema_id(adapter),
        }
        for adapter in sorted(adapters.by_name.values(), key=lambda adapter: adapter.name)
    ]
    broken = [
        {"name": plugin.name, "package": plugin.package, "reason": plugin.reason}
        for plugin in adapters.broken
    ]
    if as_json:
        typer.echo(json.dumps({"adapters": rows, "broken": broken}))
        return
    _print_table(("name", "reads", "rows of"), (tuple(row.values()) for row in rows))
    for plugin in adapters.broken:
        typer.echo(f"broken: {plugin.name} of {plugin.package}: {plugin.reason}", err=True)


@app.command("detect")
def detect_source(source: SourceArgument, as_json: JSONOption = False) -> None:
    """Say what an export is, the surest guess first."""
    try:
        with open_source(source) as opened:
            guesses = detect(opened)
            refused = opened.refused
    except OpenMinedError as error:
        raise _fail(error) from error
    if as_json:
        found = [{"adapter": guess.adapter, "confidence": guess.confidence} for guess in guesses]
        typer.echo(json.dumps(found))
    else:
        _print_table(
            ("adapter", "confidence"), ((g.adapter, f"{g.confidence:.0%}") for g in guesses)
        )
    for entry in refused:
        typer.echo(f"not read: {shown(entry.name)}: {entry.reason}", err=True)
    if not guesses:
        typer.echo(f"{shown(source.name)}: no adapter recognises it", err=True)
        raise typer.Exit(1)


@app.command()
def preview(
    source: SourceArgument,
    adapter: AdapterOption = None,
    mapping: MappingOption = None,
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, max=1000)] = 10,
    as_json: JSONOption = False,
) -> None:
    """Show the first rows as an import would keep them, and what could not be read."""
    try:
        with open_export(source, adapter=adapter, mapping=mapping) as export:
            _show(export, rows, as_json=as_json)
    except OpenMinedError as error:
        raise _fail(error) from error


def _show(export: Export, count: int, *, as_json: bool) -> None:
    kept: list[Row] = []
    errors: list[RowError] = []
    for item in export.rows():
        if isinstance(item, RowError):
            errors.append(item)
        else:
            kept.append(item)
        if len(kept) >= count or len(errors) >= 100:
            break
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "adapter": export.adapter.name,
                    "schema": export.schema.model_dump(mode="json", exclude_none=True),
                    "rows": [{k: _plain(v) for k, v in row.values.items()} for row in kept],
                    "errors": [str(error) for error in errors],
                    "refused": [f"{entry.name}: {entry.reason}" for entry in export.refused],
                }
            )
        )
        return
    typer.echo(f"{export.adapter.title}: rows of {export.schema.id or 'a schema of its own'}")
    names = export.schema.names
    _print_table(names, (tuple(_cell(row.values[name]) for name in names) for row in kept))
    for error in errors[:20]:
        typer.echo(f"no row: {shown(str(error), 200)}", err=True)
    for entry in export.refused:
        typer.echo(f"not read: {shown(entry.name)}: {entry.reason}", err=True)


def _schema_id(adapter: object) -> str:
    schema = getattr(adapter, "schema", None)
    return (schema.id if schema else None) or "by mapping"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.isoformat() if isinstance(value, date) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, np.ndarray | tuple):
        return f"{len(value)} numbers"
    return shown(value if isinstance(value, str) else str(value), 40)


def _print_table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    lines = [header, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(header))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _fail(error: OpenMinedError) -> typer.Exit:
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(1)
