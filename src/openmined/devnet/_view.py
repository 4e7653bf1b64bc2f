"""What a demo shows while it runs: phase, accuracy against target, bounty spent, who is waited for.

Pure: a `Moment` of what is known goes in, something rich can draw comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from openmined.protocol import PPM, Phase, format_wei, ppm_to_percent
from openmined.sonar import History, Progress, Waiting

_MANY = 12
_BAR_WIDTH = 40


@dataclass(frozen=True)
class MineRow:
    """One mine so far."""

    name: str
    address: str
    gradients: int
    accepted: int
    pending: int
    earned_wei: int
    answered_version: int
    """The newest model version that it sent a gradient for."""


@dataclass(frozen=True)
class Moment:
    """All that is shown of one moment."""

    title: str
    progress: Progress
    mines: tuple[MineRow, ...]
    elapsed_s: float


def count_mines(history: History, names: Mapping[str, str]) -> tuple[MineRow, ...]:
    """Sum up the gradients of a campaign by mine; `names` are by address."""
    rows = []
    for address, name in names.items():
        own = [g for g in history.gradients.values() if g.submitted.miner == address]
        scored = [gradient.scored for gradient in own if gradient.scored is not None]
        rows.append(
            MineRow(
                name=name,
                address=address,
                gradients=len(own),
                accepted=sum(score.reason == 0 for score in scored),
                pending=len(own) - len(scored),
                earned_wei=sum(score.payout for score in scored),
                answered_version=max((g.submitted.version for g in own), default=0),
            )
        )
    return tuple(rows)


def waited_for(moment: Moment) -> str:
    """Say for people who is to act next, mines by their names."""
    progress = moment.progress
    if progress.phase == Phase.OPEN and progress.waiting != Waiting.CAPSULE_TO_DELIVER:
        behind = [row.name for row in moment.mines if row.answered_version < progress.version]
        if behind:
            return f"{_names(behind)} to train version {progress.version}"
    return {
        Waiting.CAPSULE_TO_OPEN: "Capsule to make keys and open the campaign",
        Waiting.MINES: "mines to submit gradients",
        Waiting.CAPSULE_TO_SCORE: f"Capsule to score {progress.pending} gradients",
        Waiting.CAPSULE_TO_DELIVER: "Capsule to deliver the model",
        Waiting.ANYBODY_TO_EXPIRE: "anybody to expire the campaign: Capsule let its time pass",
        Waiting.NOBODY: "nobody",
    }[progress.waiting]


def describe_moment(moment: Moment) -> str:
    """One line, for terminals that cannot redraw and for logs."""
    progress = moment.progress
    return (
        f"{moment.elapsed_s:6.1f} s  {progress.phase.name.lower():9}  "
        f"accuracy {ppm_to_percent(progress.best_ppm)} of {ppm_to_percent(progress.target_ppm)}, "
        f"spent {format_wei(progress.paid)}, waiting for {waited_for(moment)}"
    )


def draw_moment(moment: Moment) -> RenderableType:
    """A panel that is drawn anew as the campaign goes on."""
    progress = moment.progress
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    facts.add_row("phase", Text(progress.phase.name.lower(), style="bold"))
    facts.add_row("accuracy", _bar(progress.best_ppm, progress.target_ppm, _accuracy(progress)))
    spent = f"{format_wei(progress.paid)} of {format_wei(progress.bounty)}"
    facts.add_row("bounty spent", _bar(progress.paid, progress.bounty, spent))
    facts.add_row("gradients", f"{progress.gradients} submitted, {progress.pending} to be scored")
    facts.add_row("waiting for", Text(waited_for(moment), style="yellow"))
    facts.add_row("time", f"{moment.elapsed_s:.0f} s")
    parts: list[RenderableType] = [facts]
    if len(moment.mines) <= _MANY:
        parts += [Text(), _mines(moment)]
    return Panel(Group(*parts), title=moment.title, title_align="left", border_style="cyan")


def _mines(moment: Moment) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for heading in ("mine", "gradients", "accepted", "earned"):
        table.add_column(heading, justify="left" if heading == "mine" else "right")
    for row in moment.mines:
        table.add_row(
            row.name, str(row.gradients), str(row.accepted), format_wei(row.earned_wei, digits=4)
        )
    return table


def _bar(done: int, whole: int, text: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(1, whole), completed=min(done, whole), width=_BAR_WIDTH)
    grid.add_row(bar, text)
    return grid


def _accuracy(progress: Progress) -> str:
    assert progress.target_ppm <= PPM
    return f"{ppm_to_percent(progress.best_ppm)} of {ppm_to_percent(progress.target_ppm)}"


def _names(names: list[str], most: int = 4) -> str:
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
