"""What the API answers with. Amounts are decimal text, times unix seconds, addresses lower case."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

Amount = Annotated[
    int,
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^-?[0-9]+$", "examples": ["25"]}),
]
"""An amount in the token's smallest unit: too large for a JSON number."""

PhaseName = Literal["launched", "open", "delivered", "rejected", "cancelled", "expired"]
StatusName = Literal["pending", "accepted", "rejected", "reclaimed"]


class Model(BaseModel):
    """The base of every answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Model):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


class Status(Model):
    """How far the index is."""

    chain_id: int | None
    contract: str | None
    block_number: int | None
    block_hash: str | None
    block_at: int | None = Field(description="Time of the newest block with events.")
    head: int | None = Field(description="Newest block of the chain, if the indexer runs here.")
    generation: int
    rollbacks: int
    events: int
    version: str


class CapsuleLink(Model):
    """A Capsule of this network."""

    address: str
    url: str | None


class NetworkInfo(Model):
    """What a web page needs to take part: which chain, contract and store."""

    name: str | None
    chain_id: int
    contract: str
    first_block: int
    gateway_url: str | None
    capsules: list[CapsuleLink]
    rpc_url: str | None = Field(description="A public node, only if the operator names one.")


class Campaign(Model):
    """One campaign as it stands."""

    campaign: int
    phase: PhaseName
    title: str | None = Field(description="From its manifest; null until that was read.")
    description: str | None
    metric: str | None
    algorithm: str | None
    update: str | None
    input_schema: str | None = Field(description="Id of a published schema, or `custom/...`.")
    manifest: Literal["wanted", "read", "refused", "missing"] = Field(
        description="Whether its manifest was read from the store."
    )
    data_scientist: str
    capsule: str
    token: str = Field(description="0x00..00 is ETH.")
    spec: str
    bounty: Amount = Field(description="Top-ups and lost bonds included.")
    fee: Amount
    bond: Amount
    paid: Amount = Field(description="To mines so far, bonds not counted.")
    forfeited: Amount = Field(description="Bonds lost to the bounty.")
    refunded: Amount
    fee_paid: Amount
    unspent: Amount = Field(description="Of the bounty, the fee included; 0 once ended.")
    claimed_ppm: int
    start_tolerance_ppm: int
    target_ppm: int
    min_improvement_ppm: int
    measured_ppm: int | None
    best_ppm: int | None
    deadline: int
    grace: int
    max_gradients: int
    max_batch: int
    version: int
    epoch: int
    gradients: int
    pending: int
    accepted: int
    rejected: int
    reclaimed: int
    batches: int
    mines: int
    top_ups: int
    reject_reason: str | None
    keys: str | None
    model: str | None
    delivery: str | None
    launched_at: int
    opened_at: int | None
    ended_at: int | None
    updated_at: int


class CampaignDetail(Campaign):
    """One campaign with what its manifest says."""

    details: dict[str, Any] | None = Field(
        description="Input and output schema, features, privacy and scoring of the manifest."
    )
    problem: str | None = Field(description="Why its manifest cannot be read.")


class Page(Model):
    """A part of a list; ask for `next` to get what follows."""

    next: str | None = Field(description="Give it back as `cursor`; null at the end.")


class Campaigns(Page):
    """Campaigns."""

    items: list[Campaign]


class TimelineEntry(Model):
    """One event of the contract."""

    position: int
    block_number: int
    log_index: int
    transaction_hash: str
    at: int
    event: str
    campaign: int | None
    account: str | None
    arguments: dict[str, str | int]


class Timeline(Page):
    """Events in their order."""

    items: list[TimelineEntry]


class Gradient(Model):
    """One gradient."""

    campaign: int
    gradient: int
    miner: str
    version: int
    envelope: str
    status: StatusName
    batch: int | None
    share_ppm: int
    payout: Amount
    reason: int
    reason_name: str | None
    bond_returned: Amount
    submitted_at: int
    settled_at: int | None


class Gradients(Page):
    """Gradients."""

    items: list[Gradient]


class Batch(Model):
    """One scored batch, with what each gradient got."""

    batch: int
    accuracy_ppm: int = Field(description="As Capsule reported it.")
    before_ppm: int
    best_ppm: int
    version: int
    model: str | None
    receipt: str
    paid: Amount
    paid_total: Amount = Field(description="By the campaign, this batch included.")
    forfeited: Amount
    bounty: Amount
    scored_at: int
    gradients: list[Gradient]


class Batches(Page):
    """Batches."""

    items: list[Batch]


class Participation(Model):
    """What one mine did in one campaign."""

    campaign: int
    miner: str
    gradients: int
    pending: int
    accepted: int
    rejected: int
    reclaimed: int
    payout: Amount
    bond_lost: Amount
    token: str
    first_at: int
    last_at: int


class Participations(Page):
    """Participations."""

    items: list[Participation]


class Purse(Model):
    """An account's money in one token."""

    token: str
    earned: Amount
    bonds_held: Amount
    bonds_returned: Amount
    bonds_lost: Amount
    fees: Amount
    deposited: Amount
    topped_up: Amount
    spent: Amount
    refunded: Amount
    withdrawn: Amount
    credit: Amount = Field(description="What a withdrawal would pay now.")


