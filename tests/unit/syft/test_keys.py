"""Keys of strangers: what they are made of, and whether they would protect a mine's rows."""

import io

import pytest

from openmined.syft import (
    CiphertextError,
    DataError,
    MLPClassifier,
    ParameterError,
    PublicKeys,
    SecretKeys,
    choose_parameters,
    generate_keys,
)

NETWORK = MLPClassifier(inputs=4, hidden=2, classes=("a", "b"))


def with_flood(parameters, bits):
    return parameters.model_copy(update={"flood_bits": bits})


@pytest.fixture(scope="module")
def network_keys():
    return generate_keys(choose_parameters(NETWORK), NETWORK)


def test_the_least_noise_is_that_of_the_parameters_chosen(classifier):
    least = PublicKeys.least_flood_bits
    assert choose_parameters(classifier).flood_bits == least(network=False) == 30
    assert choose_parameters(NETWORK).flood_bits == least(network=True) == 15


@pytest.mark.parametrize("bits", [0, 15, 29])
def test_keys_that_would_not_hide_rows_are_refused(keys, classifier, bits):
    weak = with_flood(keys.parameters, bits)
    text = f"^{bits} bits of protecting noise, 30 are the least"
    with pytest.raises(ParameterError, match=text):
        PublicKeys.from_blobs(weak, keys.public.to_blobs())
    with pytest.raises(ParameterError, match=text):
        generate_keys(weak, classifier)
    more = with_flood(keys.parameters, 31)
    assert PublicKeys.from_blobs(more, keys.public.to_blobs()).key_id == keys.key_id


def test_a_network_s_keys_ask_for_less_noise_and_no_less(network_keys):
    blobs = network_keys.public.to_blobs()
    assert PublicKeys.from_blobs(network_keys.parameters, blobs).key_id == network_keys.key_id
    weak = with_flood(network_keys.parameters, 14)
    with pytest.raises(ParameterError, match=r"^14 bits of protecting noise, 15 are the least"):
        PublicKeys.from_blobs(weak, blobs)


def test_linear_keys_do_not_pass_for_a_network_s(keys, network_keys):
    """A public key of a late level beside the whole one does not make less noise enough."""
    late = network_keys.public.to_blobs()["public-key-2"]
    weak = with_flood(keys.parameters, 15)
    for blobs in (keys.public.to_blobs(), dict(reversed(keys.public.to_blobs().items()))):
        with pytest.raises(ParameterError, match="30 are the least"):
            PublicKeys.from_blobs(weak, blobs | {"public-key-2": late})
    alone = keys.public.to_blobs()
    alone["public-key-2"] = alone.pop("public-key")
    with pytest.raises(CiphertextError):
        PublicKeys.from_blobs(weak, alone)


def test_sealed_keys_that_would_not_hide_rows_are_refused(keys):
    weak = SecretKeys(
        with_flood(keys.parameters, 0), keys.packing, keys.public, keys._secret
    ).to_bytes()
    with pytest.raises(ParameterError, match=r"^0 bits of protecting noise"):
        SecretKeys.from_bytes(weak)


@pytest.mark.parametrize("bad", [None, [], [None], [5], 5, b"", "", {5: b""}])
def test_what_are_no_blobs_is_refused(keys, bad):
    with pytest.raises(CiphertextError):
        PublicKeys.from_blobs(keys.parameters, bad)


@pytest.mark.parametrize("bad", [None, 5, "text", [b""], "a path"])
@pytest.mark.parametrize("purpose", ["public-key", "galois-keys"])
def test_a_blob_of_another_type_is_refused_by_name(keys, purpose, bad):
    with pytest.raises(CiphertextError, match=f"'{purpose}' is bytes or the path of a file, not"):
        PublicKeys.from_blobs(keys.parameters, keys.public.to_blobs() | {purpose: bad})


@pytest.mark.parametrize("bad", [None, {}, 5])
def test_what_are_no_parameters_is_refused(keys, bad):
    with pytest.raises(ParameterError, match=f"not {type(bad).__name__}$"):
        PublicKeys.from_blobs(bad, keys.public.to_blobs())


@pytest.mark.parametrize("bad", [None, [], [None], [5], 5, "text", {}])
def test_secret_keys_of_another_type_are_refused(bad):
    with pytest.raises(CiphertextError, match=r"^secret keys are bytes, not"):
        SecretKeys.from_bytes(bad)


def test_a_missing_folder_is_named(keys, classifier, tmp_path):
    folder = tmp_path / "none"
    (tmp_path / "file").touch()
    for bad in (folder, tmp_path / "file"):
        for write in (
            lambda bad=bad: generate_keys(choose_parameters(classifier), classifier, bad),
            lambda bad=bad: generate_keys(choose_parameters(NETWORK), NETWORK, bad),
            lambda bad=bad: keys.public.write_blobs(bad),
            lambda bad=bad: SecretKeys.read(io.BytesIO(keys.to_bytes()), bad),
        ):
            with pytest.raises(DataError, match=f"cannot write keys into {bad}: make that folder"):
                write()
    assert not folder.exists()
