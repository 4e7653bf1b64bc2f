"""`openmined demo`, `openmined up` and `openmined simulate`."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.live import Live

from openmined.devnet._demo import Outcome, run_demo
from openmined.devnet._errors import DevnetError, ScenarioError
from openmined.devnet._network import Devnet, Settings
from openmined.devnet._programs import find_mine_js
from openmined.devnet._report import draw_payouts, verdict
from openmined.devnet._scenarios import SCENARIOS, load_scenario
from openmined.devnet._view import Moment, describe_moment, draw_moment

app = typer.Typer(help="A whole network on one machine.", no_args_is_help=True)

_MAX_MINES = 200


@app.command()
def demo(
    scenario: Annotated[str, typer.Option(help=f"One of: {', '.join(SCENARIOS)}.")] = "digits",
    mines: Annotated[int, typer.Option(help="How many data owners take part.")] = 10,
    mine_js: Annotated[
        int, typer.Option(help="How many of them run Mine.js, the others Mine.py.")
    ] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the result to this file.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Keep everything here; by default a folder that is removed.")
    ] = None,
) -> None:
    """Run one whole campaign here: a real chain, real encryption, separate processes; judge it."""
    if scenario not in SCENARIOS:
        raise ScenarioError(f"there is no scenario {scenario!r}; choose: {', '.join(SCENARIOS)}")
    if not 1 <= mines <= _MAX_MINES:
        raise ScenarioError(f"--mines {mines} is not between 1 and {_MAX_MINES}")
    if not 0 <= mine_js <= mines:
        raise ScenarioError(
            f"--mine-js {mine_js} is not between 0 and {mines}, the number of mines"
        )
    if mine_js:
        find_mine_js()  # said before anything is started
    console = Console()
    with _workplace(folder) as place, _ended_by_signals(), _Screen(console) as screen:
        devnet = Devnet(Settings(place), say=screen.stage)
        with devnet:
            outcome = run_demo(
                devnet,
                lambda: load_scenario(scenario, mines),
                mine_js=mine_js,
                stage=screen.stage,
                show=screen.show,
            )
    _conclude(console, outcome, json_file)


@app.command()
def up(
    mines: Annotated[int, typer.Option(help="How many mines to start.")] = 3,
    scenario: Annotated[str, typer.Option(help="Whose data the mines hold.")] = "digits",
    folder: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path(".devnet"),
) -> None:
    """Start a whole network here, and keep it running until Ctrl-C."""
    from openmined.devnet._up import run_up

    if not 0 <= mines <= _MAX_MINES:
        raise ScenarioError(f"--mines {mines} is not between 0 and {_MAX_MINES}")
    console = Console()
    with _ended_by_signals():
        run_up(folder, scenario, mines, console)


@app.command()
def simulate(
    mines: Annotated[int, typer.Option(help="Mines in the largest campaigns.")] = 1000,
    campaigns: Annotated[int, typer.Option(help="In all, over sizes from 10 to --mines.")] = 20,
    sample: Annotated[
        int, typer.Option(help="How many mines of each campaign encrypt for real.")
    ] = 3,
    seed: Annotated[int, typer.Option(help="Of everybody's rows and of the sample.")] = 2018,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write everything measured to this file.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Keep everything here; by default a folder that is removed.")
    ] = None,
) -> None:
    """Run many campaigns on the real contract, store and Capsule; print what a mine costs."""
    from openmined.devnet._simulate import Scale, run_simulation
    from openmined.devnet._simulate_report import describe, draw_curve

    scale = Scale(mines, campaigns, sample, seed)
    console = Console()
    with (
        _workplace(folder) as place,
        _ended_by_signals(),
        _Screen(console) as screen,
        Devnet(Settings(place), say=screen.stage) as devnet,
    ):
        simulation = run_simulation(devnet, scale, stage=screen.stage)
    console.print(draw_curve(simulation))
    for line in describe(simulation):
        console.print(line, highlight=False, markup=False)
    _write_json(json_file, simulation.to_json())
    good = simulation.verified
    text = (
        "money conserved to the wei, every audit passed, index equal to its rebuild, cost flat, "
        "Capsule linear"
    )
    console.print(
        f"VERIFIED: {text}" if good else "NOT VERIFIED: see above and --json",
        style="bold green" if good else "bold red",
        highlight=False,
    )
    if not good:
        raise typer.Exit(1)


class _Screen:
    """Draw over the same place on a terminal; write lines where that cannot be done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._last = ""
        self._begun = time.monotonic()

    def __enter__(self) -> _Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def stage(self, text: str) -> None:
        """Say what is being set up, or what went wrong and was mended."""
        elapsed = time.monotonic() - self._begun
        self._console.print(f"{elapsed:6.1f} s  {text}", highlight=False, markup=False)

    def show(self, moment: Moment) -> None:
        """Show where the campaign stands."""
        if self._live is not None:
            self._live.update(draw_moment(moment))
            return
        line = describe_moment(moment)
        if line[10:] != self._last[10:]:
            self._last = line
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def _conclude(console: Console, outcome: Outcome, json_file: Path | None) -> None:
    report = outcome.report
    console.print(draw_payouts(report, "hospital" if "cancer" in report.scenario else "mine"))
    for finding in outcome.findings:
        console.print(f"audit: {finding}", style="red", markup=False)
    console.print(
        verdict(report),
        style="bold green" if report.verified else "bold red",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    _write_json(json_file, report.to_json())
    if not report.verified:
        raise typer.Exit(1)


def _write_json(file: Path | None, value: dict[str, Any]) -> None:
    if file is None:
        return
    try:
        file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise DevnetError(f"cannot write the result to {file}: {error.strerror}") from error


@contextmanager
def _workplace(folder: Path | None) -> Iterator[Path]:
    """Yield a folder: the given one, or one that is removed unless something failed."""
    if folder is not None:
        if folder.exists() and any(folder.iterdir()):
            raise DevnetError(f"{folder} is not empty: name a new folder for the demo")
        yield folder
        return
    place = Path(tempfile.mkdtemp(prefix="openmined-demo-"))
    yield place  # after a failure the folder stays: its logs say why
    shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an orderly end, so that nothing is left running."""

    def stop(number: int, _: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        before[number] = signal.signal(number, stop)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("stopped; nothing is left running", err=True)
        sys.exit(128 + signal.SIGINT)
    finally:
        for replaced, handler in before.items():
            signal.signal(replaced, handler)
