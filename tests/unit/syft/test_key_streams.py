"""Keys are written and loaded in pieces, from files, and refused like bytes."""

import io
import tracemalloc

import numpy as np
import pytest

from openmined.syft import (
    CiphertextError,
    KeyMismatch,
    MLPClassifier,
    PublicKeys,
    SecretKeys,
    choose_parameters,
    compute_update,
    decrypt_update,
    encrypt_model,
    generate_keys,
    initial_weights,
)

PIECE = 1 << 20


@pytest.fixture
def files(keys, tmp_path):
    return keys.public.write_blobs(tmp_path)


def test_files_hold_what_the_blobs_do(keys, files):
    assert {purpose: path.read_bytes() for purpose, path in files.items()} == (
        keys.public.to_blobs()
    )
    public = PublicKeys.from_blobs(keys.parameters, files)
    assert public.key_id == keys.key_id
    assert public.to_blobs() == keys.public.to_blobs()


def test_keys_made_into_a_folder_work(classifier, statistics, weights, tmp_path):
    keys = generate_keys(choose_parameters(classifier), classifier, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(keys.public.blobs)
    model = encrypt_model(weights, keys)
    found = [
        decrypt_update(
            compute_update(model, public, statistics, classifier.update, classifier.l2), keys
        )
        for public in (keys.public, PublicKeys.from_blobs(keys.parameters, keys.public.to_blobs()))
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)


def test_a_network_s_keys_are_never_held_whole(tmp_path):
    spec = MLPClassifier(inputs=4, hidden=2, classes=("a", "b"))
    folder, again = tmp_path / "made", tmp_path / "read"
    folder.mkdir()
    again.mkdir()
    tracemalloc.start()
    try:
        keys = generate_keys(choose_parameters(spec), spec, folder)
        with (tmp_path / "sealed").open("wb") as file:
            keys.write(file)
        with (tmp_path / "sealed").open("rb") as file:
            back = SecretKeys.read(file, again)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size > 25 * PIECE
    assert peak < 12 * PIECE  # the secret key's residues, and pieces
    assert back.public.to_blobs() == keys.public.to_blobs()
    assert encrypt_model(initial_weights(spec), back).key_id == keys.key_id


def test_damaged_files_are_refused(keys, other_keys, files):
    path = files["galois-keys"]
    whole = path.read_bytes()
    for data in (b"", whole[:20], whole[:-1], whole + b"x", b"x" * len(whole)):
        path.write_bytes(data)
        with pytest.raises(CiphertextError):
            PublicKeys.from_blobs(keys.parameters, files)
    path.write_bytes(other_keys.public.to_blobs()["galois-keys"])
    with pytest.raises(KeyMismatch):
        PublicKeys.from_blobs(keys.parameters, files)
    path.unlink()
    with pytest.raises(CiphertextError, match="cannot be read"):
        PublicKeys.from_blobs(keys.parameters, files)


def test_sealed_keys_cannot_name_a_file_elsewhere(keys, tmp_path):
    inner = tmp_path / "keys"
    inner.mkdir()
    forged = keys.to_bytes().replace(b'"public-key"', b'"../elsewhe"')
    with pytest.raises(CiphertextError, match=r"no secret keys of ours \(ValueError\)"):
        SecretKeys.read(io.BytesIO(forged), inner)
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]
