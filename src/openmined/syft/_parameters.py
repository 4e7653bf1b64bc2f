"""CKKS parameters and packing for a learning task, by a cost model (DESIGN 6.4).

An update is one product M W of a plaintext matrix with encrypted weights. The cheapest plan is
sought over ring degrees and numbers of primes; each prime split is the smallest that has the room
the task needs (see `_scales`) and the precision aimed at, after the noise that protects updates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from openmined.protocol import CKKSParameters, InterleavedPacking, LocalSteps
from openmined.syft._errors import ParameterError
from openmined.syft._noise import flood_deviation, rounding_deviation
from openmined.syft._scales import (
    RESERVED_BITS,
    dropped_bits,
    kept_primes,
    norm_bound,
    product_scale_bits,
)

if TYPE_CHECKING:
    from openmined.syft._specs import LearningSpec, LinearSpec

_MAX_BITS = {4096: 109, 8192: 218, 16384: 438, 32768: 881}

TARGET_BITS = 15.0
"""Precision aimed at, relative to the expected largest entry; tests hold 12."""

_DATA_SCALE_BITS = {1: 30, 2: 26}  # by the number of multiplications in a row
_SPECIAL_BITS = 60
_LEAST_WEIGHT_BITS = 66
_MORE_WEIGHT_BITS = 3  # a larger scale may allow a split that is shorter to send
_Degree = Literal[4096, 8192, 16384, 32768]
_SECONDS_PER_BYTE = 1e-7  # a line of 80 Mbit/s, to weigh downloads against computing


def required_norm(spec: LinearSpec) -> float:
    """Bound |M|_F publicly: sqrt(p) for A of local steps, R^2 + l2 sqrt(p) for G."""
    root = float(np.sqrt(spec.inputs))
    if isinstance(spec.update, LocalSteps):
        return root
    return spec.radius**2 + spec.l2 * root


def expected_entry(spec: LinearSpec) -> float:
    """Guess the largest entry of an update before any data is seen: an eighth of a rms feature.

    A first gradient is -Z'Y/n: features of rms R/sqrt(p), half of it used up by the radius, times
    targets that are mostly zero. Local weights are of the same order or larger.
    """
    if isinstance(spec.update, LocalSteps):
        return 0.125
    return spec.radius / float(np.sqrt(spec.inputs)) / 8.0


@dataclass(frozen=True)
class Plan:
    """A parameter set with its packing and estimated cost; see `plan_parameters`."""

    parameters: CKKSParameters
    packing: InterleavedPacking
    seconds: float
    bytes_keys: int
    bytes_model: int
    bytes_update: int

    @property
    def cost(self) -> float:
        """Seconds of computing plus seconds on the line."""
        moved = self.bytes_keys + self.bytes_model + self.bytes_update
        return self.seconds + moved * _SECONDS_PER_BYTE


def choose_parameters(spec: LearningSpec, *, few_rows: bool = False) -> CKKSParameters:
    """Choose the cheapest CKKS parameters for a task, at 128 bits of security.

    Args:
        spec: the task.
        few_rows: leave room for a second plaintext multiplication, so that mines with fewer rows
            than a quarter of the features use the cheaper two-product form. Above some
            500 features this takes a larger ring.

    Raises:
        ParameterError: if no parameter set has the room and precision that the task needs.
    """
    from openmined.syft._specs import MLPClassifier

    if isinstance(spec, MLPClassifier):
        from openmined.syft._mlp_keys import choose_mlp_parameters

        return choose_mlp_parameters(spec)
    return plan_parameters(spec, few_rows).parameters


def plan_parameters(spec: LinearSpec, few_rows: bool = False) -> Plan:
    """Return the cheapest plan for a linear task; see `choose_parameters`."""
    return _plan(
        spec.inputs,
        spec.outputs,
        _ceil_log2(required_norm(spec)),
        int(np.floor(np.log2(expected_entry(spec)))),
        2 if few_rows else 1,
    )


@lru_cache(maxsize=64)
def _plan(rows: int, columns: int, norm_bits: int, entry_bits: int, products: int) -> Plan:
    task = _Task(rows, columns, norm_bits, entry_bits, products)
    plans = [
        plan
        for degree in (8192, 16384, 32768)
        if next_power_of_two(rows) <= degree // 2
        for primes in range(2, 7)
        if (plan := _try_plan(task, degree, primes)) is not None
    ]
    if not plans:
        raise ParameterError(
            f"no parameters of 128 bits fit {rows} x {columns} weights with |M| up to "
            f"2^{norm_bits}: scale the features down, or use fewer"
        )
    return min(plans, key=lambda plan: plan.cost)


@dataclass(frozen=True)
class _Task:
    rows: int
    columns: int
    norm_bits: int
    entry_bits: int
    products: int


def _try_plan(task: _Task, degree: int, primes: int) -> Plan | None:
    """Find the cheapest split of the smallest sufficient modulus into `primes` data primes."""
    limit = min(60 * primes, _MAX_BITS[degree] - _SPECIAL_BITS)
    data_bits = _DATA_SCALE_BITS[task.products]
    fixed = task.products * data_bits + task.norm_bits + RESERVED_BITS
    packing = choose_packing(degree, task.rows, task.columns)
    plans: list[Plan] = []
    for weight_bits in range(_LEAST_WEIGHT_BITS, min(100, limit - fixed) + 1):
        for split in _splits(weight_bits + fixed, primes):
            parameters = CKKSParameters(
                poly_modulus_degree=cast("_Degree", degree),
                coeff_modulus_bits=(*split, _SPECIAL_BITS),
                weight_scale_bits=weight_bits,
                data_scale_bits=data_bits,
            )
            if expected_bits(parameters, packing, 2.0**task.entry_bits) >= TARGET_BITS:
                plans.append(_cost(parameters, packing))
        if plans and weight_bits >= plans[0].parameters.weight_scale_bits + _MORE_WEIGHT_BITS:
            break
    return min(plans, key=lambda plan: plan.cost, default=None)


def _splits(total: int, primes: int) -> list[tuple[int, ...]]:
    """Split `total` bits: some first prime, the others alike, or the last ones of 60 bits."""
    splits = []
    for large in range(primes - 1):
        rest, count = total - 60 * large, primes - large
        for first in range(30, 61):
            share, extra = divmod(rest - first, count - 1)
            middle = tuple(share + (index < extra) for index in range(count - 1))
            if all(30 <= bits <= 60 for bits in middle):
                splits.append((first, *middle, *[60] * large))
    return splits


def expected_bits(parameters: CKKSParameters, packing: InterleavedPacking, entry: float) -> float:
    """Return the precision of an update's entries in bits, relative to `entry`.

    The flooding noise is Gaussian; its largest value among 10^4 is four deviations.
    """
    scale = 2.0 ** product_scale_bits(parameters)
    dropped = 2.0 ** dropped_bits(parameters)
    flood = flood_deviation(parameters, packing, norm_bound(parameters)) / scale
    rounding = rounding_deviation(parameters.poly_modulus_degree) * dropped / scale
    return float(np.log2(entry) - np.log2(4.0 * np.hypot(flood, rounding)))


def next_power_of_two(number: int) -> int:
    """Return the smallest power of two that is at least `number`."""
    return 1 << (number - 1).bit_length()


def _ceil_log2(number: float) -> int:
    return int(np.ceil(np.log2(number)))


def choose_packing(degree: int, rows: int, columns: int) -> InterleavedPacking:
    """Pack `rows` x `columns` weights; the giant step balances rotations before and after.

    Raises:
        ParameterError: if the rows do not fit into a ciphertext.
    """
    dimension = next_power_of_two(rows)
    slots = degree // 2
    if dimension > slots:
        raise ParameterError(f"{rows} rows do not fit {slots} slots: use a larger ring")
    # b baby rotations and D/b giant ones: least at b = sqrt(D); chained baby steps add noise, so
    # the smaller power of two is taken.
    giant = 1 << (dimension.bit_length() - 1) // 2
    return InterleavedPacking(
        rows=rows,
        columns=columns,
        dimension=dimension,
        columns_per_ciphertext=slots // dimension,
        giant_step=giant,
    )


def ciphertexts_needed(packing: InterleavedPacking) -> int:
    """Return how many ciphertexts hold the weights: two real columns a complex slot column."""
    pairs = (packing.columns + 1) // 2
    return -(-pairs // packing.columns_per_ciphertext)


def used_columns(packing: InterleavedPacking) -> int:
    """Return how many slot columns of each ciphertext carry weights: they are spread evenly."""
    pairs = (packing.columns + 1) // 2
    return -(-pairs // ciphertexts_needed(packing))


def _cost(parameters: CKKSParameters, packing: InterleavedPacking) -> Plan:
    degree = parameters.poly_modulus_degree
    primes = len(parameters.coeff_modulus_bits) - 1
    count = ciphertexts_needed(packing)
    dimension, baby = packing.dimension, packing.giant_step
    # Seconds per coefficient, fitted to SEAL 4.1 on one x86-64 core (see RESEARCH.md).
    encode = degree * (30 + 11 * primes) * 1e-9
    multiply_add = degree * primes * 9e-9
    rotate = degree * primes * (primes + 1) * 20e-9
    rotations = (baby - 1) + (dimension // baby - 1)
    seconds = dimension * encode + count * (dimension * multiply_add + rotations * rotate)
    bits = parameters.coeff_modulus_bits
    seeded = degree // 8
    return Plan(
        parameters=parameters,
        packing=packing,
        seconds=seconds,
        bytes_keys=seeded * sum(bits) * (2 * primes + 1),
        bytes_model=count * seeded * sum(bits[:-1]),
        bytes_update=2 * count * seeded * sum(bits[: kept_primes(parameters)]),
    )
