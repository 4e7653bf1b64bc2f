"""The errors of storage.

OpenMinedError
└── StorageError
    ├── BadCID                 no CID, or one of a kind this software does not read
    ├── BlockNotFound          nobody has it here
    │   └── BlockGone          the store's owner removed it
    ├── BlockMismatch          bytes that do not hash to their CID
    ├── MalformedBlock         bytes that hash well but are no file of ours
    │   └── MalformedCAR       an archive of blocks that cannot be read
    ├── BlobTooLarge           above the limit the caller set
    ├── SizeMismatch           a blob of another size than its manifest says
    ├── SourceChanged          a file that changed while it was being added
    ├── QuotaExceeded          the store is full
    ├── FolderError            a store folder that cannot be used
    └── StoreError             a store at a URL
        ├── BadStoreURL        not a URL we would call
        ├── StoreUnreachable   no answer, or none in time
        └── StoreRefused       an answer that says no

Each text names the CID or the address, and what to do.
"""

from __future__ import annotations

from openmined.protocol import OpenMinedError


class StorageError(OpenMinedError):
    """Something failed between bytes and their content address."""


class BadCID(StorageError, ValueError):
    """Text or bytes that are no CID, or a CID of a kind that is not used here."""


class BlockNotFound(StorageError):
    """The store does not hold a block."""


class BlockGone(BlockNotFound):
    """The store's owner removed the block, and says so."""


class BlockMismatch(StorageError):
    """Bytes do not hash to the CID they were served, sent or stored under."""


class MalformedBlock(StorageError):
    """A block is authentic, but no well-formed part of a file."""


class MalformedCAR(MalformedBlock):
    """A content archive (CAR) breaks its format or its limits."""


class BlobTooLarge(StorageError):
    """A blob or block is above the size that was allowed for it."""


class SizeMismatch(StorageError):
    """A blob is not of the size that its manifest states."""


class SourceChanged(StorageError):
    """A file changed while it was being added."""


class QuotaExceeded(StorageError):
    """The store has no room left for the blocks."""


class FolderError(StorageError):
    """A folder cannot serve as a store."""


class StoreError(StorageError):
    """A store at a URL did not do what it was asked."""


class BadStoreURL(StoreError, ValueError):
    """A text is no URL of a store."""


class StoreUnreachable(StoreError):
    """A store does not answer, or not in time."""


class StoreRefused(StoreError):
    """A store answered with a refusal that trying again will not change."""
