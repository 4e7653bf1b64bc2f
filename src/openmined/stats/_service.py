"""What the API's paths share: the database, the feed, the network it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from openmined.sonar import Network
from openmined.stats import _models as models
from openmined.stats import _schema as schema
from openmined.stats._database import Database
from openmined.stats._feed import Feed, read_state
from openmined.stats._indexer import read_settings
from openmined.stats._metrics import Metrics
from openmined.stats._reports import Inbox, Limiter, Usage, offered, read_usage


@dataclass
class Service:
    """One statistics service.

    Attributes:
        network: where its index is from, for web pages; the node's URL is never told.
        threshold: what fewer mines than this report is not published.
        public_rpc_url: a node that anybody may use, if the operator names one.
    """

    database: Database
    feed: Feed
    metrics: Metrics = field(default_factory=Metrics)
    network: Network | None = None
    public_rpc_url: str | None = None
    inbox: Inbox = field(init=False)
    limiter: Limiter = field(default_factory=Limiter)
    threshold: int = 5

    def __post_init__(self) -> None:
        """Make the inbox of usage reports."""
        self.inbox = Inbox(self.database, self.threshold)

    def status(self, connection: Connection, version: str) -> models.Status:
        """Say how far the index is."""
        state = read_state(connection)
        settings = read_settings(connection)
        newest = connection.execute(
            select(schema.blocks.c.timestamp).order_by(schema.blocks.c.number.desc()).limit(1)
        ).scalar()
        b = schema.buckets.c
        events = connection.execute(select(b.events).where(b.width_s == 0)).scalar()
        return models.Status(
            chain_id=int(settings["chain_id"]) if settings else None,
            contract=settings.get("contract"),
            block_number=state.block_number,
            block_hash=state.block_hash,
            block_at=newest,
            head=self.metrics.head,
            generation=state.generation,
            rollbacks=state.rollbacks,
            events=events or 0,
            version=version,
        )

    def offered(self, connection: Connection) -> dict[str, tuple[int, int]]:
        """Return (mines, records) by schema, as far as enough mines report it."""
        return dict(offered(self.usage(connection)))

    def usage(self, connection: Connection) -> Usage:
        """Sum what mines report, up to yesterday: today's reports are still coming in."""
        return read_usage(connection, self.inbox.today - 1, self.inbox.threshold)

    @property
    def revision(self) -> str:
        """Changes with everything that is served."""
        return f"{self.feed.state.revision}.{self.inbox.today}"

    def network_info(self, connection: Connection) -> models.NetworkInfo | None:
        """Say which network this is; None before there is an index."""
        settings = read_settings(connection)
        if not settings:
            return None
        network = self.network
        capsule = network.capsule if network else None
        first = connection.execute(select(func.min(schema.events.c.block_number))).scalar()
        return models.NetworkInfo(
            name=network.name if network else None,
            chain_id=int(settings["chain_id"]),
            contract=settings["contract"],
            first_block=(network.first_block if network else 0) or first or 0,
            gateway_url=network.gateway_url or network.store_url if network else None,
            capsules=[models.CapsuleLink(address=capsule.address.lower(), url=capsule.url)]
            if capsule
            else [],
            rpc_url=self.public_rpc_url,
        )

    def gauges(self, connection: Connection) -> dict[str, tuple[str, float]]:
        """Read what the index says for Prometheus."""
        state = read_state(connection)
        found = {
            "openmined_stats_block": ("Block the index is at.", float(state.block_number or 0)),
            "openmined_stats_generation": ("Changes of the index.", float(state.generation)),
            "openmined_stats_rollbacks": ("Reorganisations taken back.", float(state.rollbacks)),
            "openmined_stats_listeners": ("Clients of live updates.", float(self.feed.listeners)),
            "openmined_stats_database_bytes": (
                "Size of the database.",
                float(self.database.size_bytes()),
            ),
        }
        row = (
            connection.execute(select(schema.buckets).where(schema.buckets.c.width_s == 0))
            .mappings()
            .one_or_none()
        )
        for name in models.Counts.model_fields:
            about = f"{name.replace('_', ' ').capitalize()}, in all."
            found[f"openmined_sonar_{name}"] = (about, float(row[name]) if row else 0.0)
        return found
