"""What goes in and out of the local API. Amounts are decimal text in the token's smallest unit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from openmined.mine._accounts import CampaignEarnings, TokenEarnings
from openmined.mine._permissions import Answer, Cause, DatasetPermission
from openmined.mine._settings import DatasetName, LimitSettings, LoopSettings, ReportingSettings
from openmined.protocol import Address, Count, Frozen, TableSchema

Amount = Annotated[str, Field(pattern=r"^\d{1,80}$")]
Text = Annotated[str, Field(max_length=4096)]


class Problem(Frozen):
    """What went wrong: a code for programs, a sentence for people."""

    code: str
    message: str


class ErrorAnswer(Frozen):
    """The body of every answer that is an error."""

    error: Problem


class LogIn(Frozen):
    """Open a session."""

    passphrase: Annotated[str, Field(min_length=1, max_length=4096)] = Field(repr=False)


class Session(Frozen):
    """Whether a session is open."""

    logged_in: bool


class Health(Frozen):
    """Whether the mine works. Tells nothing about the owner."""

    status: Literal["ok", "stopped"]
    api: Literal["1"] = "1"


class Status(Frozen):
    """The mine at a glance."""

    name: str
    address: str
    network: str
    running: bool
    datasets: int
    campaigns: dict[str, int]
    """Campaigns seen, by phase."""
    waiting_for_you: int
    """Decisions that wait for the owner's answer."""


class DatasetPart(Frozen):
    """One import."""

    rows: int
    bytes: int
    imported: str


class DatasetAnswer(Frozen):
    """A dataset: what it is, what is permitted, what was spent of its privacy. Never a row."""

    name: str
    rows: int
    table_schema: TableSchema
    imports: tuple[DatasetPart, ...]
    permission: DatasetPermission
    epsilon_spent: float
    exposure: tuple[str, ...]
    """What a campaign could learn with this permission, in plain words."""


class Exposure(Frozen):
    """What a campaign could learn."""

    exposure: tuple[str, ...]


class Upload(Frozen):
    """A file that was sent here, held in memory until it is imported or forgotten."""

    upload: str
    name: str
    bytes: int


class ImportBody(Frozen):
    """What to import: an upload, or a path on the mine's machine."""

    upload: Annotated[str, Field(pattern=r"^[a-f0-9]{32}$")] | None = None
    path: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    adapter: Annotated[str, Field(max_length=64)] | None = None
    mapping: dict[str, Any] | None = None
    """A mapping, as a mapping file would hold it (docs/adapters.md)."""
    table_schema: TableSchema | None = None


class ImportOrder(ImportBody):
    """Import into a dataset."""

    dataset: DatasetName
    identity: tuple[Annotated[str, Field(max_length=128)], ...] = ()
    strict: bool = False


class Preview(Frozen):
    """The first rows as an import would keep them."""

    adapter: str
    title: str
    table_schema: TableSchema
    rows: tuple[dict[str, Any], ...]
    problems: tuple[str, ...]
    refused: tuple[str, ...]


class ImportState(Frozen):
    """An import under way, or done."""

    id: str
    dataset: str
    state: Literal["running", "done", "failed"]
    rows_read: int = 0
    rows_added: int = 0
    rows_known: int = 0
    total: int = 0
    problems: int = 0
    first_problems: tuple[str, ...] = ()
    message: str = ""


class AdapterAnswer(Frozen):
    """An adapter that can be named."""

    name: str
    title: str
    schema_id: str | None


class DecisionAnswer(Frozen):
    """A decision with its reasons."""

    id: int
    at: str
    campaign: int
    title: str | None
    dataset: str
    verdict: Literal["refuse", "wait", "ask", "accept"]
    causes: tuple[Cause, ...]
    answer: Answer
    """The owner's latest word on it; the mine takes it up at its next look."""


class OwnersAnswer(Frozen):
    """The owner's word on a campaign and a dataset."""

    answer: Literal["approved", "refused"]


class SubmissionAnswer(Frozen):
    """The work on one gradient."""

    campaign: int
    version: int
    step: str
    at: str
    datasets: tuple[str, ...]
    samples: int | None
    gradient: int | None
    tx: str | None
    bond_wei: Amount | None
    share_ppm: int | None
    payout_wei: Amount | None
    bond_returned_wei: Amount | None
    reason: int | None
    problem: str | None


class CampaignAnswer(Frozen):
    """A campaign as the mine sees it."""

    campaign: int
    data_scientist: str
    capsule: str
    token: str
    bounty_wei: Amount
    """For the mines: Capsule's fee taken off."""
    bond_wei: Amount
    start_ppm: int
    best_ppm: int
    target_ppm: int
    deadline: int
    phase: str
    version: int
    submissions: tuple[SubmissionAnswer, ...]


class EarningsAnswer(Frozen):
    """What was earned, and what waits to be withdrawn."""

    tokens: tuple[TokenEarnings, ...]
    campaigns: tuple[CampaignEarnings, ...]
    withdrawable_wei: dict[str, Amount]
    """By token: payouts and bonds that came back, less what was withdrawn."""


class WithdrawOrder(Frozen):
    """Be paid everything in a token; ether without one."""

    token: Address | None = None


class WithdrawalAnswer(Frozen):
    """A withdrawal and what became of it."""

    id: int
    at: str
    token: str
    state: Literal["asked", "sending", "done", "failed"]
    amount_wei: Amount | None
    tx: str | None
    problem: str | None


class SettingsAnswer(Frozen):
    """The settings that can be changed here; the network is changed in mine.toml."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    loop: LoopSettings
    limits: LimitSettings
    reporting: ReportingSettings


class SettingsChange(Frozen):
    """What to change of the settings."""

    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    loop: LoopSettings | None = None
    limits: LimitSettings | None = None
    reporting: ReportingSettings | None = None


CampaignNumber = Count
