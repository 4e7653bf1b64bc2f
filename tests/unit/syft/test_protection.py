"""What the key holder and others see of an update, beyond the update."""

import numpy as np
import tenseal.sealapi as seal

from openmined.protocol import PlainGradient
from openmined.syft import Statistics, compute_update, encrypt_model
from openmined.syft._noise import error_bound, flood_deviation
from openmined.syft._packing import pack_columns, unused_slots
from openmined.syft._product import PlainMatrix, multiply_matrix, pad_matrix
from openmined.syft._randomness import complex_gaussian, dither, gaussian, uniform
from openmined.syft._scales import kept_primes, norm_bound
from openmined.syft._seal import make_context
from openmined.syft._states import update_scale
from openmined.syft._updates import affine_map, decrypt_slots


def test_bound_covers_the_error_it_hides(keys, statistics, classifier, weights):
    """The unprotected product's error stays below the public bound, but not by much."""
    M, _ = affine_map(statistics, PlainGradient(), classifier.l2)
    model = encrypt_model(weights, keys)
    padded = pad_matrix(M, 16, 16)
    matrix = PlainMatrix(padded, keys.parameters.data_scale_bits, keys.parameters, keys.packing)
    products = multiply_matrix(matrix, model.ciphertexts, keys.public.galois_keys, lambda: None)
    exact = pack_columns(M @ weights, keys.packing)[0]
    used = pack_columns(np.ones_like(weights), keys.packing)[0] != 0
    error = (decrypt_slots(products[0], keys) - exact)[used] * products[0].scale
    bound = error_bound(keys.parameters, keys.packing, float(np.linalg.norm(M)))
    # Randomised encoding adds an error that does not depend on M and so needs no hiding.
    coefficients = 2.0 * 1.5 * np.sqrt(keys.parameters.poly_modulus_degree)
    encoding = np.linalg.norm(weights) * coefficients * 2.0**keys.parameters.weight_scale_bits
    assert np.linalg.norm(error) < bound + 4 * encoding


def test_flood_has_its_deviation_and_hides_the_error(keys, statistics, classifier, weights, bits):
    model = encrypt_model(weights, keys)
    gradient = compute_update(model, keys.public, statistics, PlainGradient(), classifier.l2)
    M, B = affine_map(statistics, PlainGradient(), classifier.l2)
    exact = pack_columns(M @ weights + B, keys.packing)[0]
    used = pack_columns(np.ones_like(weights), keys.packing)[0] == 1 + 1j
    error = (decrypt_slots(gradient.ciphertexts[0], keys) - exact)[used]
    scale = 2.0 ** (keys.parameters.weight_scale_bits + keys.parameters.data_scale_bits)
    tau = flood_deviation(keys.parameters, keys.packing, norm_bound(keys.parameters)) / scale
    measured = np.concatenate([error.real, error.imag]).std()
    assert 0.5 * tau < measured < 2.0 * tau
    assert (
        tau
        == 2.0**30 * error_bound(keys.parameters, keys.packing, norm_bound(keys.parameters)) / scale
    )


def test_unused_slots_are_drowned(keys, statistics, classifier, weights):
    """Slots without weights hold large noise of one distribution, whatever the data."""
    model = encrypt_model(weights, keys)
    unused = unused_slots(keys.packing)[0].real == 1.0
    spreads = []
    for factor in (1e-6, 1.0):
        scaled = Statistics(statistics.n, factor * statistics.gram, factor * statistics.cross)
        gradient = compute_update(model, keys.public, scaled, PlainGradient(), classifier.l2)
        spreads.append(decrypt_slots(gradient.ciphertexts[0], keys).real[unused].std())
    scale = 2.0 ** (keys.parameters.weight_scale_bits + keys.parameters.data_scale_bits)
    hidden = error_bound(keys.parameters, keys.packing, norm_bound(keys.parameters)) / scale
    assert min(spreads) > 2.0**30 * hidden
    assert abs(np.log(spreads[0] / spreads[1])) < 0.1


def test_update_travels_on_fewer_primes_than_the_model(keys, statistics, classifier, weights):
    model = encrypt_model(weights, keys)
    gradient = compute_update(model, keys.public, statistics, PlainGradient(), classifier.l2)
    item = gradient.ciphertexts[0]
    assert item.coeff_modulus_size() == kept_primes(keys.parameters)
    assert item.coeff_modulus_size() < model.ciphertexts[0].coeff_modulus_size()
    assert item.scale == update_scale(keys.parameters)


def test_second_noise_layer_reaches_the_low_bits(keys):
    """Two layers leave no coefficient with a bare tail of zero bits."""
    parameters = keys.parameters
    context = make_context(parameters)
    encoder, plain = seal.CKKSEncoder(context), seal.Plaintext()
    deviation = flood_deviation(parameters, keys.packing, norm_bound(parameters))
    noise = complex_gaussian(parameters.poly_modulus_degree // 2)
    assert 2.0**-40 * deviation > 2.0**20  # the second layer is far above rounding
    assert deviation / np.sqrt(parameters.poly_modulus_degree) < 2.0 ** (53 + 40)
    encoder.encode((noise * deviation * 2.0**-90).tolist(), 2.0**90, plain)
    assert plain.scale == 2.0**90


def test_secret_randomness_has_the_right_moments():
    draws = uniform(100_000)
    assert 0 < draws.min() < draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.01
    for sample in (gaussian(100_001), dither((100, 1000)).ravel(), complex_gaussian(50_000).imag):
        assert abs(sample.mean()) < 0.02
        assert abs(sample.std() - 1) < 0.02
    assert len(gaussian(7)) == 7
