"""Whatever the chain does and however the node answers, the index equals its rebuild."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.unit.stats.stats_world import Node, World

from openmined.stats import Indexer, RpcError, open_database, verify
from openmined.stats._indexer import refold
from openmined.stats._verify import digest_tables

ACT, MINE, FORK, STEP, CATCH_UP, RESTART = range(6)
MOVES = st.one_of(
    st.tuples(st.just(ACT), st.integers(1, 12)),
    st.tuples(st.just(MINE), st.integers(1, 6)),
    st.tuples(st.just(FORK), st.integers(1, 40)),
    st.tuples(st.just(STEP), st.integers(1, 3)),
    st.tuples(st.just(CATCH_UP), st.just(0)),
    st.tuples(st.just(RESTART), st.just(0)),
)


class BadNode(Node):
    """Answers in any order, twice, too late, or not at all; and the chain moves while it does."""

    def __init__(self, world: World, seed: int, share: float) -> None:
        super().__init__(world)
        self.luck = random.Random(seed)
        self.share = share
        self.shuffle = self.luck
        self.on_request = self.interfere
        self.faults = self.spoil

    def interfere(self) -> None:
        if self.luck.random() < self.share:
            raise httpx.ReadTimeout("no answer")
        if self.luck.random() < self.share / 4:
            self.world.fork(self.luck.randint(1, 3))
            self.world.mine()
            self.world.mine()

    def spoil(self, method: str, answer: Any) -> Any:
        if method != "eth_getLogs" or self.luck.random() > self.share:
            return answer
        # It has not seen some of the blocks yet, and says the rest twice, in disorder.
        unseen = {log["blockNumber"] for log in answer if self.luck.random() < 0.2}
        kept = [log for log in answer if log["blockNumber"] not in unseen] * 2
        return self.luck.sample(kept, len(kept))


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],  # shrinking would take minutes
)
@given(
    seed=st.integers(0, 2**32 - 1),
    moves=st.lists(MOVES, min_size=5, max_size=40),
    share=st.sampled_from([0.0, 0.1, 0.3]),
    undo_blocks=st.sampled_from([1, 8, 1024]),
    width=st.sampled_from([1, 7, 2000]),
)
def test_index_equals_rebuild(
    seed: int,
    moves: list[tuple[int, int]],
    share: float,
    undo_blocks: int,
    width: int,
) -> None:
    world = World(seed)
    for _ in range(10):
        world.act()
        world.mine()
    node = BadNode(world, seed, share)
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'index.sqlite3'}", migrate=True)
        indexer = _indexer(database, node, undo_blocks, width)
        for move, amount in moves:
            if move == ACT:
                for _ in range(amount):
                    world.act()
            elif move == MINE:
                for _ in range(amount):
                    world.mine()
            elif move == FORK:
                world.fork(amount)
            elif move == STEP:
                for _ in range(amount):
                    _step(indexer)
            elif move == CATCH_UP:
                _catch_up(indexer, 30)
            else:
                indexer = _indexer(database, node, undo_blocks, width)
        # The node recovers; one more block lets a shortened chain overtake the index.
        node.share = 0.0
        for _ in range(45):
            world.mine()
        _catch_up(indexer, 300)
        verdict = verify(database, Node(world).chain())
        assert verdict.block_number == world.head
        with database.writing() as connection:
            refold(connection)
            assert digest_tables(connection) == verdict.digests
        database.close()


def _indexer(database: Any, node: Node, undo_blocks: int, width: int) -> Indexer:
    chain = node.chain(tries=6)
    chain.range = width
    return Indexer(database, chain, undo_blocks=undo_blocks, from_block=1, clock=lambda: 0.0)


def _step(indexer: Indexer) -> str:
    try:
        return indexer.step().outcome
    except RpcError:
        return "waiting"


def _catch_up(indexer: Indexer, steps: int) -> None:
    for _ in range(steps):
        if _step(indexer) == "idle":
            return
