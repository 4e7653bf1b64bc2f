"""`openmined mine`: the commands of a data owner's own server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

FolderArgument = Annotated[Path, typer.Argument(help="The mine's folder.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(help="File (mode 0600) that holds the passphrase; asked for without it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def init(
    folder: FolderArgument,
    name: Annotated[str, typer.Option(help="What the mine calls itself in its log.")] = "mine",
    network: Annotated[
        str | None, typer.Option(help="A network this machine knows (`openmined network list`).")
    ] = None,
    rpc_url: Annotated[
        str | None, typer.Option(help="Ethereum node, instead of --network.")
    ] = None,
    chain_id: Annotated[int | None, typer.Option(help="Its chain id.")] = None,
    sonar: Annotated[str | None, typer.Option(help="Address of the Sonar contract.")] = None,
    store_url: Annotated[str | None, typer.Option(help="IPFS node or `openmined store`.")] = None,
    gateway_url: Annotated[str | None, typer.Option(help="Gateway to read from.")] = None,
    from_block: Annotated[int, typer.Option(help="Block of the contract's deployment.")] = 0,
    poll_interval_s: Annotated[float, typer.Option(help="Seconds between two looks.")] = 5.0,
    keystore: Annotated[
        Path | None, typer.Option(help="An Ethereum keystore to use, of the same passphrase.")
    ] = None,
    light_kdf: Annotated[
        bool, typer.Option("--light-kdf", help="Fast, weak key derivation: for devnets only.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a mine: a folder with keys, a ledger and settings. Nothing is permitted yet."""
    from openmined.mine._errors import SettingsError
    from openmined.mine._folder import create_mine, write_private
    from openmined.mine._passphrase import read_passphrase

    if network is not None:
        from openmined.sonar import load_network

        known = load_network(network)
        values: dict[str, Any] = {
            "name": known.name,
            "chain_id": known.chain_id,
            "rpc_url": known.rpc_url,
            "sonar": known.sonar,
            "store_url": known.store_url,
            "gateway_url": known.gateway_url,
            "from_block": known.first_block,
        }
    elif rpc_url and chain_id is not None and sonar and store_url:
        values = {
            "name": "own",
            "chain_id": chain_id,
            "rpc_url": rpc_url,
            "sonar": sonar,
            "store_url": store_url,
            "gateway_url": gateway_url,
            "from_block": from_block,
        }
    else:
        raise SettingsError(
            "give --network NAME, or all of --rpc-url --chain-id --sonar --store-url"
        )
    settings = {
        "format": "openmined/mine@1",
        "name": name,
        "network": {key: value for key, value in values.items() if value is not None},
        "loop": {"poll_interval_s": poll_interval_s},
    }
    passphrase = read_passphrase(passphrase_file, confirm=True)
    if keystore is not None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(folder / "wallet.json", keystore.read_bytes())
    made, secrets = create_mine(
        folder, settings, passphrase, cost="light" if light_kdf else "standard"
    )
    if as_json:
        _print_json({"folder": str(made.path), "address": secrets.wallet.address})
        return
    typer.echo(f"A mine was made in {made.path}.")
    typer.echo(f"Its address is {secrets.wallet.address}: send it some ether for bonds and gas.")
    typer.echo("Next: `openmined mine import`, then `openmined mine permissions`.")


