"""Keyed hashes of rows, whole batches at a time.

A row becomes 32-bit words w_1 .. w_n; each of four lanes computes

    h = (k_0 + k_1 w_1 + ... + k_n w_n mod 2^64) div 2^32

with secret 64-bit k_i. That is multilinear hashing, strongly universal: two different rows collide
with probability 2^-128 over the choice of keys (D. Lemire and O. Kaser, "Strongly universal string
hashing is fast", 2012, theorem 3.1). One AES encryption of the 128 bits hides the linear structure:
almost universal hash, then a pseudorandom permutation, is a pseudorandom function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Hashes = npt.NDArray[np.bytes_]
HASH = np.dtype("S16")
_LANES = 4
_Words = npt.NDArray[np.uint32]


def row_hashes(batch: Any, key: bytes, fields: Sequence[str] = ()) -> Hashes:
    """Return a 16-byte keyed hash of each row of a record batch, shape (rows,).

    Equal rows have equal hashes, under one key, whatever batch or file they come from.

    Args:
        batch: a `pyarrow.RecordBatch`.
        key: 16 to 64 secret bytes; who lacks them cannot test guesses about a row.
        fields: the columns that make up a row's identity; all of them when empty.
    """
    if not 16 <= len(key) <= 64:
        raise ValueError(f"a key of {len(key)} bytes; 16 to 64 are needed")
    names = list(fields) or batch.schema.names
    seed = hashlib.blake2b("\0".join(names).encode(), key=key, digest_size=64).digest()
    words = [part for name in names for part in _words(batch.column(name), seed)]
    count = sum(part.shape[1] for part in words)
    keys = np.frombuffer(hashlib.shake_256(seed).digest(8 * _LANES * (count + 1)), np.uint64)
    keys = keys.reshape(count + 1, _LANES)
    lanes = np.tile(keys[0], (batch.num_rows, 1))
    at = 1
    for part in words:
        for column in range(part.shape[1]):
            lanes += part[:, column, None].astype(np.uint64) * keys[at]
            at += 1
    blocks = (lanes >> np.uint64(32)).astype("<u4").tobytes()
    # ECB is what a permutation of single blocks is: equal rows are meant to look equal.
    cipher = Cipher(algorithms.AES(seed[:32]), modes.ECB())  # noqa: S305
    return np.frombuffer(cipher.encryptor().update(blocks), HASH)


def _words(column: Any, seed: bytes) -> list[_Words]:
    """Return a column as words, shape (rows, words): first whether there is a value, then it."""
    valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), "<u4")[:, None]
    if pa.types.is_string(column.type):
        return [valid, _text_words(column, seed)]
    if pa.types.is_fixed_size_list(column.type):
        return [valid, _array_words(column)]
    numbers = np.ascontiguousarray(_numbers(column).to_numpy(zero_copy_only=False))
    if numbers.dtype.kind == "f":
        numbers = numbers + 0.0  # -0.0 and 0.0 are the same number
    return [valid, numbers.view("<u4").reshape(len(column), -1)]


def _text_words(column: Any, seed: bytes) -> _Words:
    """Replace each distinct text by 128 bits of its keyed BLAKE2b."""
    encoded = column.dictionary_encode()
    texts = encoded.dictionary.cast(pa.binary()).to_pylist()
    digests = b"".join(hashlib.blake2b(t, key=seed, digest_size=16).digest() for t in texts)
    table = np.frombuffer(digests + bytes(16), "<u4").reshape(-1, 4)
    rows: _Words = table[pc.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False)]
    return rows


def _array_words(column: Any) -> _Words:
    table = np.zeros((len(column), column.type.list_size), "<f8")
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    # flatten() leaves the missing arrays out
    table[valid] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, table.shape[1])
    return (table + 0.0).view("<u4")


def _numbers(column: Any) -> Any:
    kind = column.type
    if pa.types.is_boolean(kind):
        return pc.fill_null(column.cast(pa.int32()), 0)
    if pa.types.is_date(kind):
        return pc.fill_null(column.cast(pa.int32()), 0)
    if pa.types.is_timestamp(kind):
        return pc.fill_null(column.cast(pa.int64()), 0)
    return pc.fill_null(column, pa.scalar(0, kind))
