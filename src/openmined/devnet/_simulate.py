"""Campaigns at scale on one machine: what a mine costs, and how that grows with their number.

The chain, the contract, the store, Capsule with its scoring, receipts and payouts, and the
statistics index are the real ones, in as few processes as possible so that each can be measured.
See `_simulate_mines` for what of the mines is real.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from openmined.capsule import Capsule, Context, Log, Unlock, create_folder, unsealed
from openmined.capsule import generate_key_file as make_key_file
from openmined.devnet._anvil import call, call_many, fund
from openmined.devnet._errors import ScenarioError, SimulationFailed
from openmined.devnet._network import Devnet
from openmined.devnet._simulate_mines import (
    Measured,
    Miners,
    Population,
    Published,
    cpu_seconds,
)
from openmined.devnet._simulate_report import CampaignCost, Simulation
from openmined.protocol import (
    ETHER_WEI,
    CampaignManifest,
    GradientStatus,
    LinearClassifierAlgorithm,
    LocalSteps,
    Phase,
    ScoringSettings,
    SonarRef,
    TableSchema,
)
from openmined.sonar import (
    ETH,
    BatchScored,
    Campaign,
    CampaignOpened,
    CampaignState,
    CapsuleRef,
    GradientScored,
    GradientSubmitted,
    PgpKey,
    Sonar,
    SonarEvent,
    Wallet,
)
from openmined.stats import Chain, Indexer, Rpc, open_database, verify
from openmined.storage import KuboStore, connect_store, get_manifest

if TYPE_CHECKING:
    import pyarrow as pa

SMALLEST = 10
BATCH = 10
"""Gradients in a batch, at every size: the smallest campaign then has one."""

_SIZES = 5
_BOUNTY_WEI = ETHER_WEI
_VALIDATION_ROWS = 360
_MANY = 200
_PATIENCE_S = 300.0
_FEE_WEI = 10**11
_TARGET = 1.0
"""Out of reach for a linear model, so that no campaign ends before its last mine."""


@dataclass(frozen=True)
class Scale:
    """How large a simulation is.

    Attributes:
        mines: in the largest campaigns.
        campaigns: in all; divided evenly among the sizes from 10 to `mines`.
        sample: how many mines of each campaign encrypt for real, at least one.
        seed: of everybody's rows and of the sample.
    """

    mines: int
    campaigns: int
    sample: int
    seed: int

    def __post_init__(self) -> None:
        if not SMALLEST <= self.mines <= 10_000:
            raise ScenarioError(f"--mines {self.mines} is not between {SMALLEST} and 10,000")
        if not 1 <= self.campaigns <= 1000:
            raise ScenarioError(f"--campaigns {self.campaigns} is not between 1 and 1,000")
        if self.sample < 1:
            raise ScenarioError(f"--sample {self.sample} is not at least 1")

    def sizes(self) -> list[int]:
        """Return the number of mines of each campaign, smallest first."""
        steps = min(_SIZES, self.campaigns)
        if self.mines == SMALLEST or steps == 1:
            return [self.mines] * self.campaigns
        curve = np.geomspace(SMALLEST, self.mines, steps).round().astype(int).tolist()
        return sorted(curve[number % steps] for number in range(self.campaigns))


def run_simulation(devnet: Devnet, scale: Scale, *, stage: Callable[[str], None]) -> Simulation:
    """Run every campaign from launch to delivery and withdrawal; measure; check the whole.

    Args:
        devnet: entered already; ended by the caller.
        scale: how much.
        stage: told what is being done.

    Raises:
        ProcessFailed: if node or store died.
        SimulationFailed: if a campaign came to a stand.
    """
    begun = time.monotonic()
    stage("starting the chain and the store")
    devnet.start_chain()
    devnet.wait_for_store()
    with _Bench(devnet, scale, stage) as bench:
        costs = []
        for number, mines in enumerate(scale.sizes(), start=1):
            stage(f"campaign {number} of {scale.campaigns}: {mines:,} mines")
            costs.append(bench.run_campaign(mines))
        stage("checking money and index")
        return Simulation(
            campaigns=tuple(bench.account(one) for one in costs),
            batch=BATCH,
            seed=scale.seed,
            train_cpu_s=bench.sample.train_cpu_s / max(1, bench.sample.count),
            database_bytes=bench.database.size_bytes(),
            money_conserved=bench.is_money_conserved(),
            index_verified=bench.is_index_verified(),
            seconds=time.monotonic() - begun,
        )


class _Bench:
    """All parties but the mines, in this process."""

    def __init__(self, devnet: Devnet, scale: Scale, stage: Callable[[str], None]) -> None:
        self._devnet, self._scale, self._stage = devnet, scale, stage
        self._stack = ExitStack()
        self._url = devnet.network.rpc_url
        self.sample = Measured()

    def __enter__(self) -> _Bench:
        try:
            self._validation, population = _divide_digits(self._scale.seed)
            self._population = population
            self._start_capsule()
            self._connect()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_capsule(self) -> None:
        folder = self._devnet.settings.folder
        key_file = folder / "capsule.key"
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
        self._capsule_address, _ = create_folder(folder / "capsule", values, unlock)
        fund(self._url, self._capsule_address)
        self._certificate = (folder / "capsule" / "certificate.asc").read_text(encoding="utf-8")
        self._context: Context = self._stack.enter_context(
            unsealed(folder / "capsule", unlock, Log())
        )
        self._capsule = Capsule(self._context)

    def _connect(self) -> None:
        folder = self._devnet.settings.folder
        passphrase = self._devnet.passphrase_file.read_text(encoding="utf-8")
        wallet = Wallet.create(folder / "data-scientist.json", passphrase, cost="light")
        fund(self._url, wallet.address)
        pgp = PgpKey.create(folder / "data-scientist.age", passphrase)
        network = self._devnet.network.model_copy(
            update={"capsule": CapsuleRef(address=self._capsule_address, url=None)}
        )
        self._sonar = self._stack.enter_context(Sonar.connect(network, wallet=wallet, pgp=pgp))
        self._store: KuboStore = self._stack.enter_context(connect_store(network.store_url))
        self.database = open_database(f"sqlite:///{folder / 'statistics.db'}", migrate=True)
        self._stack.callback(self.database.close)
        self._chain = Chain(Rpc(self._url), network.sonar)
        self._stack.callback(self._chain.close)
        self._indexer = Indexer(self.database, self._chain)
        self._indexer.prepare()

    # ------------------------------------------------------------------------------ one campaign

    def run_campaign(self, mines: int) -> CampaignCost:
        """Run one campaign; measure what it costs."""
        first_block = self._sonar.contract.block_number() + 1
        stored = self._stored_bytes()
        campaign = self._launch(mines)
        manifest = get_manifest(self._store, campaign.state().terms.spec, CampaignManifest)
        miners = self._make_miners(manifest)
        addresses = [_address(self._scale.seed, campaign.id, mine) for mine in range(mines)]
        self._endow(addresses)
        fixed_s = self._turn(lambda state: state.phase == Phase.OPEN, campaign, "be opened")
        sampled = self._choose_sample(mines, campaign.id)
        lag = spent = 0.0
        read = Counter[str]()
        for first in range(0, mines, BATCH):
            self._submit(
                campaign, miners, addresses, range(first, min(mines, first + BATCH)), sampled
            )
            batches = campaign.state().batches
            used = cpu_seconds()
            last = first + BATCH >= mines
            self._turn(self._is_scored(batches), campaign, f"have batch {batches + 1} scored")
            spent += cpu_seconds() - used
            lag = max(lag, self._index(read))
            if last or (first // BATCH) % 10 == 9:
                self._stage(f"  {min(mines, first + BATCH):,} of {mines:,} gradients scored")
        fixed_s += self._turn(lambda state: state.phase.final, campaign, "be delivered")
        gas = self._withdraw(addresses)
        lag = max(lag, self._index(read))
        events = self._sonar.contract.events(first_block, campaign=campaign.id)
        mines_gas, own_gas = self._gas(events)
        return self._cost(
            campaign, miners, events, mines, len(sampled),
            mines_gas=mines_gas + gas,
            own_gas=own_gas,
            stored=self._stored_bytes() - stored,
            spent=spent,
            fixed_s=fixed_s,
            lag_s=lag,
            read=read,
        )  # fmt: skip

    def _launch(self, mines: int) -> Campaign:
        pixels = {"name": "pixels", "type": "array"}
        pixels["constraints"] = {"minLength": 64, "maxLength": 64}  # type: ignore[assignment]
        classes = [str(digit) for digit in range(10)]
        digit = {"name": "digit", "type": "string", "constraints": {"enum": classes}}
        return self._sonar.launch_campaign(
            self._validation,
            target=["digit"],
            title=f"Simulation with {mines} mines",
            bounty=_BOUNTY_WEI,
            target_accuracy=_TARGET,
            estimator=LinearClassifierAlgorithm(l2=1e-3),
            update=LocalSteps(steps=5),
            input_schema=TableSchema.model_validate({"fields": [pixels]}),
            output_schema=TableSchema.model_validate({"fields": [digit]}),
            duration_s=7 * 86_400,
            max_gradients=mines,
            max_batch=BATCH,
            scoring=ScoringSettings(window_s=0, batch=BATCH),
            capsule_certificate=self._certificate,
            repeat=self._sonar.contract.campaign_count(),
        )

    def _make_miners(self, manifest: CampaignManifest) -> Miners:
        chain = SonarRef(chain_id=self._sonar.contract.chain_id, sonar=self._sonar.contract.address)
        miners = Miners(self._population, self._store, chain, self._certificate.encode(), manifest)
        self._context.opener = miners.open
        return miners

    def _choose_sample(self, mines: int, campaign: int) -> set[int]:
        luck = random.Random(f"{self._scale.seed} sample {campaign}")  # noqa: S311
        return set(luck.sample(range(mines), min(mines, self._scale.sample)))

    def _submit(
        self,
        campaign: Campaign,
        miners: Miners,
        addresses: Sequence[str],
        numbers: range,
        sampled: set[int],
    ) -> None:
        place = self._place(campaign)
        kept = self._context.recall(campaign.id, "weights", place.version)
        if kept is None:
            raise SimulationFailed(
                f"campaign {campaign.id}: version {place.version} has no weights"
            )
        weights = kept[0]["weights"]
        calls = []
        bond = campaign.state().terms.bond
        for mine in numbers:
            if mine in sampled:
                envelope = miners.contribute(place, mine, addresses[mine])
            else:
                envelope = miners.contribute_plainly(place, mine, weights)
            arguments = (campaign.id.to_bytes(32), place.version.to_bytes(32), envelope)
            data = _calldata("submit_gradient(uint256,uint256,bytes32)", *arguments)
            calls.append(self._transaction(addresses[mine], data, bond))
        self._send(calls)

    def _place(self, campaign: Campaign) -> Published:
        events = self._sonar.contract.events(0, campaign=campaign.id)
        opened = next(one for one in events if isinstance(one, CampaignOpened))
        models = [one for one in events if isinstance(one, BatchScored) and any(one.model)]
        model = models[-1].model if models else opened.model
        return Published(campaign.id, campaign.state().version, opened.keys, model)

    def _turn(self, done: Callable[[CampaignState], bool], campaign: Campaign, what: str) -> float:
        """Let Capsule work until `done`; return its processor seconds."""
        begun = cpu_seconds()
        deadline = time.monotonic() + _PATIENCE_S
        while not done(campaign.state()):
            self._devnet.supervisor.check()
            self._capsule.turn()
            if time.monotonic() > deadline:
                raise SimulationFailed(f"campaign {campaign.id} waited in vain to {what}")
        return cpu_seconds() - begun

    def _is_scored(self, before: int) -> Callable[[CampaignState], bool]:
        """Whether Capsule has reported another batch, and stands on what that published."""

        def is_scored(state: CampaignState) -> bool:
            kept = self._context.recall(state.id, "weights", state.version)
            return state.batches > before and kept is not None

        return is_scored

    def _withdraw(self, addresses: Sequence[str]) -> int:
        """Let everybody who has a credit withdraw; return the gas."""
        contract = self._sonar.contract
        data = _calldata("withdraw(address)", bytes(32))
        owed = [one for one in addresses if contract.credit(ETH, one)]
        return self._send([self._transaction(one, data) for one in owed])

    # ------------------------------------------------------------------------------------- chain

    def _endow(self, addresses: Sequence[str]) -> None:
        call(self._url, "anvil_autoImpersonateAccount", True)
        for some in _in_parts(addresses, _MANY):
            call_many(self._url, [("anvil_setBalance", (one, hex(ETHER_WEI))) for one in some])

    def _transaction(self, sender: str, data: str, value: int = 0) -> dict[str, str]:
        return {
            "from": sender,
            "to": self._sonar.contract.address,
            "data": data,
            "value": hex(value),
            "gas": hex(1_000_000),
            "maxFeePerGas": hex(_FEE_WEI),
            "maxPriorityFeePerGas": "0x0",
        }

    def _send(self, transactions: Sequence[dict[str, str]]) -> int:
        """Send for accounts whose keys nobody has; return the gas they used."""
        gas = 0
        for some in _in_parts(transactions, _MANY):
            hashes = call_many(self._url, [("eth_sendTransaction", (one,)) for one in some])
            for receipt in self._receipts(hashes):
                if receipt["status"] != "0x1":
                    raise SimulationFailed(f"a mine's transaction failed: {receipt}")
                gas += int(receipt["gasUsed"], 16)
        return gas

    def _receipts(self, hashes: Sequence[str]) -> list[dict[str, str]]:
        """Return the receipts of transactions that were sent, once every one is mined."""
        asked = [("eth_getTransactionReceipt", (one,)) for one in hashes]
        deadline = time.monotonic() + _PATIENCE_S
        while None in (found := call_many(self._url, asked)):
            if time.monotonic() > deadline:
                raise SimulationFailed(f"the node did not mine in {_PATIENCE_S:.0f} s")
            time.sleep(0.01)
        return found

    def _gas(self, events: Sequence[SonarEvent]) -> tuple[int, int]:
        """Return the gas of submitting and scoring, and that of the campaign itself."""
        kinds = (GradientSubmitted, GradientScored, BatchScored)
        of_mines = {one.transaction_hash for one in events if isinstance(one, kinds)}
        rest = {one.transaction_hash for one in events} - of_mines
        return self._gas_of(sorted(of_mines)), self._gas_of(sorted(rest))

    def _gas_of(self, hashes: Sequence[str]) -> int:
        parts = _in_parts(hashes, _MANY)
        return sum(int(one["gasUsed"], 16) for some in parts for one in self._receipts(some))

    # -------------------------------------------------------------------------- index and figures

    def _index(self, read: Counter[str]) -> float:
        """Let the index catch up; return how long it was behind."""
        begun = time.monotonic()
        progress = self._indexer.step()
        while progress.outcome != "idle":
            read["events"] += progress.events
            progress = self._indexer.step()
        lag = time.monotonic() - begun
        read["microseconds"] += round(1e6 * lag)
        return lag

    def _stored_bytes(self) -> int:
        folder = self._devnet.settings.folder / "store"
        return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())

    def _cost(
        self,
        campaign: Campaign,
        miners: Miners,
        events: Sequence[SonarEvent],
        mines: int,
        sampled: int,
        *,
        mines_gas: int,
        own_gas: int,
        stored: int,
        spent: float,
        fixed_s: float,
        lag_s: float,
        read: Counter[str],
    ) -> CampaignCost:
        measured = miners.measured
        self.sample.add(measured)
        scored = [one for one in events if isinstance(one, GradientScored)]
        up = measured.up_bytes / measured.count
        return CampaignCost(
            mines=mines,
            sampled=sampled,
            mines_gas=mines_gas,
            own_gas=own_gas,
            bytes_down=measured.down_bytes / measured.count,
            bytes_up=up,
            store_bytes=stored + round(up * (mines - sampled)),
            capsule_cpu_s=fixed_s + spent,
            capsule_accounted_s=0.0,
            capsule_fixed_s=fixed_s,
            lag_s=lag_s,
            indexed_events=read["events"],
            index_s=read["microseconds"] / 1e6,
            outcomes=dict(Counter(map(_outcome, scored))),
            paid_wei=sum(one.payout for one in scored),
            audit_ok=campaign.audit().ok and campaign.state().phase == Phase.DELIVERED,
        )

    def account(self, cost: CampaignCost) -> CampaignCost:
        """Add what opening the envelopes of accounted mines would have cost: the sample's mean."""
        accounted = self.sample.open_each_s * (cost.mines - cost.sampled)
        return replace(
            cost,
            capsule_cpu_s=cost.capsule_cpu_s + accounted,
            capsule_accounted_s=accounted,
        )

    def is_money_conserved(self) -> bool:
        """Whether the contract holds to the wei what it owes: the parties' credits, no more."""
        contract = self._sonar.contract
        owed = sum(
            contract.credit(ETH, one) for one in (self._capsule_address, _own_address(self._sonar))
        )
        left = sum(
            contract.credit(ETH, _address(self._scale.seed, number, mine))
            for number in range(1, contract.campaign_count() + 1)
            for mine in range(contract.campaign(number).gradients)
        )
        holds = contract.balance(contract.address)
        return holds == contract.escrow(ETH) == owed + left

    def is_index_verified(self) -> bool:
        """Whether the index equals a rebuild from the chain."""
        return verify(self.database, self._chain).rows > 0


