"""A campaign's picture by matplotlib, which is optional."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from openmined.protocol import PPM
from openmined.sonar._errors import CampaignError

if TYPE_CHECKING:
    from openmined.sonar._campaign import Campaign


def plot_campaign(campaign: Campaign, axes: Any = None) -> Any:
    """Draw accuracy (left axis) and spend (right axis) over time; return the left axes.

    Raises:
        CampaignError: if matplotlib is not installed, or there is nothing to draw yet.
    """
    points = campaign.progress()
    if not points:
        raise CampaignError(f"campaign {campaign.id} is not open yet: there is nothing to draw")
    terms = campaign.state().terms
    axes = axes if axes is not None else _make_axes()
    times = [datetime.fromtimestamp(point.timestamp, UTC) for point in points]
    axes.step(times, [point.best_ppm / PPM for point in points], where="post", label="accuracy")
    axes.axhline(terms.target_ppm / PPM, linestyle="--", color="grey", label="target")
    axes.set_ylabel("accuracy")
    axes.set_title(f"campaign {campaign.id}")
    money = axes.twinx()
    currency = campaign.currency
    spent = [point.paid / 10**currency.decimals for point in points]
    money.step(times, spent, where="post", color="tab:orange", label="spent")
    money.set_ylabel(f"spent, {currency.symbol}")
    axes.legend(loc="lower right")
    return axes


def _make_axes() -> Any:
    try:
        import matplotlib.pyplot as plt  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise CampaignError("drawing needs matplotlib: `pip install matplotlib`") from error
    return plt.subplots()[1]
