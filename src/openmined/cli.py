"""The `openmined` command: each package brings its own commands; this mounts the one that is asked.

Only the package that is named on the command line is imported, so that `openmined mine status`
does not wait for a web framework it has no use for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NamedTuple

import typer
from rich.console import Console

from openmined import __version__
from openmined.protocol import OpenMinedError


class _Mount(NamedTuple):
    module: str
    flat: bool
    """Whether the package's commands stand at the top level, or below the name."""
    help: str


COMMANDS: dict[str, _Mount] = {
    "demo": _Mount("openmined.devnet", True, "Run one whole campaign here, and judge it."),
    "up": _Mount("openmined.devnet", True, "Start a whole network on this machine."),
    "simulate": _Mount("openmined.devnet", True, "Measure what campaigns at scale cost."),
    "campaign": _Mount("openmined.sonar", True, "Create, watch and collect campaigns."),
    "models": _Mount("openmined.sonar", True, "List every encrypted model ever published."),
    "audit": _Mount("openmined.sonar", True, "Recompute every payout of a campaign; needs no key."),
    "mine": _Mount("openmined.mine", False, "Run a data owner's own server."),
    "adapters": _Mount("openmined.adapters", False, "Read data exports."),
    "capsule": _Mount("openmined.capsule", False, "Run the third party that holds the keys."),
    "stats": _Mount("openmined.stats", False, "Run the statistics service."),
    "store": _Mount("openmined.storage", False, "Run the embedded content-addressed store."),
    "syft": _Mount("openmined.syft", False, "Train on encrypted weights, from files."),
    "sonar": _Mount("openmined.sonar", True, "Deploy the contract."),
    "network": _Mount("openmined.sonar", True, "Name the networks this machine knows."),
    "wallet": _Mount("openmined.sonar", True, "Make and show keystores."),
    "doctor": _Mount("openmined.sonar", True, "Check chain, contract, store, keys and versions."),
}


def _version(value: bool) -> None:
    if value:
        typer.echo(f"openmined {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Train models on data you never see; earn from data you never give away."""


def _refuse_placeholder() -> None:
    raise AssertionError("the named command is always mounted for real")


def build_app(command: str | None) -> typer.Typer:
    """Build the command line with `command` mounted for real and the others by their help only."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_root)
    named = COMMANDS.get(command or "")
    for name, mount in COMMANDS.items():
        if named is None or mount.module != named.module:
            app.command(name, help=mount.help)(_refuse_placeholder)
    if named is not None and command is not None:
        package = import_module(named.module)
        app.add_typer(package.app, name=None if named.flat else command, help=named.help)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a foreseen failure is one clear message and exit code 1."""
    given = sys.argv[1:] if arguments is None else arguments
    command = next((word for word in given if not word.startswith("-")), None)
    try:
        build_app(command)(args=given, prog_name="openmined")
    except OpenMinedError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"[bold red]error:[/] {_escape(str(error))}"
        )
        raise SystemExit(1) from None


def _escape(text: str) -> str:
    # Messages may quote hostile bytes: no markup and no terminal control gets through.
    printable = "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
    return printable.replace("[", r"\[")
