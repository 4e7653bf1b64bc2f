"""The tables. `DERIVED` is a pure function of `EVENT_LOG`, and that of the chain.

Times are unix seconds, amounts the token's smallest unit, addresses lower-case hexadecimal.
A `position` is block_number * 2**20 + log_index: it orders all events, and never repeats.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, SmallInteger, Table, Text

from openmined.stats._types import Wei, ascii_text

POSITION_BITS = 20

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}
)


def _address(name: str, *, primary_key: bool = False) -> Column[str]:
    return Column(name, ascii_text(42), primary_key=primary_key, nullable=False)


def _digest(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, ascii_text(66), nullable=nullable)


def _key(name: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False, nullable=False)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, default=0)


def _maybe(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=True)


def _wei(name: str) -> Column[int]:
    return Column(name, Wei, nullable=False, default=0)


# ------------------------------------------------------------------------------------- bookkeeping

settings = Table(
    "settings",
    metadata,
    Column("name", ascii_text(64), primary_key=True),
    Column("value", Text, nullable=False),
)
"""What the index was made from: chain id, contract, genesis hash, first block."""

cursor = Table(
    "cursor",
    metadata,
    _key("id"),
    _count("generation"),
    Column("block_number", BigInteger, nullable=False),
    Column("block_hash", ascii_text(66), nullable=False),
    _count("undo_floor"),
    _count("rollbacks"),
    _count("side_generation"),
)
"""One row: the block up to which the index is made. Every change bumps `generation`.

`side_generation` is bumped by what is served beside the index: manifests read, reports received.
"""

blocks = Table(
    "blocks",
    metadata,
    _key("number"),
    Column("hash", ascii_text(66), nullable=False, unique=True),
    _digest("parent_hash"),
    _count("timestamp"),
    _count("events"),
)
"""Blocks with events, for ever, and the newest ones without: what a reorganisation is found by."""

events = Table(
    "events",
    metadata,
    _key("position"),
    Column("block_number", BigInteger, nullable=False, index=True),
    Column("log_index", Integer, nullable=False),
    _digest("transaction_hash"),
    _count("timestamp"),
    Column("name", ascii_text(32), nullable=False),
    _maybe("campaign"),
    Column("account", ascii_text(42), nullable=True),
    Column("arguments", Text, nullable=False),
    Index("ix_events_campaign_position", "campaign", "position"),
    Index("ix_events_account_position", "account", "position"),
)
"""The contract's events, as decoded; `account` is who acted, `arguments` a JSON object."""

undo = Table(
    "undo",
    metadata,
    _key("block_number"),
    _key("step"),
    Column("name", ascii_text(32), nullable=False),
    Column("key", Text, nullable=False),
    Column("before", Text, nullable=True),
)
"""Rows as they were before a recent block: taking a block back restores them."""

journal = Table(
    "journal",
    metadata,
    _key("generation"),
    Column("kind", ascii_text(16), nullable=False),
    Column("from_block", BigInteger, nullable=False),
    Column("to_block", BigInteger, nullable=False),
    Column("block_hash", ascii_text(66), nullable=False),
    _count("events"),
    _count("at"),
)
"""The latest changes of the index, for live updates: `advance` or `rollback`."""

# ----------------------------------------------------------------------------------------- derived

campaigns = Table(
    "campaigns",
    metadata,
    _key("campaign"),
    _address("data_scientist"),
    _address("capsule"),
    _address("token"),
    _digest("nonce"),
    _digest("spec"),
    Column("phase", SmallInteger, nullable=False),
    _wei("bounty"),
    _wei("launch_bounty"),
    _wei("fee"),
    _wei("bond"),
    _count("claimed_ppm"),
    _count("start_tolerance_ppm"),
    _count("target_ppm"),
    _count("min_improvement_ppm"),
    _count("deadline"),
    _count("grace"),
    _count("max_gradients"),
    _count("max_batch"),
    _count("version"),
    _count("epoch"),
    _maybe("measured_ppm"),
    _maybe("best_ppm"),
    _count("gradients"),
    _count("pending"),
    _count("accepted"),
    _count("rejected"),
    _count("reclaimed"),
    _count("batches"),
    _count("mines"),
    _count("top_ups"),
    _wei("paid"),
    _wei("forfeited"),
    _wei("refunded"),
    _wei("fee_paid"),
    Column("reject_reason", Text, nullable=True),
    _digest("keys", nullable=True),
    _digest("model", nullable=True),
    _digest("delivery", nullable=True),
    _count("launched_at"),
    _maybe("opened_at"),
    _maybe("ended_at"),
    _count("updated_at"),
    _count("launched_position"),
    _count("updated_position"),
    Index("ix_campaigns_phase_campaign", "phase", "campaign"),
    Index("ix_campaigns_capsule_campaign", "capsule", "campaign"),
    Index("ix_campaigns_data_scientist_campaign", "data_scientist", "campaign"),
    Index("ix_campaigns_spec", "spec"),
    Index("ix_campaigns_bounty_campaign", "bounty", "campaign"),
    Index("ix_campaigns_deadline_campaign", "deadline", "campaign"),
    Index("ix_campaigns_gradients_campaign", "gradients", "campaign"),
    Index("ix_campaigns_updated_position_campaign", "updated_position", "campaign"),
)

