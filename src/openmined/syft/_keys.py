"""Keys of one campaign: made once by the key holder, the public part downloaded by every mine.

Galois keys are made for two rotations only, one row and one giant step: baby steps are chained
and giant steps summed by Horner's rule, which keeps the largest download small. Everything random
in a public key is sent as its seed (SEAL's `Serializable`), half the bytes.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import tenseal.sealapi as seal
from pydantic import TypeAdapter, ValidationError

from openmined.protocol import CKKSParameters, InterleavedPacking, MLPPacking, Packing
from openmined.syft._errors import CiphertextError, DataError, ParameterError
from openmined.syft._parameters import choose_packing, required_norm
from openmined.syft._scales import norm_bound
from openmined.syft._seal import (
    FRAME_BYTES,
    KEY_ID_BYTES,
    Kind,
    check_key_id,
    frame,
    load,
    load_framed,
    make_context,
    make_level_context,
    open_framed,
    save,
    save_framed,
    unframe,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openmined.syft._specs import LearningSpec, LinearSpec

_SECRET_MAGIC = b"OMSYFTSK"
_PIECE_BYTES = 1 << 20
_SAFE_PURPOSE = re.compile(r"[a-z0-9-]{1,40}")
_PACKING: TypeAdapter[InterleavedPacking | MLPPacking] = TypeAdapter(Packing)

PUBLIC_KEY = "public-key"
GALOIS_KEYS = "galois-keys"
RELINEARIZATION_KEYS = "relinearization-keys"


def galois_element(degree: int, step: int) -> int:
    """Return 3^step mod 2N: SEAL's binding wants Galois elements, not rotation steps."""
    return pow(3, step, 2 * degree)


def rotation_steps(packing: InterleavedPacking) -> tuple[int, ...]:
    """Return the slot rotations a product needs: one row, and one giant step."""
    row = packing.columns_per_ciphertext
    steps = set()
    if packing.giant_step > 1:
        steps.add(row)
    if packing.giant_step < packing.dimension:
        steps.add(row * packing.giant_step)
    return tuple(sorted(steps))


@dataclass(frozen=True, eq=False)
class PublicKeys:
    """What a mine downloads; SEAL objects are loaded and checked on first use.

    Attributes:
        parameters: the CKKS parameters.
        key_id: 16 random bytes that tell these keys from others.
        blobs: framed SEAL bytes by purpose, or files that hold them.
    """

    parameters: CKKSParameters
    key_id: bytes
    blobs: Mapping[str, bytes | Path] = field(repr=False)
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False)

    def to_blobs(self) -> dict[str, bytes]:
        """Return the framed bytes by purpose, as they go to the store."""
        return {purpose: _bytes_of(blob) for purpose, blob in self.blobs.items()}

    def write_blobs(self, folder: Path) -> dict[str, Path]:
        """Write the framed bytes into a folder, a file per purpose; return the files.

        Raises:
            DataError: if there is no such folder.
        """
        _check_folder(folder)
        paths = {purpose: folder / purpose for purpose in self.blobs}
        for purpose, blob in self.blobs.items():
            with paths[purpose].open("wb") as file:
                _copy_blob(blob, file)
        return paths

    @staticmethod
    def least_flood_bits(*, network: bool) -> int:
        """Return the least noise that hides a mine's rows, in bits over the error it hides.

        Thirty bits of statistical security: tau = 2^30 times the error by total variation for the
        linear family, sigma = 2^(30/2) times for networks (DESIGN 6.5). Keys that ask for less are
        those of a key holder who would read rows out of a gradient.
        """
        return 15 if network else 30

    @classmethod
    def from_blobs(
        cls, parameters: CKKSParameters, blobs: Mapping[str, bytes | Path]
    ) -> PublicKeys:
        """Read and check keys from untrusted bytes, or from files in pieces.

        Raises:
            CiphertextError: if a blob is missing, or no key of these parameters.
            KeyMismatch: if the blobs belong to different keys.
            ParameterError: if the parameters are unsafe, or their noise would not hide a mine's
                rows.
        """
        _check_parts(parameters, blobs)
        make_context(parameters)
        # A network's public key is of a late level; no linear update gets by without the whole one.
        _check_flooding(parameters, network=PUBLIC_KEY not in blobs)
        purpose = next((name for name in sorted(blobs) if name.startswith(PUBLIC_KEY)), PUBLIC_KEY)
        if purpose not in blobs:
            raise CiphertextError(f"no {PUBLIC_KEY!r} among the blobs {sorted(blobs)}")
        key_id = _key_id_of(blobs[purpose])
        keys = cls(parameters, key_id, dict(blobs))
        keys.check()
        return keys

    def check(self) -> None:
        """Load every key once.

        Raises:
            CiphertextError: if one is no key of these parameters.
        """
        for purpose in self.blobs:
            self.load(purpose)

    @property
    def public_key(self) -> Any:
        """SEAL's public key."""
        return self.load(PUBLIC_KEY)

    @property
    def galois_keys(self) -> Any:
        """SEAL's Galois keys."""
        return self.load(GALOIS_KEYS)

    def load(self, purpose: str) -> Any:
        """Return SEAL's key for a purpose, loaded and checked once.

        A purpose such as `galois-keys-5` is for ciphertexts of five primes or fewer.

        Raises:
            CiphertextError: if there is none, or it is no key of these parameters.
            KeyMismatch: if it belongs to other keys.
        """
        if purpose not in self._loaded:
            self._loaded[purpose] = self._load(purpose)
        return self._loaded[purpose]

    def _load(self, purpose: str) -> Any:
        if purpose not in self.blobs:
            raise CiphertextError(f"no {purpose!r} among the blobs {sorted(self.blobs)}")
        kind, item, primes = _parse_purpose(purpose, self.parameters)
        what = purpose.replace("-", " ")
        blob, context = self.blobs[purpose], _context_of(self.parameters, primes)
        if isinstance(blob, Path):
            return load_framed(item, context, kind, self.key_id, blob, what)
        key_id, payload = unframe(blob, kind, what)
        check_key_id(key_id, self.key_id, what)
        return load(item, context, payload, what)


