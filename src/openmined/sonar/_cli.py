"""`openmined campaign | models | audit | sonar | network | wallet | doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from openmined.protocol import ether_to_wei, format_wei
from openmined.sonar import _cli_campaign
from openmined.sonar._cli_common import (
    DEFAULT_MAX_FEE,
    EXIT_NO,
    CampaignArgument,
    Format,
    FormatOption,
    KeystoreOption,
    MaxFeeOption,
    NetworkOption,
    PassphraseOption,
    PgpOption,
    YesOption,
    open_sonar,
    print_json,
    read_passphrase,
    say,
)
from openmined.sonar._deploy import deploy_quoted
from openmined.sonar._errors import NetworksFileError, SonarError
from openmined.sonar._models import download_model
from openmined.sonar._networks import (
    CapsuleRef,
    Network,
    load_networks,
    networks_path,
    save_network,
)
from openmined.sonar._send import Quote
from openmined.sonar._wallet import Wallet, keystore_address

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
models = typer.Typer(no_args_is_help=True, help="List every encrypted model ever published.")
sonar = typer.Typer(no_args_is_help=True, help="Deploy the contract.")
network = typer.Typer(no_args_is_help=True, help="Name the networks this machine knows.")
wallet = typer.Typer(no_args_is_help=True, help="Make and show keystores.")
app.add_typer(_cli_campaign.app, name="campaign")
app.add_typer(models, name="models")
app.add_typer(sonar, name="sonar")
app.add_typer(network, name="network")
app.add_typer(wallet, name="wallet")


@app.command()
def audit(
    campaign: CampaignArgument,
    network: NetworkOption = "devnet",
    format_: FormatOption = Format.TEXT,
) -> None:
    """Recompute every payout of a campaign from chain and store. Exit code 3 if one is wrong."""
    with open_sonar(network) as connected:
        report = connected.campaign(campaign).audit()
    if format_ is Format.JSON:
        print_json(report.to_json())
    else:
        for payout in report.payouts:
            verdict = "follows" if payout.follows else f"DOES NOT FOLLOW: {payout.expected} is due"
            say(
                f"batch {payout.batch}, gradient {payout.gradient} of {payout.miner}: share "
                f"{payout.share_ppm} ppm, paid {payout.paid}: {verdict}"
            )
        say(str(report))
    if not report.ok:
        raise typer.Exit(EXIT_NO)


@models.command(name="list")
def list_models(
    network: NetworkOption = "devnet",
    campaign: Annotated[int | None, typer.Option(min=1, help="Only this campaign's.")] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """List every encrypted model: campaign, version, size, CID; each verified."""
    with open_sonar(network) as connected:
        records = connected.models(campaign)
    if format_ is Format.JSON:
        print_json([record.to_json() for record in records])
        return
    for record in records:
        state = f"{record.size} bytes" if not record.problem else f"NOT VERIFIED: {record.problem}"
        say(f"campaign {record.campaign} version {record.version}: {record.cid} ({state})")


@models.command(name="show")
def show_model(
    campaign: CampaignArgument,
    version: Annotated[int, typer.Argument(min=1, help="The model's version.")],
    network: NetworkOption = "devnet",
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show one model: parent, parameters, packing, ciphertexts. Exit code 3 if not verified."""
    with open_sonar(network) as connected:
        record = _find_model(connected, campaign, version)
    document = record.to_json()
    if format_ is Format.JSON:
        print_json(document)
    else:
        for key, value in document.items():
            say(f"{key:13}{value}")
    if record.problem:
        raise typer.Exit(EXIT_NO)


@models.command()
def download(
    campaign: CampaignArgument,
    version: Annotated[int, typer.Argument(min=1, help="The model's version.")],
    folder: Annotated[Path, typer.Argument(help="Where to write.")],
    network: NetworkOption = "devnet",
    format_: FormatOption = Format.TEXT,
) -> None:
    """Write one model's manifests and ciphertexts into a folder, every byte verified."""
    with open_sonar(network) as connected:
        record = _find_model(connected, campaign, version)
        written = download_model(connected.store, record, folder)
    if format_ is Format.JSON:
        print_json({"files": [str(path) for path in written]})
    else:
        say(f"wrote {len(written)} files into {folder}")


