"""The indexer against a chain in memory: forward, backward, and through every kind of bad node."""

from __future__ import annotations

import random
import threading
from typing import Any

import httpx
import pytest
from sqlalchemy import event, select
from tests.unit.stats.stats_world import ETH, PPM, Campaign, Node, World, address

from openmined.stats import _schema as schema
from openmined.stats._database import Database
from openmined.stats._errors import (
    AnotherIndexer,
    DatabaseAway,
    HistoryGap,
    RpcError,
    WrongChain,
    WrongContract,
)
from openmined.stats._indexer import Indexer, rebuild, refold
from openmined.stats._store import read_cursor
from openmined.stats._verify import compare, digest_tables, verify


def index(database: Database, node: Node, **settings: Any) -> Indexer:
    indexer = Indexer(database, node.chain(), **settings)
    indexer.prepare()
    indexer.catch_up()
    return indexer


def rows(database: Database, table: Any) -> list[dict[str, Any]]:
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def assert_equals_refolded(database: Database) -> None:
    with database.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        found = digest_tables(connection)
        refold(connection)
        assert digest_tables(connection) == found
        connection.rollback()


def opened(world: World, **terms: Any) -> Campaign:
    campaign = world.launch(**terms)
    world.mine()
    world.open(campaign)
    world.mine()
    return campaign


def test_a_campaign_from_launch_to_delivery(database: Database, world: World, node: Node) -> None:
    campaign = opened(world, bounty=1000, start_ppm=100_000, target_ppm=800_000)
    for miner in (0, 1):
        world.submit(campaign, miner)
    world.mine()
    world.score(campaign, 120_000, {0: PPM}, {1: 3})  # the example: 2 points of 80 pay 25
    world.mine()
    world.withdraw(address("miner", 0), ETH)
    world.deliver(campaign)
    world.mine()

    index(database, node)

    [row] = rows(database, schema.campaigns)
    assert row["phase"] == 3
    assert (row["gradients"], row["accepted"], row["rejected"], row["pending"]) == (2, 1, 1, 0)
    assert (row["paid"], row["forfeited"], row["bounty"], row["refunded"]) == (25, 10, 1010, 985)
    assert (row["best_ppm"], row["measured_ppm"], row["mines"]) == (120_000, 100_000, 2)
    [batch] = rows(database, schema.batches)
    assert (batch["before_ppm"], batch["best_ppm"], batch["gradients"]) == (100_000, 120_000, 2)
    purses = {row["account"]: row for row in rows(database, schema.purses)}
    winner, loser = purses[address("miner", 0)], purses[address("miner", 1)]
    assert (winner["earned"], winner["withdrawn"], winner["credit"]) == (25, 35, 0)
    assert (loser["earned"], loser["bonds_lost"], loser["credit"]) == (0, 10, 0)
    scientist = purses[address("scientist")]
    assert (scientist["deposited"], scientist["spent"], scientist["refunded"]) == (1000, 25, 985)
    everything = next(row for row in rows(database, schema.buckets) if row["width_s"] == 0)
    assert everything["events"] == 9
    assert everything["gain_ppm"] == 20_000
    verify(database, node.chain())


def test_credits_are_the_contracts_own(database: Database, world: World, node: Node) -> None:
    for _ in range(400):
        world.act()
        if world.random.random() < 0.3:
            world.mine()
    world.mine()
    index(database, node)
    found = {(row["account"], row["token"]): row["credit"] for row in rows(database, schema.purses)}
    assert {key: value for key, value in found.items() if value} == {
        key: value for key, value in world.credit.items() if value
    }


