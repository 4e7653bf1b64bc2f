"""A corpus of hostile envelopes: each is rejected with a reason, and the parent goes on.

The children's peak memory and time are measured by the kernel (RUSAGE_CHILDREN).
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pysequoia
import pytest
import tenseal.sealapi as seal

from openmined.capsule import Identity
from openmined.capsule._envelopes import (
    Expected,
    OpenedGradient,
    RefusedGradient,
    open_envelopes,
)
from openmined.capsule._settings import CapsuleSettings
from openmined.capsule._state import Pending
from openmined.protocol import (
    GradientBody,
    LocalSteps,
    Reason,
    SonarRef,
    decode_gradient_body,
    encode_gradient_body,
)
from openmined.syft import (
    LinearClassifier,
    MLPClassifier,
    SecretKeys,
    accumulate_statistics,
    choose_parameters,
    compute_mlp_update,
    compute_update,
    encrypt_model,
    generate_keys,
    initial_weights,
)
from openmined.syft._seal import FRAME_BYTES, _with_header, load, make_context

FACTOR = (1).to_bytes(8, "little")
MINER = "0x" + "a" * 40
CHAIN = SonarRef(chain_id=31337, sonar="0x" + "5" * 40)
SPEC = LinearClassifier(inputs=9, classes=("a", "b", "c"), l2=1e-2, update=LocalSteps(steps=3))
NETWORK_SPEC = MLPClassifier(inputs=9, classes=("a", "b", "c"), hidden=8)
NETWORK = {
    "chain_id": 31337,
    "rpc_url": "http://127.0.0.1:9",
    "sonar": CHAIN.sonar,
    "store_url": "http://127.0.0.1:9",
}


@dataclass
class Desk:
    """What Capsule opens envelopes with, and one good gradient."""

    identity: Identity
    keys: SecretKeys
    body: GradientBody
    settings: CapsuleSettings
    kind: str = "local-steps"

    def seal(self, data: bytes) -> bytes:
        return bytes(pysequoia.encrypt(data, recipients=[self.identity.certificate], armor=False))

    def with_body(self, **changes: object) -> bytes:
        return self.seal(encode_gradient_body(self.body.model_copy(update=changes)))

    def with_ciphertext(self, change: Callable[[bytes], bytes]) -> bytes:
        blobs = tuple(change(blob) for blob in self.body.ciphertexts)
        return self.with_body(ciphertexts=blobs)

    def open(self, *envelopes: bytes, processes: int = 1) -> list[OpenedGradient | RefusedGradient]:
        expected = Expected(CHAIN, 7, self.kind, epoch=1, epoch_of={1: 1, 2: 1})
        sealed = [
            (Pending(i, MINER, 1, bytes(32), 0.0, 0), data) for i, data in enumerate(envelopes)
        ]
        return open_envelopes(sealed, self.identity, self.keys, expected, self.settings, processes)


@pytest.fixture(scope="module")
def desk() -> Desk:
    keys = generate_keys(choose_parameters(SPEC), SPEC)
    random = np.random.default_rng(0)
    rows = np.c_[random.normal(size=(40, 8)) / 3, np.ones(40)]
    statistics = accumulate_statistics([(rows, np.eye(3)[random.integers(0, 3, 40)])])
    model = encrypt_model(np.zeros((9, 3)), keys)
    update = compute_update(model, keys.public, statistics, SPEC.update, SPEC.l2)
    body = GradientBody(
        chain=CHAIN,
        campaign=7,
        version=1,
        epoch=1,
        miner=MINER,
        kind="local-steps",
        samples=40,
        ciphertexts=tuple(update.to_blobs()),
    )
    settings = CapsuleSettings.model_validate({"network": NETWORK})
    return Desk(Identity.generate("Capsule <c@example.org>"), keys, body, settings)


@pytest.fixture(scope="module")
def network_desk(desk: Desk) -> Desk:
    keys = generate_keys(choose_parameters(NETWORK_SPEC), NETWORK_SPEC)
    model = encrypt_model(initial_weights(NETWORK_SPEC), keys)
    random = np.random.default_rng(0)
    rows = np.c_[random.normal(size=(40, 8)) / 3, np.ones(40)]
    update = compute_mlp_update(model, keys.public, rows, np.eye(3)[random.integers(0, 3, 40)])
    changes = {"kind": "mlp-gradient", "ciphertexts": tuple(update.to_blobs())}
    return replace(desk, keys=keys, body=desk.body.model_copy(update=changes), kind="mlp-gradient")


def refusal(desk: Desk, envelope: bytes) -> RefusedGradient:
    """Open one envelope that must be refused, within 10 s and 1 GB more than this process has."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    (found,) = desk.open(envelope)
    assert isinstance(found, RefusedGradient), "it was accepted"
    assert time.monotonic() - started < 2 * 10 + 4, "two tries of 10 s"
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak - before < 10**9 >> 10, f"a child had {peak} KiB"
    assert found.note
    return found


