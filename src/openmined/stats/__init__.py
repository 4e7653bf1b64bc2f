"""A public, read-only window on Sonar: a reorg-safe index of its events, and an API over it."""

from openmined.stats._api import create_app
from openmined.stats._chain import Chain
from openmined.stats._cli import app
from openmined.stats._database import Database, open_database
from openmined.stats._errors import (
    AnotherIndexer,
    BadQuery,
    Busy,
    ChainMoved,
    DatabaseAway,
    DatabaseError,
    HistoryGap,
    IndexDiffers,
    NewerDatabase,
    NotThere,
    ReportRefused,
    RpcError,
    RpcRefused,
    StatsError,
    WrongChain,
    WrongContract,
)
from openmined.stats._export import export_snapshot
from openmined.stats._feed import Feed
from openmined.stats._frames import Frames, ether
from openmined.stats._indexer import Indexer, Progress
from openmined.stats._manifests import ManifestReader
from openmined.stats._rpc import Rpc
from openmined.stats._service import Service
from openmined.stats._verify import Verdict, verify

__all__ = [
    "AnotherIndexer",
    "BadQuery",
    "Busy",
    "Chain",
    "ChainMoved",
    "Database",
    "DatabaseAway",
    "DatabaseError",
    "Feed",
    "Frames",
    "HistoryGap",
    "IndexDiffers",
    "Indexer",
    "ManifestReader",
    "NewerDatabase",
    "NotThere",
    "Progress",
    "ReportRefused",
    "Rpc",
    "RpcError",
    "RpcRefused",
    "Service",
    "StatsError",
    "Verdict",
    "WrongChain",
    "WrongContract",
    "app",
    "create_app",
    "ether",
    "export_snapshot",
    "open_database",
    "verify",
]