@pytest.mark.parametrize("depth", [1, 2, 3, 8, 33, 64])
def test_a_reorganisation_is_taken_back_exactly(
    database: Database, world: World, node: Node, depth: int
) -> None:
    for _ in range(100):
        world.act()
        world.mine()
    indexer = index(database, node)
    before = rows(database, schema.events)
    world.fork(depth)
    fork_block = world.head
    for _ in range(depth + 1):
        world.act()
        world.mine()
    assert indexer.step().outcome == "rolled back"
    kept = [row for row in before if row["block_number"] <= fork_block]
    assert rows(database, schema.events) == kept
    verify(database, node.chain())
    indexer.catch_up()
    verify(database, node.chain())


def test_every_depth_from_1_to_64(database: Database, world: World, node: Node) -> None:
    for _ in range(80):
        world.act()
        world.mine()
    indexer = index(database, node)
    for depth in range(1, 65):
        world.fork(depth)
        for _ in range(depth + 1):
            if world.random.random() < 0.5:
                world.act()
            world.mine()
        assert indexer.step().outcome == "rolled back"
        indexer.catch_up()
        if depth % 7 == 0:
            assert_equals_refolded(database)
    verify(database, node.chain())


def test_deeper_than_what_can_be_undone_is_folded_anew(
    database: Database, world: World, node: Node
) -> None:
    for _ in range(60):
        world.act()
        world.mine()
    indexer = index(database, node, undo_blocks=8)
    assert {row["block_number"] for row in rows(database, schema.undo)} <= set(range(56, 70))
    world.fork(30)
    for _ in range(40):
        world.act()
        world.mine()
    indexer.catch_up()
    verify(database, node.chain())


def test_blocks_without_events_are_reorganised_too(
    database: Database, world: World, node: Node
) -> None:
    indexer = index(database, node)
    for _ in range(5):
        world.mine()
    indexer.catch_up()
    world.fork(4)
    world.launch()
    for _ in range(6):
        world.mine()
    indexer.catch_up()
    assert len(rows(database, schema.campaigns)) == 1
    verify(database, node.chain())


def test_a_node_that_lags_is_waited_for_and_one_that_lost_blocks_is_followed(
    database: Database, world: World, node: Node
) -> None:
    opened(world)
    indexer = index(database, node)
    world.fork(1)  # one block shorter, and it stays so
    outcomes = [indexer.step().outcome for _ in range(10)]
    assert outcomes == ["waiting"] * 9 + ["rolled back"]
    verify(database, node.chain())


def test_confirmations_keep_a_distance(database: Database, world: World, node: Node) -> None:
    world.launch()
    world.mine()
    indexer = index(database, node, confirmations=2)
    assert rows(database, schema.campaigns) == []
    world.mine()
    world.mine()
    indexer.catch_up()
    assert len(rows(database, schema.campaigns)) == 1


def test_ranges_shrink_to_what_the_node_answers_and_grow_again(
    database: Database, world: World, node: Node
) -> None:
    for _ in range(300):
        world.mine()
    node.max_range = 7
    indexer = Indexer(database, chain := node.chain(dense_blocks=1, tries=1))
    indexer.prepare()
    indexer.catch_up()
    assert chain.range <= 14
    with database.reading() as connection:
        cursor = read_cursor(connection)
    assert cursor is not None
    assert cursor.block_number == world.head


def test_a_node_that_refuses_a_single_block_is_an_error(
    database: Database, world: World, node: Node
) -> None:
    world.mine()
    node.max_range = 0
    indexer = Indexer(database, node.chain(tries=2))
    indexer.prepare()
    with pytest.raises(RpcError, match="eth_getLogs"):
        indexer.catch_up()


def test_batches_answered_twice_and_out_of_order(
    database: Database, world: World, node: Node
) -> None:
    node.shuffle = random.Random(7)
    for _ in range(50):
        world.act()
        world.mine()
    index(database, node)
    node.shuffle = None
    verify(database, node.chain())


def test_logs_repeated_and_out_of_order(database: Database, world: World, node: Node) -> None:
    def shuffle(method: str, answer: Any) -> Any:
        return (answer + answer)[::-1] if method == "eth_getLogs" else answer

    node.faults = shuffle
    for _ in range(50):
        world.act()
        world.mine()
    index(database, node)
    verify(database, node.chain())


