"""PySonar: what a data scientist imports."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from openmined.protocol import (
    PPM,
    FeatureStep,
    Phase,
    PrivacyRequest,
    ScoringSettings,
    TableSchema,
    UnitError,
    UpdateKind,
    accuracy_to_ppm,
)
from openmined.sonar._campaign import Campaign
from openmined.sonar._certificates import find_certificate
from openmined.sonar._contract import (
    DEFAULT_MAX_FEE_WEI,
    SonarContract,
    connect_sonar,
)
from openmined.sonar._errors import LaunchRefused, NoWallet, UnknownCampaign
from openmined.sonar._home import openmined_home
from openmined.sonar._launch import LaunchRequest, launch
from openmined.sonar._models import EncryptedModelRecord
from openmined.sonar._networks import CapsuleRef, Network, load_network
from openmined.sonar._pgp import PgpKey
from openmined.sonar._start import (
    NOTHING,
    OWN,
    FewWeights,
    Start,
    describe_risk,
    few_weights,
    start_from,
    start_from_own_rows,
)
from openmined.sonar._tables import ValidationTable, read_table
from openmined.sonar._types import ETH, Receipt, checked_address
from openmined.sonar._wallet import DEVNET_CHAINS, Wallet
from openmined.storage import Store, connect_store

if TYPE_CHECKING:
    from openmined.syft import LearningSpec

DAY_S = 86_400
LARGEST_STEP_PPM = 10_000
"""Caps the Ladder step's default, 1 / sqrt(rows), which Blum and Hardt's guarantee asks for.

