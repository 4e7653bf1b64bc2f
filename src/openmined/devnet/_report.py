"""What a demo ends with: the sums, checked again by its own arithmetic, and a one-line verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.table import Table

from openmined.devnet._scenarios import Scenario
from openmined.devnet._view import count_mines
from openmined.protocol import PPM, batch_payout_wei, format_wei, share_payout_wei
from openmined.sonar import History, Spend

_ACCURACY_SLACK = 0.001
_ROWS_SLACK = 2
"""Capsule releases accuracy rounded, and the model with noise (DESIGN 6.6): to a row that lies on a
border between two classes it may give the other."""


@dataclass(frozen=True)
class Payout:
    """What one mine did and got."""

    mine: str
    kind: str
    """The program it runs: `Mine.py` or `Mine.js`."""
    gradients: int
    accepted: int
    paid_wei: int


@dataclass(frozen=True)
class Seconds:
    """Wall time: until the campaign was launched, until it was delivered, and in all."""

    setup: float
    training: float
    total: float


@dataclass(frozen=True)
class Report:
    """The demo's result, as it is written with --json. Accuracies are fractions of one."""

    scenario: str
    mines: int
    starting_accuracy: float
    target_accuracy: float
    final_accuracy: float
    delivered_accuracy: float
    bounty_wei: int
    paid_wei: int
    fee_wei: int
    refunded_wei: int
    payouts: tuple[Payout, ...]
    seconds: Seconds
    verified: bool

    def to_json(self) -> dict[str, object]:
        """The documented keys, in their order."""
        return asdict(self)


def make_report(
    scenario: Scenario,
    history: History,
    spend: Spend,
    names: Mapping[str, str],
    kinds: Mapping[str, str],
    delivered_accuracy: float,
    seconds: Seconds,
    audited: bool,
) -> Report:
    """Sum up a delivered campaign; `audited` says whether chain and receipts agree.

    `names` and `kinds` are by the mines' addresses.
    """
    rows = count_mines(history, names)
    final = history.accuracy_ppm / PPM
    verified = (
        audited
        and not find_discrepancies(history, spend)
        and sum(row.earned_wei for row in rows) == spend.paid
        and final >= scenario.target_ppm / PPM
        and abs(delivered_accuracy - final) <= accuracy_slack(scenario)
    )
    return Report(
        scenario=scenario.name,
        mines=len(names),
        starting_accuracy=history.start_ppm / PPM,
        target_accuracy=scenario.target_ppm / PPM,
        final_accuracy=final,
        delivered_accuracy=round(delivered_accuracy, 6),
        bounty_wei=spend.bounty + spend.forfeited + spend.topped_up,
        paid_wei=spend.paid,
        fee_wei=spend.fee,
        refunded_wei=spend.refund,
        payouts=tuple(
            Payout(r.name, kinds[r.address], r.gradients, r.accepted, r.earned_wei) for r in rows
        ),
        seconds=seconds,
        verified=verified,
    )


def accuracy_slack(scenario: Scenario) -> float:
    """Return by how much the delivered model may score otherwise."""
    rows: int = scenario.validation.num_rows
    return max(_ACCURACY_SLACK, _ROWS_SLACK / rows if scenario.metric == "accuracy" else 0.0)


def find_discrepancies(history: History, spend: Spend) -> list[str]:
    """Recompute every payout by the formula, outside the contract, and add the money up."""
    found = []
    terms = history.terms
    best, bounty = history.start_ppm, spend.bounty + spend.topped_up
    for batch in history.batches:
        event = batch.event
        total = batch_payout_wei(
            bounty_wei=bounty,
            fee_wei=terms.fee,
            best_ppm=best,
            accuracy_ppm=event.accuracy_ppm,
            target_ppm=terms.target_ppm,
            min_improvement_ppm=terms.min_improvement_ppm,
        )
        for score in batch.scores:
            due = share_payout_wei(total, score.share_ppm)
            if score.payout != due:
                found.append(f"gradient {score.gradient} was paid {score.payout} wei, not {due}")
        best, bounty = event.best_ppm, event.bounty
    whole = spend.bounty + spend.topped_up + spend.forfeited
    if spend.paid + spend.fee + spend.refund != whole:
        found.append(
            f"paid {spend.paid} + fee {spend.fee} + refund {spend.refund} is not {whole} wei"
        )
    return found


def draw_payouts(report: Report, owners: str) -> Table:
    """The closing table: each mine, its gradients, its share, its payout."""
    table = Table(title="Payouts", title_justify="left", header_style="bold")
    table.add_column(owners)
    mixed = len({payout.kind for payout in report.payouts}) > 1
    if mixed:
        table.add_column("runs")
    for heading in ("gradients", "accepted", "share", "payout"):
        table.add_column(heading, justify="right")
    for payout in report.payouts:
        share = payout.paid_wei / report.paid_wei if report.paid_wei else 0.0
        table.add_row(
            payout.mine,
            *((payout.kind,) if mixed else ()),
            str(payout.gradients),
            str(payout.accepted),
            f"{share:.1%}",
            format_wei(payout.paid_wei),
        )
    table.add_section()
    for name, amount in (
        ("paid to all", report.paid_wei),
        ("fee of Capsule", report.fee_wei),
        ("refunded", report.refunded_wei),
        ("bounty", report.bounty_wei),
    ):
        blank = ("",) * (3 if mixed else 2)
        table.add_row(name, *blank, f"{amount / report.bounty_wei:.1%}", format_wei(amount))
    return table


def verdict(report: Report) -> str:
    """One line: what was reached, what the data scientist measured, and whether all adds up."""
    metric = "R2" if report.scenario == "diabetes" else "accuracy"
    sums = "every payout recomputed, the money adds up to the wei"
    judged = "VERIFIED" if report.verified else "NOT VERIFIED"
    return (
        f"{judged}: {report.mines} mines raised {metric} "
        f"from {report.starting_accuracy:.1%} to {report.final_accuracy:.1%} "
        f"(target {report.target_accuracy:.1%}) in {report.seconds.training:.0f} s of training; "
        f"the delivered model has {report.delivered_accuracy:.1%}; "
        + (sums if report.verified else "see the audit above")
    )
