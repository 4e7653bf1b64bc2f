"""`openmined capsule ...`."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from openmined.capsule._backup import restore_backup, write_backup
from openmined.capsule._control import send_unlock, wait_for_unlock
from openmined.capsule._errors import NotWritten, SealError, SettingsError
from openmined.capsule._files import only_one, read_secret_file
from openmined.capsule._folder import (
    CERTIFICATE_FILE,
    WALLET_FILE,
    ask_for_rotation,
    change_unlock,
    check_folder,
    connect,
    create_folder,
    mark_sealed,
    open_wallet,
    rotate_identity,
    unsealed,
)
from openmined.capsule._keyring import Unlock, open_keyring
from openmined.capsule._log import Log, json_lines, log_file
from openmined.capsule._loop import Capsule, wait, who_can_help
from openmined.capsule._serving import interface
from openmined.capsule._state import open_read_only
from openmined.protocol import format_wei
from openmined.sonar import ETH, RpcUnreachable, keystore_address, load_network
from openmined.storage import StoreUnreachable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run the third party that holds the keys.",
)

Folder = Annotated[Path, typer.Argument(help="The Capsule's folder.")]
PassphraseFile = Annotated[
    Path | None, typer.Option(help="File with the passphrase, mode 0600; else it is asked for.")
]
KeyFile = Annotated[
    Path | None, typer.Option(help="age identity file, mode 0600, instead of a passphrase.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def _unlock(passphrase_file: Path | None, key_file: Path | None, *, new: bool) -> Unlock:
    if passphrase_file is not None and key_file is not None:
        raise SealError("give --passphrase-file or --key-file, not both")
    if key_file is not None:
        return Unlock.from_key_file(key_file)
    if passphrase_file is not None:
        return Unlock.from_passphrase_file(passphrase_file)
    if not sys.stdin.isatty():
        raise SealError("there is nobody to ask for the passphrase: give --passphrase-file FILE")
    return Unlock(
        passphrase=typer.prompt("Passphrase", hide_input=True, confirmation_prompt=new, type=str)
    )


@app.command()
def init(
    folder: Folder,
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
    confirmations: Annotated[
        int, typer.Option(help="Blocks to wait upon an event: 0 on a devnet, 2 or more else.")
    ] = 0,
    name: Annotated[str, typer.Option(help="Name in the OpenPGP user id.")] = "Capsule",
    mail: Annotated[str, typer.Option(help="Mail in the OpenPGP user id.")] = "capsule@localhost",
    api_host: Annotated[str, typer.Option(help="Where the HTTP interface listens.")] = "127.0.0.1",
    api_port: Annotated[int, typer.Option(help="Its port; -1: no HTTP interface.")] = 7336,
    poll_interval_s: Annotated[float, typer.Option(help="Seconds between two looks.")] = 1.0,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a Capsule: OpenPGP identity, Ethereum wallet, settings; everything secret sealed."""
    if network is not None:
        place = _known_network(network)
    elif rpc_url and chain_id is not None and sonar and store_url:
        place = {
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
    values: dict[str, Any] = {
        "format": "openmined/capsule@1",
        "name": name,
        "mail": mail,
        "network": {
            **{key: value for key, value in place.items() if value is not None},
            "confirmations": confirmations,
        },
        "loop": {"poll_interval_s": poll_interval_s},
        "api": {"enabled": api_port >= 0, "host": api_host, "port": max(0, api_port)},
    }
    unlock = _unlock(passphrase_file, key_file, new=True)
    address, fingerprint = create_folder(folder, values, unlock)
    if as_json:
        made = {"folder": str(folder), "address": address, "certificate": fingerprint}
        typer.echo(json.dumps(made))
        return
    typer.echo(f"A Capsule was made in {folder}.")
    typer.echo(f"Its address is {address}: send it some ether for gas.")
    typer.echo(f"Its certificate is {fingerprint} ({folder / CERTIFICATE_FILE}).")


def _known_network(name: str) -> dict[str, Any]:
    known = load_network(name)
    return {
        "name": known.name,
        "chain_id": known.chain_id,
        "rpc_url": known.rpc_url,
        "sonar": known.sonar,
        "store_url": known.store_url,
        "gateway_url": known.gateway_url,
        "from_block": known.first_block,
    }


@app.command()
def start(
    folder: Folder,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Start sealed and wait for `unseal`.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
) -> None:
    """Unseal and work until stopped. The log is one JSON object a line, also in capsule.log."""
    settings = check_folder(folder)
    given = passphrase_file is not None or key_file is not None
    waiting = sealed or not (given or sys.stdin.isatty())
    unlock = None if waiting else _unlock(passphrase_file, key_file, new=False)
    stopping = _stop_signals()
    log = Log(json_lines(sys.stdout), log_file(folder / "capsule.log"))
    with interface(folder, log, enabled=settings.api.enabled):
        if unlock is None:
            mark_sealed(folder)
            log.write("sealed", what="run `openmined capsule unseal` on this folder")
            with only_one(folder):
                unlock = wait_for_unlock(
                    folder, lambda found: _try(folder, found), lambda: bool(stopping)
                )
        if unlock is not None:
            _work(folder, unlock, log, stopping)
        log.write("stopped")


def _try(folder: Path, unlock: Unlock) -> None:
    open_keyring(folder, unlock)


def _work(folder: Path, unlock: Unlock, log: Log, stopping: list[int]) -> None:
    """Work until stopped; a chain, store or disk that is not there yet is waited for."""
    settings = check_folder(folder)
    while not stopping:
        try:
            _work_connected(folder, unlock, log, stopping)
            return
        except (RpcUnreachable, StoreUnreachable, NotWritten) as error:
            log.write_change("start", "waiting", whom=who_can_help(error), cause=str(error))
            wait(settings.loop.retry_s, lambda: bool(stopping))


def _work_connected(folder: Path, unlock: Unlock, log: Log, stopping: list[int]) -> None:
    with unsealed(folder, unlock, log) as context:
        log.write("started", address=context.address, certificate=context.identity.fingerprint)
        context.state.set_meta("seal", "open")
        try:
            Capsule(context).run(lambda: bool(stopping))
        finally:
            with contextlib.suppress(NotWritten):  # no reason to end in an error
                context.state.set_meta("seal", "closed")


@app.command()
def unseal(
    folder: Folder, passphrase_file: PassphraseFile = None, key_file: KeyFile = None
) -> None:
    """Unseal a Capsule that was started sealed."""
    check_folder(folder)
    send_unlock(folder, _unlock(passphrase_file, key_file, new=False))
    typer.echo("unsealed")


@app.command()
def backup(
    folder: Folder,
    target: Annotated[Path, typer.Argument(help="File to write; must not exist.")],
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
) -> None:
    """Write an encrypted backup of everything, also while the Capsule works."""
    size = write_backup(folder, target, _unlock(passphrase_file, key_file, new=False))
    typer.echo(f"{size} bytes in {target}, under the Capsule's own passphrase or key file")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A backup.")],
    folder: Folder,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
) -> None:
    """Make a folder from a backup. Stop the other Capsule first: one identity, one Capsule."""
    restore_backup(source, folder, _unlock(passphrase_file, key_file, new=False))
    typer.echo(f"restored into {folder}; what happened since is read from the chain at the start")


