"""A campaign's public keys, fetched into files: those of a network are tens of megabytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openmined.mine._errors import BadDownload
from openmined.mine._folder import raise_if_full
from openmined.protocol import KeysManifest

if TYPE_CHECKING:
    from openmined.storage import Store


@dataclass(frozen=True, slots=True)
class DownloadedKeys:
    """A keys manifest and its blobs on disk."""

    digest: str
    manifest: KeysManifest
    files: Mapping[str, Path]

    def serve(self, digest: str) -> bool:
        """Tell whether these are the keys of that digest, and still there."""
        return self.digest == digest and all(path.is_file() for path in self.files.values())


def download_keys(
    store: Store, manifest: KeysManifest, digest: str, folder: Path, most_bytes: int
) -> DownloadedKeys:
    """Fetch the keys of one campaign into a folder, in place of those of another.

    Raises:
        BadDownload: if a blob is not what the manifest says.
        DiskFull: if there is no room.
        StorageError: if the store cannot be read: try again.
    """
    from openmined.storage import save_ref

    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700, parents=True)
        files = {ref.purpose: folder / ref.purpose for ref in manifest.blobs}
        for ref in manifest.blobs:
            files[ref.purpose].touch(mode=0o600)
            with refused_downloads(ref.purpose):
                save_ref(store, ref, files[ref.purpose], most_bytes)
    except OSError as error:
        raise_if_full(error, folder.parent)
        raise
    return DownloadedKeys(digest, manifest, files)


@contextmanager
def refused_downloads(what: str) -> Iterator[None]:
    """Say of a blob that is not what a manifest says that the campaign is at fault.

    Raises:
        BadDownload: in place of the store's error.
    """
    from openmined.storage import BlobTooLarge, MalformedBlock, SizeMismatch

    try:
        yield
    except (SizeMismatch, BlobTooLarge, MalformedBlock) as error:
        raise BadDownload(f"its {what}: {error}") from error