def test_the_good_one_opens(desk: Desk) -> None:
    (found,) = desk.open(desk.with_body())
    assert isinstance(found, OpenedGradient)
    assert found.samples == 40
    assert found.values.shape == (9, 3)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"chain": SonarRef(chain_id=1, sonar=CHAIN.sonar)}, "another chain"),
        ({"chain": SonarRef(chain_id=31337, sonar="0x" + "6" * 40)}, "another chain or contract"),
        ({"campaign": 8}, "made for campaign 8"),
        ({"miner": "0x" + "b" * 40}, "who did not submit it"),
        ({"version": 2}, "made on version 2, submitted for version 1"),
        ({"kind": "gradient"}, "the campaign wants local-steps"),
        ({"epoch": 2}, "says key epoch 2"),
    ],
)
def test_what_is_bound_to_something_else_is_misbound(
    desk: Desk, changes: dict[str, object], note: str
) -> None:
    found = refusal(desk, desk.with_body(**changes))
    assert found.reason == Reason.MISBOUND
    assert note in found.note


def test_a_retired_key_epoch_is_stale(desk: Desk) -> None:
    expected = Expected(CHAIN, 7, "local-steps", epoch=2, epoch_of={1: 1, 2: 2})
    pending = Pending(0, MINER, 1, bytes(32), 0.0, 0)
    (found,) = open_envelopes(
        [(pending, desk.with_body())], desk.identity, desk.keys, expected, desk.settings, 1
    )
    assert isinstance(found, RefusedGradient)
    assert found.reason == Reason.STALE
    assert not found.reason.loses_bond


