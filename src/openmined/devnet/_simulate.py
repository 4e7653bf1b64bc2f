"""Campaigns at scale on one machine: what a mine costs, and how that grows with their number.

The chain, the contract, the store, Capsule with its scoring, receipts and payouts, and the
statistics index are the real ones, in as few processes as possible so that each can be measured.
See `_simulate_mines` for what of the mines is real.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from openmined.devnet._errors import ScenarioError, SimulationFailed
from openmined.devnet._network import Devnet
from openmined.devnet._simulate_crowd import Crowd
from openmined.devnet._simulate_mines import (
    Measured,
    Miners,
    Published,
    divide_digits,
)
from openmined.devnet._simulate_parties import Parties
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
    GradientScored,
    GradientSubmitted,
    SonarEvent,
)
from openmined.storage import get_manifest

SMALLEST = 10
BATCH = 10
"""Gradients in a batch, at every size: the smallest campaign then has one."""

_SIZES = 5
_BOUNTY_WEI = ETHER_WEI
_VALIDATION_ROWS = 360
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
    with Parties(devnet) as parties:
        bench = _Bench(devnet, scale, stage, parties)
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
            database_bytes=parties.database.size_bytes(),
            money_conserved=parties.is_money_conserved(bench.crowd),
            index_verified=parties.is_index_verified(stage),
            seconds=time.monotonic() - begun,
        )


@dataclass
class _Spent:
    """What is measured while a campaign runs."""

    capsule_s: float = 0.0
    fixed_s: float = 0.0
    catch_up_s: float = 0.0
    read: Counter[str] = field(default_factory=Counter)


class _Bench:
    """Runs campaigns and measures them."""

    def __init__(
        self, devnet: Devnet, scale: Scale, stage: Callable[[str], None], parties: Parties
    ) -> None:
        self._scale, self._stage, self._parties = scale, stage, parties
        self._sonar, self._store = parties.sonar, parties.store
        self._validation, self._population = divide_digits(scale.seed, _VALIDATION_ROWS)
        self.crowd = Crowd(devnet.network.rpc_url, self._sonar.contract.address, scale.seed)
        self.sample = Measured()

    def run_campaign(self, mines: int) -> CampaignCost:
        """Run one campaign; measure what it costs."""
        first_block = self._sonar.contract.block_number() + 1
        stored = self._parties.stored_bytes()
        campaign = self._launch(mines)
        manifest = get_manifest(self._store, campaign.state().terms.spec, CampaignManifest)
        miners = self._make_miners(manifest)
        addresses = self.crowd.addresses(campaign.id, mines)
        self.crowd.endow(addresses)
        spent = _Spent()
        spent.fixed_s += self._parties.turn(
            lambda state: state.phase == Phase.OPEN, campaign, "be opened"
        )
        sampled = self._choose_sample(mines, campaign.id)
        for first in range(0, mines, BATCH):
            numbers = range(first, min(mines, first + BATCH))
            self._submit(campaign, miners, addresses, numbers, sampled, first_block)
            self._score(campaign, spent)
            if numbers.stop == mines or (first // BATCH) % 10 == 9:
                self._stage(f"  {numbers.stop:,} of {mines:,} gradients scored")
        spent.fixed_s += self._parties.turn(
            lambda state: state.phase.final, campaign, "be delivered"
        )
        withdrawn = self._withdraw(addresses)
        spent.catch_up_s = max(spent.catch_up_s, self._parties.index(spent.read))
        stored = self._parties.stored_bytes() - stored
        events = self._sonar.contract.events(first_block, campaign=campaign.id)
        self.sample.add(miners.measured)
        return self._cost(campaign, miners.measured, events, spent, withdrawn, stored, len(sampled))

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
            capsule_certificate=self._parties.certificate,
            repeat=self._sonar.contract.campaign_count(),
        )

    def _make_miners(self, manifest: CampaignManifest) -> Miners:
        chain = SonarRef(chain_id=self._sonar.contract.chain_id, sonar=self._sonar.contract.address)
        certificate = self._parties.certificate.encode()
        miners = Miners(self._population, self._store, chain, certificate, manifest)
        self._parties.context.opener = miners.open
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
        first_block: int,
    ) -> None:
        place = self._place(campaign, first_block)
        kept = self._parties.context.recall(campaign.id, "weights", place.version)
        if kept is None:
            raise SimulationFailed(
                f"campaign {campaign.id}: version {place.version} has no weights"
            )
        weights = kept[0]["weights"]
        gradients = []
        for mine in numbers:
            if mine in sampled:
                envelope = miners.contribute(place, mine, addresses[mine])
            else:
                envelope = miners.contribute_plainly(place, mine, weights)
            gradients.append((addresses[mine], envelope))
        self.crowd.submit(campaign.id, place.version, campaign.state().terms.bond, gradients)

    def _place(self, campaign: Campaign, first_block: int) -> Published:
        events = self._sonar.contract.events(first_block, campaign=campaign.id)
        opened = next(one for one in events if isinstance(one, CampaignOpened))
        models = [one for one in events if isinstance(one, BatchScored) and any(one.model)]
        model = models[-1].model if models else opened.model
        return Published(campaign.id, campaign.state().version, opened.keys, model)

    def _score(self, campaign: Campaign, spent: _Spent) -> None:
        """Let Capsule score what is pending, and the index read it."""
        batches = campaign.state().batches
        what = f"have batch {batches + 1} scored"
        spent.capsule_s += self._parties.turn(self._is_scored(batches), campaign, what)
        spent.catch_up_s = max(spent.catch_up_s, self._parties.index(spent.read))

    def _is_scored(self, before: int) -> Callable[[CampaignState], bool]:
        """Whether Capsule has reported another batch, and stands on what that published."""

        def is_scored(state: CampaignState) -> bool:
            kept = self._parties.context.recall(state.id, "weights", state.version)
            return state.batches > before and kept is not None

        return is_scored

    def _withdraw(self, addresses: Sequence[str]) -> int:
        """Let everybody who has a credit withdraw; return the gas."""
        contract = self._sonar.contract
        return self.crowd.withdraw([one for one in addresses if contract.credit(ETH, one)])

    def _cost(
        self,
        campaign: Campaign,
        measured: Measured,
        events: Sequence[SonarEvent],
        spent: _Spent,
        withdrawn: int,
        stored: int,
        sampled: int,
    ) -> CampaignCost:
        state = campaign.state()
        mines = state.gradients
        kinds = (GradientSubmitted, GradientScored, BatchScored)
        of_mines = {one.transaction_hash for one in events if isinstance(one, kinds)}
        rest = {one.transaction_hash for one in events} - of_mines
        scored = [one for one in events if isinstance(one, GradientScored)]
        up = measured.up_bytes / measured.count
        return CampaignCost(
            mines=mines,
            sampled=sampled,
            mines_gas=self.crowd.gas_of(sorted(of_mines)) + withdrawn,
            own_gas=self.crowd.gas_of(sorted(rest)),
            bytes_down=measured.down_bytes / measured.count,
            bytes_up=up,
            store_bytes=stored + round(up * (mines - sampled)),
            capsule_cpu_s=spent.fixed_s + spent.capsule_s,
            capsule_accounted_s=0.0,
            capsule_fixed_s=spent.fixed_s,
            capsule_opened_s=measured.open_cpu_s,
            catch_up_s=spent.catch_up_s,
            indexed_events=spent.read["events"],
            index_s=spent.read["microseconds"] / 1e6,
            outcomes=dict(Counter(map(_outcome, scored))),
            paid_wei=sum(one.payout for one in scored),
            audit_ok=campaign.audit().ok and state.phase == Phase.DELIVERED,
        )

    def account(self, cost: CampaignCost) -> CampaignCost:
        """Add what opening the envelopes of accounted mines would have cost: the sample's mean."""
        accounted = self.sample.open_each_s * (cost.mines - cost.sampled)
        return replace(
            cost,
            capsule_cpu_s=cost.capsule_cpu_s + accounted,
            capsule_accounted_s=accounted,
        )


def _outcome(event: GradientScored) -> str:
    if event.reason:
        return GradientStatus.REJECTED.name.lower()
    return "paid" if event.payout else "scored without gain"