Below 10,000 rows the guarantee is given up: 360 rows would ask for 5.3 % at a time, and honest
mines would often go unpaid. What stops guesses is Capsule's look at where they point.
"""


class Sonar:
    """A data scientist's connection to one network.

    Attributes:
        contract: the Sonar contract.
        store: where manifests and blobs are.
        pgp: the key that delivered models are encrypted to.
        capsule: the Capsule that campaigns name unless told otherwise.
        first_block: events are read from here.
    """

    def __init__(
        self,
        contract: SonarContract,
        store: Store,
        *,
        pgp: PgpKey | None = None,
        capsule: CapsuleRef | None = None,
        first_block: int = 0,
        drafts: Path | None = None,
        poll_s: float | None = None,
    ) -> None:
        self.contract = contract
        self.store = store
        self.pgp = pgp
        self.capsule = capsule
        self.first_block = first_block
        self.poll_s = poll_s or (0.1 if contract.chain_id in DEVNET_CHAINS else 4.0)
        self._drafts = drafts

    @classmethod
    def connect(
        cls,
        network: str | Network,
        *,
        wallet: Wallet | None = None,
        pgp: PgpKey | None = None,
        max_fee_wei: int = DEFAULT_MAX_FEE_WEI,
        networks_file: Path | None = None,
    ) -> Self:
        """Connect to a network by its name in the networks file, or by its description.

        Args:
            network: `devnet`, or one's own; see `openmined network add`.
            wallet: pays; without one nothing can be launched, everything read.
            pgp: opens delivered models.
            max_fee_wei: the most that one transaction may cost in fees.
            networks_file: another one than ~/.openmined/networks.json.

        Raises:
            UnknownNetwork, RpcUnreachable, WrongChain, NoContract, WrongContract: see there.
        """
        known = load_network(network, networks_file) if isinstance(network, str) else network
        contract = connect_sonar(
            known.rpc_url,
            known.sonar,
            wallet,
            chain_id=known.chain_id,
            max_fee_wei=max_fee_wei,
        )
        store = connect_store(known.store_url, known.gateway_url)
        return cls(contract, store, pgp=pgp, capsule=known.capsule, first_block=known.first_block)

    def __repr__(self) -> str:
        return f"Sonar({self.contract.address} on chain {self.contract.chain_id})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.contract.close()
        close = getattr(self.store, "close", None)
        if close is not None:
            close()

    # Campaigns.

    def campaign(self, number: int) -> Campaign:
        """Return a campaign.

        Raises:
            UnknownCampaign: if there is none of that number.
        """
        if self.contract.campaign(number).phase == Phase.NONE:
            raise UnknownCampaign(number, self.contract.campaign_count())
        return Campaign(self, number)

    def campaigns(
        self,
        *,
        phase: Phase | None = None,
        data_scientist: str | None = None,
        capsule: str | None = None,
        mine: bool = False,
    ) -> list[Campaign]:
        """Return the campaigns that match every given filter, oldest first.

        Args:
            phase: in this phase now.
            data_scientist: launched by this address.
            capsule: naming this Capsule.
            mine: launched by this wallet.
        """
        if mine:
            if self.contract.wallet is None:
                raise NoWallet("whose campaigns? Connect with a wallet, or name data_scientist")
            data_scientist = self.contract.wallet.address
        wanted_scientist = data_scientist and checked_address(data_scientist)
        wanted_capsule = capsule and checked_address(capsule)
        found = []
        for number in range(1, self.contract.campaign_count() + 1):
            state = self.contract.campaign(number)
            if (
                (phase is None or state.phase == phase)
                and (not wanted_scientist or state.data_scientist == wanted_scientist)
                and (not wanted_capsule or state.terms.capsule == wanted_capsule)
            ):
                found.append(Campaign(self, number))
        return found

    def models(self, campaign: int | None = None) -> list[EncryptedModelRecord]:
        """Return every encrypted model ever published, verified; of one campaign, if given."""
        campaigns: Iterator[Campaign] | list[Campaign]
        campaigns = self.campaigns() if campaign is None else [self.campaign(campaign)]
        return [model for one in campaigns for model in one.models()]

    def withdraw(self, token: str = ETH) -> Receipt | None:
        """Be paid what is credited to this wallet in a token; None if there is nothing."""
        wallet = self.contract.wallet
        if wallet is None:
            raise NoWallet("withdrawing needs a wallet: connect with wallet=...")
        if self.contract.credit(token, wallet.address) == 0:
            return None
        return self.contract.withdraw(token)

    def launch_campaign(
        self,
        X: Any,
        y: Any = None,
        *,
        title: str,
        bounty: int,
        target: str | Sequence[str] | None = None,
        estimator: Any = None,
        target_accuracy: float = 1.0,
        description: str = "",
        input_schema: TableSchema | None = None,
        output_schema: TableSchema | None = None,
        features: Sequence[FeatureStep] | None = None,
        update: UpdateKind | None = None,
        initial: Literal["own", "nothing"] | int | Any = None,
        token: str = ETH,
        fee: int | None = None,
        bond: int | None = None,
        min_improvement_ppm: int | None = None,
        start_tolerance_ppm: int = 5_000,
        duration_s: int = 7 * DAY_S,
        grace_s: int = DAY_S,
        max_gradients: int = 1000,
        max_batch: int = 64,
        capsule: str | None = None,
        capsule_certificate: str | None = None,
        capsule_fingerprint: str | None = None,
        scoring: ScoringSettings | None = None,
        privacy: PrivacyRequest | None = None,
        repeat: int = 0,
    ) -> Campaign:
        """Launch a campaign: deposit the bounty and say what is to be learned.

        Called again with the same arguments, after whatever failure, it is the same campaign:
        nothing is paid twice. `repeat` makes another one.

        Args:
            X: validation rows: an array (rows, numbers), a data frame, an Arrow table or a mapping
                of columns. They are sealed to Capsule and never leave it.
            y: their labels or targets; or None when `target` names columns of X.
            title: for mine owners to read.
            bounty: the whole deposit in wei (or the token's smallest unit), Capsule's fee included.
            target: the output column's name, or names.
            estimator: a spec of `openmined.syft`, an algorithm of `openmined.protocol`, or an
                estimator of scikit-learn; chosen from the schemas when not given.
            target_accuracy: wanted, up to 1.
            description: for mine owners to read.
            input_schema: the published schema that mines' data have; inferred when not given.
            output_schema: likewise.
            features: feature steps; chosen when not given.
            update: what mines send.
            initial: what to start from: "nothing", the default; "own", what half of your rows
                teach, and then only the other half measures: you pay for what goes beyond that,
                which is right when the model has fewer weights than you have rows; an earlier
                campaign of your own by its number; an estimator; or weights (inputs, outputs).
            token: an ERC-20 token; ETH by default.
            fee: Capsule's; a twentieth of the bounty by default.
            bond: deposited with each gradient; a thousandth of the bounty by default.
            min_improvement_ppm: the Ladder step, below which a gain pays nothing; by default one
                over the root of the rows that measure, at most one percent. Raise it where
                strangers take part.
            start_tolerance_ppm: by how much Capsule's measured start may differ from ours.
            duration_s: from now to the deadline.
            grace_s: after it, for Capsule to score and deliver.
            max_gradients: in the whole campaign.
            max_batch: gradients that Capsule may score at once.
            capsule: its address; the network's by default.
            capsule_certificate: its OpenPGP certificate; found on chain or asked of it by default.
            capsule_fingerprint: of that certificate, if you know it.
            scoring: how Capsule gathers and scores.
            privacy: differential privacy asked of mines.
            repeat: 1, 2, ... for further campaigns alike.

        Warns:
            FewWeights: where the model has fewer weights than there are rows, `initial` is not
                given, and strangers can take part (not on a devnet): a mine without data could be
                paid for guesses. Says what your own rows reach.

        Raises:
            LaunchRefused: naming what does not fit; nothing was sent.
            NotEnoughFunds, FeeAboveCap, Reverted, StorageError: see there.
        """
        from openmined.sonar._choice import choose_task, make_spec

        if self.contract.wallet is None:
            raise NoWallet("launching needs a wallet: connect with wallet=Wallet.from_keystore(..)")
        if self.pgp is None:
            raise LaunchRefused(
                "the final model is encrypted to your PGP key: connect with pgp=PgpKey.create(...)"
            )
        table = read_table(
            X, y, target=target, input_schema=input_schema, output_schema=output_schema
        )
        task = choose_task(table, estimator, features, update)
        spec = make_spec(table, task.features, task.algorithm, task.update)
        start = self._settle_start(table, spec, initial)
        table = start.table
        address, certificate = self._settle_capsule(
            capsule, capsule_certificate, capsule_fingerprint
        )
        step = min_improvement_ppm
        if step is None:
            step = min(LARGEST_STEP_PPM, PPM // isqrt(table.rows))
        request = LaunchRequest(
            table=table,
            task=task,
            title=title,
            description=description,
            certificate=self.pgp.certificate,
            capsule=address,
            capsule_certificate=certificate,
            token=checked_address(token),
            bounty=_whole("bounty", bounty),
            fee=_whole("fee", bounty // 20 if fee is None else fee),
            bond=_whole("bond", bounty // 1000 if bond is None else bond),
            start_ppm=start.ppm,
            start_tolerance_ppm=start_tolerance_ppm,
            target_ppm=_target_ppm(target_accuracy, start.ppm),
            min_improvement_ppm=step,
            duration_s=_whole("duration_s", duration_s),
            grace_s=_whole("grace_s", grace_s),
            max_gradients=max_gradients,
            max_batch=max_batch,
            scoring=scoring or ScoringSettings(),
            privacy=privacy,
            initial_weights=start.weights,
            repeat=repeat,
        )
        drafts = self._drafts or openmined_home() / "drafts"
        return Campaign(self, launch(self.contract, self.store, request, drafts))

    def _settle_start(self, table: ValidationTable, spec: LearningSpec, initial: Any) -> Start:
        if isinstance(initial, str):
            if initial == OWN:
                return start_from_own_rows(table, spec)
            if initial != NOTHING:
                raise LaunchRefused(f'initial={initial!r} is neither "{OWN}" nor "{NOTHING}"')
            initial = None
        elif isinstance(initial, int):
            initial = self.campaign(initial).result()
        elif initial is None and not self._among_friends and few_weights(table, spec):
            warnings.warn(describe_risk(table, spec), FewWeights, stacklevel=3)
        return start_from(table, spec, initial)

    @property
    def _among_friends(self) -> bool:
        """Whether no stranger can take part: a devnet is one machine's own."""
        return self.contract.chain_id in DEVNET_CHAINS

    def _settle_capsule(
        self, address: str | None, certificate: str | None, fingerprint: str | None
    ) -> tuple[str, str]:
        known = self.capsule
        if address is None:
            if known is None:
                raise LaunchRefused("which Capsule? Give capsule=..., or name one in the network")
            address = known.address
        address = checked_address(address)
        same = known is not None and checked_address(known.address) == address
        found = find_certificate(
            self.contract,
            self.store,
            address,
            url=known.url if same and known else None,
            given=certificate,
            fingerprint=fingerprint or (known.fingerprint if same and known else None),
            first_block=self.first_block,
        )
        return address, found


def _whole(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UnitError(f"{name} = {value!r} is no whole number of at least 0")
    return value


def _target_ppm(target_accuracy: float, start_ppm: int) -> int:
    target = accuracy_to_ppm(target_accuracy)
    if target <= start_ppm:
        raise LaunchRefused(
            f"a target accuracy of {target_accuracy:.1%} is not above the {start_ppm / PPM:.1%} "
            "that the initial model has on your rows: ask for more"
        )
    return target
