"""A campaign's CKKS keys: sealed whole in one file; the public part in plain files meanwhile.

The public keys of a network are tens of megabytes. They pass from file to file in pieces, and once
they are published a Capsule has no more use for them: it encrypts with the secret key.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from openmined.capsule._context import Context, keys_file
from openmined.capsule._errors import NotWritten
from openmined.capsule._files import write_private
from openmined.capsule._steps import Step
from openmined.syft import SecretKeys, choose_parameters, generate_keys

if TYPE_CHECKING:
    from openmined.capsule._bench import Bench


@contextmanager
def made_keys(ctx: Context, bench: Bench, epoch: int) -> Iterator[SecretKeys]:
    """Give the keys of an epoch, made and sealed if they are not yet; public ones in files.

    Raises:
        NotWritten: if they cannot be written: the disk is full, say.
        SealError: if the sealed file is damaged.
    """
    with _public_folder(ctx, bench.campaign) as folder:
        # Made before a crash and never published with an intent, or made for this very campaign.
        keys = _read_keys(ctx, bench.campaign, epoch, folder)
        if keys is None or keys.parameters != choose_parameters(bench.spec):
            ctx.reach(Step.MAKE_KEYS, bench.campaign, epoch=epoch)
            keys = _make_keys(ctx, bench, epoch, folder)
        yield keys


def open_keys(ctx: Context, campaign: int, epoch: int) -> SecretKeys | None:
    """Open the sealed keys of an epoch to encrypt and decrypt; None if there are none.

    Raises:
        SealError: if the sealed file is damaged.
    """
    with _public_folder(ctx, campaign) as folder:
        return _read_keys(ctx, campaign, epoch, folder)


def _make_keys(ctx: Context, bench: Bench, epoch: int, folder: Path) -> SecretKeys:
    try:
        keys = generate_keys(choose_parameters(bench.spec), bench.spec, folder)
    except OSError as error:
        raise _not_written(folder, error) from error
    with _memory_file() as plain:
        keys.write(plain)
        plain.seek(0)
        path = ctx.folder / keys_file(bench.campaign, epoch)
        write_private(path, lambda target: ctx.keyring.seal_file(plain, target))
    return keys


def _read_keys(ctx: Context, campaign: int, epoch: int, folder: Path) -> SecretKeys | None:
    path = ctx.folder / keys_file(campaign, epoch)
    if not path.is_file():
        return None
    with _memory_file() as plain:
        with path.open("rb") as sealed:
            ctx.keyring.open_file(sealed, plain, str(path))
        plain.seek(0)
        try:
            return SecretKeys.read(plain, folder)
        except OSError as error:
            raise _not_written(folder, error) from error


def _not_written(folder: Path, error: OSError) -> NotWritten:
    return NotWritten(f"{folder} cannot be written ({error.strerror}): make room")


@contextmanager
def _public_folder(ctx: Context, campaign: int) -> Iterator[Path]:
    folder = ctx.folder / "campaigns" / str(campaign) / "public"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise _not_written(folder, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _memory_file() -> Iterator[BinaryIO]:
    """A file that never touches a disk: secrets pass through it."""
    with os.fdopen(os.memfd_create("openmined", os.MFD_CLOEXEC), "w+b") as file:
        yield file
