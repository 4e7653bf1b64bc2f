"""The mines of a simulation: a sample that encrypts for real, and many that are accounted.

Every mine has its own rows and computes its own update from them. A sampled mine does what Mine.py
does: it downloads keys and model, verifies them, computes the update on the encrypted weights, and
seals it to Capsule. An accounted mine computes the same update in the clear and uploads a small
stand-in for its envelope; what encrypting would have cost is taken from the sample.
"""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openmined.capsule import CapsuleSettings as Settings
from openmined.capsule import (
    Expected,
    Identity,
    OpenedGradient,
    Pending,
    RefusedGradient,
    open_envelopes,
)
from openmined.protocol import (
    CampaignManifest,
    GradientBody,
    GradientManifest,
    KeysManifest,
    ModelManifest,
    SonarRef,
    encode_gradient_body,
    encode_manifest,
)
from openmined.storage import KuboStore, get_manifest, get_ref, put_manifest, put_ref

if TYPE_CHECKING:
    import pyarrow as pa

    from openmined.syft import SecretKeys, Statistics

Array = NDArray[np.float64]

ROWS = 32
_STAND_IN = b"openmined/simulated-gradient@1 "
_NOISE = 1.0
"""Grey levels (of 16) by which a mine's copy of a digit differs from the data set's."""


def cpu_seconds() -> float:
    """Return what this process and the children it has waited for have computed so far."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


@dataclass
class Measured:
    """What the sample cost: sums over `count` mines."""

    count: int = 0
    train_cpu_s: float = 0.0
    down_bytes: int = 0
    up_bytes: int = 0
    opened: int = 0
    open_cpu_s: float = 0.0

    def add(self, other: Measured) -> None:
        """Add another sample's sums."""
        for name in (one.name for one in fields(self)):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def open_each_s(self) -> float:
        """Processor seconds that opening one real envelope takes Capsule."""
        return self.open_cpu_s / max(1, self.opened)


@dataclass(frozen=True)
class Published:
    """Where a campaign stands for a mine."""

    campaign: int
    version: int
    keys: bytes
    model: bytes


@dataclass
class Population:
    """Data owners with rows of their own, drawn from the digits that the data scientist lacks."""

    seed: int
    pixels: Array
    labels: Sequence[str]

    def rows(self, mine: int) -> tuple[Array, list[str]]:
        """Return one owner's rows: `ROWS` digits, as another scanner would have read them."""
        luck = np.random.default_rng([self.seed, mine])
        chosen = luck.choice(len(self.labels), ROWS, replace=False)
        pixels = self.pixels[chosen] + luck.normal(0.0, _NOISE, (ROWS, self.pixels.shape[1]))
        return np.clip(pixels, 0.0, 16.0), [self.labels[index] for index in chosen]


def divide_digits(seed: int, validation_rows: int) -> tuple[pa.Table, Population]:
    """Return the data scientist's rows, and mines that draw theirs from the others."""
    import pyarrow as pa
    from sklearn.datasets import load_digits

    data = load_digits()
    labels = [str(label) for label in data.target]
    order = np.random.default_rng(seed).permutation(len(labels))
    own, rest = order[:validation_rows], order[validation_rows:]
    flat = pa.array(np.ascontiguousarray(data.data[own], dtype=np.float64).ravel())
    table = pa.table(
        {
            "pixels": pa.FixedSizeListArray.from_arrays(flat, 64),
            "digit": pa.array([labels[index] for index in own]),
        }
    )
    return table, Population(seed, data.data[rest], [labels[index] for index in rest])


