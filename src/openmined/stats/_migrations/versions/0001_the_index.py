"""The first schema: event log, derived tables, bookkeeping."""

import sqlalchemy as sa
from alembic import op

from openmined.stats._types import Wei, ascii_text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "batches",
        sa.Column("campaign", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("batch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("accuracy_ppm", sa.BigInteger(), nullable=False),
        sa.Column("before_ppm", sa.BigInteger(), nullable=False),
        sa.Column("best_ppm", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("model", ascii_text(66), nullable=True),
        sa.Column("receipt", ascii_text(66), nullable=False),
        sa.Column("gradients", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("paid", Wei(), nullable=False),
        sa.Column("forfeited", Wei(), nullable=False),
        sa.Column("paid_total", Wei(), nullable=False),
        sa.Column("bounty", Wei(), nullable=False),
        sa.Column("scored_at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "batch", name=op.f("pk_batches")),
    )
    op.create_table(
        "blocks",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", ascii_text(66), nullable=False),
        sa.Column("parent_hash", ascii_text(66), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_blocks")),
        sa.UniqueConstraint("hash"),
    )
    op.create_table(
        "bucket_mines",
        sa.Column("width_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("miner", ascii_text(42), nullable=False),
        sa.Column("gradients", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("width_s", "start", "miner", name=op.f("pk_bucket_mines")),
    )
    op.create_table(
        "bucket_money",
        sa.Column("width_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token", ascii_text(42), nullable=False),
        sa.Column("deposited", Wei(), nullable=False),
        sa.Column("topped_up", Wei(), nullable=False),
        sa.Column("paid", Wei(), nullable=False),
        sa.Column("fees", Wei(), nullable=False),
        sa.Column("refunded", Wei(), nullable=False),
        sa.Column("bonds_forfeited", Wei(), nullable=False),
        sa.Column("withdrawn", Wei(), nullable=False),
        sa.PrimaryKeyConstraint("width_s", "start", "token", name=op.f("pk_bucket_money")),
    )
    op.create_table(
        "buckets",
        sa.Column("width_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("campaigns_launched", sa.BigInteger(), nullable=False),
        sa.Column("campaigns_opened", sa.BigInteger(), nullable=False),
        sa.Column("campaigns_delivered", sa.BigInteger(), nullable=False),
        sa.Column("campaigns_rejected", sa.BigInteger(), nullable=False),
        sa.Column("campaigns_cancelled", sa.BigInteger(), nullable=False),
        sa.Column("campaigns_expired", sa.BigInteger(), nullable=False),
        sa.Column("top_ups", sa.BigInteger(), nullable=False),
        sa.Column("gradients_submitted", sa.BigInteger(), nullable=False),
        sa.Column("gradients_accepted", sa.BigInteger(), nullable=False),
        sa.Column("gradients_rejected", sa.BigInteger(), nullable=False),
        sa.Column("bonds_reclaimed", sa.BigInteger(), nullable=False),
        sa.Column("batches_scored", sa.BigInteger(), nullable=False),
        sa.Column("keys_rotated", sa.BigInteger(), nullable=False),
        sa.Column("withdrawals", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("gain_ppm", sa.BigInteger(), nullable=False),
        sa.Column("new_mines", sa.BigInteger(), nullable=False),
        sa.Column("active_mines", sa.BigInteger(), nullable=False),
        sa.Column("new_data_scientists", sa.BigInteger(), nullable=False),
        sa.Column("new_capsules", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("width_s", "start", name=op.f("pk_buckets")),
    )
    op.create_table(
        "campaigns",
        sa.Column("campaign", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data_scientist", ascii_text(42), nullable=False),
        sa.Column("capsule", ascii_text(42), nullable=False),
        sa.Column("token", ascii_text(42), nullable=False),
        sa.Column("nonce", ascii_text(66), nullable=False),
        sa.Column("spec", ascii_text(66), nullable=False),
        sa.Column("phase", sa.SmallInteger(), nullable=False),
        sa.Column("bounty", Wei(), nullable=False),
        sa.Column("launch_bounty", Wei(), nullable=False),
        sa.Column("fee", Wei(), nullable=False),
        sa.Column("bond", Wei(), nullable=False),
        sa.Column("claimed_ppm", sa.BigInteger(), nullable=False),
        sa.Column("start_tolerance_ppm", sa.BigInteger(), nullable=False),
        sa.Column("target_ppm", sa.BigInteger(), nullable=False),
        sa.Column("min_improvement_ppm", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("grace", sa.BigInteger(), nullable=False),
        sa.Column("max_gradients", sa.BigInteger(), nullable=False),
        sa.Column("max_batch", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("measured_ppm", sa.BigInteger(), nullable=True),
        sa.Column("best_ppm", sa.BigInteger(), nullable=True),
        sa.Column("gradients", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("reclaimed", sa.BigInteger(), nullable=False),
        sa.Column("batches", sa.BigInteger(), nullable=False),
        sa.Column("mines", sa.BigInteger(), nullable=False),
        sa.Column("top_ups", sa.BigInteger(), nullable=False),
        sa.Column("paid", Wei(), nullable=False),
        sa.Column("forfeited", Wei(), nullable=False),
        sa.Column("refunded", Wei(), nullable=False),
        sa.Column("fee_paid", Wei(), nullable=False),
        sa.Column("reject_reason", sa.Text(), nullable=True),
        sa.Column("keys", ascii_text(66), nullable=True),
        sa.Column("model", ascii_text(66), nullable=True),
        sa.Column("delivery", ascii_text(66), nullable=True),
        sa.Column("launched_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("launched_position", sa.BigInteger(), nullable=False),
        sa.Column("updated_position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", name=op.f("pk_campaigns")),
    )
    op.create_index(
        "ix_campaigns_bounty_campaign", "campaigns", ["bounty", "campaign"], unique=False
    )
    op.create_index(
        "ix_campaigns_capsule_campaign", "campaigns", ["capsule", "campaign"], unique=False
    )
    op.create_index(
        "ix_campaigns_data_scientist_campaign",
        "campaigns",
        ["data_scientist", "campaign"],
        unique=False,
    )
    op.create_index(
        "ix_campaigns_deadline_campaign", "campaigns", ["deadline", "campaign"], unique=False
    )
    op.create_index(
        "ix_campaigns_gradients_campaign", "campaigns", ["gradients", "campaign"], unique=False
    )
    op.create_index("ix_campaigns_phase_campaign", "campaigns", ["phase", "campaign"], unique=False)
    op.create_index("ix_campaigns_spec", "campaigns", ["spec"], unique=False)
    op.create_index(
        "ix_campaigns_updated_position_campaign",
        "campaigns",
        ["updated_position", "campaign"],
        unique=False,
    )
    op.create_table(
        "capsules",
        sa.Column("address", ascii_text(42), nullable=False),
        sa.Column("campaigns", sa.BigInteger(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), nullable=False),
        sa.Column("expired_unopened", sa.BigInteger(), nullable=False),
        sa.Column("expired_open", sa.BigInteger(), nullable=False),
        sa.Column("batches", sa.BigInteger(), nullable=False),
        sa.Column("gradients", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("gradients_rejected", sa.BigInteger(), nullable=False),
        sa.Column("abandoned", sa.BigInteger(), nullable=False),
        sa.Column("open_latency_s", sa.BigInteger(), nullable=False),
        sa.Column("score_latency_s", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_capsules")),
    )
    op.create_index(
        "ix_capsules_campaigns_address", "capsules", ["campaigns", "address"], unique=False
    )
    op.create_index("ix_capsules_last_at_address", "capsules", ["last_at", "address"], unique=False)
    op.create_table(
        "cursor",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", ascii_text(66), nullable=False),
        sa.Column("undo_floor", sa.BigInteger(), nullable=False),
        sa.Column("rollbacks", sa.BigInteger(), nullable=False),
        sa.Column("side_generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cursor")),
    )
    op.create_table(
        "data_scientists",
        sa.Column("address", ascii_text(42), nullable=False),
        sa.Column("campaigns", sa.BigInteger(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("cancelled", sa.BigInteger(), nullable=False),
        sa.Column("expired", sa.BigInteger(), nullable=False),
        sa.Column("gradients", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_data_scientists")),
    )
    op.create_index(
        "ix_data_scientists_campaigns_address",
        "data_scientists",
        ["campaigns", "address"],
        unique=False,
    )
    op.create_index(
        "ix_data_scientists_last_at_address",
        "data_scientists",
        ["last_at", "address"],
        unique=False,
    )
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=False),
        sa.Column("transaction_hash", ascii_text(66), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("name", ascii_text(32), nullable=False),
        sa.Column("campaign", sa.BigInteger(), nullable=True),
        sa.Column("account", ascii_text(42), nullable=True),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_events")),
    )
    op.create_index("ix_events_account_position", "events", ["account", "position"], unique=False)
    op.create_index(op.f("ix_events_block_number"), "events", ["block_number"], unique=False)
    op.create_index("ix_events_campaign_position", "events", ["campaign", "position"], unique=False)
    op.create_table(
        "gradients",
        sa.Column("campaign", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("gradient", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("miner", ascii_text(42), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("envelope", ascii_text(66), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=True),
        sa.Column("share_ppm", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.BigInteger(), nullable=False),
        sa.Column("payout", Wei(), nullable=False),
        sa.Column("bond_returned", Wei(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("submitted_position", sa.BigInteger(), nullable=False),
        sa.Column("settled_position", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("campaign", "gradient", name=op.f("pk_gradients")),
    )
    op.create_index("ix_gradients_campaign_batch", "gradients", ["campaign", "batch"], unique=False)
    op.create_index(
        "ix_gradients_miner_submitted_position",
        "gradients",
        ["miner", "submitted_position"],
        unique=False,
    )
    op.create_table(
        "journal",
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", ascii_text(16), nullable=False),
        sa.Column("from_block", sa.BigInteger(), nullable=False),
        sa.Column("to_block", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", ascii_text(66), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("generation", name=op.f("pk_journal")),
    )
    op.create_table(
        "manifest_words",
        sa.Column("word", ascii_text(64), nullable=False),
        sa.Column("digest", ascii_text(66), nullable=False),
        sa.PrimaryKeyConstraint("word", "digest", name=op.f("pk_manifest_words")),
    )
    op.create_index("ix_manifest_words_digest", "manifest_words", ["digest"], unique=False)
    op.create_table(
        "manifests",
        sa.Column("digest", ascii_text(66), nullable=False),
        sa.Column("state", ascii_text(16), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("metric", ascii_text(16), nullable=True),
        sa.Column("algorithm", ascii_text(64), nullable=True),
        sa.Column("update_kind", ascii_text(64), nullable=True),
        sa.Column("schema", ascii_text(160), nullable=True),
        sa.Column("schema_title", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_manifests")),
    )
    op.create_index("ix_manifests_schema", "manifests", ["schema"], unique=False)
    op.create_index(
        "ix_manifests_state_next_attempt_at",
        "manifests",
        ["state", "next_attempt_at"],
        unique=False,
    )
    op.create_table(
        "mines",
        sa.Column("address", ascii_text(42), nullable=False),
        sa.Column("campaigns", sa.BigInteger(), nullable=False),
        sa.Column("gradients", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("reclaimed", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_mines")),
    )
    op.create_index("ix_mines_accepted_address", "mines", ["accepted", "address"], unique=False)
    op.create_index("ix_mines_first_position", "mines", ["first_position"], unique=False)
    op.create_index("ix_mines_gradients_address", "mines", ["gradients", "address"], unique=False)
    op.create_index("ix_mines_last_at_address", "mines", ["last_at", "address"], unique=False)
    op.create_table(
        "participations",
        sa.Column("campaign", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("miner", ascii_text(42), nullable=False),
        sa.Column("gradients", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("reclaimed", sa.BigInteger(), nullable=False),
        sa.Column("payout", Wei(), nullable=False),
        sa.Column("bond_lost", Wei(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "miner", name=op.f("pk_participations")),
    )
    op.create_index(
        "ix_participations_miner_campaign", "participations", ["miner", "campaign"], unique=False
    )
    op.create_table(
        "purses",
        sa.Column("account", ascii_text(42), nullable=False),
        sa.Column("token", ascii_text(42), nullable=False),
        sa.Column("earned", Wei(), nullable=False),
        sa.Column("bonds_held", Wei(), nullable=False),
        sa.Column("bonds_returned", Wei(), nullable=False),
        sa.Column("bonds_lost", Wei(), nullable=False),
        sa.Column("fees", Wei(), nullable=False),
        sa.Column("deposited", Wei(), nullable=False),
        sa.Column("topped_up", Wei(), nullable=False),
        sa.Column("spent", Wei(), nullable=False),
        sa.Column("refunded", Wei(), nullable=False),
        sa.Column("withdrawn", Wei(), nullable=False),
        sa.Column("credit", Wei(), nullable=False),
        sa.PrimaryKeyConstraint("account", "token", name=op.f("pk_purses")),
    )
    op.create_index(
        "ix_purses_token_earned_account", "purses", ["token", "earned", "account"], unique=False
    )
    op.create_index(
        "ix_purses_token_fees_account", "purses", ["token", "fees", "account"], unique=False
    )
    op.create_index(
        "ix_purses_token_spent_account", "purses", ["token", "spent", "account"], unique=False
    )
    op.create_table(
        "report_records",
        sa.Column("miner", ascii_text(42), nullable=False),
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("schema", ascii_text(160), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("miner", "day", "schema", name=op.f("pk_report_records")),
    )
    op.create_index(
        "ix_report_records_day_schema", "report_records", ["day", "schema"], unique=False
    )
    op.create_table(
        "reports",
        sa.Column("miner", ascii_text(42), nullable=False),
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("software", ascii_text(64), nullable=False),
        sa.Column("digest", ascii_text(66), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("miner", "day", name=op.f("pk_reports")),
    )
    op.create_table(
        "settings",
        sa.Column("name", ascii_text(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )
    op.create_table(
        "undo",
        sa.Column("block_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", ascii_text(32), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("block_number", "step", name=op.f("pk_undo")),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("undo")
    op.drop_table("settings")
    op.drop_table("reports")
    op.drop_index("ix_report_records_day_schema", table_name="report_records")
    op.drop_table("report_records")
    op.drop_index("ix_purses_token_spent_account", table_name="purses")
    op.drop_index("ix_purses_token_fees_account", table_name="purses")
    op.drop_index("ix_purses_token_earned_account", table_name="purses")
    op.drop_table("purses")
    op.drop_index("ix_participations_miner_campaign", table_name="participations")
    op.drop_table("participations")
    op.drop_index("ix_mines_last_at_address", table_name="mines")
    op.drop_index("ix_mines_gradients_address", table_name="mines")
    op.drop_index("ix_mines_first_position", table_name="mines")
    op.drop_index("ix_mines_accepted_address", table_name="mines")
    op.drop_table("mines")
    op.drop_index("ix_manifests_state_next_attempt_at", table_name="manifests")
    op.drop_index("ix_manifests_schema", table_name="manifests")
    op.drop_table("manifests")
    op.drop_index("ix_manifest_words_digest", table_name="manifest_words")
    op.drop_table("manifest_words")
    op.drop_table("journal")
    op.drop_index("ix_gradients_miner_submitted_position", table_name="gradients")
    op.drop_index("ix_gradients_campaign_batch", table_name="gradients")
    op.drop_table("gradients")
    op.drop_index("ix_events_campaign_position", table_name="events")
    op.drop_index(op.f("ix_events_block_number"), table_name="events")
    op.drop_index("ix_events_account_position", table_name="events")
    op.drop_table("events")
    op.drop_index("ix_data_scientists_last_at_address", table_name="data_scientists")
    op.drop_index("ix_data_scientists_campaigns_address", table_name="data_scientists")
    op.drop_table("data_scientists")
    op.drop_table("cursor")
    op.drop_index("ix_capsules_last_at_address", table_name="capsules")
    op.drop_index("ix_capsules_campaigns_address", table_name="capsules")
    op.drop_table("capsules")
    op.drop_index("ix_campaigns_updated_position_campaign", table_name="campaigns")
    op.drop_index("ix_campaigns_spec", table_name="campaigns")
    op.drop_index("ix_campaigns_phase_campaign", table_name="campaigns")
    op.drop_index("ix_campaigns_gradients_campaign", table_name="campaigns")
    op.drop_index("ix_campaigns_deadline_campaign", table_name="campaigns")
    op.drop_index("ix_campaigns_data_scientist_campaign", table_name="campaigns")
    op.drop_index("ix_campaigns_capsule_campaign", table_name="campaigns")
    op.drop_index("ix_campaigns_bounty_campaign", table_name="campaigns")
    op.drop_table("campaigns")
    op.drop_table("buckets")
    op.drop_table("bucket_money")
    op.drop_table("bucket_mines")
    op.drop_table("blocks")
    op.drop_table("batches")