def _own_address(sonar: Sonar) -> str:
    assert sonar.contract.wallet is not None
    return sonar.contract.wallet.address


def _outcome(event: GradientScored) -> str:
    if event.reason:
        return GradientStatus.REJECTED.name.lower()
    return "paid" if event.payout else "scored without gain"


def _address(seed: int, campaign: int, mine: int) -> str:
    """Return the address of a mine: of no key that anybody has."""
    from eth_utils.address import to_checksum_address
    from eth_utils.crypto import keccak

    return str(to_checksum_address(keccak(text=f"simulated {seed} {campaign} {mine}")[-20:]))


def _calldata(signature: str, *words: bytes) -> str:
    from eth_utils.abi import function_signature_to_4byte_selector

    return "0x" + (bytes(function_signature_to_4byte_selector(signature)) + b"".join(words)).hex()


def _in_parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def _divide_digits(seed: int) -> tuple[pa.Table, Population]:
    import pyarrow as pa
    from sklearn.datasets import load_digits

    data = load_digits()
    labels = [str(label) for label in data.target]
    order = np.random.default_rng(seed).permutation(len(labels))
    own, rest = order[:_VALIDATION_ROWS], order[_VALIDATION_ROWS:]
    flat = pa.array(np.ascontiguousarray(data.data[own], dtype=np.float64).ravel())
    table = pa.table(
        {
            "pixels": pa.FixedSizeListArray.from_arrays(flat, 64),
            "digit": pa.array([labels[index] for index in own]),
        }
    )
    return table, Population(seed, data.data[rest], [labels[index] for index in rest])