@dataclass
class Miners:
    """All mines of a simulation, and the bookkeeping around their encryption."""

    population: Population
    store: KuboStore
    chain: SonarRef
    certificate: bytes
    manifest: CampaignManifest
    measured: Measured = field(default_factory=Measured)
    _plain: dict[bytes, tuple[int, Array]] = field(default_factory=dict)

    def contribute_plainly(self, place: Published, mine: int, weights: Array) -> bytes:
        """Upload an accounted mine's gradient; return its manifest's digest."""
        from openmined.syft import apply_update, spec_from_manifest

        spec = spec_from_manifest(self.manifest)
        update = self.manifest.update
        values = apply_update(weights, self._statistics(mine), update, spec.l2)
        name = f"{place.campaign} {place.version} {mine}".encode()
        stand_in = _STAND_IN + hashlib.sha256(name).hexdigest().encode()
        self._plain[stand_in] = (ROWS, values)
        return self._upload(stand_in)

    def contribute(self, place: Published, mine: int, address: str) -> bytes:
        """Be a sampled mine: download, train on encrypted weights, seal, upload."""
        import pysequoia

        from openmined.syft import EncryptedModel, PublicKeys, compute_update, spec_from_manifest

        begun = cpu_seconds()
        store = self.store
        keys = get_manifest(store, place.keys, KeysManifest)
        model = get_manifest(store, place.model, ModelManifest)
        blobs = {ref.purpose: get_ref(store, ref) for ref in keys.blobs}
        ciphertexts = [get_ref(store, ref) for ref in model.ciphertexts]
        public = PublicKeys.from_blobs(keys.parameters, blobs)
        encrypted = EncryptedModel.from_blobs(model.packing, ciphertexts, keys.parameters)
        spec = spec_from_manifest(self.manifest)
        update = self.manifest.update
        gradient = compute_update(encrypted, public, self._statistics(mine), update, spec.l2)
        body = GradientBody(
            chain=self.chain,
            campaign=place.campaign,
            version=model.version,
            epoch=model.epoch,
            miner=address,
            kind=update.kind,
            samples=ROWS,
            ciphertexts=tuple(gradient.to_blobs()),
        )
        certificate = pysequoia.Cert.from_bytes(self.certificate)
        data = encode_gradient_body(body)
        envelope = bytes(pysequoia.encrypt(data, recipients=[certificate], armor=False))
        digest = self._upload(envelope)
        down = sum(map(len, ciphertexts)) + sum(map(len, blobs.values()))
        down += sum(len(encode_manifest(one)) for one in (keys, model, self.manifest))
        self.measured.count += 1
        self.measured.train_cpu_s += cpu_seconds() - begun
        self.measured.down_bytes += down
        self.measured.up_bytes += len(envelope) + len(store.get_manifest_bytes(digest))
        return digest

    def open(
        self,
        sealed: Sequence[tuple[Pending, bytes]],
        identity: Identity,
        keys: SecretKeys,
        expected: Expected,
        settings: Settings,
        processes: int,
    ) -> list[OpenedGradient | RefusedGradient]:
        """Open real envelopes as Capsule does, and look stand-ins up."""
        real = [item for item in sealed if item[1] not in self._plain]
        begun = cpu_seconds()
        results = open_envelopes(real, identity, keys, expected, settings, processes)
        self.measured.opened += len(real)
        self.measured.open_cpu_s += cpu_seconds() - begun
        found = {one.pending.gradient: one for one in results}
        for pending, data in sealed:
            if data in self._plain:
                found[pending.gradient] = OpenedGradient(pending, *self._plain.pop(data))
        return [found[pending.gradient] for pending, _ in sealed]

    def _upload(self, envelope: bytes) -> bytes:
        manifest = GradientManifest(envelope=put_ref(self.store, envelope, "envelope"))
        return put_manifest(self.store, manifest)

    def _statistics(self, mine: int) -> Statistics:
        from openmined.syft import accumulate_statistics, encode_targets, spec_from_manifest

        spec = spec_from_manifest(self.manifest)
        assert spec.features is not None
        pixels, labels = self.population.rows(mine)
        columns: dict[str, Any] = {self.manifest.input.fields[0].name: pixels}
        features = spec.features.transform(columns)
        return accumulate_statistics([(features, encode_targets(spec, labels))])