@pytest.mark.parametrize("dense", [256, 1])
def test_logs_left_out_are_noticed(
    database: Database, world: World, node: Node, dense: int
) -> None:
    luck = random.Random(5)

    def leave_out(method: str, answer: Any) -> Any:
        if method == "eth_getLogs" and answer and luck.random() < 0.4:
            return [log for log in answer if luck.random() < 0.9]
        return answer

    node.faults = leave_out
    indexer = Indexer(database, node.chain(dense_blocks=dense))
    indexer.prepare()
    for _ in range(60):
        world.act()
        world.mine()
        indexer.step()
    node.faults = lambda method, answer: answer
    world.launch()
    world.mine()
    indexer.catch_up()
    if dense == 256:
        verify(database, node.chain())


def test_a_node_that_always_hides_an_event_is_given_up(
    database: Database, world: World, node: Node
) -> None:
    opened(world)
    for _ in range(3):
        world.submit(world.campaigns[0])
        world.mine()

    def hide(method: str, answer: Any) -> Any:
        if method == "eth_getLogs":
            return [log for log in answer if log["blockNumber"] != hex(6)]
        return answer

    node.faults = hide
    with pytest.raises(HistoryGap, match="the node left some out"):
        index(database, node)


@pytest.mark.parametrize("what", ["submit", "rotate", "deliver"])
def test_what_comes_before_its_opening_tells_of_it(
    database: Database, world: World, node: Node, what: str
) -> None:
    getattr(world, what)(opened(world))
    world.mine()
    hidden = hex(world.head - 1)

    def hide(method: str, answer: Any) -> Any:
        if method == "eth_getLogs":
            return [log for log in answer if log["blockNumber"] != hidden]
        return answer

    node.faults = hide
    with pytest.raises(HistoryGap, match="a campaign in phase 1, but"):
        index(database, node)
    node.faults = lambda method, answer: answer
    index(database, node)
    verify(database, node.chain())


def test_timeouts_are_tried_again(database: Database, world: World, node: Node) -> None:
    luck = random.Random(3)

    def time_out() -> None:
        if luck.random() < 0.3:
            raise httpx.ReadTimeout("slow")

    node.on_request = time_out
    for _ in range(30):
        world.act()
        world.mine()
    index(database, node)
    node.on_request = lambda: None
    verify(database, node.chain())


