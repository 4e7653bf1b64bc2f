"""All parties of a simulation but the mines, in this process so that each can be measured."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from openmined.capsule import Capsule, Context, Log, Unlock, create_folder, unsealed
from openmined.capsule import generate_key_file as make_key_file
from openmined.devnet._anvil import fund
from openmined.devnet._errors import SimulationFailed
from openmined.devnet._network import Devnet
from openmined.devnet._simulate_crowd import PATIENCE_S, Crowd
from openmined.devnet._simulate_mines import cpu_seconds
from openmined.sonar import ETH, Campaign, CampaignState, CapsuleRef, PgpKey, Sonar, Wallet
from openmined.stats import Chain, IndexDiffers, Indexer, Rpc, open_database, verify
from openmined.storage import KuboStore, connect_store


class Parties:
    """Capsule with its folder, the data scientist, the store's client and the index."""

    def __init__(self, devnet: Devnet) -> None:
        self._devnet = devnet
        self._folder = devnet.settings.folder
        self._url = devnet.network.rpc_url
        self._stack = ExitStack()

    def __enter__(self) -> Parties:
        try:
            self._start_capsule()
            self._start_data_scientist()
            self._start_index()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_capsule(self) -> None:
        key_file = self._folder / "capsule.key"
        make_key_file(key_file)
        unlock = Unlock.from_key_file(key_file)
        keys = {"name", "chain_id", "rpc_url", "sonar", "store_url"}
        network = self._devnet.network.model_dump(mode="json", include=keys)
        values = {
            "format": "openmined/capsule@1",
            "network": network,
            "loop": {"poll_interval_s": 0.02},
            "api": {"enabled": False},
        }
        folder = self._folder / "capsule"
        self._capsule_address, _ = create_folder(folder, values, unlock)
        fund(self._url, self._capsule_address)
        self.certificate = (folder / "certificate.asc").read_text(encoding="utf-8")
        self.context: Context = self._stack.enter_context(unsealed(folder, unlock, Log()))
        self._capsule = Capsule(self.context)

    def _start_data_scientist(self) -> None:
        passphrase = self._devnet.passphrase_file.read_text(encoding="utf-8")
        wallet = Wallet.create(self._folder / "data-scientist.json", passphrase, cost="light")
        fund(self._url, wallet.address)
        pgp = PgpKey.create(self._folder / "data-scientist.age", passphrase)
        self._own_address = wallet.address
        network = self._devnet.network.model_copy(
            update={"capsule": CapsuleRef(address=self._capsule_address, url=None)}
        )
        self.sonar = self._stack.enter_context(Sonar.connect(network, wallet=wallet, pgp=pgp))
        self.store: KuboStore = self._stack.enter_context(connect_store(network.store_url))

    def _start_index(self) -> None:
        self.database = open_database(f"sqlite:///{self._folder / 'statistics.db'}", migrate=True)
        self._stack.callback(self.database.close)
        self._chain = Chain(Rpc(self._url), self._devnet.network.sonar)
        self._stack.callback(self._chain.close)
        self._indexer = Indexer(self.database, self._chain)
        self._indexer.prepare()

    def turn(self, done: Callable[[CampaignState], bool], campaign: Campaign, what: str) -> float:
        """Let Capsule work until `done`; return its processor seconds."""
        begun = cpu_seconds()
        deadline = time.monotonic() + PATIENCE_S
        while not done(campaign.state()):
            self._devnet.supervisor.check()
            self._capsule.turn()
            if time.monotonic() > deadline:
                raise SimulationFailed(f"campaign {campaign.id} waited in vain to {what}")
        return cpu_seconds() - begun

    def index(self, read: Counter[str]) -> float:
        """Let the index catch up; return how long that took, and count what it read.

        The clock starts here, not at the block: how often a service looks for blocks is its
        operator's choice and comes on top.
        """
        begun = time.monotonic()
        progress = self._indexer.step()
        while progress.outcome != "idle":
            read["events"] += progress.events
            progress = self._indexer.step()
        took_s = time.monotonic() - begun
        read["microseconds"] += round(1e6 * took_s)
        return took_s

    def stored_bytes(self) -> int:
        """Return what the store's files take."""
        folder = self._folder / "store"
        return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())

    def is_money_conserved(self, crowd: Crowd) -> bool:
        """Whether the contract holds to the wei what it owes: the parties' credits, no more."""
        contract = self.sonar.contract
        accounts = [self._capsule_address, self._own_address]
        for number in range(1, contract.campaign_count() + 1):
            accounts += crowd.addresses(number, contract.campaign(number).gradients)
        owed = sum(contract.credit(ETH, one) for one in accounts)
        return contract.balance(contract.address) == contract.escrow(ETH) == owed

    def is_index_verified(self, stage: Callable[[str], None]) -> bool:
        """Whether the index equals a rebuild from the chain; `stage` is told what differs."""
        try:
            return verify(self.database, self._chain).rows > 0
        except IndexDiffers as error:
            stage(f"the index differs from its rebuild: {error}")
            return False
