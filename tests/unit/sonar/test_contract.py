from __future__ import annotations

import pytest
from tests.unit.sonar.chain import Anvil
from tests.unit.sonar.conftest import DELIVERY, ENVELOPE, KEYS, MODEL, RECEIPT, SPEC, World

from openmined.protocol import GradientStatus, Phase, Reason
from openmined.sonar import (
    ETH,
    NO_MODEL,
    BatchScored,
    CampaignDelivered,
    CampaignLaunched,
    CampaignOpened,
    FeeAboveCap,
    GradientScored,
    GradientSubmitted,
    NoContract,
    NotEnoughFunds,
    NoWallet,
    Reverted,
    RpcUnreachable,
    Score,
    SonarError,
    UnknownCampaign,
    Wallet,
    WalletError,
    Withdrawn,
    WrongChain,
    WrongContract,
    connect_sonar,
)


def test_a_campaign_from_launch_to_withdrawal(world: World) -> None:
    first = world.data_scientist.block_number() + 1
    terms = world.terms(fee=100, bounty=1100)
    campaign = world.data_scientist.launch_campaign(b"\1" * 32, terms)
    state = world.data_scientist.campaign(campaign)
    assert (state.phase, state.terms, state.unspent) == (Phase.LAUNCHED, terms, 1100)

    world.capsule.open_campaign(campaign, KEYS, MODEL, 101_000)
    submitted = world.miner.submit_gradient(campaign, 1, ENVELOPE)
    assert submitted.gradient == 0
    assert world.miner.gradient(campaign, 0).status == GradientStatus.PENDING

    world.capsule.score_batch(campaign, 1, 1, 800_000, NO_MODEL, RECEIPT, [Score(0, 1_000_000)])
    world.capsule.deliver(campaign, 1, DELIVERY)

    earned = (800_000 - 101_000) * 1000 // 800_000
    miner = world.miner.wallet.address
    assert world.miner.credit(ETH, miner) == earned + 10
    before = world.miner.balance(miner)
    receipt = world.miner.withdraw()
    assert world.miner.balance(miner) == before + earned + 10 - receipt.fee_wei
    world.data_scientist.withdraw()
    world.capsule.withdraw()

    events = world.stranger.events(first)
    kinds = [type(event) for event in events]
    assert kinds == [
        CampaignLaunched,
        CampaignOpened,
        GradientSubmitted,
        GradientScored,
        BatchScored,
        CampaignDelivered,
        Withdrawn,
        Withdrawn,
        Withdrawn,
    ]
    launched = events[0]
    assert isinstance(launched, CampaignLaunched)
    assert (launched.terms, launched.nonce) == (terms, b"\1" * 32)
    assert launched.block_hash == world.stranger.block_hash(launched.block_number)
    assert 0 <= world.stranger.now() - launched.timestamp < 3600
    assert world.stranger.events(first, campaign=campaign) == events[:6]
    assert world.stranger.events(first, first, campaign + 1) == []


def test_the_same_launch_twice_is_one_campaign(world: World) -> None:
    nonce, terms = b"\2" * 32, world.terms()
    campaign = world.data_scientist.launch_campaign(nonce, terms)
    block = world.data_scientist.block_number()
    assert world.data_scientist.launch_campaign(nonce, terms) == campaign
    assert world.data_scientist.block_number() == block
    other = world.terms(spec=b"\x22" * 32)
    with pytest.raises(Reverted, match="nonce used"):
        world.data_scientist.launch_campaign(nonce, other)
    assert world.data_scientist.campaign(campaign).terms.spec == SPEC