def test_a_full_disk_is_waited_out(database: Database, world: World, node: Node) -> None:
    campaign = opened(world)
    indexer = index(database, node)
    for miner in range(200):
        world.submit(campaign, miner % 3)
    world.mine()
    room = [1]

    @event.listens_for(database.engine, "checkout")
    def limit(connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {room[0]}")

    stop, troubles = threading.Event(), []

    def make_room(trouble: Exception) -> None:
        troubles.append(trouble)
        room[0] = 1 << 20

    indexer.run(
        stop,
        poll_s=0.01,
        on_progress=lambda progress: stop.set() if progress.outcome == "idle" else None,
        on_trouble=make_room,
    )
    assert [type(trouble) for trouble in troubles] == [DatabaseAway]
    assert "full" in str(troubles[0])
    verify(database, node.chain())


def test_another_chain_is_refused(database: Database, world: World, node: Node) -> None:
    index(database, node)
    other = World()
    other.blocks[0].hash = "0x" + "ee" * 32
    with pytest.raises(WrongChain, match="genesis"):
        Indexer(database, Node(other).chain()).prepare()


def test_an_address_without_sonar_is_refused(database: Database, node: Node) -> None:
    node.code = "0x"
    with pytest.raises(WrongContract, match="no contract"):
        Indexer(database, node.chain()).prepare()
    node.code = "0x6001"
    with pytest.raises(WrongContract, match="not this version's Sonar"):
        Indexer(database, node.chain()).prepare()


def test_two_indexers_do_not_mix(database: Database, world: World, node: Node) -> None:
    first = index(database, node)
    second = index(database, node)
    world.launch()
    world.mine()
    stale = first._cursor()
    second.catch_up()
    segment = first._chain.segment(first._ancestor(stale.block_number), world.head)
    with pytest.raises(AnotherIndexer, match="only one indexer"):
        first._advance(stale, segment, world.head)


def test_two_indexers_that_take_turns(database: Database, world: World, node: Node) -> None:
    first, second = index(database, node), index(database, node)
    for _ in range(30):
        for indexer in (first, second):
            for _ in range(3):
                world.act()
            world.mine()
            indexer.catch_up()
    verify(database, node.chain())


def test_reorganised_after_a_rebuild(database: Database, world: World, node: Node) -> None:
    for _ in range(40):
        world.act()
        world.mine()
    indexer = index(database, node)
    assert rebuild(database) == len(rows(database, schema.events))
    world.fork(10)
    for _ in range(12):
        world.act()
        world.mine()
    indexer.catch_up()
    verify(database, node.chain())


def test_folding_the_stored_events_gives_the_same_tables(
    database: Database, world: World, node: Node
) -> None:
    for _ in range(200):
        world.act()
        if world.random.random() < 0.5:
            world.mine()
    world.mine()
    index(database, node)
    with database.reading() as connection:
        before = digest_tables(connection)
    with database.writing() as connection:
        refold(connection)
    with database.reading() as connection:
        assert digest_tables(connection) == before


def test_verify_names_what_differs(database: Database, world: World, node: Node) -> None:
    opened(world)
    index(database, node)
    with database.writing() as connection:
        connection.execute(schema.campaigns.update().values(best_ppm=999))
    with pytest.raises(Exception, match="best_ppm of campaign 1 is 999 in the index, 100000"):
        verify(database, node.chain())


def test_compare_sees_a_row_too_many(database: Database, world: World, node: Node) -> None:
    opened(world)
    index(database, node)
    with database.reading() as left, database.reading() as right:
        assert compare(left, right) > 10


@pytest.mark.parametrize("dense", [1, 256])
@pytest.mark.parametrize("moment", range(1, 9))
@pytest.mark.parametrize("depth", [1, 12])
def test_reorganised_between_any_two_requests(
    database: Database, world: World, node: Node, dense: int, moment: int, depth: int
) -> None:
    def live() -> None:
        for number in range(6):
            if number % 3 == 1:  # between blocks with events some without: no log gives them away
                world.act()
            world.mine()

    for _ in range(5):
        live()
    indexer = Indexer(database, node.chain(dense_blocks=dense))
    indexer.prepare()
    indexer.catch_up()
    live()
    countdown = iter(range(moment, 0, -1))

    def interfere() -> None:
        if next(countdown, None) == 1:
            world.fork(depth)
            live()
            live()

    node.on_request = interfere
    for _ in range(4):
        indexer.step()
    node.on_request = lambda: None
    indexer.catch_up()
    verify(database, Node(world).chain())


@pytest.mark.parametrize("moment", range(1, 7))
def test_what_nothing_later_tells_of_is_taken_back_too(
    database: Database, world: World, node: Node, moment: int
) -> None:
    campaign = opened(world)
    world.top_up(campaign, 77)
    world.mine()
    indexer = Indexer(database, node.chain(dense_blocks=1))
    indexer.prepare()
    indexer.catch_up()
    for _ in range(4):
        world.mine()
    countdown = iter(range(moment, 0, -1))

    def interfere() -> None:
        if next(countdown, None) == 1:
            world.fork(5)  # without the top-up
            for _ in range(6):
                world.mine()

    node.on_request = interfere
    for _ in range(3):
        indexer.step()
    indexer.catch_up()
    assert rows(database, schema.campaigns)[0]["bounty"] == 1000
    verify(database, Node(world).chain())
