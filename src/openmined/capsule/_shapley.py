"""Who made the gain of a batch: Shapley values, exact or sampled, and shares in ppm.

The Shapley value of player i is the mean, over all orders in which the players may arrive, of what
i adds on arrival:

    phi_i = sum over S without i of |S|! (m - |S| - 1)! / m! (v(S + i) - v(S)).

Up to six players it is computed exactly (64 coalitions). Above, orders are sampled as in
GTG-Shapley (Liu et al., ACM TIST 2022, arXiv 2109.02053): every player stands first equally often,
and an order is cut off once what is left to gain is negligible.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from openmined.protocol import PPM
from openmined.syft import Executor, map_arrays

Array = NDArray[np.float64]

Coalition = frozenset[int]
Value = Callable[[Coalition], float]
"""What a coalition of players gains; v of nobody is what stands without them."""

MAX_EXACT_PLAYERS = 6
_MIN_ORDERS = 30
_MANY_PLAYERS = 16
"""Fewer are split sooner here than another process starts."""
_STANDARD_ERROR = 0.03


@dataclass(frozen=True, slots=True)
class Attribution:
    """Shapley values per player, and how they were found."""

    kind: Literal["none", "single", "shapley-exact", "shapley-sampled"]
    values: tuple[float, ...]


def attribute_gain(
    players: int, value: Value, *, seed: int, cutoff: float, executor: Executor | None = None
) -> Attribution:
    """Split v(everybody) - v(nobody) among the players.

    Args:
        players: how many there are; they are numbered from 0.
        value: the game; called at most once per coalition in each process.
        seed: of the sampled orders, so that the split can be repeated.
        cutoff: a remaining gain below this is not looked into (sampled orders only).
        executor: walks the orders of large batches, several at a time; the split is the same.
    """
    game = _remember(value)
    if players == 0:
        return Attribution("none", ())
    if players == 1:
        return Attribution("single", (game(Coalition({0})) - game(Coalition()),))
    if players <= MAX_EXACT_PLAYERS:
        return Attribution("shapley-exact", exact_shapley(players, game))
    values = sampled_shapley(players, value, seed, cutoff, executor=executor)
    return Attribution("shapley-sampled", values)


def exact_shapley(players: int, value: Value) -> tuple[float, ...]:
    """Return the Shapley values from all 2^m coalitions."""
    worth = [value(_members(mask, players)) for mask in range(1 << players)]
    weight = [
        factorial(size) * factorial(players - size - 1) / factorial(players)
        for size in range(players)
    ]
    return tuple(
        sum(
            weight[mask.bit_count()] * (worth[mask | 1 << player] - worth[mask])
            for mask in range(1 << players)
            if not mask >> player & 1
        )
        for player in range(players)
    )


def sampled_shapley(
    players: int,
    value: Value,
    seed: int,
    cutoff: float,
    rounds: int = 24,
    executor: Executor | None = None,
) -> tuple[float, ...]:
    """Estimate the Shapley values from orders in which each player leads once a round.

    At least thirty orders are drawn; it stops when every player's standard error is below 3 % of
    the whole gain. The values sum to the gain but for what the cutoff left out.
    """
    order_of = random.Random(seed)  # noqa: S311 -- repeatability is wanted here, not secrecy
    game = _remember(value)
    ends = (game(Coalition()), game(Coalition(range(players))))
    tolerance = _STANDARD_ERROR * abs(ends[1] - ends[0])
    walked = np.empty((0, players))
    for _ in range(rounds):
        orders = np.array([_order(leader, players, order_of) for leader in range(players)])
        if executor is None or players < _MANY_PLAYERS:
            gains = walk_orders(game, ends, cutoff, orders)
        else:
            parts = [(part,) for part in np.array_split(orders, executor.workers) if len(part)]
            shared = (value, ends, cutoff)
            gains = np.vstack(list(map_arrays(walk_orders, parts, executor, shared=shared)))
        walked = np.vstack([walked, gains])
        error = float(np.sqrt(walked.var(axis=0) / len(walked)).max())
        if len(walked) >= _MIN_ORDERS and error <= tolerance:
            break
    return tuple(walked.mean(axis=0).tolist())


def _order(leader: int, players: int, order_of: random.Random) -> list[int]:
    others = [player for player in range(players) if player != leader]
    order_of.shuffle(others)
    return [leader, *others]


def walk_orders(
    value: Value, ends: tuple[float, float], cutoff: float, orders: NDArray[np.intp]
) -> Array:
    """Return what each player adds on arrival in each order, shape (orders, players).

    `ends` are the values of nobody and of everybody. Who is cut off adds nothing.
    """
    game = _remember(value)
    return np.array([_walk(order, game, ends, cutoff) for order in orders.tolist()])


def _walk(order: list[int], value: Value, ends: tuple[float, float], cutoff: float) -> list[float]:
    standing, everybody = ends
    present: set[int] = set()
    gains = [0.0] * len(order)
    for player in order:
        # The last to arrive is never cut off: it closes the sum at v(everybody).
        if abs(everybody - standing) <= cutoff and len(present) + 1 < len(order):
            break
        present.add(player)
        reached = value(Coalition(present))
        gains[player] = reached - standing
        standing = reached
    return gains


def _members(mask: int, players: int) -> Coalition:
    return Coalition(player for player in range(players) if mask >> player & 1)


def _remember(value: Value) -> Value:
    known: dict[Coalition, float] = {}

    def remembered(members: Coalition) -> float:
        if members not in known:
            known[members] = value(members)
        return known[members]

    return remembered


def to_shares_ppm(values: Sequence[float], fallback: Sequence[float]) -> tuple[int, ...]:
    """Turn values into whole ppm that sum to exactly 1,000,000 (largest remainders).

    Negative values count as zero: who spoils a batch is paid nothing, but owes nothing either.
    When nobody has a positive value, `fallback` (weights, not all zero) decides.
    """
    weights = [max(0.0, value) for value in values]
    if sum(weights) <= 0.0:
        weights = [max(0.0, float(weight)) for weight in fallback]
    whole = sum(weights)
    if whole <= 0.0:
        raise ValueError("nobody to share among: every value and every fallback weight is zero")
    exact = [weight / whole * PPM for weight in weights]
    shares = [int(part) for part in exact]
    missing = PPM - sum(shares)
    by_remainder = sorted(range(len(exact)), key=lambda i: (shares[i] - exact[i], i))
    for index in by_remainder[:missing]:
        shares[index] += 1
    return tuple(shares)
