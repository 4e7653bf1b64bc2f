"""What a simulation measured: curves over the number of mines, fits, and what they foretell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

FAR = 100_000
"""How many mines the fits are carried on to."""

FLAT = 0.10
"""By how much the cost per mine may differ between the smallest and the largest campaign."""

LINEAR = 0.50
"""By how much Capsule's time for a gradient may differ between sizes; were it to grow as the
number of mines does, it would differ a hundredfold between 10 and 1,000."""

NOISE_S = 0.1
"""Processor seconds by which a campaign's may be off: a cache that was cold, a neighbour's load. A
campaign of 10 mines has hardly twice as much; one of 1,000 does not notice."""

_BLOCK_GAS = 36_000_000
_BLOCK_S = 12


@dataclass(frozen=True)
class CampaignCost:
    """One campaign of a simulation, measured.

    Attributes:
        mines: how many took part, with one gradient each.
        sampled: how many of them encrypted for real.
        mines_gas: submitting, being scored, withdrawing; of all mines.
        own_gas: launching, opening, delivering: once a campaign.
        bytes_down, bytes_up: per mine, measured on the sample.
        capsule_cpu_s: processor seconds of Capsule in all, from the launch to the delivery.
        capsule_accounted_s: how much of it was not spent, but accounted, for stand-ins.
        capsule_fixed_s: how much of it does not belong to any gradient: opening and delivering.
        capsule_opened_s: how much of it was spent on opening the sample's envelopes.
        catch_up_s: longest time the index took to read what a batch, or the withdrawals at the
            end, had added, from when it was told to look.
        indexed_events, index_s: what the indexer read, and in how long.
        outcomes: gradients by what became of them.
        paid_wei: to the mines.
        audit_ok: whether every payout follows from the chain and the receipts.
    """

    mines: int
    sampled: int
    mines_gas: int
    own_gas: int
    bytes_down: float
    bytes_up: float
    store_bytes: int
    capsule_cpu_s: float
    capsule_accounted_s: float
    capsule_fixed_s: float
    capsule_opened_s: float
    catch_up_s: float
    indexed_events: int
    index_s: float
    outcomes: Mapping[str, int]
    paid_wei: int
    audit_ok: bool

    @property
    def capsule_spent_each_s(self) -> float:
        """Processor seconds really spent on each gradient, but for opening its envelope.

        Only the sample's envelopes are really opened, whatever the size of the campaign.
        """
        others = self.capsule_accounted_s + self.capsule_fixed_s + self.capsule_opened_s
        return (self.capsule_cpu_s - others) / self.mines


@dataclass(frozen=True)
class Line:
    """A least-squares line through measurements: `fixed + each * mines`."""

    fixed: float
    each: float
    r2: float

    def at(self, mines: int) -> float:
        """Return what it foretells for so many mines."""
        return self.fixed + self.each * mines


def fit_line(mines: Sequence[int], values: Sequence[float]) -> Line:
    """Fit a line; R² is 1 when all values are on it."""
    x, y = np.array(mines, dtype=float), np.array(values, dtype=float)
    if np.ptp(x) == 0.0:
        return Line(0.0, float(y.mean() / x[0]), 1.0)
    design = np.column_stack([np.ones_like(x), x])
    (fixed, each), *_ = np.linalg.lstsq(design, y, rcond=None)
    left = float(np.sum((y - design @ np.array([fixed, each])) ** 2))
    whole = float(np.sum((y - y.mean()) ** 2))
    return Line(float(fixed), float(each), 1.0 - left / whole if whole else 1.0)


@dataclass(frozen=True)
class Simulation:
    """All campaigns of a simulation, and what was checked at its end."""

    campaigns: tuple[CampaignCost, ...]
    batch: int
    seed: int
    train_cpu_s: float
    database_bytes: int
    money_conserved: bool
    index_verified: bool
    seconds: float

    @property
    def sizes(self) -> list[int]:
        """The numbers of mines, smallest first."""
        return sorted({one.mines for one in self.campaigns})

    def of_size(self, mines: int) -> list[CampaignCost]:
        """Return the campaigns with so many mines."""
        return [one for one in self.campaigns if one.mines == mines]

    def gas_each(self, mines: int) -> float:
        """Return the mean gas of one mine."""
        return float(np.mean([one.mines_gas / mines for one in self.of_size(mines)]))

    def bytes_each(self, mines: int) -> float:
        """Return the mean bytes that one mine downloads and uploads."""
        return float(np.mean([one.bytes_down + one.bytes_up for one in self.of_size(mines)]))

    def capsule_each(self, mines: int) -> float:
        """Return Capsule's mean processor seconds per gradient, without opening and delivering."""
        values = [(one.capsule_cpu_s - one.capsule_fixed_s) / mines for one in self.of_size(mines)]
        return float(np.mean(values))

    def capsule_spent_each(self, mines: int) -> float:
        """Return the mean processor seconds that Capsule really spent on a gradient."""
        return float(np.mean([one.capsule_spent_each_s for one in self.of_size(mines)]))

    @property
    def gas_spread(self) -> float:
        """By how much the gas of a mine differs over all sizes, relative to the least."""
        return _spread([self.gas_each(size) for size in self.sizes])

    @property
    def bytes_spread(self) -> float:
        """By how much the bytes of a mine differ over all sizes, relative to the least."""
        return _spread([self.bytes_each(size) for size in self.sizes])

    @property
    def capsule_spread(self) -> float:
        """By how much Capsule's time for a gradient differs over all sizes, as really spent.

        What is accounted is left out: a mean times a number is a line whatever was measured. Each
        campaign is taken to be `NOISE_S` nearer to the others than it was measured.
        """
        spent = [(self.capsule_spent_each(size), NOISE_S / size) for size in self.sizes]
        most = max(each - noise for each, noise in spent)
        return max(0.0, most / min(each + noise for each, noise in spent) - 1.0)

    @property
    def capsule_line(self) -> Line:
        """Capsule's processor seconds of a campaign by its mines."""
        mines = [one.mines for one in self.campaigns]
        return fit_line(mines, [one.capsule_cpu_s for one in self.campaigns])

    @property
    def capsule_fixed_s(self) -> float:
        """Capsule's mean processor seconds of opening and delivering a campaign, as measured."""
        return float(np.mean([one.capsule_fixed_s for one in self.campaigns]))

    @property
    def verified(self) -> bool:
        """Whether the money is right, the index equal, the cost per mine flat, Capsule linear."""
        sound = self.money_conserved and self.index_verified
        audited = all(one.audit_ok for one in self.campaigns)
        flat = self.gas_spread <= FLAT and self.bytes_spread <= FLAT
        return sound and audited and flat and self.capsule_spread <= LINEAR

    def foretell(self, mines: int = FAR) -> dict[str, float]:
        """Carry the fits on to `mines` mines in one campaign: an extrapolation, not measured."""
        count = [one.mines for one in self.campaigns]
        gas = fit_line(count, [float(one.mines_gas) for one in self.campaigns]).at(mines)
        events = fit_line(count, [float(one.indexed_events) for one in self.campaigns]).at(mines)
        speed = sum(one.indexed_events for one in self.campaigns) / max(
            1e-9, sum(one.index_s for one in self.campaigns)
        )
        stored = fit_line(count, [float(one.store_bytes) for one in self.campaigns]).at(mines)
        rows = sum(one.indexed_events for one in self.campaigns)
        largest = self.sizes[-1]
        return {
            "mines": mines,
            "gas": gas,
            "blocks_hours": gas / _BLOCK_GAS * _BLOCK_S / 3600,
            "traffic_gib": self.bytes_each(largest) * mines / 2**30,
            "store_gib": stored / 2**30,
            "capsule_core_hours": self.capsule_line.at(mines) / 3600,
            "statistics_minutes": events / speed / 60,
            "statistics_mib": self.database_bytes / max(1, rows) * events / 2**20,
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values; amounts as decimal text."""
        line = self.capsule_line
        return {
            "seed": self.seed,
            "batch": self.batch,
            "seconds": round(self.seconds, 1),
            "verified": self.verified,
            "money_conserved": self.money_conserved,
            "index_verified": self.index_verified,
            "gas_spread": round(self.gas_spread, 4),
            "bytes_spread": round(self.bytes_spread, 4),
            "capsule_spread": round(self.capsule_spread, 4),
            "capsule_fit": {"fixed_s": line.fixed, "each_s": line.each, "r2": line.r2},
            "sampled_mine_cpu_s": round(self.train_cpu_s, 4),
            "curve": [self.point(size) for size in self.sizes],
            "extrapolated": self.foretell(),
            "campaigns": [asdict(one) | {"paid_wei": str(one.paid_wei)} for one in self.campaigns],
        }

    def point(self, mines: int) -> dict[str, float]:
        """Return the means of all campaigns of one size."""
        found = self.of_size(mines)
        return {
            "mines": mines,
            "campaigns": len(found),
            "gas_per_mine": round(self.gas_each(mines)),
            "bytes_per_mine": round(self.bytes_each(mines)),
            "capsule_cpu_s": round(float(np.mean([one.capsule_cpu_s for one in found])), 3),
            "capsule_ms_per_gradient": round(1000 * self.capsule_each(mines), 2),
            "capsule_spent_ms_per_gradient": round(1000 * self.capsule_spent_each(mines), 2),
            "index_catch_up_s": round(max(one.catch_up_s for one in found), 3),
        }


def draw_curve(simulation: Simulation) -> Table:
    """Draw the cost curves."""
    title = "Cost against the number of mines"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in (
        "mines", "runs", "gas/mine", "bytes/mine",
        "Capsule s", "ms each", "spent ms", "index s",
    ):  # fmt: skip
        table.add_column(name, justify="right")
    for size in simulation.sizes:
        point = simulation.point(size)
        table.add_row(
            f"{point['mines']:,}",
            f"{point['campaigns']}",
            f"{point['gas_per_mine']:,}",
            f"{point['bytes_per_mine']:,}",
            f"{point['capsule_cpu_s']:.2f}",
            f"{point['capsule_ms_per_gradient']:.1f}",
            f"{point['capsule_spent_ms_per_gradient']:.1f}",
            f"{point['index_catch_up_s']:.2f}",
        )
    return table


def describe(simulation: Simulation) -> list[str]:
    """Say in words what was measured, what was accounted, and what is only foretold."""
    gradients = sum(one.mines for one in simulation.campaigns)
    sampled = sum(one.sampled for one in simulation.campaigns)
    accounted = sum(one.capsule_accounted_s for one in simulation.campaigns)
    spent = sum(one.capsule_cpu_s for one in simulation.campaigns) - accounted
    line, far = simulation.capsule_line, simulation.foretell()
    first, last = simulation.sizes[0], simulation.sizes[-1]
    real = (
        f"Real: contract, {gradients:,} submissions and as many withdrawals, "
        f"{len(simulation.campaigns)} campaigns from launch to delivery, every update from its "
        "own rows, manifests, receipts, scoring, payouts, index."
    )
    encrypted = (
        f"Real encryption: {sampled:,} of {gradients:,} mines ({simulation.train_cpu_s:.2f} s of "
        "one core each). The others computed the same update in the clear and uploaded a "
        "stand-in; their bytes, and Capsule's time to open their envelopes, are the sample's "
        f"mean: {accounted:.1f} s accounted beside {spent:.1f} s spent."
    )
    foretold = (
        f"Extrapolated, not measured: {far['mines']:,} mines in one campaign need "
        f"{far['gas'] / 1e9:.1f} billion gas ({far['blocks_hours']:.1f} h of blocks of "
        f"{_BLOCK_GAS // 10**6} million), {far['traffic_gib']:,.0f} GiB down and up by mines, "
        f"{far['store_gib']:.1f} GiB in the store, {far['capsule_core_hours']:.1f} core hours of "
        f"Capsule, {far['statistics_minutes']:.1f} minutes and {far['statistics_mib']:.0f} MiB "
        "of the statistics service."
    )
    gas, sizes = _flat(simulation.gas_spread), f"from {first} to {last:,} mines"
    traffic = _flat(simulation.bytes_spread)
    fixed, each = f"{simulation.capsule_fixed_s:.2f} s", f"{1000 * line.each:.1f} ms a gradient"
    linear = _flat(simulation.capsule_spread, LINEAR, "linear")
    index = (
        "Index: the longest it took to read what a batch had added (index s). A service looks for "
        "blocks once a second: that comes on top."
    )
    return [
        real,
        encrypted,
        "Not real: mines' signatures (anvil sends for them); bandwidth and block times.",
        f"Gas of a mine (submit, be scored, withdraw) {sizes}: {gas}.",
        f"Bytes of a mine (keys, model, manifests down; envelope up): {traffic}.",
        f"Capsule: {fixed} to open and deliver a campaign; {each} (a line, R² = {line.r2:.4f}).",
        f"Of it really spent (spent ms: all but opening envelopes), per gradient: {linear}.",
        index,
        foretold,
    ]


def _flat(spread: float, allowed: float = FLAT, word: str = "flat") -> str:
    word = word if spread <= allowed else f"NOT {word}"
    return f"{word}, within {100 * spread:.1f} % ({100 * allowed:.0f} % allowed)"


def _spread(values: Sequence[float]) -> float:
    return max(values) / min(values) - 1.0