@app.command()
def rotate(
    folder: Folder,
    campaign: Annotated[
        int | None, typer.Option(help="Change this campaign's CKKS keys; the Capsule may work.")
    ] = None,
    identity: Annotated[
        bool,
        typer.Option("--identity", help="Change the OpenPGP key; the Capsule must be stopped."),
    ] = False,
    new_passphrase_file: Annotated[
        Path | None, typer.Option(help="Change the passphrase to what this file holds.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
) -> None:
    """Change keys: a campaign's, the OpenPGP identity's, or the passphrase."""
    if campaign is not None:
        epoch = ask_for_rotation(folder, campaign)
        typer.echo(f"campaign {campaign} leaves key epoch {epoch} at the Capsule's next turn")
    if identity:
        unlock = _unlock(passphrase_file, key_file, new=False)
        fingerprint = rotate_identity(folder, unlock)
        typer.echo(f"the new certificate is {fingerprint}; open campaigns get new keys with it")
    if new_passphrase_file is not None:
        unlock = _unlock(passphrase_file, key_file, new=False)
        change_unlock(folder, unlock, Unlock.from_passphrase_file(new_passphrase_file))
        typer.echo("the passphrase is changed; backups keep the one they were written with")
    if campaign is None and not identity and new_passphrase_file is None:
        raise SettingsError("say what to rotate: --campaign N, --identity or --new-passphrase-file")


@app.command()
def status(
    folder: Folder,
    as_json: AsJson = False,
) -> None:
    """Say what the Capsule is doing; needs no passphrase."""
    from openmined.capsule._api import readiness

    settings = check_folder(folder)
    state = open_read_only(folder)
    try:
        rows = state.campaigns()
        report = {
            "address": keystore_address(folder / WALLET_FILE),
            "network": settings.network.name,
            "seal": readiness(state),
            "campaigns": [
                {
                    "campaign": row.id,
                    "title": row.facts.get("title"),
                    "phase": row.phase,
                    "outcome": row.facts.get("outcome"),
                    "version": row.facts.get("version"),
                    "batches": row.facts.get("batches"),
                    "pending": len(state.pending(row.id)) if row.phase == "open" else 0,
                }
                for row in rows
            ],
        }
    finally:
        state.close()
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    typer.echo(f"{report['address']} on {report['network']}: {report['seal']}")
    for row in rows:
        facts = row.facts
        said = f"campaign {row.id}: {facts.get('outcome') or row.phase}"
        if "title" in facts:
            said += f", version {facts['version']}, {facts['batches']} batches ({facts['title']})"
        typer.echo(said)


@app.command()
def withdraw(
    folder: Folder,
    token: Annotated[str, typer.Option(help="ERC-20 token; ETH if not given.")] = ETH,
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
) -> None:
    """Be paid the fees this Capsule has earned, into its own wallet."""
    settings = check_folder(folder)
    keyring = open_keyring(folder, _unlock(passphrase_file, key_file, new=False))
    contract, _ = connect(settings, open_wallet(folder, keyring))
    with contract:
        assert contract.wallet is not None
        amount = contract.credit(token, contract.wallet.address)
        if not amount:
            typer.echo("nothing to withdraw")
            return
        contract.withdraw(token)
    typer.echo(f"withdrawn {format_wei(amount) if token == ETH else f'{amount} units'}")


@app.command("export-wallet")
def export_wallet(
    folder: Folder,
    target: Annotated[Path, typer.Argument(help="Keystore to write; must not exist.")],
    new_passphrase_file: Annotated[
        Path, typer.Option(help="File with the keystore's passphrase, mode 0600.")
    ],
    passphrase_file: PassphraseFile = None,
    key_file: KeyFile = None,
) -> None:
    """Write the wallet as an Ethereum keystore of a passphrase of your own, for other programs."""
    check_folder(folder)
    keyring = open_keyring(folder, _unlock(passphrase_file, key_file, new=False))
    open_wallet(folder, keyring).save(target, read_secret_file(new_passphrase_file))
    typer.echo(f"wrote {target}")


@app.command()
def serve(
    folder: Folder,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="End when standard input closes.")
    ] = False,
) -> None:
    """Serve the read-only HTTP interface alone; `start` does this by itself."""
    from openmined.capsule._api import build_api
    from openmined.capsule._serving import serve_api

    settings = check_folder(folder)
    serve_api(build_api(folder), settings.api.host, settings.api.port, with_parent=with_parent)


def _stop_signals() -> list[int]:
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, note)
    return received
