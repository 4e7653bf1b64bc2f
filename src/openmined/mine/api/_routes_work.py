"""Routes of the mine's work: status, decisions, campaigns, earnings, settings, progress."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, cast

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import StreamingResponse

from openmined.mine._accounts import submission_dict, sum_earnings, withdrawable
from openmined.mine._campaigns import CampaignView
from openmined.mine._datasets import list_datasets
from openmined.mine._folder import is_running
from openmined.mine._ledger import DecisionRecord, Ledger, Submission, Withdrawal
from openmined.mine._permissions import ETHER, Cause
from openmined.mine._settings import save_settings, settings_dict
from openmined.mine.api._context import Context, NotThere, Owner
from openmined.mine.api._events import follow
from openmined.mine.api._models import (
    CampaignAnswer,
    DecisionAnswer,
    EarningsAnswer,
    OwnersAnswer,
    SettingsAnswer,
    SettingsChange,
    Status,
    SubmissionAnswer,
    WithdrawalAnswer,
    WithdrawOrder,
)

router = APIRouter(prefix="/api/v1")


@router.get("/status", tags=["mine"])
def read_status(owner: Owner) -> Status:
    """Show the mine at a glance."""
    settings = owner.folder.settings()
    with owner.ledger() as ledger:
        phases = [view.phase.name.lower() for view in owner.views(ledger).values()]
        asking = sum(record.waits_for_owner for record in ledger.decisions(latest=True))
    return Status(
        name=settings.name,
        address=owner.address,
        network=settings.network.name,
        running=is_running(owner.folder.path),
        datasets=len(list_datasets(owner.folder)),
        campaigns={phase: phases.count(phase) for phase in sorted(set(phases))},
        waiting_for_you=asking,
    )


@router.get("/campaigns", tags=["work"])
def read_campaigns(owner: Owner) -> list[CampaignAnswer]:
    """List the campaigns seen, the newest first, with this mine's work on each."""
    with owner.ledger() as ledger:
        views, submissions = owner.views(ledger), ledger.submissions()
    return [
        _campaign(view, [s for s in submissions if s.campaign == number])
        for number, view in sorted(views.items(), reverse=True)
    ]


@router.get("/decisions", tags=["work"])
def read_decisions(
    owner: Owner,
    every: Annotated[bool, Query(description="Also those that were overtaken.")] = False,
) -> list[DecisionAnswer]:
    """List the decisions with their reasons, the newest first."""
    with owner.ledger() as ledger:
        records = ledger.decisions(latest=not every)
        titles = ledger.titles()
    return [_decision(record, titles) for record in records]


@router.put("/decisions/{campaign}/{dataset}", tags=["work"])
def answer_decision(
    campaign: Annotated[int, Path(ge=1, le=2**53 - 1)],
    dataset: Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9\-]{0,63}$")],
    body: OwnersAnswer,
    owner: Owner,
) -> DecisionAnswer:
    """Approve or refuse a campaign that waits for the owner; a later answer replaces it."""
    with owner.ledger() as ledger:
        found = _standing(ledger, campaign, dataset)
        if found is None:
            raise NotThere(f"nothing was decided on campaign {campaign} and dataset {dataset!r}")
        ledger.give_answer(campaign, dataset, body.answer)
        return _decision(replace(found, answer=body.answer), ledger.titles())


@router.get("/earnings", tags=["money"])
def read_earnings(owner: Owner) -> EarningsAnswer:
    """Show what was earned, and what waits to be withdrawn."""
    with owner.ledger() as ledger:
        events, views = ledger.events(), owner.views(ledger)
        found = sum_earnings(ledger.submissions(), views)
    waiting = withdrawable(events, views, owner.address)
    return EarningsAnswer(
        tokens=found.tokens,
        campaigns=found.campaigns,
        withdrawable_wei={token: str(amount) for token, amount in waiting.items()},
    )


@router.get("/withdrawals", tags=["money"])
def read_withdrawals(owner: Owner) -> list[WithdrawalAnswer]:
    """List the withdrawals, the newest first."""
    with owner.ledger() as ledger:
        return [_withdrawal(found) for found in ledger.withdrawals()]


@router.post("/withdrawals", tags=["money"], status_code=202)
def withdraw(body: WithdrawOrder, owner: Owner) -> WithdrawalAnswer:
    """Ask to be paid everything in a token; the running mine does it."""
    with owner.ledger() as ledger:
        return _withdrawal(ledger.ask_withdrawal((body.token or ETHER).lower()))


@router.get("/settings", tags=["mine"])
def read_settings(owner: Owner) -> SettingsAnswer:
    """Show the settings that can be changed here."""
    settings = owner.folder.settings()
    return SettingsAnswer(
        name=settings.name,
        loop=settings.loop,
        limits=settings.limits,
        reporting=settings.reporting,
    )


@router.patch("/settings", tags=["mine"])
def change_settings(body: SettingsChange, owner: Owner) -> SettingsAnswer:
    """Change settings; a section that is given replaces the one of mine.toml."""
    value = settings_dict(owner.folder.path)
    changed = body.model_dump(mode="json", exclude_none=True)
    save_settings(owner.folder.path, {**value, **changed})
    return read_settings(owner)


@router.get(
    "/events",
    tags=["work"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def read_events(
    request: Request,
    owner: Owner,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> StreamingResponse:
    """Follow the mine's progress as server-sent events; each `data` is one line of its log."""
    place = int(last_event_id) if last_event_id and last_event_id.isdecimal() else None
    lines: AsyncIterator[bytes] = follow(owner.folder.log_path, place, request.is_disconnected)
    return StreamingResponse(lines, media_type="text/event-stream")


def _campaign(view: CampaignView, submissions: list[Submission]) -> CampaignAnswer:
    return CampaignAnswer(
        campaign=view.campaign,
        data_scientist=view.data_scientist,
        capsule=view.capsule,
        token=view.token,
        bounty_wei=str(view.mines_part),
        bond_wei=str(view.bond),
        start_ppm=view.start_ppm,
        best_ppm=view.best_ppm,
        target_ppm=view.target_ppm,
        deadline=view.deadline,
        phase=view.phase.name.lower(),
        version=view.version,
        submissions=tuple(
            SubmissionAnswer.model_validate(submission_dict(item)) for item in submissions
        ),
    )


def _standing(ledger: Ledger, campaign: int, dataset: str) -> DecisionRecord | None:
    for record in ledger.decisions(latest=True):
        if (record.campaign, record.dataset) == (campaign, dataset):
            return record
    return None


def _decision(record: DecisionRecord, titles: dict[int, str]) -> DecisionAnswer:
    return DecisionAnswer(
        id=record.id,
        at=record.at,
        campaign=record.campaign,
        title=titles.get(record.campaign),
        dataset=record.dataset,
        verdict=cast("Any", record.verdict),
        causes=tuple(Cause.model_validate(dict(cause)) for cause in record.causes),
        answer=record.answer,
    )


def _withdrawal(found: Withdrawal) -> WithdrawalAnswer:
    return WithdrawalAnswer(
        id=found.id,
        at=found.at,
        token=found.token,
        state=cast("Any", found.state),
        amount_wei=None if found.amount is None else str(found.amount),
        tx=found.tx,
        problem=found.problem,
    )


__all__ = ["Context", "router"]