def test_every_refusal_names_its_cause_and_sends_nothing(world: World) -> None:
    campaign = world.launch(3)
    block = world.data_scientist.block_number()
    cases = [
        (lambda: world.launch(4, deadline=1), "Sonar: deadline in the past"),
        (lambda: world.launch(4, bounty=0), "Sonar: no bounty"),
        (lambda: world.launch(4, target_ppm=100_000), "Sonar: target not above start"),
        (lambda: world.miner.submit_gradient(campaign, 1, ENVELOPE), "Sonar: not open"),
        (lambda: world.miner.cancel_campaign(campaign), "Sonar: not the data scientist"),
        (lambda: world.miner.open_campaign(campaign, KEYS, MODEL, 1), "Sonar: not the capsule"),
        (lambda: world.miner.expire_campaign(campaign), "Sonar: grace not over"),
        (lambda: world.miner.withdraw(), "Sonar: no credit"),
    ]
    for call, reason in cases:
        with pytest.raises(Reverted) as caught:
            call()
        assert caught.value.reason == reason
        assert caught.value.transaction is None
        assert len(str(caught.value)) > len(reason) + 10, "says what to do"
    assert world.data_scientist.block_number() == block


def test_an_unknown_campaign_is_named_with_the_known_ones(world: World) -> None:
    known = world.data_scientist.campaign_count()
    assert world.data_scientist.campaign(known + 1).phase == Phase.NONE
    with pytest.raises(UnknownCampaign, match=f"no campaign {known + 1} .* 1 to {known}"):
        world.data_scientist.top_up(known + 1, 5)


def test_cancel_top_up_reject_rotate(world: World) -> None:
    campaign = world.launch(5)
    world.stranger.top_up(campaign, 7)
    assert world.data_scientist.campaign(campaign).terms.bounty == 1007
    world.data_scientist.cancel_campaign(campaign)
    assert world.data_scientist.campaign(campaign).phase == Phase.CANCELLED

    campaign = world.launch(6)
    world.capsule.reject_campaign(campaign, "ä" * 60)
    assert world.data_scientist.campaign(campaign).phase == Phase.REJECTED
    rejected = world.data_scientist.events(0, campaign=campaign)[-1]
    assert rejected.arguments() == {"campaign": campaign, "reason": "ä" * 48, "refund": 1000}

    campaign = world.launch_open(7)
    world.capsule.rotate_keys(campaign, 1, b"\5" * 32, b"\6" * 32)
    state = world.data_scientist.campaign(campaign)
    assert (state.version, state.epoch) == (2, 2)


def test_a_rejection_that_looks_like_an_address_is_read_as_text(world: World) -> None:
    # 42 characters after 0x once went through the checksum of addresses.
    for nonce, text in ((8, "0x" + "zz" * 20), (9, "0x" + "ab" * 20)):
        campaign = world.launch(nonce)
        world.capsule.reject_campaign(campaign, text)
        assert world.data_scientist.events(0, campaign=campaign)[-1].arguments()["reason"] == text


def test_expire_and_reclaim_after_the_grace(own_world: World) -> None:
    world = own_world
    campaign = world.launch_open(1)
    world.miner.submit_gradient(campaign, 1, ENVELOPE)
    world.anvil.travel(3600 + 601)
    world.stranger.expire_campaign(campaign)
    world.stranger.reclaim_bonds(campaign, [0])
    assert world.miner.credit(ETH, world.miner.wallet.address) == 10
    assert world.miner.gradient(campaign, 0).status == GradientStatus.RECLAIMED
    assert world.data_scientist.escrow(ETH) == 1010


def test_time_that_passed_without_a_block_counts(own_world: World) -> None:
    # Nobody mines between deadline and the call: the simulation must see the present all the same.
    world = own_world
    campaign = world.launch_open(1)
    world.anvil.call("evm_increaseTime", 3600 + 601)
    world.stranger.expire_campaign(campaign)
    assert world.data_scientist.campaign(campaign).phase == Phase.EXPIRED


def test_rejected_gradients_lose_or_keep_their_bond(world: World) -> None:
    campaign = world.launch_open(10)
    for _ in range(2):
        world.miner.submit_gradient(campaign, 1, ENVELOPE)
    scores = [Score(0, 0, Reason.HARMFUL), Score(1, 0, Reason.STALE)]
    world.capsule.score_batch(campaign, 1, 1, 100_000, NO_MODEL, RECEIPT, scores)
    state = world.data_scientist.campaign(campaign)
    assert (state.terms.bounty, state.pending, state.batches) == (1010, 0, 1)
    (batch,) = [e for e in world.capsule.events(0, campaign=campaign) if isinstance(e, BatchScored)]
    assert (batch.forfeited, batch.model, batch.receipt) == (10, NO_MODEL, RECEIPT)