def _check_parts(parameters: object, blobs: object) -> None:
    if not isinstance(parameters, CKKSParameters):
        kind = type(parameters).__name__
        raise ParameterError(f"keys have CKKSParameters, as their manifest does, not {kind}")
    if not isinstance(blobs, Mapping):
        kind = type(blobs).__name__
        raise CiphertextError(
            f"public keys are a mapping from purpose to bytes or file, not {kind}"
        )
    for purpose, blob in blobs.items():
        if not isinstance(purpose, str) or not isinstance(blob, bytes | Path):
            raise CiphertextError(
                f"the public key {str(purpose)[:80]!r} is bytes or the path of a file, "
                f"not {type(blob).__name__}"
            )


def _check_flooding(parameters: CKKSParameters, *, network: bool) -> None:
    least = PublicKeys.least_flood_bits(network=network)
    if parameters.flood_bits < least:
        raise ParameterError(
            f"{parameters.flood_bits} bits of protecting noise, {least} are the least: the key "
            "holder could read rows out of a gradient, do not train under these keys"
        )


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise DataError(f"cannot write keys into {folder}: make that folder first")


def _key_id_of(blob: bytes | Path) -> bytes:
    what = "public key"
    if isinstance(blob, Path):
        with open_framed(blob, what) as file:
            return unframe(file.read(FRAME_BYTES), Kind.PUBLIC_KEY, what)[0]
    return unframe(blob, Kind.PUBLIC_KEY, what)[0]


def _bytes_of(blob: bytes | Path) -> bytes:
    return blob.read_bytes() if isinstance(blob, Path) else blob


def _size_of(blob: bytes | Path) -> int:
    return blob.stat().st_size if isinstance(blob, Path) else len(blob)


def _copy_blob(blob: bytes | Path, file: BinaryIO) -> None:
    if isinstance(blob, Path):
        with blob.open("rb") as source:
            shutil.copyfileobj(source, file, _PIECE_BYTES)
    else:
        file.write(blob)


