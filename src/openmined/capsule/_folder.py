"""A Capsule's folder: making it, opening it, and putting the parts together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from openmined.capsule._context import Context
from openmined.capsule._errors import PgpError, SealError, SettingsError
from openmined.capsule._files import check_private, only_one, write_private
from openmined.capsule._keyring import Keyring, Unlock, open_keyring, save_keyring
from openmined.capsule._log import Log
from openmined.capsule._pgp import Identity
from openmined.capsule._rotation import request_rotation
from openmined.capsule._settings import SETTINGS_FILE, CapsuleSettings, load_settings, save_settings
from openmined.capsule._state import State
from openmined.capsule._steps import Step
from openmined.sonar import SonarContract, Wallet, connect_sonar
from openmined.storage import Store, connect_store
from openmined.syft import Executor, RayExecutor, open_executor

WALLET_FILE = "wallet.json"
IDENTITY_FILE = "identity.pgp.age"
REVOCATION_FILE = "revocation.pgp.age"
CERTIFICATE_FILE = "certificate.asc"


def create_folder(folder: Path, values: dict[str, Any], unlock: Unlock) -> tuple[str, str]:
    """Make a Capsule: settings, keyring, OpenPGP identity, wallet and an empty state file.

    Args:
        folder: where; made with mode 0700, must be empty or absent.
        values: what capsule.toml says beyond the defaults.
        unlock: how it will be unsealed.

    Returns:
        The Capsule's address on chain, and the fingerprint of its certificate.

    Raises:
        SettingsError: if the folder is in use, or a setting is not valid.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SettingsError(f"{folder} is not empty: choose another folder for a new Capsule")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    settings = save_settings(folder, values)
    keyring = Keyring.generate()
    save_keyring(folder, keyring, unlock)
    identity = Identity.generate(settings.user_id)
    save_identity(folder, keyring, identity)
    # The keystore's passphrase is random and sealed, so the cheap derivation protects it as well.
    wallet = Wallet.create(folder / WALLET_FILE, keyring.wallet_passphrase, cost="light")
    State.create(folder).close()
    return wallet.address, identity.fingerprint


def save_identity(folder: Path, keyring: Keyring, identity: Identity) -> None:
    """Seal the OpenPGP identity and its revocation; write the public certificate beside them."""
    write_private(folder / IDENTITY_FILE, keyring.seal(identity.to_bytes()))
    write_private(folder / REVOCATION_FILE, keyring.seal(identity.revocation()))
    certificates = [identity.armored, *identity.revoked_certificates()]
    write_private(folder / CERTIFICATE_FILE, "\n".join(certificates).encode())


def read_identity(folder: Path, keyring: Keyring) -> Identity:
    """Unseal the OpenPGP identity.

    Raises:
        SealError: if it is missing or damaged.
    """
    path = folder / IDENTITY_FILE
    try:
        sealed = path.read_bytes()
    except OSError as error:
        raise SealError(f"{path} is missing: restore it from a backup") from error
    try:
        return Identity.from_bytes(keyring.open(sealed, str(path)))
    except PgpError as error:
        raise SealError(str(error)) from error


def open_wallet(folder: Path, keyring: Keyring) -> Wallet:
    """Open the Ethereum keystore."""
    return Wallet.from_keystore(folder / WALLET_FILE, keyring.wallet_passphrase)


def check_folder(folder: Path) -> CapsuleSettings:
    """Read the settings and see that nobody else can read the folder.

    Raises:
        SettingsError: if there is no Capsule, or it is open to others.
    """
    settings = load_settings(folder)
    for name in ("", SETTINGS_FILE, WALLET_FILE):
        check_private(folder / name)
    return settings


def connect(settings: CapsuleSettings, wallet: Wallet | None) -> tuple[SonarContract, Store]:
    """Reach chain and store.

    Raises:
        SonarError, StorageError: if one is not there, or not what the settings say.
    """
    network = settings.network
    contract = connect_sonar(
        network.rpc_url,
        network.sonar,
        wallet,
        chain_id=network.chain_id,
        max_fee_wei=int(settings.loop.max_fee_gwei * 1e9) * 5_000_000,
    )
    return contract, connect_store(network.store_url, network.gateway_url)


@contextlib.contextmanager
def unsealed(
    folder: Path, unlock: Unlock, log: Log, on_step: Callable[[Step], None] | None = None
) -> Iterator[Context]:
    """Unseal a folder and connect: everything a Capsule needs to work, until the block ends.

    Raises:
        WrongPassphrase, SealError, StateError, SettingsError: if the folder cannot be used.
        FolderBusy: if another Capsule works in it.
        SonarError, StorageError: if chain or store are not there.
        LimitError: if the settings name a Ray cluster that is not there.
    """
    settings = check_folder(folder)
    with only_one(folder):
        keyring = open_keyring(folder, unlock)
        identity = read_identity(folder, keyring)
        state = State.open(folder)
        with contextlib.closing(state), scoring_executor(settings) as executor:
            contract, store = connect(settings, open_wallet(folder, keyring))
            with contextlib.closing(contract):
                context = Context(folder, settings, keyring, identity, state, store, contract, log)
                context.executor = executor
                if on_step is not None:
                    context.on_step = on_step
                yield context


@contextlib.contextmanager
def scoring_executor(settings: CapsuleSettings) -> Iterator[Executor | None]:
    """Return what the settings name to compute the shares of large batches on.

    Raises:
        LimitError: if Ray is not installed, or its cluster does not answer.
    """
    limits = settings.limits
    processes = limits.processes or os.cpu_count() or 1
    own = f"processes:{processes}" if processes > 1 else "here"
    executor = open_executor(limits.executor or own)
    try:
        yield executor
    finally:
        if isinstance(executor, RayExecutor):
            executor.close()


def mark_sealed(folder: Path) -> None:
    """Let the HTTP interface say that the Capsule is sealed."""
    state = State.open(folder)
    try:
        state.set_meta("seal", "closed")
    finally:
        state.close()


def ask_for_rotation(folder: Path, campaign: int) -> int:
    """Ask the Capsule that works in a folder for new keys of a campaign; return the epoch to leave.

    Raises:
        SettingsError: if the campaign is not open.
    """
    check_folder(folder)
    state = State.open(folder)
    try:
        row = state.campaign(campaign)
        if row is None or row.phase != "open":
            raise SettingsError(f"campaign {campaign} is not open at this Capsule")
        epoch = int(row.facts["epoch"])
        request_rotation(state, campaign, epoch)
        return epoch
    finally:
        state.close()


def rotate_identity(folder: Path, unlock: Unlock) -> str:
    """Replace the OpenPGP key; return the new fingerprint.

    The old key still opens what is sealed to it. Its certificate is published with a revocation,
    and every open campaign gets new keys, whose manifest carries the new certificate.

    Raises:
        FolderBusy: if a Capsule works in the folder.
    """
    settings = check_folder(folder)
    with only_one(folder):
        keyring = open_keyring(folder, unlock)
        identity = read_identity(folder, keyring).rotated(settings.user_id)
        save_identity(folder, keyring, identity)
        state = State.open(folder)
        try:
            for row in state.campaigns():
                if row.phase == "open":
                    request_rotation(state, row.id, int(row.facts["epoch"]))
        finally:
            state.close()
    return identity.fingerprint


def change_unlock(folder: Path, old: Unlock, new: Unlock) -> None:
    """Seal the keyring under another passphrase or key file; everything else stays as it is."""
    check_folder(folder)
    save_keyring(folder, open_keyring(folder, old), new)