gradients = Table(
    "gradients",
    metadata,
    _key("campaign"),
    _key("gradient"),
    _address("miner"),
    _count("version"),
    _digest("envelope"),
    Column("status", SmallInteger, nullable=False),
    _maybe("batch"),
    _count("share_ppm"),
    _count("reason"),
    _wei("payout"),
    _wei("bond_returned"),
    _count("submitted_at"),
    _maybe("settled_at"),
    _count("submitted_position"),
    _maybe("settled_position"),
    Index("ix_gradients_miner_submitted_position", "miner", "submitted_position"),
    Index("ix_gradients_campaign_batch", "campaign", "batch"),
)

batches = Table(
    "batches",
    metadata,
    _key("campaign"),
    _key("batch"),
    _count("accuracy_ppm"),
    _count("before_ppm"),
    _count("best_ppm"),
    _count("version"),
    _digest("model", nullable=True),
    _digest("receipt"),
    _count("gradients"),
    _count("rejected"),
    _wei("paid"),
    _wei("forfeited"),
    _wei("paid_total"),
    _wei("bounty"),
    _count("scored_at"),
    _count("position"),
)

participations = Table(
    "participations",
    metadata,
    _key("campaign"),
    _address("miner", primary_key=True),
    _count("gradients"),
    _count("pending"),
    _count("accepted"),
    _count("rejected"),
    _count("reclaimed"),
    _wei("payout"),
    _wei("bond_lost"),
    _count("first_at"),
    _count("last_at"),
    Index("ix_participations_miner_campaign", "miner", "campaign"),
)
"""What one mine did in one campaign."""

mines = Table(
    "mines",
    metadata,
    _address("address", primary_key=True),
    _count("campaigns"),
    _count("gradients"),
    _count("pending"),
    _count("accepted"),
    _count("rejected"),
    _count("reclaimed"),
    _count("first_at"),
    _count("last_at"),
    _count("first_position"),
    Index("ix_mines_gradients_address", "gradients", "address"),
    Index("ix_mines_accepted_address", "accepted", "address"),
    Index("ix_mines_last_at_address", "last_at", "address"),
    Index("ix_mines_first_position", "first_position"),
)

data_scientists = Table(
    "data_scientists",
    metadata,
    _address("address", primary_key=True),
    _count("campaigns"),
    _count("opened"),
    _count("delivered"),
    _count("rejected"),
    _count("cancelled"),
    _count("expired"),
    _count("gradients"),
    _count("first_at"),
    _count("last_at"),
    Index("ix_data_scientists_campaigns_address", "campaigns", "address"),
    Index("ix_data_scientists_last_at_address", "last_at", "address"),
)

capsules = Table(
    "capsules",
    metadata,
    _address("address", primary_key=True),
    _count("campaigns"),
    _count("opened"),
    _count("delivered"),
    _count("rejected"),
    _count("cancelled"),
    _count("expired_unopened"),
    _count("expired_open"),
    _count("batches"),
    _count("gradients"),
    _count("accepted"),
    _count("gradients_rejected"),
    _count("abandoned"),
    _count("open_latency_s"),
    _count("score_latency_s"),
    _count("first_at"),
    _count("last_at"),
    Index("ix_capsules_campaigns_address", "campaigns", "address"),
    Index("ix_capsules_last_at_address", "last_at", "address"),
)
"""Latencies are sums: divide by `opened`, and by `accepted + gradients_rejected`."""