def _parse_purpose(purpose: str, parameters: CKKSParameters) -> tuple[Kind, Any, int | None]:
    name, _, level = purpose.rpartition("-")
    primes = int(level) if level.isdecimal() and len(level) < 3 else None
    makers = {
        PUBLIC_KEY: (Kind.PUBLIC_KEY, seal.PublicKey),
        GALOIS_KEYS: (Kind.GALOIS_KEYS, seal.GaloisKeys),
        RELINEARIZATION_KEYS: (Kind.RELINEARIZATION_KEYS, seal.RelinKeys),
    }
    base = purpose if primes is None else name
    most = len(parameters.coeff_modulus_bits) - 1
    if base not in makers or not (primes is None or 1 <= primes <= most):
        raise CiphertextError(f"keys of purpose {purpose[:80]!r} are unknown")
    kind, make = makers[base]
    return kind, make(), primes


def _context_of(parameters: CKKSParameters, primes: int | None) -> Any:
    return make_context(parameters) if primes is None else make_level_context(parameters, primes)


@dataclass(frozen=True, eq=False)
class SecretKeys:
    """What the key holder keeps. Never leaves it; `to_bytes` is for its own sealed storage.

    Attributes:
        parameters: the CKKS parameters.
        packing: the layout of the models under these keys.
        public: the part that everybody may have.
    """

    parameters: CKKSParameters
    packing: InterleavedPacking | MLPPacking
    public: PublicKeys
    _secret: bytes = field(repr=False)

    @property
    def key_id(self) -> bytes:
        """16 random bytes that tell these keys from others."""
        return self.public.key_id

    @cached_property
    def secret_key(self) -> Any:
        """SEAL's secret key."""
        return load(seal.SecretKey(), make_context(self.parameters), self._secret, "secret key")

    def to_bytes(self) -> bytes:
        """Serialize everything, unencrypted; see `write`."""
        buffer = io.BytesIO()
        self.write(buffer)
        return buffer.getvalue()

    def write(self, file: BinaryIO) -> None:
        """Write everything, unencrypted, in pieces: length-prefixed sections, no pickle."""
        head = json.dumps(
            {
                "parameters": self.parameters.model_dump(mode="json"),
                "packing": self.packing.model_dump(mode="json"),
                "purposes": sorted(self.public.blobs),
            },
            sort_keys=True,
        ).encode()
        file.write(_SECRET_MAGIC)
        blobs = [self.public.blobs[purpose] for purpose in sorted(self.public.blobs)]
        for part in (head, self.key_id, self._secret, *blobs):
            file.write(_size_of(part).to_bytes(8, "little"))
            _copy_blob(part, file)

    @classmethod
    def from_bytes(cls, data: bytes) -> SecretKeys:
        """Undo `to_bytes`; see `read`."""
        if not isinstance(data, bytes):
            raise CiphertextError(f"secret keys are bytes, not {type(data).__name__}")
        return cls.read(io.BytesIO(data))

    @classmethod
    def read(cls, file: BinaryIO, folder: Path | None = None) -> SecretKeys:
        """Undo `write`.

        Args:
            file: what to read.
            folder: where to put the public keys, a file per purpose, instead of holding them.

        Raises:
            CiphertextError: if the bytes are damaged or not ours.
            ParameterError: as `PublicKeys.from_blobs` does.
            DataError: if there is no such folder.
        """
        if folder is not None:
            _check_folder(folder)
        try:
            if file.read(len(_SECRET_MAGIC)) != _SECRET_MAGIC:
                raise ValueError("magic")
            head = json.loads(_read_section(file))
            parameters = CKKSParameters.model_validate(head["parameters"])
            packing = _PACKING.validate_python(head["packing"])
            purposes = [str(purpose) for purpose in head["purposes"]]
            key_id, secret = _read_section(file), _read_section(file)
            blobs = {purpose: _read_blob(file, purpose, folder) for purpose in purposes}
            if file.read(1):
                raise ValueError("length")
        except (ValueError, KeyError, IndexError, TypeError, ValidationError) as error:
            # No `from`: a parser's message may quote the bytes, and these are secret.
            kind = type(error).__name__
            raise CiphertextError(f"these bytes are no secret keys of ours ({kind})") from None
        if len(key_id) != KEY_ID_BYTES:
            raise CiphertextError("these bytes are no secret keys of ours (key id)")
        public = PublicKeys.from_blobs(parameters, blobs)
        check_key_id(public.key_id, key_id, "public key")
        keys = cls(parameters, packing, public, secret)
        assert keys.secret_key is not None
        return keys


