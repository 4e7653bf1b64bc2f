"""The contract's events, one frozen class each. Together they tell the whole state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from openmined.sonar._abi import sonar_abi
from openmined.sonar._errors import UndecodableAnswer
from openmined.sonar._rpc import read_data, read_hash, read_quantity
from openmined.sonar._types import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class SonarEvent:
    """Something that happened, and where on the chain it stands."""

    block_number: int
    block_hash: str
    transaction_hash: str
    log_index: int
    clock: Callable[[str], int] = field(repr=False, compare=False)

    @property
    def timestamp(self) -> int:
        """Unix seconds of its block, asked of the node when first needed."""
        return self.clock(self.block_hash)

    @property
    def name(self) -> str:
        """The event's name in the contract."""
        return type(self).__name__

    def arguments(self) -> dict[str, Any]:
        """Return the event's own arguments by name, without its place on the chain."""
        place = {item.name for item in fields(SonarEvent)}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in place}


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignEvent(SonarEvent):
    """An event of one campaign."""

    campaign: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignLaunched(CampaignEvent):
    """A campaign was launched and its bounty deposited."""

    data_scientist: str
    capsule: str
    nonce: bytes
    terms: Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class BountyToppedUp(CampaignEvent):
    """`sender` added `amount`; `bounty` is the new whole."""

    sender: str
    amount: int
    bounty: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignCancelled(CampaignEvent):
    """The data scientist withdrew an unopened campaign; `refund` was credited to her."""

    refund: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRejected(CampaignEvent):
    """Capsule declined; `refund` was credited to the data scientist."""

    reason: str
    refund: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignOpened(CampaignEvent):
    """Capsule published keys and version 1 of the encrypted model, of measured accuracy."""

    keys: bytes
    model: bytes
    accuracy_ppm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientSubmitted(CampaignEvent):
    """A miner submitted a gradient trained on `version`, sealed to Capsule."""

    miner: str
    gradient: int
    version: int
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientScored(CampaignEvent):
    """A gradient was scored or rejected; its miner was credited `payout + bond_returned`."""

    miner: str
    gradient: int
    batch: int
    share_ppm: int
    payout: int
    reason: int
    bond_returned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchScored(CampaignEvent):
    """A batch was scored: `accuracy_ppm` as reported, `paid` and `forfeited` in this batch."""

    batch: int
    accuracy_ppm: int
    best_ppm: int
    version: int
    model: bytes
    receipt: bytes
    paid: int
    forfeited: int
    bounty: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysRotated(CampaignEvent):
    """Capsule changed the campaign's keys and re-encrypted the model."""

    epoch: int
    version: int
    keys: bytes
    model: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignDelivered(CampaignEvent):
    """The model was delivered; `fee` went to Capsule, `refund` to the data scientist."""

    delivery: bytes
    fee: int
    refund: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignExpired(CampaignEvent):
    """Capsule fell silent; `refund`, the fee included, was credited to the data scientist."""

    sender: str
    refund: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BondReclaimed(CampaignEvent):
    """The bond of a gradient that was never scored was credited to its miner."""

    miner: str
    gradient: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn(SonarEvent):
    """`account` was paid its whole credit in `token`."""

    token: str
    account: str
    amount: int


EVENTS: Mapping[str, type[SonarEvent]] = {
    kind.__name__: kind
    for kind in (
        CampaignLaunched,
        BountyToppedUp,
        CampaignCancelled,
        CampaignRejected,
        CampaignOpened,
        GradientSubmitted,
        GradientScored,
        BatchScored,
        KeysRotated,
        CampaignDelivered,
        CampaignExpired,
        BondReclaimed,
        Withdrawn,
    )
}
"""Every event by its name."""


def decode_log(log: Mapping[str, Any], clock: Callable[[str], int]) -> SonarEvent | None:
    """Read one log as a node returns it; None if it is no event of ours.

    Raises:
        UndecodableAnswer: if it says that it is, and its arguments cannot be read.
    """
    try:
        topics = [read_data(topic, "topic") for topic in log["topics"]]
        event = sonar_abi().events.get(topics[0]) if topics else None
        if event is None:
            return None
        arguments = event.decode(topics, read_data(log["data"], "log"))
        if "terms" in arguments:
            arguments["terms"] = Terms.decoded(arguments["terms"])
        return EVENTS[event.name](
            block_number=read_quantity(log["blockNumber"], "block number"),
            block_hash=read_hash(log["blockHash"], "block hash"),
            transaction_hash=read_hash(log["transactionHash"], "transaction hash"),
            log_index=read_quantity(log["logIndex"], "log index"),
            clock=clock,
            **arguments,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UndecodableAnswer(f"the node returned a log that cannot be read: {error}") from error
