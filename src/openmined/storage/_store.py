"""The store as the other packages see it: manifests by digest, blobs by CID."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from openmined.protocol import (
    MAX_MANIFEST_BYTES,
    BlobRef,
    Manifest,
    decode_manifest,
    encode_manifest,
)
from openmined.storage._blocks import BlockStore, MemoryBlocks
from openmined.storage._cid import CID, RAW
from openmined.storage._dagpb import Block, Link
from openmined.storage._errors import BlobTooLarge, SizeMismatch
from openmined.storage._folder import FolderBlocks
from openmined.storage._source import Source, file_blocks
from openmined.storage._unixfs import read_file

MAX_REF_BYTES = 1 << 30
"""What `get_ref` reads into memory unless told otherwise."""

M = TypeVar("M", bound=Manifest)


class Store(Protocol):
    """A content-addressed store. Whatever it returns hashes to the address it was asked for.

    Safe to use from several threads.
    """

    def put_manifest_bytes(self, data: bytes) -> bytes:
        """Keep a manifest (at most 1 MiB); return its sha2-256 digest, 32 bytes."""
        ...

    def get_manifest_bytes(self, digest: bytes) -> bytes:
        """Return the manifest with that digest, verified, at most 1 MiB."""
        ...

    def put_blob(self, data: bytes | BinaryIO | Path) -> tuple[str, int]:
        """Keep a file of any size; return its CID and its size in bytes."""
        ...

    def get_blob(self, cid: str, max_bytes: int) -> bytes:
        """Return a file of at most `max_bytes`, verified block by block."""
        ...

    def stream_blob(self, cid: str, max_bytes: int) -> Iterator[bytes]:
        """Yield a file in pieces of at most 2 MiB, each verified, in order."""
        ...


class BlockBackedStore:
    """A store over blocks within reach of this process."""

    def __init__(self, blocks: BlockStore) -> None:
        self.blocks = blocks

    def put_manifest_bytes(self, data: bytes) -> bytes:
        """Keep a manifest (at most 1 MiB); return its sha2-256 digest, 32 bytes."""
        block = manifest_block(data)
        self.blocks.put([block])
        return block.cid.digest

    def get_manifest_bytes(self, digest: bytes) -> bytes:
        """Return the manifest with that digest, verified."""
        cid = CID(RAW, digest)
        check_manifest_size(cid, self.blocks.size(cid))
        return self.blocks.get(cid)

    def put_blob(self, data: Source) -> tuple[str, int]:
        """Keep a file of any size; return its CID and its size in bytes."""
        root: list[Link] = []

        def blocks() -> Iterator[Block]:
            for item in file_blocks(data):
                if isinstance(item, Block):
                    yield item
                else:
                    root.append(item)

        self.blocks.put(blocks())
        return str(root[0].cid), root[0].file_bytes

    def get_blob(self, cid: str, max_bytes: int) -> bytes:
        """Return a file of at most `max_bytes`, verified block by block."""
        return b"".join(self.stream_blob(cid, max_bytes))

    def stream_blob(self, cid: str, max_bytes: int) -> Iterator[bytes]:
        """Yield a file in pieces of at most 2 MiB, each verified, in order."""
        return read_file(CID.parse(cid), self.blocks.get, max_bytes)


class MemoryStore(BlockBackedStore):
    """A whole store in memory, for tests and trials: the same checks, nothing kept."""

    def __init__(self, quota_bytes: int | None = None) -> None:
        super().__init__(MemoryBlocks(quota_bytes))


class FolderStore(BlockBackedStore):
    """A store in a folder of this machine. See `FolderBlocks` for what is promised."""

    def __init__(self, folder: Path, quota_bytes: int | None = None) -> None:
        super().__init__(FolderBlocks(folder, quota_bytes))


def manifest_block(data: bytes) -> Block:
    """Return a manifest's one block.

    Raises:
        BlobTooLarge: above 1 MiB.
    """
    cid = CID.of(data)
    check_manifest_size(cid, len(data))
    return Block(cid, data)


def check_manifest_size(cid: CID, size: int) -> None:
    """Raise BlobTooLarge if that is too much for a manifest."""
    if size > MAX_MANIFEST_BYTES:
        raise BlobTooLarge(
            f"{cid} has {size} bytes, a manifest at most {MAX_MANIFEST_BYTES}: "
            "move its large parts into blobs"
        )


def put_manifest(store: Store, manifest: Manifest) -> bytes:
    """Encode and keep a manifest; return the digest (32 bytes) that goes on chain."""
    return store.put_manifest_bytes(encode_manifest(manifest))


def get_manifest(store: Store, digest: bytes, expected: type[M]) -> M:
    """Fetch, verify and decode a manifest of a known kind.

    Raises:
        StorageError: if it cannot be had, or is not what the digest says.
        ManifestError: if it is no such manifest (UnknownFormat: of another kind).
    """
    return decode_manifest(store.get_manifest_bytes(digest), expected)


def put_ref(store: Store, data: bytes | BinaryIO | Path, purpose: str) -> BlobRef:
    """Keep a blob; return the reference that a manifest lists it by."""
    cid, size = store.put_blob(data)
    return BlobRef(cid=cid, size=size, purpose=purpose)


def get_ref(store: Store, ref: BlobRef, max_bytes: int = MAX_REF_BYTES) -> bytes:
    """Fetch a blob that a manifest lists.

    Raises:
        BlobTooLarge: if the manifest already says that it is above `max_bytes`.
        SizeMismatch: if it is not of the size the manifest says.
    """
    _check_ref(ref, max_bytes)
    data = store.get_blob(ref.cid, ref.size)
    _check_found(ref, len(data))
    return data


def save_ref(store: Store, ref: BlobRef, path: Path, max_bytes: int = MAX_REF_BYTES) -> None:
    """Fetch a blob that a manifest lists into a file, a verified piece at a time; see `get_ref`."""
    _check_ref(ref, max_bytes)
    with path.open("wb") as file:
        for piece in store.stream_blob(ref.cid, ref.size):
            file.write(piece)
        _check_found(ref, file.tell())


def _check_ref(ref: BlobRef, max_bytes: int) -> None:
    if ref.size > max_bytes:
        raise BlobTooLarge(
            f"the manifest's {ref.purpose} {ref.cid} has {ref.size} bytes, at most {max_bytes} "
            "were allowed for it"
        )


def _check_found(ref: BlobRef, size: int) -> None:
    if size != ref.size:
        raise SizeMismatch(
            f"the manifest says that {ref.purpose} {ref.cid} has {ref.size} bytes, "
            f"it has {size}: the manifest is wrong, refuse it"
        )
