"""`openmined campaign ...`: create, list, show, watch, result, top-up, cancel, expire, withdraw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from openmined.protocol import Phase, TableSchema
from openmined.sonar._cli_common import (
    DEFAULT_MAX_FEE,
    EXIT_NOT_YET,
    CampaignArgument,
    Format,
    FormatOption,
    MaxFeeOption,
    NetworkOption,
    PassphraseOption,
    YesOption,
    campaign_json,
    campaign_lines,
    open_sonar,
    plain_warnings,
    print_json,
    read_text,
    say,
)
from openmined.sonar._errors import CampaignError, LaunchRefused, NotDelivered
from openmined.sonar._progress import Progress
from openmined.sonar._types import ETH, Receipt

app = typer.Typer(no_args_is_help=True, help="Create, watch and collect campaigns.")

_ESTIMATORS = ("auto", "linear-regression", "linear-classifier", "mlp-classifier")
TokenOption = Annotated[str, typer.Option(help="An ERC-20 token's address; ETH by default.")]
_MAX_SCHEMA_BYTES = 1 << 20
_MAX_CERTIFICATE_BYTES = 64 << 10


@app.command()
def create(
    validation: Annotated[Path, typer.Argument(help="Your validation rows: CSV or Parquet.")],
    keystore: Annotated[Path, typer.Option(help="Your account's keystore file.")],
    pgp: Annotated[Path, typer.Option(help="Your OpenPGP key; made if there is none.")],
    title: Annotated[str, typer.Option(help="For mine owners to read.")],
    target: Annotated[str, typer.Option(help="The column to predict.")],
    bounty: Annotated[str, typer.Option(help="The whole deposit, in ETH or the token, like 0.25.")],
    token: TokenOption = ETH,
    network: NetworkOption = "devnet",
    target_accuracy: Annotated[float, typer.Option(min=0, max=1, help="Wanted.")] = 1.0,
    description: Annotated[str, typer.Option(help="For mine owners to read.")] = "",
    algorithm: Annotated[str, typer.Option(help=f"One of {', '.join(_ESTIMATORS)}.")] = "auto",
    hidden: Annotated[int, typer.Option(help="Units of an mlp-classifier.")] = 32,
    schema: Annotated[
        str | None, typer.Option(help="Input schema: an id like openmined/tweets@1, or a file.")
    ] = None,
    output_schema: Annotated[str | None, typer.Option(help="Output schema, likewise.")] = None,
    initial: Annotated[
        str | None,
        typer.Option(
            help="Start from: nothing; own, what half of your rows teach (then the other half "
            "measures); or the number of a campaign of yours."
        ),
    ] = None,
    fee: Annotated[str | None, typer.Option(help="Capsule's part of it; a twentieth.")] = None,
    bond: Annotated[str | None, typer.Option(help="Per gradient; a thousandth.")] = None,
    days: Annotated[float, typer.Option(min=0.0001, help="From now to the deadline.")] = 7.0,
    grace_hours: Annotated[float, typer.Option(min=0.001, help="For Capsule, after it.")] = 24.0,
    max_gradients: Annotated[int, typer.Option(min=1, help="In the whole campaign.")] = 1000,
    min_improvement_ppm: Annotated[
        int | None, typer.Option(help="A smaller gain pays nothing.")
    ] = None,
    capsule: Annotated[str | None, typer.Option(help="Its address; the network's.")] = None,
    capsule_certificate: Annotated[
        Path | None, typer.Option(help="File with its OpenPGP certificate.")
    ] = None,
    capsule_fingerprint: Annotated[str | None, typer.Option(help="Of its certificate.")] = None,
    repeat: Annotated[int, typer.Option(min=0, help="1, 2, ...: another campaign alike.")] = 0,
    passphrase_file: PassphraseOption = None,
    max_fee: MaxFeeOption = DEFAULT_MAX_FEE,
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Launch a campaign. Run again with the same arguments, it is the same campaign."""
    from openmined.sonar._cli_common import read_passphrase
    from openmined.sonar._pgp import PgpKey

    rows = _read_rows(validation)
    if not pgp.exists():
        PgpKey.create(pgp, read_passphrase(passphrase_file, str(pgp), new=True))
    with open_sonar(network, keystore, passphrase_file, pgp, max_fee) as sonar, plain_warnings():
        account = sonar.contract.wallet
        assert account is not None
        currency = sonar.contract.currency(token)
        deposit = currency.parse(bounty)
        if not yes and format_ is Format.TEXT:
            typer.confirm(
                f"Deposit {currency.write(deposit)} from {account.address} on {network}?",
                abort=True,
            )
        campaign = sonar.launch_campaign(
            rows,
            target=target,
            title=title,
            description=description,
            bounty=deposit,
            token=token,
            estimator=_read_algorithm(algorithm, hidden),
            target_accuracy=target_accuracy,
            input_schema=_read_schema(schema),
            output_schema=_read_schema(output_schema),
            initial=int(initial) if initial and initial.isdecimal() else initial,
            fee=None if fee is None else currency.parse(fee),
            bond=None if bond is None else currency.parse(bond),
            duration_s=int(days * 86_400),
            grace_s=int(grace_hours * 3600),
            max_gradients=max_gradients,
            min_improvement_ppm=min_improvement_ppm,
            capsule=capsule,
            capsule_certificate=(
                read_text(capsule_certificate, _MAX_CERTIFICATE_BYTES)
                if capsule_certificate
                else None
            ),
            capsule_fingerprint=capsule_fingerprint,
            repeat=repeat,
        )
        if format_ is Format.JSON:
            print_json(campaign_json(campaign))
        else:
            follow = f"openmined campaign watch {campaign.id}"
            say(f"launched campaign {campaign.id}; follow it: {follow}")


