r"""The narrow door to Microsoft SEAL: contexts, and bytes in and out.

SEAL's Python binding saves and loads by file name only, so bytes pass through anonymous files in
memory (`memfd_create`): nothing touches a disk. Only SEAL's validating `load` is used. Every blob
of ours is SEAL's own serialization behind a frame of 25 bytes:

    8 bytes  "OMSYFT\x00\x01"
    1 byte   what it is (`Kind`)
    16 bytes the id of the keys it belongs to, drawn at random with them

so that a ciphertext of another campaign is told apart before it is used.
"""

from __future__ import annotations

import os
import shutil
import struct
from array import array
from contextlib import contextmanager
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

import tenseal.sealapi as seal

from openmined.protocol import CKKSParameters
from openmined.syft._errors import CiphertextError, KeyMismatch, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"OMSYFT\x00\x01"
KEY_ID_BYTES = 16
FRAME_BYTES = len(MAGIC) + 1 + KEY_ID_BYTES
_SEAL_HEADER_BYTES = 16
_SEAL_MAGIC = 0xA15E
_PIECE_BYTES = 1 << 20

# What SEAL and its binding raise; pybind11 maps std::logic_error to RuntimeError and so on.
SEAL_ERRORS = (ValueError, RuntimeError, IndexError, MemoryError, OverflowError, TypeError)


class Kind(IntEnum):
    """What a framed blob holds."""

    PUBLIC_KEY = 1
    GALOIS_KEYS = 2
    RELINEARIZATION_KEYS = 3
    MODEL = 5
    GRADIENT = 6


@lru_cache(maxsize=8)
def make_context(parameters: CKKSParameters) -> Any:
    """Return SEAL's context for `parameters`, checked against its 128-bit table.

    Raises:
        ParameterError: if the parameters are unsafe or SEAL refuses them.
    """
    degree = parameters.poly_modulus_degree
    bits = parameters.coeff_modulus_bits
    limit = seal.CoeffModulus.MaxBitCount(degree, seal.SEC_LEVEL_TYPE.TC128)
    if sum(bits) > limit:
        raise ParameterError(
            f"a modulus of {sum(bits)} bits at ring degree {degree} is below 128-bit security: "
            f"use at most {limit} bits, or a larger ring"
        )
    try:
        literal = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
        literal.set_poly_modulus_degree(degree)
        literal.set_coeff_modulus(seal.CoeffModulus.Create(degree, list(bits)))
        context = seal.SEALContext(literal, True, seal.SEC_LEVEL_TYPE.TC128)
    except SEAL_ERRORS as error:
        raise ParameterError(f"SEAL refuses primes of {bits} bits: {error}") from error
    if not context.parameters_set():
        raise ParameterError(f"SEAL refuses {parameters}: {context.parameters_error_message()}")
    return context


@lru_cache(maxsize=32)
def make_level_context(parameters: CKKSParameters, primes: int) -> Any:
    """Return the context of the first `primes` data primes and the special prime.

    SEAL identifies a level by its primes, so that ciphertexts pass freely between this context and
    the whole one; keys made here are shorter.
    """
    moduli = make_context(parameters).key_context_data().parms().coeff_modulus()
    literal = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
    literal.set_poly_modulus_degree(parameters.poly_modulus_degree)
    literal.set_coeff_modulus([*moduli[:primes], moduli[-1]])
    context = seal.SEALContext(literal, True, seal.SEC_LEVEL_TYPE.TC128)
    if not context.parameters_set():
        raise ParameterError(f"SEAL refuses {primes} primes of {parameters.coeff_modulus_bits}")
    return context


def slice_secret_key(secret_key: Any, parameters: CKKSParameters, primes: int) -> Any:
    """Return the same secret key for `make_level_context(parameters, primes)`.

    A secret key is one polynomial modulo each prime, in NTT form: the wanted residues are written
    out in SEAL's own format and read back through its validating `load`.
    """
    degree = parameters.poly_modulus_degree
    context = make_level_context(parameters, primes)
    residues = secret_key.data().dyn_array()
    last = len(parameters.coeff_modulus_bits) - 1
    chosen = [*range(primes), last]
    words = array("Q")
    for index in chosen:
        words.extend(residues.at(place) for place in range(index * degree, (index + 1) * degree))
    head = struct.pack("<4QQd", *context.key_parms_id(), len(words), 1.0)
    inner = _with_header(struct.pack("<Q", len(words)) + words.tobytes())
    sliced = seal.SecretKey()
    with _memory_file(_with_header(head + inner)) as (_, path):
        sliced.load(context, path)
    return sliced


def _with_header(body: bytes) -> bytes:
    # Uncompressed; the version is that of the SEAL at hand, read from what it writes.
    header = _own_header()
    size = _SEAL_HEADER_BYTES + len(body)
    return header[:5] + b"\x00\x00\x00" + size.to_bytes(8, "little") + body


@lru_cache(maxsize=1)
def _own_header() -> bytes:
    return save(seal.Plaintext())[:_SEAL_HEADER_BYTES]


def parms_id_at(parameters: CKKSParameters, primes: int) -> list[int]:
    """Return SEAL's id of the level at which so many primes are left."""
    data = make_context(parameters).first_context_data()
    while len(data.parms().coeff_modulus()) > primes:
        data = data.next_context_data()
    return list(data.parms_id())


