"""Opening gradients: fetched from the store, opened and decrypted in limited child processes.

Everything in an envelope is a stranger's. The child decrypts OpenPGP, decodes DAG-CBOR, checks what
binds the gradient, loads ciphertexts with SEAL and decrypts them; it answers with numbers or with a
reason. Whatever else happens to it is the gradient's fault: MALFORMED.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from openmined.capsule._context import Array, pack_arrays, unpack_arrays
from openmined.capsule._errors import CapsuleError, GradientRefused, PgpError
from openmined.capsule._pgp import Identity
from openmined.capsule._settings import CapsuleSettings
from openmined.capsule._state import Pending
from openmined.protocol import (
    GradientBody,
    GradientManifest,
    OpenMinedError,
    ProtocolError,
    Reason,
    SonarRef,
    decode_gradient_body,
)
from openmined.storage import (
    BlobTooLarge,
    SizeMismatch,
    StorageError,
    Store,
    get_manifest,
    get_ref,
)
from openmined.syft import (
    EncryptedGradient,
    LimitError,
    RangeError,
    SecretKeys,
    SyftError,
    decrypt_update,
    run_limited,
)


@dataclass(frozen=True)
class Expected:
    """What an envelope must say to belong to this campaign."""

    chain: SonarRef
    campaign: int
    kind: str
    epoch: int
    """The key epoch in force."""
    epoch_of: dict[int, int]
    """The key epoch of every version published."""


@dataclass(frozen=True)
class OpenedGradient:
    """An update in the clear: W_K for local steps, G W - C for gradients; (inputs, outputs)."""

    pending: Pending
    samples: int
    values: Array


@dataclass(frozen=True)
class RefusedGradient:
    """A gradient that cannot be used, and why."""

    pending: Pending
    reason: Reason
    note: str


Opener = Callable[
    [Sequence[tuple[Pending, bytes]], Identity, SecretKeys, Expected, CapsuleSettings, int],
    list[OpenedGradient | RefusedGradient],
]
"""What opens the sealed envelopes of a batch: `open_envelopes`, or what counts around it."""


class EnvelopeMissing(CapsuleError):
    """The store does not give the envelope's bytes (now)."""


def fetch_envelope(store: Store, pending: Pending, max_bytes: int) -> bytes:
    """Fetch a sealed envelope.

    Raises:
        GradientRefused: if the bytes are there and are no envelope.
        EnvelopeMissing: if they are not there.
    """
    try:
        manifest = get_manifest(store, pending.envelope, GradientManifest)
        return get_ref(store, manifest.envelope, max_bytes)
    except (ProtocolError, BlobTooLarge, SizeMismatch) as error:
        raise GradientRefused(Reason.MALFORMED, f"no envelope: {error}") from error
    except StorageError as error:
        raise EnvelopeMissing(str(error)) from error


def open_envelopes(
    sealed: Sequence[tuple[Pending, bytes]],
    identity: Identity,
    keys: SecretKeys,
    expected: Expected,
    settings: CapsuleSettings,
    processes: int,
) -> list[OpenedGradient | RefusedGradient]:
    """Open envelopes, each in a limited child process, `processes` of them at a time.

    A thread forks and waits for one child; only the children touch the bytes. One whose child died
    or ran out of time is tried once more, alone: on a busy machine that may be nobody's fault, and
    a bond depends on it.
    """

    def open_one(item: tuple[Pending, bytes]) -> OpenedGradient | RefusedGradient | None:
        return _open_one(*item, identity, keys, expected, settings)

    if processes <= 1 or len(sealed) <= 1:
        found = [open_one(item) for item in sealed]
    else:
        with ThreadPoolExecutor(min(processes, len(sealed))) as pool:
            found = list(pool.map(open_one, sealed))
    return [
        first or open_one(item) or _unopened(item[0])
        for item, first in zip(sealed, found, strict=True)
    ]


def _unopened(pending: Pending) -> RefusedGradient:
    note = "opening it takes too much time or memory, or kills the process"
    return RefusedGradient(pending, Reason.MALFORMED, note)


def _open_one(
    pending: Pending,
    envelope: bytes,
    identity: Identity,
    keys: SecretKeys,
    expected: Expected,
    settings: CapsuleSettings,
) -> OpenedGradient | RefusedGradient | None:
    limits = settings.limits
    child: Callable[..., bytes] = _open_in_child
    try:
        answer = run_limited(
            child,
            pending,
            envelope,
            identity,
            keys,
            expected,
            memory_mb=limits.memory_mb,
            seconds=limits.seconds,
        )
        arrays, facts = unpack_arrays(answer)
    except (LimitError, OpenMinedError):
        return None
    if "reason" in facts:
        return RefusedGradient(pending, Reason(facts["reason"]), str(facts["note"])[:400])
    return OpenedGradient(pending, int(facts["samples"]), arrays["values"])


def _open_in_child(
    pending: Pending, envelope: bytes, identity: Identity, keys: SecretKeys, expected: Expected
) -> bytes:
    try:
        body = _decode(identity, envelope)
        check_binding(body, pending, expected)
        values = _decrypt(body, keys)
    except GradientRefused as refusal:
        return pack_arrays({}, {"reason": int(refusal.reason), "note": refusal.note})
    return pack_arrays({"values": values}, {"samples": body.samples})


def _decode(identity: Identity, envelope: bytes) -> GradientBody:
    try:
        return decode_gradient_body(identity.open(envelope))
    except (PgpError, ProtocolError) as error:
        raise GradientRefused(Reason.MALFORMED, str(error)) from error


def check_binding(body: GradientBody, pending: Pending, expected: Expected) -> None:
    """Check that the envelope was made for this gradient and nothing else.

    Raises:
        GradientRefused: MISBOUND if it was not, STALE if its keys are retired.
    """
    chain, wanted = body.chain, expected.chain
    if (chain.chain_id, chain.sonar.lower()) != (wanted.chain_id, wanted.sonar.lower()):
        raise GradientRefused(Reason.MISBOUND, "made for another chain or contract")
    if body.campaign != expected.campaign:
        raise GradientRefused(Reason.MISBOUND, f"made for campaign {body.campaign}")
    if body.miner.lower() != pending.miner.lower():
        raise GradientRefused(Reason.MISBOUND, f"made by {body.miner}, who did not submit it")
    if body.version != pending.version:
        note = f"made on version {body.version}, submitted for version {pending.version}"
        raise GradientRefused(Reason.MISBOUND, note)
    if body.kind != expected.kind:
        note = f"a {body.kind} update, the campaign wants {expected.kind}"
        raise GradientRefused(Reason.MISBOUND, note)
    if body.epoch != expected.epoch_of.get(body.version, body.epoch):
        note = f"says key epoch {body.epoch}, version {body.version} is of another"
        raise GradientRefused(Reason.MISBOUND, note)
    if body.epoch != expected.epoch:
        note = f"made under key epoch {body.epoch}; now it is {expected.epoch}"
        raise GradientRefused(Reason.STALE, note)


def _decrypt(body: GradientBody, keys: SecretKeys) -> Array:
    try:
        gradient = EncryptedGradient.from_blobs(
            keys.packing, list(body.ciphertexts), keys.parameters
        )
        values = decrypt_update(gradient, keys)
    except RangeError as error:
        # Notes are public: no decrypted number may stand in one.
        raise GradientRefused(Reason.ABSURD, "values beyond any honest update") from error
    except SyftError as error:
        raise GradientRefused(Reason.MALFORMED, str(error)) from error
    if not np.isfinite(values).all():
        raise GradientRefused(Reason.ABSURD, "values that are not finite")
    return values
