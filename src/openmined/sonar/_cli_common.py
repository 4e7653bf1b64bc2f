"""What the commands share: networks, keys, passphrases, output."""

from __future__ import annotations

import json
import os
import stat
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from openmined.protocol import ETHER_WEI, OpenMinedError, ether_to_wei, ppm_to_percent
from openmined.sonar._campaign import Campaign
from openmined.sonar._contract import DEFAULT_MAX_FEE_WEI
from openmined.sonar._errors import KeystoreError, SonarError
from openmined.sonar._pgp import PgpKey
from openmined.sonar._progress import describe
from openmined.sonar._sonar import Sonar
from openmined.sonar._wallet import Wallet

EXIT_NO = 3
"""The command worked and the answer is no: an audit failed, a check failed."""

EXIT_NOT_YET = 4
"""The command worked and there is nothing yet: not delivered, not ended in time."""

_MAX_PASSPHRASE_BYTES = 4096


class Format(StrEnum):
    """How a command prints."""

    TEXT = "text"
    JSON = "json"


NetworkOption = Annotated[
    str, typer.Option("--network", "-n", help="The network; see `openmined network list`.")
]
KeystoreOption = Annotated[
    Path | None, typer.Option("--keystore", help="Your account's keystore file (version 3).")
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(help="A file with the passphrase, mode 0600; else it is asked for."),
]
PgpOption = Annotated[
    Path | None, typer.Option("--pgp", help="Your OpenPGP key: delivered models open with it.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="For people, or for programs.")]
MaxFeeOption = Annotated[
    str, typer.Option("--max-fee", help="The most that one transaction may cost, in ETH.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Agree without being asked.")]
CampaignArgument = Annotated[int, typer.Argument(min=1, help="The campaign's number.")]

DEFAULT_MAX_FEE = f"{DEFAULT_MAX_FEE_WEI / ETHER_WEI:g}"


def read_passphrase(path: Path | None, what: str, *, new: bool = False) -> str:
    """Return the passphrase from a private file, or ask for it.

    Raises:
        KeystoreError: if the file is readable by others, empty, or there is nobody to ask.
    """
    if path is None:
        if not sys.stdin.isatty():
            raise KeystoreError(
                f"there is nobody to ask for the passphrase of {what}: give --passphrase-file FILE"
            )
        return str(typer.prompt(f"Passphrase of {what}", hide_input=True, confirmation_prompt=new))
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_PASSPHRASE_BYTES + 1)
    except OSError as error:
        raise KeystoreError(f"no passphrase can be read at {path}: {error.strerror}") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeystoreError(f"{path} is open to other users: run `chmod 600` on it")
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError as error:
        raise KeystoreError(f"{path} is no text") from error
    if not lines or not lines[0] or len(data) > _MAX_PASSPHRASE_BYTES:
        raise KeystoreError(f"{path} holds no passphrase in its first line")
    return lines[0]


@contextmanager
def open_sonar(
    network: str,
    keystore: Path | None = None,
    passphrase_file: Path | None = None,
    pgp: Path | None = None,
    max_fee: str = DEFAULT_MAX_FEE,
) -> Iterator[Sonar]:
    """Connect, with wallet and key where files are given; one passphrase file serves both."""
    wallet = key = None
    if keystore is not None:
        wallet = Wallet.from_keystore(keystore, read_passphrase(passphrase_file, str(keystore)))
    if pgp is not None:
        key = PgpKey.load(pgp, read_passphrase(passphrase_file, str(pgp)))
    with Sonar.connect(network, wallet=wallet, pgp=key, max_fee_wei=ether_to_wei(max_fee)) as sonar:
        yield sonar


def print_json(value: object) -> None:
    """Print one JSON document, or one line of a stream of them."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def say(text: str) -> None:
    """Print a line for people; what strangers wrote cannot steer the terminal."""
    typer.echo("".join(c if c.isprintable() else "�" for c in text))


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Say warnings as people read them, on standard error, without a file and a line."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        typer.echo(f"note: {message}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def campaign_json(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign as plain JSON values; amounts as decimal text."""
    state = campaign.state()
    progress = campaign.status()
    terms = state.terms
    return {
        "campaign": campaign.id,
        "title": title_of(campaign),
        "phase": state.phase.name.lower(),
        "waiting": progress.waiting.value,
        "until": progress.until,
        "data_scientist": state.data_scientist,
        "capsule": terms.capsule,
        "token": terms.token,
        "bounty": str(terms.bounty),
        "fee": str(terms.fee),
        "bond": str(terms.bond),
        "paid": str(state.paid),
        "unspent": str(state.unspent),
        "start_ppm": terms.start_ppm,
        "measured_start_ppm": state.start_ppm,
        "best_ppm": state.best_ppm,
        "target_ppm": terms.target_ppm,
        "min_improvement_ppm": terms.min_improvement_ppm,
        "deadline": terms.deadline,
        "grace": terms.grace,
        "version": state.version,
        "epoch": state.epoch,
        "gradients": state.gradients,
        "pending": state.pending,
        "batches": state.batches,
        "spec": terms.spec.hex(),
    }


def campaign_lines(campaign: Campaign) -> list[str]:
    """Describe a campaign for people."""
    state = campaign.state()
    progress = campaign.status()
    terms, money = state.terms, campaign.currency.write
    until = f" (until {when(progress.until)})" if progress.until else ""
    start = ppm_to_percent(state.start_ppm or terms.start_ppm)
    wanted = f"{ppm_to_percent(state.best_ppm)} of {ppm_to_percent(terms.target_ppm)}"
    spent = f"{money(state.paid)} to mines, {money(state.unspent)} unspent"
    sent = f"{state.gradients} of {terms.max_gradients}, {state.pending} pending"
    rows = {
        "phase": f"{state.phase.name.lower()}, waiting for {describe(progress)}{until}",
        "accuracy": f"{wanted}, from {start}",
        "bounty": f"{money(terms.bounty)}, of which the fee {money(terms.fee)}",
        "paid": spent,
        "gradients": f"{sent}, {state.batches} batches, bond {money(terms.bond)}",
        "deadline": f"{when(terms.deadline)}, grace {terms.grace} s",
        "by": state.data_scientist,
        "capsule": terms.capsule,
    }
    head = f"campaign {campaign.id}: {title_of(campaign)}"
    return [head, *(f"  {name:12} {text}" for name, text in rows.items())]


def title_of(campaign: Campaign) -> str:
    """Return a campaign's title, or why it cannot be read."""
    try:
        return campaign.manifest.title
    except OpenMinedError as error:
        return f"(manifest not available: {str(error)[:120]})"


def when(timestamp: int) -> str:
    """Write a time for people, in UTC."""
    try:
        return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return f"second {timestamp}"


def read_text(path: Path, limit: int) -> str:
    """Return a file's text.

    Raises:
        SonarError: if it cannot be read, is too large or no text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise SonarError(f"{path} is above {limit} bytes")
        return data.decode()
    except OSError as error:
        raise SonarError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SonarError(f"{path} is no text") from error