@app.command(name="list")
def list_(
    network: NetworkOption = "devnet",
    phase: Annotated[
        str | None, typer.Option(help="launched, open, delivered, rejected, cancelled, expired.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Launched by this address.")] = None,
    capsule: Annotated[str | None, typer.Option(help="Naming this Capsule.")] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """List campaigns, oldest first."""
    wanted = None
    if phase is not None:
        if phase.upper() not in Phase.__members__:
            raise typer.BadParameter(f"{phase!r} is no phase", param_hint="--phase")
        wanted = Phase[phase.upper()]
    with open_sonar(network) as sonar:
        found = sonar.campaigns(phase=wanted, data_scientist=by, capsule=capsule)
        if format_ is Format.JSON:
            print_json([campaign_json(campaign) for campaign in found])
            return
        if not found:
            say("no campaigns")
        for campaign in found:
            for line in campaign_lines(campaign):
                say(line)


@app.command()
def show(
    campaign: CampaignArgument,
    network: NetworkOption = "devnet",
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show one campaign: phase, accuracy, money, who is waited for."""
    with open_sonar(network) as sonar:
        found = sonar.campaign(campaign)
        spend = found.spend()
        if format_ is Format.JSON:
            by_miner = {miner: str(paid) for miner, paid in spend.by_miner.items()}
            print_json(campaign_json(found) | {"by_miner": by_miner})
            return
        for line in campaign_lines(found):
            say(line)
        for miner, paid in sorted(spend.by_miner.items(), key=lambda item: -item[1]):
            say(f"  mine         {miner} earned {spend.currency.write(paid)}")


@app.command()
def watch(
    campaign: CampaignArgument,
    network: NetworkOption = "devnet",
    timeout: Annotated[float | None, typer.Option(help="Give up after this many seconds.")] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Follow a campaign until it ends, an event a line. Exit code 4 when the time is over."""
    with open_sonar(network) as sonar:
        found = sonar.campaign(campaign)
        try:
            for progress in found.watch(timeout_s=timeout):
                if format_ is Format.JSON:
                    print_json(_progress_json(progress))
                else:
                    say(str(progress))
        except CampaignError as error:
            say(str(error)) if format_ is Format.TEXT else print_json({"error": str(error)})
            raise typer.Exit(EXIT_NOT_YET) from None


@app.command()
def result(
    campaign: CampaignArgument,
    pgp: Annotated[Path, typer.Option(help="Your OpenPGP key.")],
    output: Annotated[Path, typer.Option(help="Where to write the model (safetensors).")],
    network: NetworkOption = "devnet",
    passphrase_file: PassphraseOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Fetch, verify and decrypt the delivered model. Exit code 4 when there is none (yet)."""
    with open_sonar(network, pgp=pgp, passphrase_file=passphrase_file) as sonar:
        found = sonar.campaign(campaign)
        try:
            card = found.save_result(output)
        except NotDelivered as error:
            say(str(error)) if format_ is Format.TEXT else print_json({"error": str(error)})
            raise typer.Exit(EXIT_NOT_YET) from None
        if format_ is Format.JSON:
            print_json({"campaign": campaign, "output": str(output), "card": card})
        else:
            say(f"wrote {output}: {card.get('title', '')}, signed by Capsule")


@app.command(name="top-up")
def top_up(
    campaign: CampaignArgument,
    amount: Annotated[str, typer.Argument(help="In ETH or its token, like 0.1.")],
    keystore: Annotated[Path, typer.Option(help="Your account's keystore file.")],
    network: NetworkOption = "devnet",
    passphrase_file: PassphraseOption = None,
    max_fee: MaxFeeOption = DEFAULT_MAX_FEE,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Add to a campaign's bounty. Running it twice adds twice."""
    with open_sonar(network, keystore, passphrase_file, max_fee=max_fee) as sonar:
        found = sonar.campaign(campaign)
        added = found.currency.parse(amount)
        receipt = found.top_up(added)
        _report(format_, receipt, f"added {found.currency.write(added)} to campaign {campaign}")


@app.command()
def cancel(
    campaign: CampaignArgument,
    keystore: Annotated[Path, typer.Option(help="Your account's keystore file.")],
    network: NetworkOption = "devnet",
    passphrase_file: PassphraseOption = None,
    max_fee: MaxFeeOption = DEFAULT_MAX_FEE,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Take back a campaign that Capsule has not opened, and withdraw the bounty."""
    with open_sonar(network, keystore, passphrase_file, max_fee=max_fee) as sonar:
        found = sonar.campaign(campaign)
        if found.state().phase != Phase.CANCELLED:  # else: an earlier run got this far
            found.cancel()
        _report(format_, found.withdraw(), f"cancelled campaign {campaign}, bounty withdrawn")


@app.command()
def expire(
    campaign: CampaignArgument,
    keystore: Annotated[Path, typer.Option(help="Your account's keystore file.")],
    network: NetworkOption = "devnet",
    passphrase_file: PassphraseOption = None,
    max_fee: MaxFeeOption = DEFAULT_MAX_FEE,
    format_: FormatOption = Format.TEXT,
) -> None:
    """End a campaign whose Capsule let deadline and grace pass, and withdraw what is yours."""
    with open_sonar(network, keystore, passphrase_file, max_fee=max_fee) as sonar:
        found = sonar.campaign(campaign)
        if found.state().phase != Phase.EXPIRED:
            found.expire()
        _report(format_, found.withdraw(), f"expired campaign {campaign}")


@app.command()
def withdraw(
    keystore: Annotated[Path, typer.Option(help="Your account's keystore file.")],
    token: TokenOption = ETH,
    network: NetworkOption = "devnet",
    passphrase_file: PassphraseOption = None,
    max_fee: MaxFeeOption = DEFAULT_MAX_FEE,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Be paid what Sonar owes to your account: refunds, fees, earnings, bonds."""
    with open_sonar(network, keystore, passphrase_file, max_fee=max_fee) as sonar:
        account = sonar.contract.wallet
        assert account is not None
        owed = sonar.contract.credit(token, account.address)
        _report(
            format_, sonar.withdraw(token), f"withdrew {sonar.contract.currency(token).write(owed)}"
        )


def _report(format_: Format, receipt: Receipt | None, text: str) -> None:
    if format_ is Format.JSON:
        print_json(
            {
                "transaction": receipt.transaction if receipt else None,
                "block_number": receipt.block_number if receipt else None,
                "fee_wei": str(receipt.fee_wei) if receipt else "0",
            }
        )
    else:
        say(text + (f" (transaction {receipt.transaction})" if receipt else "; nothing was owed"))


def _progress_json(progress: Progress) -> dict[str, Any]:
    event = progress.event
    return {
        "event": event.name if event else None,
        "block_number": event.block_number if event else None,
        "transaction": event.transaction_hash if event else None,
        "phase": progress.phase.name.lower(),
        "accuracy_ppm": progress.accuracy_ppm,
        "best_ppm": progress.best_ppm,
        "target_ppm": progress.target_ppm,
        "version": progress.version,
        "gradients": progress.gradients,
        "pending": progress.pending,
        "bounty": str(progress.bounty),
        "paid": str(progress.paid),
        "waiting": progress.waiting.value,
        "until": progress.until,
        "rolled_back": progress.rolled_back,
    }


def _read_rows(path: Path) -> Any:
    import pyarrow as pa

    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            return parquet.read_table(path)
        from pyarrow import csv

        return csv.read_csv(path)
    except (OSError, pa.ArrowException) as error:
        raise LaunchRefused(f"no rows can be read from {path}: {error}") from error


def _read_algorithm(name: str, hidden: int) -> Any:
    from openmined.protocol import (
        LinearClassifierAlgorithm,
        LinearRegressionAlgorithm,
        MLPClassifierAlgorithm,
    )

    if name not in _ESTIMATORS:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(_ESTIMATORS)}")
    return {
        "auto": None,
        "linear-regression": LinearRegressionAlgorithm(),
        "linear-classifier": LinearClassifierAlgorithm(),
        "mlp-classifier": MLPClassifierAlgorithm(hidden=hidden),
    }[name]


def _read_schema(text: str | None) -> TableSchema | None:
    if text is None:
        return None
    if "@" in text:
        from openmined.adapters import published_schema

        return published_schema(text)
    from pydantic import ValidationError

    try:
        return TableSchema.model_validate_json(read_text(Path(text), _MAX_SCHEMA_BYTES))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise LaunchRefused(f"{text} is no table schema: {problem['msg']}") from error
