"""Sonar: the contract that holds bounties in trust, and PySonar, the client of it."""

from typing import TYPE_CHECKING, Any

from openmined.sonar._audit import AuditReport, Finding, PayoutCheck, audit_campaign
from openmined.sonar._campaign import Campaign
from openmined.sonar._contract import DEFAULT_MAX_FEE_WEI, SonarContract, connect_sonar
from openmined.sonar._currency import ETHER, Currency
from openmined.sonar._cursor import Checkpoint, CursorState, EventCursor, Poll
from openmined.sonar._deploy import Deployment, deploy_quoted, deploy_sonar
from openmined.sonar._errors import (
    CampaignError,
    ChainError,
    ChainRestarted,
    DeliveryRefused,
    FeeAboveCap,
    KeystoreError,
    LaunchRefused,
    NetworkError,
    NetworksFileError,
    NoContract,
    NotDelivered,
    NotEnoughFunds,
    NoWallet,
    Reverted,
    RpcRefused,
    RpcUnreachable,
    SonarError,
    TransactionError,
    TransactionLost,
    TransactionPending,
    UndecodableAnswer,
    UnknownCampaign,
    UnknownNetwork,
    WalletError,
    WrongChain,
    WrongContract,
    WrongPassphrase,
)
from openmined.sonar._events import (
    EVENTS,
    BatchScored,
    BondReclaimed,
    BountyToppedUp,
    CampaignCancelled,
    CampaignDelivered,
    CampaignEvent,
    CampaignExpired,
    CampaignLaunched,
    CampaignOpened,
    CampaignRejected,
    GradientScored,
    GradientSubmitted,
    KeysRotated,
    SonarEvent,
    Withdrawn,
)
from openmined.sonar._history import (
    BatchRecord,
    GradientRecord,
    History,
    PublishedKeys,
    PublishedModel,
    fold_history,
)
from openmined.sonar._home import openmined_home
from openmined.sonar._models import EncryptedModelRecord, download_model
from openmined.sonar._networks import (
    CapsuleRef,
    Network,
    load_network,
    load_networks,
    networks_path,
    save_network,
)
from openmined.sonar._pgp import PgpKey, parse_certificate
from openmined.sonar._progress import (
    Progress,
    ProgressPoint,
    Spend,
    Waiting,
    describe,
    measure_progress,
    measure_spend,
    trace_progress,
)
from openmined.sonar._send import Quote
from openmined.sonar._sonar import Sonar
from openmined.sonar._start import FewWeights
from openmined.sonar._types import (
    ETH,
    NO_MODEL,
    CampaignState,
    GradientState,
    Receipt,
    Score,
    SubmittedGradient,
    Terms,
)
from openmined.sonar._wallet import (
    DEVNET_CHAINS,
    Wallet,
    devnet_wallet,
    devnet_wallets,
    keystore_address,
)

if TYPE_CHECKING:
    from openmined.sonar._cli import app

__all__ = [
    "DEFAULT_MAX_FEE_WEI",
    "DEVNET_CHAINS",
    "ETH",
    "ETHER",
    "EVENTS",
    "NO_MODEL",
    "AuditReport",
    "BatchRecord",
    "BatchScored",
    "BondReclaimed",
    "BountyToppedUp",
    "Campaign",
    "CampaignCancelled",
    "CampaignDelivered",
    "CampaignError",
    "CampaignEvent",
    "CampaignExpired",
    "CampaignLaunched",
    "CampaignOpened",
    "CampaignRejected",
    "CampaignState",
    "CapsuleRef",
    "ChainError",
    "ChainRestarted",
    "Checkpoint",
    "Currency",
    "CursorState",
    "DeliveryRefused",
    "Deployment",
    "EncryptedModelRecord",
    "EventCursor",
    "FeeAboveCap",
    "FewWeights",
    "Finding",
    "GradientRecord",
    "GradientScored",
    "GradientState",
    "GradientSubmitted",
    "History",
    "KeysRotated",
    "KeystoreError",
    "LaunchRefused",
    "Network",
    "NetworkError",
    "NetworksFileError",
    "NoContract",
    "NoWallet",
    "NotDelivered",
    "NotEnoughFunds",
    "PayoutCheck",
    "PgpKey",
    "Poll",
    "Progress",
    "ProgressPoint",
    "PublishedKeys",
    "PublishedModel",
    "Quote",
    "Receipt",
    "Reverted",
    "RpcRefused",
    "RpcUnreachable",
    "Score",
    "Sonar",
    "SonarContract",
    "SonarError",
    "SonarEvent",
    "Spend",
    "SubmittedGradient",
    "Terms",
    "TransactionError",
    "TransactionLost",
    "TransactionPending",
    "UndecodableAnswer",
    "UnknownCampaign",
    "UnknownNetwork",
    "Waiting",
    "Wallet",
    "WalletError",
    "Withdrawn",
    "WrongChain",
    "WrongContract",
    "WrongPassphrase",
    "app",
    "audit_campaign",
    "connect_sonar",
    "deploy_quoted",
    "deploy_sonar",
    "describe",
    "devnet_wallet",
    "devnet_wallets",
    "download_model",
    "fold_history",
    "keystore_address",
    "load_network",
    "load_networks",
    "measure_progress",
    "measure_spend",
    "networks_path",
    "openmined_home",
    "parse_certificate",
    "save_network",
    "trace_progress",
]


def __getattr__(name: str) -> Any:
    # The commands are loaded when they are asked for: a mine has no use for them.
    if name == "app":
        from openmined.sonar._cli import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