@sonar.command()
def deploy(
    rpc: Annotated[str, typer.Option(help="Address of the Ethereum node.")],
    keystore: Annotated[Path, typer.Option(help="The account that pays.")],
    name: Annotated[str, typer.Option(help="Under which to remember the network.")],
    store: Annotated[str, typer.Option(help="URL of the store its campaigns use.")],
    gateway: Annotated[str | None, typer.Option(help="Where to read, if elsewhere.")] = None,
    capsule: Annotated[str | None, typer.Option(help="Address of its usual Capsule.")] = None,
    capsule_url: Annotated[str | None, typer.Option(help="That Capsule's URL.")] = None,
    chain_id: Annotated[int | None, typer.Option(help="Refuse any other chain.")] = None,
    passphrase_file: PassphraseOption = None,
    max_fee: MaxFeeOption = DEFAULT_MAX_FEE,
    yes: YesOption = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Quote the gas, ask, deploy the contract, verify its code, remember the network."""
    if name in load_networks():
        raise NetworksFileError(
            f"a network {name!r} is in {networks_path()} already: choose another name"
        )

    def agree(found: int, quote: Quote) -> bool:
        if yes:
            return True
        price = f"{format_wei(quote.fee_wei)} at most ({quote.gas} gas)"
        return bool(typer.confirm(f"Deploying on chain {found} costs {price}. Go on?"))

    payer = Wallet.from_keystore(keystore, read_passphrase(passphrase_file, str(keystore)))
    done = deploy_quoted(
        rpc, payer, agree=agree, chain_id=chain_id, max_fee_wei=ether_to_wei(max_fee)
    )
    known = Network(
        name=name,
        chain_id=done.chain_id,
        rpc_url=rpc,
        sonar=done.address,
        store_url=store,
        gateway_url=gateway,
        capsule=CapsuleRef(address=capsule, url=capsule_url) if capsule else None,
        first_block=done.receipt.block_number,
    )
    save_network(known)
    if format_ is Format.JSON:
        print_json(
            known.model_dump(mode="json")
            | {"transaction": done.receipt.transaction, "fee_wei": str(done.receipt.fee_wei)}
        )
    else:
        say(f"Sonar is at {done.address} on chain {done.chain_id}, its code verified")
        say(f"it cost {format_wei(done.receipt.fee_wei)}; the network is known as {name}")


@network.command(name="list")
def list_networks(format_: FormatOption = Format.TEXT) -> None:
    """List the networks this machine knows."""
    from openmined.sonar._errors import redact_url

    known = load_networks()
    if format_ is Format.JSON:
        print_json([_network_json(one) for one in known.values()])
        return
    if not known:
        say(f"no networks in {networks_path()}: start one with `openmined up`, or add one")
    for one in known.values():
        say(f"{one.name}: chain {one.chain_id}, Sonar {one.sonar}, {redact_url(one.rpc_url)}")


@network.command(name="add")
def add_network(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
    rpc: Annotated[str, typer.Option(help="Address of the Ethereum node.")],
    sonar: Annotated[str, typer.Option(help="Address of the Sonar contract.")],
    store: Annotated[str, typer.Option(help="URL of the store.")],
    gateway: Annotated[str | None, typer.Option(help="Where to read, if elsewhere.")] = None,
    capsule: Annotated[str | None, typer.Option(help="Address of its usual Capsule.")] = None,
    capsule_url: Annotated[str | None, typer.Option(help="That Capsule's URL.")] = None,
    capsule_fingerprint: Annotated[
        str | None, typer.Option(help="Of that Capsule's OpenPGP certificate.")
    ] = None,
    first_block: Annotated[
        int | None, typer.Option(min=0, help="The contract's; found where the node keeps history.")
    ] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Add a network, or change one; the contract's code is checked first."""
    from openmined.sonar._contract import connect_sonar

    with connect_sonar(rpc, sonar) as contract:
        try:
            known = Network(
                name=name,
                chain_id=contract.chain_id,
                rpc_url=rpc,
                sonar=contract.address,
                store_url=store,
                gateway_url=gateway,
                capsule=(
                    CapsuleRef(address=capsule, url=capsule_url, fingerprint=capsule_fingerprint)
                    if capsule
                    else None
                ),
                first_block=(contract.deployment_block() if first_block is None else first_block),
            )
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in problem["loc"])
            raise NetworksFileError(f"no network was added: {place}: {problem['msg']}") from error
    save_network(known)
    if format_ is Format.JSON:
        print_json(_network_json(known))
    else:
        say(f"{name}: Sonar {known.sonar} on chain {known.chain_id}, its code verified")


@wallet.command(name="create")
def create_wallet(
    path: Annotated[Path, typer.Argument(help="Where to write the keystore.")],
    passphrase_file: PassphraseOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Make a new account and write its keystore, sealed with a passphrase."""
    made = Wallet.create(path, read_passphrase(passphrase_file, str(path), new=True))
    if format_ is Format.JSON:
        print_json({"address": made.address, "keystore": str(path)})
    else:
        say(f"{made.address} is in {path}; keep the file and its passphrase, nobody has a copy")


@wallet.command(name="show")
def show_wallet(
    path: Annotated[Path, typer.Argument(help="The keystore.")],
    network: Annotated[str | None, typer.Option("--network", "-n", help="Show balances.")] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Show a keystore's address, and what it has on a network. Needs no passphrase."""
    from openmined.sonar._types import ETH

    found: dict[str, Any] = {"address": keystore_address(path)}
    if network is not None:
        with open_sonar(network) as connected:
            contract = connected.contract
            found["balance_wei"] = str(contract.balance(found["address"]))
            found["credit_wei"] = str(contract.credit(ETH, found["address"]))
    if format_ is Format.JSON:
        print_json(found)
        return
    say(found["address"])
    if network is not None:
        say(f"holds {format_wei(int(found['balance_wei']))} on {network}")
        say(f"may withdraw {format_wei(int(found['credit_wei']))} from Sonar")


@app.command()
def doctor(
    network: NetworkOption = "devnet",
    keystore: KeystoreOption = None,
    pgp: PgpOption = None,
    passphrase_file: PassphraseOption = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Check chain, contract, store, Capsule, keys and versions. Exit code 3 if one fails."""
    from openmined.sonar._doctor import examine

    checks = examine(network, keystore, pgp, passphrase_file)
    if format_ is Format.JSON:
        print_json([check.to_json() for check in checks])
    else:
        for check in checks:
            say(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.text}")
    if not all(check.ok for check in checks):
        raise typer.Exit(EXIT_NO)


def _find_model(connected: Any, campaign: int, version: int) -> Any:
    records = connected.models(campaign)
    for record in records:
        if record.version == version:
            return record
    known = ", ".join(str(record.version) for record in records) or "none"
    raise SonarError(f"campaign {campaign} has no model of version {version}; there are: {known}")


def _network_json(known: Network) -> dict[str, Any]:
    from openmined.sonar._errors import redact_url

    return known.model_dump(mode="json") | {"rpc_url": redact_url(known.rpc_url)}