@app.command("import")
def import_(
    folder: FolderArgument,
    source: Annotated[Path, typer.Argument(help="A file, a folder or an archive to read.")],
    name: Annotated[str, typer.Option(help="Name of the dataset.")],
    schema: Annotated[Path | None, typer.Option(help="Table schema (JSON) of the rows.")] = None,
    adapter: Annotated[
        str | None, typer.Option(help="Adapter; found by itself if left out.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file of columns to fields.")] = None,
    identity: Annotated[
        list[str] | None, typer.Option(help="Field by which a row is known again.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse all when one record cannot be read.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Read an export into an encrypted dataset; of an overlapping one only what is new."""
    from openmined.mine._folder import MineFolder
    from openmined.mine._imports import ImportRequest, import_source, read_schema
    from openmined.mine._passphrase import read_passphrase

    mine = MineFolder(folder)
    request = ImportRequest(
        source=source,
        dataset=name,
        adapter=adapter,
        mapping=mapping,
        schema=None if schema is None else read_schema(schema),
        identity=tuple(identity or ()),
        strict=strict,
    )
    secrets = mine.unlock(read_passphrase(passphrase_file))
    report = import_source(mine, secrets.identity, request)
    if as_json:
        _print_json(report.model_dump(mode="json"))
        return
    done = report.imported
    typer.echo(
        f"{done.rows_read} rows read, {done.rows_added} added to {name!r}, "
        f"{done.rows_known} were there already; it has {done.total} rows."
    )
    for problem in report.first_problems:
        typer.echo(f"not read: {problem}", err=True)
    if report.problems > len(report.first_problems):
        typer.echo(f"... {report.problems} records could not be read in all", err=True)
    typer.echo(f"It is permitted to nobody yet: see `openmined mine permissions {folder} {name}`.")


@app.command()
def datasets(
    folder: FolderArgument,
    delete: Annotated[
        str | None, typer.Option(help="Delete this dataset: its bytes and every cache of them.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the datasets, or delete one."""
    from openmined.mine._datasets import delete_dataset, list_datasets
    from openmined.mine._folder import MineFolder

    mine = MineFolder(folder)
    if delete is not None:
        if not yes:
            typer.confirm(f"Delete dataset {delete!r} for good?", abort=True)
        delete_dataset(mine, delete)
        typer.echo(f"{delete!r} is deleted.")
        return
    settings, ledger = mine.settings(), mine.ledger()
    rows = [
        {
            "name": dataset.name,
            "rows": dataset.rows,
            "fields": list(dataset.dataset_schema.names),
            "schema": dataset.dataset_schema.id,
            "imports": len(dataset.parts),
            "mode": settings.permission(dataset.name).mode,
            "epsilon_spent": ledger.epsilon_spent(dataset.name),
        }
        for dataset in list_datasets(mine)
    ]
    ledger.close()
    _print_rows(rows, as_json, "no dataset yet: see `openmined mine import`")


@app.command()
def permissions(
    folder: FolderArgument,
    dataset: Annotated[
        str | None, typer.Argument(help="The dataset; all are shown without.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="deny, ask or automatic.")] = None,
    fields: Annotated[
        list[str] | None, typer.Option(help="Field that campaigns may use; `*` is every one.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other criterion: NAME=VALUE (TOML), such as max_rounds=8."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show or change what campaigns may do with a dataset: nothing, until it is said."""
    from openmined.mine._datasets import load_dataset
    from openmined.mine._exposure import explain_exposure
    from openmined.mine._folder import MineFolder
    from openmined.mine._permit import change_permission, parse_changes

    mine = MineFolder(folder)
    if dataset is None:
        shown = {
            name: permission.model_dump(mode="json", exclude_none=True)
            for name, permission in mine.settings().permissions.items()
        }
        _print_json(shown)
        return
    known = load_dataset(mine, dataset)
    changes = parse_changes(change or [])
    if mode is not None:
        changes["mode"] = mode
    if fields:
        changes["fields"] = fields
    permission = (
        change_permission(mine, dataset, changes)
        if changes
        else mine.settings().permission(dataset)
    )
    if as_json:
        _print_json(permission.model_dump(mode="json", exclude_none=True))
        return
    for line in explain_exposure(permission, known.dataset_schema, known.rows):
        typer.echo(line)


@app.command()
def start(
    folder: FolderArgument,
    once: Annotated[bool, typer.Option("--once", help="One pass, then stop.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Log to the folder only.")] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Run the mine: read the chain, decide, train, submit, until it is stopped."""
    import os

    # One thread a mine: ten of them share this machine, and a share of one processor is promised.
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

    from openmined.mine._folder import MineFolder
    from openmined.mine._passphrase import read_passphrase
    from openmined.mine._run import run_mine

    mine = MineFolder(folder)
    mine.settings()
    secrets = mine.unlock(read_passphrase(passphrase_file))
    run_mine(mine, secrets, listener=None if quiet else _say, once=once)


@app.command()
def status(folder: FolderArgument, as_json: AsJson = False) -> None:
    """Show whether the mine runs, its address, and the work in hand. Needs no passphrase."""
    from openmined.mine._accounts import submission_dict, sum_earnings
    from openmined.mine._campaigns import fold_events
    from openmined.mine._datasets import list_datasets
    from openmined.mine._folder import MineFolder, is_running

    mine = MineFolder(folder)
    ledger, settings = mine.ledger(), mine.settings()
    ledger.check()
    views = fold_events(ledger.events(), mine.address)
    submissions = ledger.submissions()
    value = {
        "name": settings.name,
        "address": mine.address,
        "network": settings.network.name,
        "running": is_running(folder),
        "datasets": len(list_datasets(mine)),
        "campaigns": {
            phase: sum(view.phase.name.lower() == phase for view in views.values())
            for phase in sorted({view.phase.name.lower() for view in views.values()})
        },
        "in_hand": [submission_dict(s) for s in submissions if not s.final],
        "earnings": sum_earnings(submissions, views).model_dump(mode="json")["tokens"],
    }
    ledger.close()
    if as_json:
        _print_json(value)
        return
    typer.echo(f"{value['name']} ({value['address']}) on {value['network']}")
    typer.echo("running" if value["running"] else "not running")
    typer.echo(f"{value['datasets']} datasets; campaigns seen: {value['campaigns'] or 'none'}")
    for item in value["in_hand"]:
        typer.echo(f"campaign {item['campaign']}, version {item['version']}: {item['step']}")


@app.command()
def decisions(
    folder: FolderArgument,
    approve: Annotated[
        str | None, typer.Option(help="Approve CAMPAIGN:DATASET that waits for an answer.")
    ] = None,
    refuse: Annotated[str | None, typer.Option(help="Refuse CAMPAIGN:DATASET.")] = None,
    history: Annotated[bool, typer.Option("--all", help="Also those that were overtaken.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every decision with its reasons; answer those that wait for the owner."""
    from openmined.mine._folder import MineFolder
    from openmined.mine._permit import parse_pair

    mine = MineFolder(folder)
    ledger = mine.ledger()
    if approve is not None:
        ledger.give_answer(*parse_pair(approve), "approved")
    if refuse is not None:
        ledger.give_answer(*parse_pair(refuse), "refused")
    rows = [
        {
            "campaign": record.campaign,
            "dataset": record.dataset,
            "verdict": record.verdict,
            "reason": record.text,
            "at": record.at,
        }
        for record in ledger.decisions(latest=not history)
    ]
    ledger.close()
    _print_rows(rows, as_json, "no campaign was seen yet")


@app.command()
def earnings(folder: FolderArgument, as_json: AsJson = False) -> None:
    """Show what was earned, by campaign. Needs neither passphrase nor network."""
    from openmined.mine._accounts import sum_earnings
    from openmined.mine._campaigns import fold_events
    from openmined.mine._folder import MineFolder
    from openmined.mine._permissions import ETHER
    from openmined.protocol import format_wei

    mine = MineFolder(folder)
    ledger = mine.ledger()
    views = fold_events(ledger.events(), mine.address)
    found = sum_earnings(ledger.submissions(), views)
    ledger.close()
    if as_json:
        _print_json(found.model_dump(mode="json"))
        return
    for row in found.campaigns:
        amount = int(row.earned_wei)
        text = format_wei(amount) if row.token == ETHER else f"{amount} units of {row.token}"
        typer.echo(
            f"campaign {row.campaign}: {row.gradients} gradients, {row.scored} scored, "
            f"{row.paid} paid, {row.rejected} rejected: {text}"
        )
    if not found.campaigns:
        typer.echo("nothing yet")


@app.command()
def withdraw(
    folder: FolderArgument,
    token: Annotated[str | None, typer.Option(help="ERC-20 token; ether without.")] = None,
    wait_s: Annotated[float, typer.Option(help="How long to wait for the running mine.")] = 120.0,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Have everything that Sonar owes to this mine paid to its wallet."""
    from openmined.mine._folder import MineFolder
    from openmined.mine._passphrase import read_passphrase
    from openmined.mine._payout import withdraw_now

    mine = MineFolder(folder)
    done = withdraw_now(mine, token, wait_s, lambda: read_passphrase(passphrase_file))
    if as_json:
        _print_json(
            {"state": done.state, "amount_wei": str(done.amount or 0), "tx": done.tx or None}
        )
        return
    typer.echo(f"{done.amount} wei were paid out in transaction {done.tx}.")


@app.command()
def backup(
    folder: FolderArgument,
    file: Annotated[Path, typer.Argument(help="The backup to write.")],
) -> None:
    """Write everything that must not be lost into one encrypted file; the mine may be running."""
    from openmined.mine._backup import back_up
    from openmined.mine._folder import MineFolder

    size = back_up(MineFolder(folder), file)
    typer.echo(f"{file} ({size} bytes) holds the mine; it opens with the mine's passphrase.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The backup to read.")],
    folder: Annotated[Path, typer.Argument(help="A new folder for the mine.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a mine from a backup. Stop the old one for good first: they share a wallet."""
    from openmined.mine._backup import restore as restore_backup
    from openmined.mine._passphrase import read_passphrase

    made = restore_backup(file, folder, read_passphrase(passphrase_file))
    typer.echo(f"The mine is restored in {made.path}. What came since, it learns from the chain.")


def _say(line: dict[str, Any]) -> None:
    typer.echo(json.dumps(line, ensure_ascii=False))


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_rows(rows: list[dict[str, Any]], as_json: bool, empty: str) -> None:
    if as_json:
        _print_json(rows)
        return
    if not rows:
        typer.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name.replace("_", " "))
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    Console(highlight=False).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value[:6]) + (" ..." if len(value) > 6 else "")
    text = "" if value is None else str(value)
    # Titles and reasons may quote hostile bytes: no terminal control gets through.
    return "".join(letter if letter.isprintable() else "�" for letter in text)
