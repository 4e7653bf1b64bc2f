"""How a campaign shows itself in a notebook: a small table with a picture, without scripts."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from openmined.protocol import OpenMinedError, ppm_to_percent
from openmined.sonar._progress import (
    ProgressPoint,
    describe,
    measure_progress,
    measure_spend,
    trace_progress,
)

if TYPE_CHECKING:
    from openmined.sonar._campaign import Campaign
    from openmined.sonar._history import History

_WIDTH, _HEIGHT, _MARGIN = 320, 96, 8


def campaign_html(campaign: Campaign, history: History, now: int) -> str:
    """Return the campaign as HTML. Everything that strangers wrote is escaped."""
    if history.launched is None:
        return f"<p>Campaign {campaign.id}: not found from this first block.</p>"
    progress = measure_progress(history, now, currency=campaign.currency)
    spend = measure_spend(history)
    money = campaign.currency.write
    try:
        title = campaign.manifest.title
    except OpenMinedError as error:
        title = f"(manifest not available: {error})"
    rows = {
        "Title": title,
        "Phase": progress.phase.name.lower(),
        "Accuracy": f"{ppm_to_percent(progress.best_ppm)} of {ppm_to_percent(progress.target_ppm)}",
        "Bounty": money(progress.bounty),
        "Paid to mines": money(spend.paid),
        "Gradients": f"{progress.gradients} ({progress.pending} pending)",
        "Waiting for": describe(progress),
    }
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    picture = _picture(trace_progress(history), progress.target_ppm)
    return f"<div><strong>Campaign {campaign.id}</strong><table>{cells}</table>{picture}</div>"


def _picture(points: list[ProgressPoint], target_ppm: int) -> str:
    """Draw the accuracy as steps by batch, the target as a dashed line."""
    if not points:
        return ""
    width, height = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    top = max(target_ppm, *(point.best_ppm for point in points))

    def place(index: int, ppm: int) -> tuple[float, float]:
        x = _MARGIN + width * index / max(1, len(points))
        return round(x, 1), round(_MARGIN + height * (1 - ppm / top), 1)

    path: list[str] = []
    for index, point in enumerate(points):
        x, y = place(index, point.best_ppm)
        path.append(f"{'H' if path else 'M'}{x}" + (f"V{y}" if path else f" {y}"))
    path.append(f"H{place(len(points), 0)[0]}")
    goal = place(0, target_ppm)[1]
    label = f"accuracy by batch, {ppm_to_percent(points[-1].best_ppm)} at last"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{_HEIGHT}' "
        f"role='img' aria-label='{escape(label)}'>"
        f"<path d='{''.join(path)}' fill='none' stroke='#2a7' stroke-width='2'/>"
        f"<path d='M{_MARGIN} {goal}H{_WIDTH - _MARGIN}' stroke='#888' stroke-dasharray='4 3'/>"
        "</svg>"
    )
