"""From events to tables: one function per event of the contract, and no other way in.

The fold is strict. Numbers that the contract counts must follow one another, and money must add up
as the contract adds it: an event that does not fit means that the node left out an earlier one
(`HistoryGap`), so a lossy node cannot make a wrong index, only a late one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from openmined.protocol import GradientStatus, Phase
from openmined.stats._errors import HistoryGap
from openmined.stats._events import Event
from openmined.stats._rows import Key, Row, Rows

HOUR_S = 3600
DAY_S = 86_400
WEEK_S = 604_800
ALL_TIME = 0
WIDTHS_S = (HOUR_S, DAY_S, WEEK_S, ALL_TIME)
_MONDAY_S = 4 * DAY_S  # 1970-01-01 was a Thursday; ISO weeks start on Mondays
_EMPTY = "0x" + "00" * 32
_FIRST_FORGIVEN_REASON = 128


def fold(event: Event, rows: Rows) -> None:
    """Apply one event; events come in the order of their positions.

    Raises:
        HistoryGap: if it cannot follow the ones before it.
    """
    _FOLDS[event.name](_Step(event, rows))


def prefetch(events: Sequence[Event], rows: Rows) -> None:
    """Load most rows that these events will touch, in a few queries."""
    wanted: dict[str, set[Key]] = {name: set() for name in _PREFETCHED}
    rows.prefetch("campaigns", {(e.campaign,) for e in events if e.campaign is not None})
    for event in events:
        campaign, gradient = event.campaign, event.arguments.get("gradient")
        if campaign is None or not isinstance(gradient, int) or event.account is None:
            continue
        wanted["participations"].add((campaign, event.account))
        wanted["mines"].add((event.account,))
        terms = rows.get("campaigns", (campaign,))
        if terms is not None:
            wanted["purses"].add((event.account, terms["token"]))
        if event.name == "GradientSubmitted":
            for width_s in (DAY_S, WEEK_S):
                start = bucket_start(width_s, event.timestamp)
                wanted["bucket_mines"].add((width_s, start, event.account))
        else:
            wanted["gradients"].add((campaign, gradient))
        if event.name == "GradientScored":
            wanted["batches"].add((campaign, int(event.arguments["batch"])))
    for table, keys in wanted.items():
        rows.prefetch(table, keys)


_PREFETCHED = ("gradients", "batches", "participations", "mines", "purses", "bucket_mines")


def bucket_start(width_s: int, timestamp: int) -> int:
    """Return the start of the hour, day or ISO week (UTC) around a time; 0 for all time."""
    if width_s == ALL_TIME:
        return 0
    offset = _MONDAY_S if width_s == WEEK_S else 0
    return timestamp - (timestamp - offset) % width_s


class _Step:
    """One event with the rows around it."""

    def __init__(self, event: Event, rows: Rows) -> None:
        self.event = event
        self.rows = rows
        self.at = event.timestamp
        self.arguments: Mapping[str, Any] = event.arguments

    def expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            raise HistoryGap(
                f"{self.event.name} in block {self.event.block_number} says {what} {found!r}, but "
                f"{wanted!r} follows from the events before it: the node left some out"
            )

    def campaign(self, *phases: Phase) -> Row:
        """Return the campaign of the event, which happens in one of these phases only."""
        row = self.rows.edit("campaigns", (self.arguments["campaign"],))
        if row is None:
            raise HistoryGap(
                f"{self.event.name} in block {self.event.block_number} names campaign "
                f"{self.arguments['campaign']}, whose launch was never seen"
            )
        if row["phase"] not in phases:
            self.expect("a campaign in phase", row["phase"], tuple(map(int, phases)))
        row["updated_at"] = self.at
        row["updated_position"] = self.event.position
        return row

    def gradient(self) -> Row:
        key = (self.arguments["campaign"], self.arguments["gradient"])
        row = self.rows.edit("gradients", key)
        if row is None:
            raise HistoryGap(f"gradient {key[1]} of campaign {key[0]} was never seen submitted")
        self.expect("a gradient of", self.arguments["miner"], row["miner"])
        self.expect("a gradient in state", GradientStatus.PENDING, row["status"])
        row["settled_at"] = self.at
        row["settled_position"] = self.event.position
        return row

    def seen(self, table: str, address: str) -> Row:
        row, new = self.rows.ensure(table, (address,))
        if new:
            row["first_at"] = self.at
            self.count(**{f"new_{table}": 1})
        row["last_at"] = self.at
        return row

    def purse(self, account: str, token: str, **amounts: int) -> None:
        row, _ = self.rows.ensure("purses", (account, token))
        _add(row, amounts)

    def count(self, **counts: int) -> None:
        for width_s in WIDTHS_S:
            key = (width_s, bucket_start(width_s, self.at))
            _add(self.rows.ensure("buckets", key)[0], counts)

    def money(self, token: str, **amounts: int) -> None:
        for width_s in WIDTHS_S:
            key = (width_s, bucket_start(width_s, self.at), token)
            _add(self.rows.ensure("bucket_money", key)[0], amounts)

    def total(self, name: str) -> int:
        row = self.rows.get("buckets", (ALL_TIME, 0))
        return 0 if row is None else int(row[name])


def _add(row: Row, amounts: Mapping[str, int]) -> None:
    for name, amount in amounts.items():
        row[name] += amount


def _bump(*rows: Row, **amounts: int) -> None:
    for row in rows:
        _add(row, amounts)


# -------------------------------------------------------------------------------------- campaigns


def _launched(step: _Step) -> None:
    terms = step.arguments
    step.expect("campaign number", terms["campaign"], step.total("campaigns_launched") + 1)
    scientist, capsule, token = terms["data_scientist"], terms["capsule"], terms["token"]
    step.rows.create(
        "campaigns",
        (terms["campaign"],),
        data_scientist=scientist,
        capsule=capsule,
        token=token,
        nonce=terms["nonce"],
        spec=terms["spec"],
        phase=int(Phase.LAUNCHED),
        bounty=terms["bounty"],
        launch_bounty=terms["bounty"],
        claimed_ppm=terms["start_ppm"],
        launched_at=step.at,
        launched_position=step.event.position,
        updated_at=step.at,
        updated_position=step.event.position,
        **{name: terms[name] for name in _KEPT_TERMS},
    )
    step.seen("data_scientists", scientist)["campaigns"] += 1
    step.seen("capsules", capsule)["campaigns"] += 1
    step.purse(scientist, token, deposited=terms["bounty"])
    step.money(token, deposited=terms["bounty"])
    step.count(campaigns_launched=1, events=1)


_KEPT_TERMS = (
    "fee",
    "bond",
    "start_tolerance_ppm",
    "target_ppm",
    "min_improvement_ppm",
    "deadline",
    "grace",
    "max_gradients",
    "max_batch",
)


def _topped_up(step: _Step) -> None:
    campaign, amount = step.campaign(Phase.LAUNCHED, Phase.OPEN), step.arguments["amount"]
    _bump(campaign, bounty=amount, top_ups=1)
    step.expect("a bounty of", step.arguments["bounty"], campaign["bounty"])
    step.purse(step.arguments["sender"], campaign["token"], topped_up=amount)
    step.money(campaign["token"], topped_up=amount)
    step.count(top_ups=1, events=1)


def _end(step: _Step, phase: Phase, *before: Phase) -> Row:
    campaign, refund = step.campaign(*before), step.arguments["refund"]
    fee = step.arguments.get("fee", 0)
    step.expect("a refund of", refund, campaign["bounty"] - campaign["paid"] - fee)
    campaign.update(phase=int(phase), ended_at=step.at, refunded=refund, fee_paid=fee)
    scientist, token = campaign["data_scientist"], campaign["token"]
    step.purse(scientist, token, refunded=refund, credit=refund, spent=fee)
    step.money(token, refunded=refund, fees=fee)
    return campaign


def _cancelled(step: _Step) -> None:
    campaign = _end(step, Phase.CANCELLED, Phase.LAUNCHED)
    step.seen("data_scientists", campaign["data_scientist"])["cancelled"] += 1
    _bump(_capsule(step, campaign), cancelled=1)
    step.count(campaigns_cancelled=1, events=1)


def _rejected(step: _Step) -> None:
    campaign = _end(step, Phase.REJECTED, Phase.LAUNCHED)
    campaign["reject_reason"] = step.arguments["reason"]
    step.seen("capsules", campaign["capsule"])["rejected"] += 1
    _bump(_scientist(step, campaign), rejected=1)
    step.count(campaigns_rejected=1, events=1)


def _delivered(step: _Step) -> None:
    campaign = _end(step, Phase.DELIVERED, Phase.OPEN)
    campaign["delivery"] = step.arguments["delivery"]
    fee = step.arguments["fee"]
    step.purse(campaign["capsule"], campaign["token"], fees=fee, credit=fee)
    step.seen("capsules", campaign["capsule"])["delivered"] += 1
    _bump(_scientist(step, campaign), delivered=1)
    step.count(campaigns_delivered=1, events=1)


def _expired(step: _Step) -> None:
    alive = Phase.LAUNCHED, Phase.OPEN
    was_open = step.campaign(*alive)["phase"] == Phase.OPEN
    campaign = _end(step, Phase.EXPIRED, *alive)
    _bump(_scientist(step, campaign), expired=1)
    _bump(_capsule(step, campaign), **{"expired_open" if was_open else "expired_unopened": 1})
    step.count(campaigns_expired=1, events=1)


def _opened(step: _Step) -> None:
    campaign, opened = step.campaign(Phase.LAUNCHED), step.arguments
    campaign.update(
        phase=int(Phase.OPEN),
        version=1,
        epoch=1,
        measured_ppm=opened["accuracy_ppm"],
        best_ppm=opened["accuracy_ppm"],
        keys=opened["keys"],
        model=opened["model"],
        opened_at=step.at,
    )
    capsule = step.seen("capsules", campaign["capsule"])
    _bump(capsule, opened=1, open_latency_s=step.at - campaign["launched_at"])
    _bump(_scientist(step, campaign), opened=1)
    step.count(campaigns_opened=1, events=1)


def _keys_rotated(step: _Step) -> None:
    campaign, rotated = step.campaign(Phase.OPEN), step.arguments
    step.expect("key epoch", rotated["epoch"], campaign["epoch"] + 1)
    step.expect("version", rotated["version"], campaign["version"] + 1)
    campaign.update({name: rotated[name] for name in ("epoch", "version", "keys", "model")})
    step.seen("capsules", campaign["capsule"])
    step.count(keys_rotated=1, events=1)


def _scientist(step: _Step, campaign: Row) -> Row:
    return _known(step, "data_scientists", campaign["data_scientist"])


def _capsule(step: _Step, campaign: Row) -> Row:
    return _known(step, "capsules", campaign["capsule"])


def _known(step: _Step, table: str, address: str) -> Row:
    row = step.rows.edit(table, (address,))
    if row is None:  # its launch made it: unreachable but by a damaged database
        raise HistoryGap(f"{address} is missing from {table}: rebuild the index")
    return row


# -------------------------------------------------------------------------------------- gradients


def _gradient_submitted(step: _Step) -> None:
    campaign, submitted = step.campaign(Phase.OPEN), step.arguments
    miner, bond = submitted["miner"], campaign["bond"]
    step.expect("gradient number", submitted["gradient"], campaign["gradients"])
    step.rows.create(
        "gradients",
        (submitted["campaign"], submitted["gradient"]),
        known_new=True,
        miner=miner,
        version=submitted["version"],
        envelope=submitted["envelope"],
        status=int(GradientStatus.PENDING),
        submitted_at=step.at,
        submitted_position=step.event.position,
    )
    part, new_part = step.rows.ensure("participations", (submitted["campaign"], miner))
    mine, new_mine = step.rows.ensure("mines", (miner,))
    if new_part:
        part["first_at"] = step.at
        _bump(mine, campaigns=1)
        _bump(campaign, mines=1)
    if new_mine:
        mine.update(first_at=step.at, first_position=step.event.position)
    part["last_at"] = mine["last_at"] = step.at
    _bump(campaign, part, mine, gradients=1, pending=1)
    _bump(_scientist(step, campaign), _capsule(step, campaign), gradients=1)
    if bond:
        step.purse(miner, campaign["token"], bonds_held=bond)
    step.count(gradients_submitted=1, events=1, new_mines=int(new_mine))
    _mark_active(step, miner)


def _mark_active(step: _Step, miner: str) -> None:
    for width_s in (DAY_S, WEEK_S):
        start = bucket_start(width_s, step.at)
        row, new = step.rows.ensure("bucket_mines", (width_s, start, miner))
        row["gradients"] += 1
        if new:
            _bump(step.rows.ensure("buckets", (width_s, start))[0], active_mines=1)


def _gradient_scored(step: _Step) -> None:
    campaign, scored = step.campaign(Phase.OPEN), step.arguments
    gradient, accepted = step.gradient(), step.arguments["reason"] == 0
    step.expect("batch", scored["batch"], campaign["batches"] + 1)
    gradient.update({name: scored[name] for name in _VERDICT})
    gradient["status"] = int(GradientStatus.SCORED if accepted else GradientStatus.REJECTED)

    verdict = "accepted" if accepted else "rejected"
    part, mine = _settle(step, campaign, verdict)
    capsule = _capsule(step, campaign)
    _bump(capsule, score_latency_s=step.at - gradient["submitted_at"])
    _bump(capsule, **{"accepted" if accepted else "gradients_rejected": 1})
    batch, _ = step.rows.ensure("batches", (scored["campaign"], scored["batch"]))
    _bump(batch, gradients=1, rejected=int(not accepted), paid=scored["payout"])

    payout, returned = scored["payout"], scored["bond_returned"]
    lost = campaign["bond"] - returned
    _bump(part, payout=payout, bond_lost=lost)
    _bump(batch, forfeited=lost)
    step.purse(
        scored["miner"],
        campaign["token"],
        earned=payout,
        bonds_held=-campaign["bond"],
        bonds_returned=returned,
        bonds_lost=lost,
        credit=payout + returned,
    )
    mine["last_at"] = step.at
    step.count(**{f"gradients_{verdict}": 1}, events=1)


_ENDED = (Phase.DELIVERED, Phase.REJECTED, Phase.CANCELLED, Phase.EXPIRED)
_VERDICT = ("batch", "share_ppm", "payout", "reason", "bond_returned")


def _settle(step: _Step, campaign: Row, verdict: str) -> tuple[Row, Row]:
    key = (campaign["campaign"], step.arguments["miner"])
    part = step.rows.ensure("participations", key)[0]
    mine = step.rows.ensure("mines", key[1:])[0]
    for row in (campaign, part, mine):
        _add(row, {"pending": -1, verdict: 1})
    part["last_at"] = step.at
    return part, mine


def _batch_scored(step: _Step) -> None:
    campaign, scored = step.campaign(Phase.OPEN), step.arguments
    step.expect("batch", scored["batch"], campaign["batches"] + 1)
    batch, _ = step.rows.ensure("batches", (scored["campaign"], scored["batch"]))
    step.expect("payments of", scored["paid"], batch["paid"])
    step.expect("lost bonds of", scored["forfeited"], batch["forfeited"])
    step.expect("a bounty of", scored["bounty"], campaign["bounty"] + scored["forfeited"])
    model = None if scored["model"] == _EMPTY else scored["model"]
    step.expect("version", scored["version"], campaign["version"] + (model is not None))
    before, best = campaign["best_ppm"], scored["best_ppm"]
    batch.update(
        accuracy_ppm=scored["accuracy_ppm"],
        before_ppm=before,
        best_ppm=best,
        version=scored["version"],
        model=model,
        receipt=scored["receipt"],
        bounty=scored["bounty"],
        scored_at=step.at,
        position=step.event.position,
    )
    _bump(campaign, batches=1, paid=scored["paid"], forfeited=scored["forfeited"])
    batch["paid_total"] = campaign["paid"]
    campaign.update(bounty=scored["bounty"], best_ppm=best, version=scored["version"])
    if model is not None:
        campaign["model"] = model
    _bump(step.seen("capsules", campaign["capsule"]), batches=1)
    step.purse(campaign["data_scientist"], campaign["token"], spent=scored["paid"])
    step.money(campaign["token"], paid=scored["paid"], bonds_forfeited=scored["forfeited"])
    step.count(batches_scored=1, events=1, gain_ppm=best - before)


def _bond_reclaimed(step: _Step) -> None:
    campaign, amount = step.campaign(*_ENDED), step.arguments["amount"]
    gradient = step.gradient()
    step.expect("a bond of", amount, campaign["bond"])
    gradient.update(status=int(GradientStatus.RECLAIMED), bond_returned=amount)
    _settle(step, campaign, "reclaimed")
    _bump(_capsule(step, campaign), abandoned=1)
    step.purse(
        gradient["miner"],
        campaign["token"],
        bonds_held=-amount,
        bonds_returned=amount,
        credit=amount,
    )
    step.count(bonds_reclaimed=1, events=1)


def _withdrawn(step: _Step) -> None:
    account, token = step.arguments["account"], step.arguments["token"]
    amount = step.arguments["amount"]
    purse, _ = step.rows.ensure("purses", (account, token))
    step.expect("a credit of", amount, purse["credit"])
    _bump(purse, credit=-amount, withdrawn=amount)
    step.money(token, withdrawn=amount)
    step.count(withdrawals=1, events=1)


_FOLDS: Mapping[str, Callable[[_Step], None]] = {
    "CampaignLaunched": _launched,
    "BountyToppedUp": _topped_up,
    "CampaignCancelled": _cancelled,
    "CampaignRejected": _rejected,
    "CampaignOpened": _opened,
    "GradientSubmitted": _gradient_submitted,
    "GradientScored": _gradient_scored,
    "BatchScored": _batch_scored,
    "KeysRotated": _keys_rotated,
    "CampaignDelivered": _delivered,
    "CampaignExpired": _expired,
    "BondReclaimed": _bond_reclaimed,
    "Withdrawn": _withdrawn,
}
