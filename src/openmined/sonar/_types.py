"""What goes into the contract and what it answers, as frozen values.

Amounts are in the smallest unit of the campaign's token (wei); accuracies in parts per million;
digests are 32 bytes; addresses are text with EIP-55 checksum.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Any, Self

from openmined.protocol import GradientStatus, Phase, mines_part_wei
from openmined.sonar._errors import SonarError
from openmined.sonar.contract import EMPTY_TOKEN

ETH = EMPTY_TOKEN
"""The token address that stands for ETH."""

NO_MODEL = bytes(32)
"""The model digest of a batch that published no new version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a data scientist fixes when she launches; only `bounty` ever changes: it grows.

    Attributes:
        spec: digest of the campaign manifest.
        capsule: who opens, scores and delivers.
        token: ERC-20 token of all amounts; `ETH` by default.
        bounty: the whole deposit, the fee included.
        fee: Capsule's, set aside from the bounty, paid on delivery.
        bond: deposited with each gradient.
        start_ppm: accuracy claimed for the initial model.
        start_tolerance_ppm: by how much the measured one may differ.
        target_ppm: accuracy wanted.
        min_improvement_ppm: the Ladder step; a smaller gain pays nothing.
        deadline: unix seconds; no gradient from then on.
        grace: seconds after it in which Capsule may still score and deliver.
        max_gradients: in the whole campaign.
        max_batch: gradients per scored batch, at most 64.
    """

    spec: bytes
    capsule: str
    token: str = ETH
    bounty: int
    fee: int = 0
    bond: int = 0
    start_ppm: int
    start_tolerance_ppm: int
    target_ppm: int
    min_improvement_ppm: int
    deadline: int
    grace: int
    max_gradients: int
    max_batch: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "capsule", checked_address(self.capsule))
        object.__setattr__(self, "token", checked_address(self.token))
        checked_digest(self.spec)

    def encoded(self) -> tuple[Any, ...]:
        """Return the fields in the contract's order."""
        return astuple(self)

    @classmethod
    def decoded(cls, values: tuple[Any, ...]) -> Self:
        """Build from the contract's tuple."""
        return cls(**dict(zip((field.name for field in fields(cls)), values, strict=True)))


@dataclass(frozen=True, slots=True)
class Score:
    """Capsule's verdict on one gradient of a batch; `reason` 0 is accepted."""

    gradient: int
    share_ppm: int
    reason: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignState:
    """One campaign as the contract knows it."""

    id: int
    data_scientist: str
    terms: Terms
    phase: Phase
    version: int
    epoch: int
    start_ppm: int
    best_ppm: int
    gradients: int
    pending: int
    batches: int
    unspent: int
    paid: int

    @property
    def closes_at(self) -> int:
        """Unix second after which anybody may expire the campaign: deadline + grace."""
        return self.terms.deadline + self.terms.grace

    @property
    def mines_part(self) -> int:
        """What mines can earn in all: the bounty without Capsule's fee."""
        return mines_part_wei(self.terms.bounty, self.terms.fee)


@dataclass(frozen=True, slots=True)
class GradientState:
    """One gradient as the contract knows it."""

    miner: str
    version: int
    status: GradientStatus


@dataclass(frozen=True, slots=True)
class SubmittedGradient:
    """What submitting returned: the gradient's number in the campaign, and the transaction."""

    gradient: int
    transaction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A mined transaction."""

    transaction: str
    block_number: int
    block_hash: str
    gas_used: int
    fee_wei: int


def checked_address(address: str) -> str:
    """Return the address with checksum.

    Raises:
        SonarError: if it is no address, or its mixed-case checksum (EIP-55) is wrong.
    """
    from eth_utils.address import is_address, to_checksum_address

    if not (isinstance(address, str) and address.startswith("0x") and is_address(address)):
        raise SonarError(f"{str(address)[:80]!r} is not an address: 0x and 40 hexadecimal digits")
    return str(to_checksum_address(address))


def checked_digest(digest: bytes) -> bytes:
    """Return the digest.

    Raises:
        SonarError: if it is not 32 bytes.
    """
    if not (isinstance(digest, bytes) and len(digest) == 32):
        raise SonarError("a digest is 32 bytes (sha2-256 of a manifest)")
    return digest
