"""The content-addressed store: CIDs, files as blocks, the client, and the node that ships."""

from openmined.storage._blocks import BlockStore, MemoryBlocks
from openmined.storage._cid import CID, cid_of_digest, digest_of_cid
from openmined.storage._cli import app
from openmined.storage._client import KuboStore, connect_store
from openmined.storage._errors import (
    BadCID,
    BadStoreURL,
    BlobTooLarge,
    BlockGone,
    BlockMismatch,
    BlockNotFound,
    FolderError,
    MalformedBlock,
    MalformedCAR,
    QuotaExceeded,
    SizeMismatch,
    SourceChanged,
    StorageError,
    StoreError,
    StoreRefused,
    StoreUnreachable,
)
from openmined.storage._folder import FolderBlocks
from openmined.storage._http import RetryPolicy
from openmined.storage._serve import StoreNode, open_node, serve_store
from openmined.storage._settings import NodeSettings
from openmined.storage._source import cid_of_bytes, cid_of_file
from openmined.storage._store import (
    FolderStore,
    MemoryStore,
    Store,
    get_manifest,
    get_ref,
    put_manifest,
    put_ref,
    save_ref,
)

__all__ = [
    "CID",
    "BadCID",
    "BadStoreURL",
    "BlobTooLarge",
    "BlockGone",
    "BlockMismatch",
    "BlockNotFound",
    "BlockStore",
    "FolderBlocks",
    "FolderError",
    "FolderStore",
    "KuboStore",
    "MalformedBlock",
    "MalformedCAR",
    "MemoryBlocks",
    "MemoryStore",
    "NodeSettings",
    "QuotaExceeded",
    "RetryPolicy",
    "SizeMismatch",
    "SourceChanged",
    "StorageError",
    "Store",
    "StoreError",
    "StoreNode",
    "StoreRefused",
    "StoreUnreachable",
    "app",
    "cid_of_bytes",
    "cid_of_digest",
    "cid_of_file",
    "connect_store",
    "digest_of_cid",
    "get_manifest",
    "get_ref",
    "open_node",
    "put_manifest",
    "put_ref",
    "save_ref",
    "serve_store",
]
