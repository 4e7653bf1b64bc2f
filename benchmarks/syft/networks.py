"""Gradients of networks: operations counted, each timed alone, and the whole beside their sum.

The sum is of all that SEAL does for a gradient: the four kinds that are counted, encodings,
additions, rescaling; `over_those_four` leaves out all but the four. Gradients and operations alone
take turns, so that both see the machine as it is at the time; of each the median counts.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import tenseal.sealapi as seal
from benchmarks.syft._clock import Clock, Voice, best_of, bits_of
from benchmarks.syft._rivals import measure_rival
from benchmarks.syft._rows import Row, make_row
from benchmarks.syft._tasks import DIGITS

from openmined.syft import (
    MLPClassifier,
    choose_parameters,
    compute_mlp_update,
    decrypt_update,
    encrypt_model,
    generate_keys,
    initial_weights,
    mlp_gradient,
)
from openmined.syft._mlp_machine import Machine

WANTED_BITS = 6
MOST_OVER_OPERATIONS = 1.25

OPERATIONS = (
    "plaintext multiplications",
    "ciphertext multiplications",
    "relinearizations",
    "rotations",
)

NETWORKS = {  # inputs, hidden units, samples: the prototype's counts of OPERATIONS
    (64, 32, 128): (74, 26, 16, 71),
    (64, 64, 128): (136, 26, 16, 77),
    (64, 64, 512): (508, 104, 40, 145),
    (784, 32, 256): (1810, 26, 16, 164),
    (1024, 256, 64): None,
}

_KINDS = {  # of the machine's methods; those that change their argument are marked
    "times": ("plaintext multiplications", False),
    "multiply": ("ciphertext multiplications", False),
    "square": ("ciphertext multiplications", False),
    "relinearize": ("relinearizations", True),
    "rotate": ("rotations", False),
    "conjugate": ("rotations", False),
    "rescale": ("rescaling", True),
    "lower": ("lowering", False),
    "add": ("additions", True),
    "encode": ("encodings", False),
}
_ROUNDS = 5
_TIMES_A_ROUND = 3


@dataclass(frozen=True)
class _Alone:
    """One operation at one level, ready to be done again by itself."""

    machine: Machine
    method: Callable[..., Any]
    arguments: tuple[Any, ...]
    in_place: bool
    seconds: list[float] = field(default_factory=list)

    def time(self) -> None:
        """Do it again; copies are made off the clock."""
        first, *rest = self.arguments
        if self.in_place:
            first = _copy(self.machine, first)
        clock = Clock()
        self.method(self.machine, first, *rest)
        self.seconds.append(clock.seconds)


_LOWER = Machine.lower


def _level(item: Any) -> int:
    return int(item.coeff_modulus_size())


def _copy(machine: Machine, item: Any) -> Any:
    if isinstance(item, seal.Plaintext):
        return seal.Plaintext(item)
    return _LOWER(machine, item, _level(item)) if isinstance(item, seal.Ciphertext) else item


class Recorder:
    """Counts a gradient's operations by kind and level, and keeps one of each to time it alone."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int, int]] = Counter()
        self._alone: dict[tuple[str, int, int], _Alone] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what machines do meanwhile."""
        kept = {name: getattr(Machine, name) for name in _KINDS}
        for name, method in kept.items():
            setattr(Machine, name, self._watch(name, method))
        try:
            yield
        finally:
            for name, method in kept.items():
                setattr(Machine, name, method)

    def _watch(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(machine: Machine, *arguments: Any) -> Any:
            if arguments[0] is not None:  # nothing is added to the first of a sum
                self._record(machine, name, method, arguments)
            return method(machine, *arguments)

        return call

    def _record(
        self, machine: Machine, name: str, method: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        first, *rest = arguments
        key = (name, rest[0], 1) if name == "encode" else (name, _level(first), first.size())
        self._counts[key] += 1
        if key not in self._alone:
            # Copies, because what is at hand now may be changed in place later.
            kept = tuple(_copy(machine, argument) for argument in arguments)
            self._alone[key] = _Alone(machine, method, kept, _KINDS[name][1])

    def counts(self) -> dict[str, int]:
        """Return how many of each of OPERATIONS there were."""
        found = Counter[str]()
        for (name, _, _), count in self._counts.items():
            found[_KINDS[name][0]] += count
        return {kind: found[kind] for kind in OPERATIONS}

    def time_alone(self) -> None:
        """Time each operation at each of its levels by itself."""
        for _ in range(_TIMES_A_ROUND):
            for alone in self._alone.values():
                alone.time()

    def seconds_alone(self) -> dict[str, float]:
        """Return the time of all operations of each kind, from each timed alone at its level."""
        found: dict[str, float] = {}
        for key, count in self._counts.items():
            kind = _KINDS[key[0]][0]
            found[kind] = found.get(kind, 0.0) + count * median(self._alone[key].seconds)
        return {kind: round(seconds, 4) for kind, seconds in sorted(found.items())}


def bench_networks(quick: bool) -> Iterator[Row]:
    """Gradients of networks."""
    for (inputs, hidden, n), prototype in NETWORKS.items():
        if not quick or (inputs, hidden, n) == (64, 32, 128):
            yield measure_network(inputs, hidden, n, prototype)


def measure_network(inputs: int, hidden: int, n: int, prototype: tuple[int, ...] | None) -> Row:
    """Measure one protected gradient."""
    name = f"MLP {inputs}-{hidden}-10, {n} samples"
    voice = Voice(name)
    voice.say("keys")
    spec = MLPClassifier(inputs=inputs, hidden=hidden, classes=DIGITS)
    keys = generate_keys(choose_parameters(spec), spec)
    X = np.random.default_rng(0).uniform(0, np.sqrt(0.75), (n, inputs))  # sqrt(inputs)/2 long
    Y = np.eye(10)[np.random.default_rng(1).integers(0, 10, n)]
    W = initial_weights(spec)
    model = encrypt_model(W, keys)
    keys.public.check()

    def gradient() -> Any:
        voice.say("gradients")
        return compute_mlp_update(model, keys.public, X, Y)

    recorder = Recorder()
    with recorder.recording():
        gradient()
    seconds, cpu_seconds = [], []
    for _ in range(_ROUNDS):
        wall, processor, found = best_of(1, gradient)
        seconds.append(wall)
        cpu_seconds.append(processor)
        voice.say("operations alone")
        recorder.time_alone()
    alone = recorder.seconds_alone()
    total = sum(alone.values())
    counts = recorder.counts()
    wanted, got = mlp_gradient(W, X, Y), decrypt_update(found, keys)
    bits = bits_of(got, wanted)
    required = {
        f"{WANTED_BITS} bits after protection": bits >= WANTED_BITS,
        f"at most {MOST_OVER_OPERATIONS} times its operations alone": (
            median(seconds) <= MOST_OVER_OPERATIONS * total
        ),
    }
    if prototype is not None:
        text = f"operations no higher than {'/'.join(map(str, prototype))}"
        required[text] = all(
            counts[kind] <= most for kind, most in zip(OPERATIONS, prototype, strict=True)
        )
    return make_row(
        name,
        median(seconds),
        required=required,
        bytes_down=sum(map(len, model.to_blobs())),
        bytes_up=sum(map(len, found.to_blobs())),
        bits=bits,
        operations=counts,
        **measure_rival("NumPy in the clear", functools.partial(mlp_gradient, W, X, Y), repeat=3),
        cpu_seconds=round(median(cpu_seconds), 4),
        bytes_keys=sum(map(len, keys.public.to_blobs().values())),
        bits_of_layers=[
            bits_of(got[:inputs], wanted[:inputs]),
            bits_of(got[inputs:], wanted[inputs:]),
        ],
        over_operations=round(median(seconds) / total, 3),
        over_those_four=round(median(seconds) / sum(alone[kind] for kind in OPERATIONS), 3),
        seconds_alone=alone,
    )