@contextmanager
def _memory_file(data: bytes = b"") -> Iterator[tuple[int, str]]:
    descriptor = os.memfd_create("openmined", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        yield descriptor, f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def save(item: Any) -> bytes:
    """Return SEAL's own serialization of a key or ciphertext."""
    with _memory_file() as (descriptor, path):
        item.save(path)
        size = os.fstat(descriptor).st_size
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            return file.read(size)


def save_framed(item: Any, kind: Kind, key_id: bytes, path: Path) -> None:
    """Write a framed key to a file without holding its bytes."""
    with _memory_file() as (descriptor, source), path.open("wb") as file:
        item.save(source)
        file.write(frame(kind, key_id, b""))
        with os.fdopen(os.dup(descriptor), "rb") as saved:
            saved.seek(0)
            shutil.copyfileobj(saved, file, _PIECE_BYTES)


def load(item: Any, context: Any, data: bytes, what: str) -> Any:
    """Fill `item` from untrusted bytes by SEAL's validating `load`; return it.

    Raises:
        CiphertextError: if the bytes are cut, swollen, random, or of other parameters.
    """
    _check_header(data[:_SEAL_HEADER_BYTES], len(data), what)
    with _memory_file(data) as (_, path):
        return _load_from(path, len(data), item, context, what)


def load_framed(item: Any, context: Any, kind: Kind, key_id: bytes, path: Path, what: str) -> Any:
    """Fill `item` from an untrusted file as `save_framed` writes it; return it.

    Raises:
        CiphertextError: as `load` does, or if the file is missing or its frame is.
        KeyMismatch: if it belongs to other keys.
    """
    with open_framed(path, what) as file, _memory_file() as (descriptor, copy):
        found, head = unframe(file.read(FRAME_BYTES + _SEAL_HEADER_BYTES), kind, what)
        check_key_id(found, key_id, what)
        size = os.fstat(file.fileno()).st_size - FRAME_BYTES
        _check_header(head, size, what)
        file.seek(FRAME_BYTES)
        with os.fdopen(os.dup(descriptor), "wb") as target:
            shutil.copyfileobj(file, target, _PIECE_BYTES)
        return _load_from(copy, size, item, context, what)


def open_framed(path: Path, what: str) -> BinaryIO:
    """Open a file of a framed blob.

    Raises:
        CiphertextError: if it cannot be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise CiphertextError(f"{what} cannot be read from {path}: {error.strerror}") from error


def _load_from(path: str, size: int, item: Any, context: Any, what: str) -> Any:
    try:
        item.load(context, path)
        valid = seal.is_valid_for(item, context)
    except SEAL_ERRORS as error:
        raise CiphertextError(
            f"{size} bytes are no {what} of these CKKS parameters ({error}): "
            "fetch them again, and check which campaign they belong to"
        ) from error
    if not valid:
        raise CiphertextError(f"{what} is not valid for these CKKS parameters: fetch it again")
    return item


def check_encrypted(item: Any, what: str) -> None:
    """Refuse a ciphertext whose second polynomial is zero: SEAL's own check lets it pass.

    Raises:
        CiphertextError: if it is a plaintext in disguise.
    """
    if item.is_transparent():
        raise CiphertextError(f"{what}: a transparent ciphertext, nothing in it is encrypted")


def _check_header(header: bytes, found: int, what: str) -> None:
    # SEALHeader: magic u16, header size u8, version 2 x u8, compression u8, reserved u16, size u64.
    magic = int.from_bytes(header[:2], "little")
    size = int.from_bytes(header[8:16], "little")
    if len(header) < _SEAL_HEADER_BYTES or magic != _SEAL_MAGIC or size != found:
        raise CiphertextError(
            f"{found} bytes are no {what} in SEAL's format: they were cut, padded or replaced; "
            "fetch them again"
        )


def frame(kind: Kind, key_id: bytes, payload: bytes) -> bytes:
    """Put the frame before SEAL's bytes."""
    assert len(key_id) == KEY_ID_BYTES
    return MAGIC + bytes([kind]) + key_id + payload


def unframe(data: bytes, kind: Kind, what: str) -> tuple[bytes, bytes]:
    """Split untrusted bytes into key id and SEAL's bytes.

    Raises:
        CiphertextError: if the frame is missing or of another kind.
    """
    if not isinstance(data, bytes):
        raise CiphertextError(f"{what} is bytes, not {type(data).__name__}")
    if len(data) < FRAME_BYTES or data[: len(MAGIC)] != MAGIC:
        raise CiphertextError(f"{len(data)} bytes are no {what}: the frame is missing or damaged")
    if data[len(MAGIC)] != kind:
        raise CiphertextError(f"{what} expected, found a blob of kind {data[len(MAGIC)]}")
    return data[len(MAGIC) + 1 : FRAME_BYTES], data[FRAME_BYTES:]


def check_key_id(found: bytes, wanted: bytes, what: str) -> None:
    """Compare key ids.

    Raises:
        KeyMismatch: if they differ.
    """
    if found != wanted:
        raise KeyMismatch(
            f"{what} belongs to keys {found.hex()}, not to {wanted.hex()}: "
            "it is of another campaign or key epoch"
        )
