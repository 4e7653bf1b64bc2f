"""What every store promises, run on the fake, on the folder, and on two nodes over HTTP."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openmined.protocol import (
    MAX_MANIFEST_BYTES,
    BlobRef,
    GradientManifest,
    KeysManifest,
    UnknownFormat,
)
from openmined.storage import (
    BadCID,
    BlobTooLarge,
    BlockNotFound,
    SizeMismatch,
    Store,
    cid_of_bytes,
    cid_of_digest,
    get_manifest,
    get_ref,
    put_manifest,
    put_ref,
    save_ref,
)

MIB = 1 << 20
SIZES = [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 5 * MIB + 7]


def content(size: int) -> bytes:
    return hashlib.shake_256(f"contract {size}".encode()).digest(size)


def test_manifest_comes_back_under_its_digest(store: Store) -> None:
    data = b'{"format":"openmined/test@1"}'
    digest = store.put_manifest_bytes(data)
    assert digest == hashlib.sha256(data).digest()
    assert store.get_manifest_bytes(digest) == data


def test_largest_manifest_fits_and_one_byte_more_does_not(store: Store) -> None:
    largest = content(MAX_MANIFEST_BYTES)
    assert store.get_manifest_bytes(store.put_manifest_bytes(largest)) == largest
    with pytest.raises(BlobTooLarge, match="a manifest at most 1048576"):
        store.put_manifest_bytes(largest + b"!")


def test_absent_manifest_is_named(store: Store) -> None:
    digest = hashlib.sha256(b"nobody put this").digest()
    with pytest.raises(BlockNotFound, match=cid_of_digest(digest)):
        store.get_manifest_bytes(digest)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_digest_of_another_length_is_refused(store: Store, length: int) -> None:
    with pytest.raises(BadCID, match="32 bytes"):
        store.get_manifest_bytes(bytes(length))


@pytest.mark.parametrize("size", SIZES)
def test_blob_comes_back_whole_under_the_cid_of_its_bytes(store: Store, size: int) -> None:
    data = content(size)
    assert store.put_blob(data) == (cid_of_bytes(data), size)
    assert store.get_blob(cid_of_bytes(data), size) == data


def test_blob_may_come_from_a_path_a_file_or_a_pipe(store: Store, tmp_path: Path) -> None:
    data = content(2 * MIB + 3)
    path = tmp_path / "blob"
    path.write_bytes(data)
    expected = (cid_of_bytes(data), len(data))
    assert store.put_blob(path) == expected
    assert store.put_blob(io.BytesIO(data)) == expected
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb") as end:
        writer = threading.Thread(target=lambda: (end.write(data), end.close()))
        writer.start()
        assert store.put_blob(pipe) == expected
        writer.join()
    assert store.get_blob(expected[0], len(data)) == data


def test_a_file_is_added_from_where_it_stands(store: Store) -> None:
    file = io.BytesIO(b"skipped" + content(MIB + 9))
    file.seek(7)
    cid, size = store.put_blob(file)
    assert (cid, size) == (cid_of_bytes(content(MIB + 9)), MIB + 9)
    assert file.tell() == 7


def test_repeated_chunks_come_back_as_often_as_they_went_in(store: Store) -> None:
    odd = content(MIB)
    data = bytes(3 * MIB) + odd + bytes(MIB) + odd + bytes(5)
    cid, size = store.put_blob(data)
    assert store.get_blob(cid, size) == data


def test_blob_is_streamed_in_small_verified_pieces(store: Store) -> None:
    data = content(5 * MIB + 7)
    cid, size = store.put_blob(data)
    pieces = list(store.stream_blob(cid, size))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 2 * MIB


@pytest.mark.parametrize("size", [2, MIB, 3 * MIB])
def test_blob_above_the_limit_is_refused(store: Store, size: int) -> None:
    cid, _ = store.put_blob(content(size))
    with pytest.raises(BlobTooLarge, match=f"{cid}.*at most {size - 1}"):
        store.get_blob(cid, size - 1)


@pytest.mark.parametrize("size", [2, 3 * MIB])
def test_absent_blob_is_named(store: Store, size: int) -> None:
    cid = cid_of_bytes(hashlib.shake_256(b"absent").digest(size))
    with pytest.raises(BlockNotFound, match=cid):
        store.get_blob(cid, size)


@pytest.mark.parametrize(
    "text", ["", "../../etc/passwd", "bafy", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"]
)
def test_text_that_is_no_cid_is_refused(store: Store, text: str) -> None:
    with pytest.raises(BadCID):
        store.get_blob(text, 1)


def test_putting_twice_is_putting_once(store: Store) -> None:
    data = content(2 * MIB + 1)
    assert store.put_blob(data) == store.put_blob(data)
    assert store.get_blob(cid_of_bytes(data), len(data)) == data


def test_many_threads_write_and_read_at_once(store: Store) -> None:
    blobs = [content(MIB + n) for n in range(4)]

    def round_trip(turn: int) -> bool:
        data = blobs[turn % len(blobs)]
        cid, size = store.put_blob(data)
        return store.get_blob(cid, size) == data

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(round_trip, range(16)))


def test_references_check_the_size_they_state(store: Store) -> None:
    ref = put_ref(store, content(1000), "model")
    assert ref == BlobRef(cid=cid_of_bytes(content(1000)), size=1000, purpose="model")
    assert get_ref(store, ref) == content(1000)
    with pytest.raises(SizeMismatch, match="1001 bytes, it has 1000"):
        get_ref(store, ref.model_copy(update={"size": 1001}))
    with pytest.raises(BlobTooLarge, match=f"{ref.cid}"):
        get_ref(store, ref.model_copy(update={"size": 999}))
    with pytest.raises(BlobTooLarge, match="at most 10 were allowed"):
        get_ref(store, ref, max_bytes=10)


def test_references_are_saved_to_files_under_the_same_checks(store: Store, tmp_path: Path) -> None:
    ref, path = put_ref(store, content(5 * MIB + 7), "galois-keys"), tmp_path / "keys"
    save_ref(store, ref, path)
    assert path.read_bytes() == content(5 * MIB + 7)
    with pytest.raises(SizeMismatch, match=f"{ref.size + 1} bytes, it has {ref.size}"):
        save_ref(store, ref.model_copy(update={"size": ref.size + 1}), path)
    with pytest.raises(BlobTooLarge, match="at most 10 were allowed"):
        save_ref(store, ref, path, max_bytes=10)


def test_manifests_are_typed(store: Store) -> None:
    manifest = GradientManifest.model_validate(
        {"envelope": {"cid": cid_of_bytes(b"sealed"), "size": 6, "purpose": "envelope"}}
    )
    digest = put_manifest(store, manifest)
    assert get_manifest(store, digest, GradientManifest) == manifest
    with pytest.raises(UnknownFormat, match="openmined/keys@1"):
        get_manifest(store, digest, KeysManifest)