purses = Table(
    "purses",
    metadata,
    _address("account", primary_key=True),
    _address("token", primary_key=True),
    _wei("earned"),
    _wei("bonds_held"),
    _wei("bonds_returned"),
    _wei("bonds_lost"),
    _wei("fees"),
    _wei("deposited"),
    _wei("topped_up"),
    _wei("spent"),
    _wei("refunded"),
    _wei("withdrawn"),
    _wei("credit"),
    Index("ix_purses_token_earned_account", "token", "earned", "account"),
    Index("ix_purses_token_spent_account", "token", "spent", "account"),
    Index("ix_purses_token_fees_account", "token", "fees", "account"),
)
"""One account's money in one token. `credit` is what `withdraw` would pay: the contract's own view.

`spent` is what a data scientist's campaigns paid to mines and capsules.
"""

buckets = Table(
    "buckets",
    metadata,
    _key("width_s"),
    _key("start"),
    _count("campaigns_launched"),
    _count("campaigns_opened"),
    _count("campaigns_delivered"),
    _count("campaigns_rejected"),
    _count("campaigns_cancelled"),
    _count("campaigns_expired"),
    _count("top_ups"),
    _count("gradients_submitted"),
    _count("gradients_accepted"),
    _count("gradients_rejected"),
    _count("bonds_reclaimed"),
    _count("batches_scored"),
    _count("keys_rotated"),
    _count("withdrawals"),
    _count("events"),
    _count("gain_ppm"),
    _count("new_mines"),
    _count("active_mines"),
    _count("new_data_scientists"),
    _count("new_capsules"),
)
"""Counts by hour, day and ISO week (UTC), and in all (width 0)."""

bucket_money = Table(
    "bucket_money",
    metadata,
    _key("width_s"),
    _key("start"),
    _address("token", primary_key=True),
    _wei("deposited"),
    _wei("topped_up"),
    _wei("paid"),
    _wei("fees"),
    _wei("refunded"),
    _wei("bonds_forfeited"),
    _wei("withdrawn"),
)

bucket_mines = Table(
    "bucket_mines",
    metadata,
    _key("width_s"),
    _key("start"),
    _address("miner", primary_key=True),
    _count("gradients"),
)
"""Which mines submitted in a day or a week: what `active_mines` counts."""

# ------------------------------------------------------------------------------ beside the index

manifests = Table(
    "manifests",
    metadata,
    Column("digest", ascii_text(66), primary_key=True),
    Column("state", ascii_text(16), nullable=False),
    Column("problem", Text, nullable=True),
    _count("attempts"),
    _count("next_attempt_at"),
    Column("title", Text, nullable=True),
    Column("description", Text, nullable=True),
    Column("metric", ascii_text(16), nullable=True),
    Column("algorithm", ascii_text(64), nullable=True),
    Column("update_kind", ascii_text(64), nullable=True),
    Column("schema", ascii_text(160), nullable=True),
    Column("schema_title", Text, nullable=True),
    Column("details", Text, nullable=True),
    Index("ix_manifests_state_next_attempt_at", "state", "next_attempt_at"),
    Index("ix_manifests_schema", "schema"),
)
"""Campaign manifests as read from the store: `wanted`, `read`, `refused` or `missing`.

Content-addressed, so no reorganisation touches them; served only for campaigns in the index.
"""

manifest_words = Table(
    "manifest_words",
    metadata,
    Column("word", ascii_text(64), primary_key=True),
    Column("digest", ascii_text(66), primary_key=True),
    Index("ix_manifest_words_digest", "digest"),
)
"""The words of titles, descriptions and field names: what full-text search looks up."""

reports = Table(
    "reports",
    metadata,
    _address("miner", primary_key=True),
    _key("day"),
    _count("sequence"),
    Column("software", ascii_text(64), nullable=False),
    Column("digest", ascii_text(66), nullable=False),
    _count("received_at"),
)
"""Usage reports by mine and day (days since 1970); a later sequence replaces an earlier one."""

report_records = Table(
    "report_records",
    metadata,
    _address("miner", primary_key=True),
    _key("day"),
    Column("schema", ascii_text(160), primary_key=True),
    _count("records"),
    Index("ix_report_records_day_schema", "day", "schema"),
)
"""How many records of each schema a mine says it offers."""

EVENT_LOG = (blocks, events)
DERIVED = (
    campaigns,
    gradients,
    batches,
    participations,
    mines,
    data_scientists,
    capsules,
    purses,
    buckets,
    bucket_money,
    bucket_mines,
)
"""Rebuilt from `events` alone."""