def malformed() -> dict[str, Callable[[Desk], bytes]]:
    def cut(blob: bytes) -> bytes:
        return blob[: len(blob) // 2]

    return {
        "empty": lambda _: b"",
        "random": lambda _: os.urandom(100_000),
        "envelope cut": lambda d: d.with_body()[:-1000],
        "envelope swollen": lambda d: d.with_body() + bytes(100_000),
        "not encrypted": lambda d: encode_gradient_body(d.body),
        "sealed to another key": lambda d: replace(d, identity=Identity.generate("x")).with_body(),
        "no body": lambda d: d.seal(os.urandom(1000)),
        "body cut": lambda d: d.seal(encode_gradient_body(d.body)[:-5]),
        "body of another format": lambda d: d.seal(b"\xa1\x66format\x61x"),
        "deeply nested body": lambda d: d.seal(b"\x81" * 2_000_000 + b"\x00"),
        "huge claimed array": lambda d: d.seal(b"\x9b" + b"\x7f" * 8),
        "ciphertext cut": lambda d: d.with_ciphertext(cut),
        "ciphertext swollen": lambda d: d.with_ciphertext(lambda blob: blob + bytes(1000)),
        "ciphertext random": lambda d: d.with_ciphertext(lambda blob: os.urandom(len(blob))),
        "ciphertext flipped": lambda d: d.with_ciphertext(flip),
        "a key instead": lambda d: d.with_body(
            ciphertexts=(d.keys.public.to_blobs()["public-key"],)
        ),
        "ciphertexts too many": lambda d: d.with_body(ciphertexts=d.body.ciphertexts * 40),
        "other keys": other_keys,
        "model level": model_level,
        "scale infinite": lambda d: d.with_ciphertext(lambda b: with_scale(d, b, float("inf"))),
        "scale zero": lambda d: d.with_ciphertext(lambda b: with_scale(d, b, 0.0)),
        "scale not a number": lambda d: d.with_ciphertext(lambda b: with_scale(d, b, float("nan"))),
        "transparent": lambda d: d.with_ciphertext(lambda b: transparent(d, b)),
        "zstd bomb": lambda d: d.with_ciphertext(lambda b: b[:FRAME_BYTES] + zstd_bomb(2 << 30)),
    }


def flip(blob: bytes) -> bytes:
    middle = len(blob) // 2
    flipped = bytes(255 - byte for byte in blob[middle : middle + 64])
    return blob[:middle] + flipped + blob[middle + 64 :]


def other_keys(desk: Desk) -> bytes:
    keys = generate_keys(choose_parameters(SPEC), SPEC)
    random = np.random.default_rng(0)
    rows = np.c_[random.normal(size=(40, 8)) / 3, np.ones(40)]
    statistics = accumulate_statistics([(rows, np.eye(3)[random.integers(0, 3, 40)])])
    model = encrypt_model(np.zeros((9, 3)), keys)
    update = compute_update(model, keys.public, statistics, SPEC.update, SPEC.l2)
    return desk.with_body(ciphertexts=tuple(update.to_blobs()))


def model_level(desk: Desk) -> bytes:
    model = encrypt_model(np.zeros((9, 3)), desk.keys).to_blobs()
    kind = desk.body.ciphertexts[0][:FRAME_BYTES]
    return desk.with_body(ciphertexts=tuple(kind + blob[FRAME_BYTES:] for blob in model))


def seal_fields(desk: Desk, blob: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return frame, head, scale and polynomials of a ciphertext, uncompressed.

    Ciphertext: parms_id 4 x u64, is_ntt_form u8, size, degree and primes u64, scale f64, BGV's
    correction factor u64, then a DynArray with a SEAL header of its own.
    """
    item = seal.Ciphertext()
    load(item, make_context(desk.keys.parameters), blob[FRAME_BYTES:], "ciphertext")
    parms_id = b"".join(word.to_bytes(8, "little") for word in item.parms_id())
    sizes = b"".join(
        n.to_bytes(8, "little")
        for n in (item.size(), item.poly_modulus_degree(), item.coeff_modulus_size())
    )
    data = item.dyn_array()
    count = item.size() * item.poly_modulus_degree() * item.coeff_modulus_size()
    words = np.array([data.at(i) for i in range(count)], dtype="<u8")
    head = parms_id + b"\x01" + sizes
    polynomials = _with_header(len(words).to_bytes(8, "little") + words.tobytes())
    return blob[:FRAME_BYTES], head, np.float64(item.scale).tobytes(), polynomials


def with_scale(desk: Desk, blob: bytes, scale: float) -> bytes:
    frame, head, _, polynomials = seal_fields(desk, blob)
    return frame + _with_header(head + np.float64(scale).tobytes() + FACTOR + polynomials)


def transparent(desk: Desk, blob: bytes) -> bytes:
    """Make the second polynomial zero: a plaintext in disguise."""
    frame, head, scale, polynomials = seal_fields(desk, blob)
    half = len(polynomials) - (len(polynomials) - 24) // 2
    return frame + _with_header(
        head + scale + FACTOR + polynomials[:half] + bytes(len(polynomials) - half)
    )


def test_rewriting_a_ciphertext_changes_nothing_by_itself(desk: Desk) -> None:
    def rewrite(blob: bytes) -> bytes:
        frame, head, scale, polynomials = seal_fields(desk, blob)
        return frame + _with_header(head + scale + FACTOR + polynomials)

    (found,) = desk.open(desk.with_ciphertext(rewrite))
    assert isinstance(found, OpenedGradient)


def zstd_bomb(size: int) -> bytes:
    """SEAL bytes said to be zstd-compressed: `size` zeros in run-length blocks of 128 KiB."""
    block = 128 << 10
    runs = size // block
    blocks = [
        ((block << 3) | (1 << 1) | int(i == runs - 1)).to_bytes(3, "little") + b"\0"
        for i in range(runs)
    ]
    body = b"\x28\xb5\x2f\xfd" + b"\x00" + b"\x58" + b"".join(blocks)
    plain = _with_header(b"")
    header = plain[:5] + b"\x02" + plain[6:8] + (16 + len(body)).to_bytes(8, "little")
    return header + body


@pytest.mark.parametrize("name", malformed())
def test_what_is_no_gradient_is_malformed(desk: Desk, name: str) -> None:
    found = refusal(desk, malformed()[name](desk))
    assert found.reason == Reason.MALFORMED, found.note
    assert found.reason.loses_bond


def test_what_is_no_gradient_of_a_network_is_malformed(network_desk: Desk) -> None:
    desk = network_desk
    (found,) = desk.open(desk.with_body())
    assert isinstance(found, OpenedGradient)
    assert found.values.shape == (9 + 3, 8)
    kinds: dict[str, Callable[[bytes], bytes]] = {
        "cut": lambda blob: blob[: len(blob) // 2],
        "flipped": flip,
        "infinite": lambda blob: with_scale(desk, blob, float("inf")),
        "transparent": lambda blob: transparent(desk, blob),
        "bomb": lambda blob: blob[:FRAME_BYTES] + zstd_bomb(2 << 30),
    }
    for change in kinds.values():
        assert refusal(desk, desk.with_ciphertext(change)).reason == Reason.MALFORMED
    assert "transparent" in refusal(desk, desk.with_ciphertext(kinds["transparent"])).note


def test_an_openpgp_bomb_is_stopped_by_the_limit(desk: Desk, tmp_path: Path) -> None:
    gpg = shutil.which("gpg")
    if gpg is None:
        pytest.skip("gpg is not installed: apt-get install gnupg")
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    command = [gpg, "--homedir", str(home), "--batch", "--quiet", "--trust-model", "always"]
    subprocess.run([*command, "--import"], input=desk.identity.armored.encode(), check=True)
    recipient = desk.identity.fingerprint
    zeros = subprocess.Popen(["head", "-c", str(1200 << 20), "/dev/zero"], stdout=subprocess.PIPE)
    bomb = subprocess.run(
        [*command, "--compress-algo", "zlib", "-z", "1", "--encrypt", "-r", recipient],
        stdin=zeros.stdout,
        capture_output=True,
        check=True,
    ).stdout
    assert zeros.stdout is not None
    zeros.stdout.close()
    zeros.wait()
    assert len(bomb) < 16 << 20
    found = refusal(desk, bomb)
    assert found.reason == Reason.MALFORMED
    assert "memory" in found.note, found.note


def test_values_that_no_honest_update_carries_are_absurd(desk: Desk) -> None:
    # A well-formed ciphertext of the right keys, level and scale, whose numbers fill the modulus.
    def noise(blob: bytes) -> bytes:
        frame, head, scale, polynomials = seal_fields(desk, blob)
        data = bytearray(polynomials)
        words = np.random.default_rng(1).integers(0, smallest_prime(desk), len(data) // 8 - 3)
        data[24:] = words.astype("<u8").tobytes()
        return frame + _with_header(head + scale + FACTOR + bytes(data))

    found = refusal(desk, desk.with_ciphertext(noise))
    assert found.reason == Reason.ABSURD, found.note
    assert not re.search(r"\d", found.note), "a decrypted number would be public"


def smallest_prime(desk: Desk) -> int:
    moduli = make_context(desk.keys.parameters).first_context_data().parms().coeff_modulus()
    return int(moduli[0].value())


def test_good_ones_among_hostile_ones_are_opened_in_parallel(desk: Desk) -> None:
    good = desk.with_body()
    bad = desk.with_ciphertext(flip)
    results = desk.open(*[good, bad, os.urandom(5000)] * 4, processes=3)
    kinds = [type(result).__name__ for result in results]
    assert kinds == ["OpenedGradient", "RefusedGradient", "RefusedGradient"] * 4
    assert [result.pending.gradient for result in results] == list(range(12))


def test_a_child_that_hangs_is_ended(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["openmined.capsule._envelopes"]

    def hang(*_: object) -> bytes:
        while True:
            pass

    monkeypatch.setattr(module, "_open_in_child", hang)
    limits = desk.settings.limits.model_copy(update={"seconds": 1})
    slow = replace(desk, settings=desk.settings.model_copy(update={"limits": limits}))
    found = refusal(slow, desk.with_body())
    assert found.reason == Reason.MALFORMED
    assert "too much time" in found.note


def test_a_child_that_dies_once_is_given_another_chance(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = sys.modules["openmined.capsule._envelopes"]
    opened, tried = module._open_in_child, tmp_path / "tried"

    def die_once(*arguments: object) -> bytes:
        if not tried.exists():
            tried.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return bytes(opened(*arguments))

    monkeypatch.setattr(module, "_open_in_child", die_once)
    (found,) = desk.open(desk.with_body())
    assert isinstance(found, OpenedGradient)


def test_an_envelope_decodes_to_what_was_sealed(desk: Desk) -> None:
    assert decode_gradient_body(desk.identity.open(desk.with_body())) == desk.body