def test_reading_needs_no_wallet_and_writing_does(world: World) -> None:
    with connect_sonar(world.anvil.url, world.address) as reader:
        assert reader.campaign_count() == world.data_scientist.campaign_count()
        with pytest.raises(NoWallet):
            reader.withdraw()
        with pytest.raises(NoWallet):
            reader.launch_campaign(bytes(32), world.terms())


def test_nothing_at_the_address(world: World) -> None:
    with pytest.raises(NoContract, match="openmined sonar deploy"):
        connect_sonar(world.anvil.url, "0x" + "12" * 20)


def test_another_contract_at_the_address(world: World) -> None:
    other = "0x" + "34" * 20
    world.anvil.call("anvil_setCode", other, "0x6001600055")
    with pytest.raises(WrongContract, match="Send no money"):
        connect_sonar(world.anvil.url, other)


def test_another_chain(world: World) -> None:
    with pytest.raises(WrongChain, match="serves chain 31337, chain 1 was expected"):
        connect_sonar(world.anvil.url, world.address, chain_id=1)


def test_devnet_accounts_are_refused_elsewhere(wallets: list[Wallet]) -> None:
    with Anvil("--chain-id", "11155111") as anvil, pytest.raises(WalletError, match="everybody"):
        connect_sonar(anvil.url, "0x" + "12" * 20, wallets[0])


def test_no_node_at_the_address(wallets: list[Wallet]) -> None:
    with pytest.raises(RpcUnreachable, match=r"http://127\.0\.0\.1:9 \(connection refused\)"):
        connect_sonar("http://127.0.0.1:9", "0x" + "12" * 20, wallets[0], retry_s=0.2)


def test_a_node_that_is_no_node() -> None:
    with pytest.raises(RpcUnreachable, match="must start with http"):
        connect_sonar("ftp://example.org", "0x" + "12" * 20)


@pytest.mark.parametrize("address", ["", "0x12", "0x" + "zz" * 20, "nonsense", "12" * 20])
def test_what_is_no_address(world: World, address: str) -> None:
    with pytest.raises(SonarError, match="is not an address"):
        connect_sonar(world.anvil.url, address)


def test_not_enough_funds(world: World) -> None:
    poor = Wallet(b"\7" * 32)
    world.anvil.call("anvil_setBalance", poor.address, hex(10**15))
    client = connect_sonar(world.anvil.url, world.address, poor)
    with pytest.raises(NotEnoughFunds) as caught:
        client.launch_campaign(bytes(32), world.terms(bounty=10**18))
    assert (caught.value.need, caught.value.have) == (10**18, 10**15)
    assert caught.value.address == poor.address
    # The bounty is there, the gas for it is not.
    with pytest.raises(NotEnoughFunds) as caught:
        client.launch_campaign(bytes(32), world.terms(bounty=10**15))
    assert caught.value.need > 10**15
    client.close()


def test_a_fee_above_the_cap_is_not_signed(world: World, wallets: list[Wallet]) -> None:
    client = connect_sonar(world.anvil.url, world.address, wallets[4], max_fee_wei=1000)
    nonce = world.anvil.call("eth_getTransactionCount", wallets[4].address, "pending")
    with pytest.raises(FeeAboveCap, match="raise max_fee_wei"):
        client.launch_campaign(bytes(32), world.terms())
    assert world.anvil.call("eth_getTransactionCount", wallets[4].address, "pending") == nonce
    client.close()


def test_the_deployment_block_is_found(own_world: World) -> None:
    own_world.anvil.mine(20)
    assert own_world.data_scientist.deployment_block() == 1