def _read_section(file: BinaryIO) -> bytes:
    return b"".join(_read_pieces(file))


def _read_pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield one section in pieces, so that a forged length asks for no memory."""
    head = file.read(8)
    left = int.from_bytes(head, "little")
    if len(head) < 8:
        raise ValueError("length")
    while left:
        piece = file.read(min(left, _PIECE_BYTES))
        if not piece:
            raise ValueError("length")
        left -= len(piece)
        yield piece


def _read_blob(file: BinaryIO, purpose: str, folder: Path | None) -> bytes | Path:
    if folder is None:
        return _read_section(file)
    if _SAFE_PURPOSE.fullmatch(purpose) is None:
        raise ValueError("purpose")
    path = folder / purpose
    with path.open("wb") as target:
        target.writelines(_read_pieces(file))
    return path


class KeyWriter:
    """Keeps framed public keys as they are made: in memory, or in files of a folder.

    Raises:
        DataError: if there is no such folder.
    """

    def __init__(self, key_id: bytes, folder: Path | None) -> None:
        if folder is not None:
            _check_folder(folder)
        self.blobs: dict[str, bytes | Path] = {}
        self.key_id = key_id
        self._folder = folder

    def add(self, purpose: str, kind: Kind, item: Any) -> None:
        """Frame and keep a key of SEAL's."""
        if self._folder is None:
            self.blobs[purpose] = frame(kind, self.key_id, save(item))
        else:
            path = self._folder / purpose
            save_framed(item, kind, self.key_id, path)
            self.blobs[purpose] = path


def generate_keys(
    parameters: CKKSParameters, spec: LearningSpec, folder: Path | None = None
) -> SecretKeys:
    """Make the keys of one campaign.

    Args:
        parameters: from `choose_parameters`.
        spec: the task, which decides the rotations.
        folder: where to put the public keys as they are made, a file per purpose, instead of
            holding them: those of a network are 44 MB.

    Raises:
        ParameterError: if the parameters are below 128 bits, too small for the task, or their noise
            would not hide a mine's rows.
        DataError: if there is no such folder.
    """
    from openmined.syft._specs import MLPClassifier

    if isinstance(spec, MLPClassifier):
        from openmined.syft._mlp_keys import generate_mlp_keys

        return generate_mlp_keys(parameters, spec, folder)
    packing = choose_packing(parameters.poly_modulus_degree, spec.inputs, spec.outputs)
    _check_fit(parameters, spec)
    _check_flooding(parameters, network=False)
    generator = seal.KeyGenerator(make_context(parameters))
    degree = parameters.poly_modulus_degree
    elements = [galois_element(degree, step) for step in rotation_steps(packing)]
    key_id = os.urandom(KEY_ID_BYTES)
    secret_key = generator.secret_key()
    writer = KeyWriter(key_id, folder)
    writer.add(PUBLIC_KEY, Kind.PUBLIC_KEY, make_public_key(make_context(parameters), secret_key))
    if elements:
        writer.add(GALOIS_KEYS, Kind.GALOIS_KEYS, generator.create_galois_keys(elements))
    public = PublicKeys(parameters, key_id, writer.blobs)
    return SecretKeys(parameters, packing, public, save(secret_key))


def make_public_key(context: Any, secret_key: Any) -> Any:
    """Make a seed-compressed public key: an encryption of zero at the key level.

    SEAL's binding cannot return `Serializable<PublicKey>`, but that is what a public key is, to the
    byte: `PublicKey::save` saves its ciphertext.
    """
    encryptor = seal.Encryptor(context, secret_key)
    return encryptor.encrypt_zero_symmetric(context.key_parms_id())


def _check_fit(parameters: CKKSParameters, spec: LinearSpec) -> None:
    wanted, bound = required_norm(spec), norm_bound(parameters)
    if wanted > bound:
        raise ParameterError(
            f"these parameters have room for matrices of norm {bound:g}, the task needs "
            f"{wanted:g}: use choose_parameters(spec)"
        )