class Mine(Model):
    """One mine, by its address."""

    address: str
    campaigns: int
    gradients: int
    pending: int
    accepted: int
    rejected: int
    reclaimed: int
    acceptance_ppm: int | None = Field(description="Accepted of all scored.")
    first_at: int
    last_at: int
    purses: list[Purse]


class Mines(Page):
    """Mines."""

    items: list[Mine]


class DataScientist(Model):
    """One data scientist, by her address."""

    address: str
    campaigns: int
    opened: int
    delivered: int
    rejected: int
    cancelled: int
    expired: int
    gradients: int
    first_at: int
    last_at: int
    purses: list[Purse]


class DataScientists(Page):
    """Data scientists."""

    items: list[DataScientist]


class Capsule(Model):
    """One Capsule, by its address, and how it served."""

    address: str
    campaigns: int
    opened: int
    delivered: int
    rejected: int
    cancelled: int
    silent: int = Field(description="Campaigns that expired on it.")
    expired_unopened: int
    expired_open: int
    batches: int
    gradients: int
    accepted: int
    gradients_rejected: int
    abandoned: int = Field(description="Gradients it never scored, bonds reclaimed.")
    open_latency_s: float | None = Field(description="Mean time from launch to opening.")
    score_latency_s: float | None = Field(description="Mean time from gradient to score.")
    first_at: int
    last_at: int
    purses: list[Purse]


class Capsules(Page):
    """Capsules."""

    items: list[Capsule]


class Counts(Model):
    """What happened, counted."""

    campaigns_launched: int
    campaigns_opened: int
    campaigns_delivered: int
    campaigns_rejected: int
    campaigns_cancelled: int
    campaigns_expired: int
    top_ups: int
    gradients_submitted: int
    gradients_accepted: int
    gradients_rejected: int
    bonds_reclaimed: int
    batches_scored: int
    keys_rotated: int
    withdrawals: int
    events: int
    gain_ppm: int = Field(description="Accuracy gained, summed over batches.")
    new_mines: int
    new_data_scientists: int
    new_capsules: int


class Money(Model):
    """What moved in one token."""

    token: str
    deposited: Amount
    topped_up: Amount
    paid: Amount
    fees: Amount
    refunded: Amount
    bonds_forfeited: Amount
    withdrawn: Amount


class Totals(Model):
    """Everything so far."""

    counts: Counts
    money: list[Money]
    phases: dict[PhaseName, int]


class Point(Model):
    """One hour, day or week (UTC; weeks begin on Mondays)."""

    start: int
    counts: Counts
    active_mines: int | None = Field(description="That submitted; null for hours.")
    money: list[Money]


class Series(Model):
    """A time series; intervals in which nothing happened are left out."""

    interval: Literal["hour", "day", "week"]
    items: list[Point]


class SchemaDemand(Model):
    """A schema that campaigns ask for, and what mines say they hold of it."""

    input_schema: str
    title: str | None
    campaigns: int
    open_campaigns: int
    open_bounty: list[TokenAmount]
    gradients: int
    mines_offering: int | None = Field(description="Null below the threshold.")
    records_offered: int | None = Field(description="Two significant digits; null below it.")


class TokenAmount(Model):
    """An amount of a token."""

    token: str
    amount: Amount


class SchemaDemands(Model):
    """Schemas in demand."""

    items: list[SchemaDemand]


SchemaDemand.model_rebuild()
