"""One whole campaign on a devnet, from the data scientist's side, with nothing left out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from openmined.devnet._anvil import fund
from openmined.devnet._errors import CampaignStalled
from openmined.devnet._network import Devnet, MineKind, Owner
from openmined.devnet._report import Report, Seconds, find_discrepancies, make_report
from openmined.devnet._scenarios import Scenario
from openmined.devnet._view import Moment, count_mines, waited_for
from openmined.protocol import ETHER_WEI, PPM, Phase, ScoringSettings, TableSchema
from openmined.sonar import Campaign, History, PgpKey, Sonar, Wallet, measure_progress

BOUNTY_WEI = ETHER_WEI
_LOOK_S = 0.2
_PATIENCE_S = 180.0
_BATCH_WINDOW_S = 30.0
_MAX_BATCH = 64


@dataclass(frozen=True)
class Outcome:
    """A finished demo: the report, and what an audit found amiss."""

    report: Report
    findings: tuple[str, ...]


def run_demo(
    devnet: Devnet,
    load: Callable[[], Scenario],
    *,
    mine_js: int = 0,
    stage: Callable[[str], None],
    show: Callable[[Moment], None],
) -> Outcome:
    """Bring the network up, launch the campaign, watch it to its end, open and check the result.

    Args:
        devnet: entered already; ended by the caller.
        load: reads the scenario's data; called while the first processes start.
        mine_js: how many of the mines are Mine.js, spread over the owners.
        stage: told what is being set up.
        show: told where the campaign stands, several times a second.

    Raises:
        ProcessFailed: if a process of the network died; it names its log.
        CampaignStalled: if nothing moved for three minutes; it names who is waited for.
    """
    begun = time.monotonic()
    stage("starting the chain and the store")
    devnet.start_chain()
    stage("reading the data")
    scenario = load()
    devnet.wait_for_store()
    stage("starting Capsule")
    devnet.start_capsule()
    stage(f"starting {len(scenario.shares)} {scenario.owners}s, each with its own keys and data")
    kinds = spread_kinds(len(scenario.shares), mine_js)
    for number, (rows, kind) in enumerate(zip(scenario.shares, kinds, strict=True), start=1):
        schema = TableSchema(fields=scenario.input.fields + scenario.output.fields)
        devnet.start_mine(Owner(f"{scenario.owners} {number}", rows, schema, kind))
    devnet.wait_for_capsule()
    stage("launching the campaign")
    sonar = _connect_data_scientist(devnet)
    with sonar:
        campaign = launch(sonar, scenario)
        launched = time.monotonic()
        history = _follow(devnet, campaign, scenario, begun, show)
        delivered = time.monotonic()
        accuracy = measure_delivered(campaign, scenario)
        audit = campaign.audit()
        sonar.withdraw()
        spend = campaign.spend()
    now = time.monotonic()
    seconds = Seconds(
        setup=round(launched - begun, 2),
        training=round(delivered - launched, 2),
        total=round(now - begun, 2),
    )
    report = make_report(
        scenario, history, spend, devnet.mines, devnet.kinds, accuracy, seconds, audit.ok
    )
    findings = (*map(str, audit.findings), *find_discrepancies(history, spend))
    return Outcome(report, findings)


def spread_kinds(mines: int, mine_js: int) -> list[MineKind]:
    """Return which mine each owner runs: `mine_js` of them Mine.js, as evenly as can be."""
    share = [mine_js * number // mines for number in range(mines + 1)]
    return ["Mine.js" if after > before else "Mine.py" for before, after in pairwise(share)]


def launch(sonar: Sonar, scenario: Scenario) -> Campaign:
    """Launch the scenario's campaign as a data scientist would."""
    mines = len(scenario.shares)
    return sonar.launch_campaign(
        scenario.validation,
        target=scenario.output.names,
        title=scenario.title,
        bounty=BOUNTY_WEI,
        target_accuracy=scenario.target_ppm / PPM,
        estimator=scenario.algorithm,
        features=scenario.features,
        update=scenario.update,
        input_schema=scenario.input,
        output_schema=scenario.output,
        duration_s=3600,
        grace_s=3600,
        max_gradients=100 * mines,
        scoring=ScoringSettings(window_s=_BATCH_WINDOW_S, batch=min(mines, _MAX_BATCH)),
    )


def measure_delivered(campaign: Campaign, scenario: Scenario) -> float:
    """Fetch, verify, decrypt the model; score it on the data scientist's own rows."""
    estimator = campaign.result()
    inputs = {name: scenario.validation[name] for name in scenario.input.names}
    targets = scenario.validation[scenario.output.names[0]]
    return float(estimator.score(inputs, targets))


def _connect_data_scientist(devnet: Devnet) -> Sonar:
    folder = devnet.settings.folder / "data-scientist"
    folder.mkdir(mode=0o700, exist_ok=True)
    passphrase = devnet.passphrase_file.read_text(encoding="utf-8")
    wallet = Wallet.create(folder / "wallet.json", passphrase, cost="light")
    fund(devnet.network.rpc_url, wallet.address)
    pgp = PgpKey.create(folder / "pgp.age", passphrase)
    return Sonar.connect(devnet.network, wallet=wallet, pgp=pgp)


def _follow(
    devnet: Devnet,
    campaign: Campaign,
    scenario: Scenario,
    begun: float,
    show: Callable[[Moment], None],
) -> History:
    seen, moved = 0, time.monotonic()
    while True:
        devnet.supervisor.check()
        history = campaign.history()
        now = time.monotonic()
        moment = Moment(
            title=f"{scenario.title}: campaign {campaign.id}",
            progress=measure_progress(history, int(time.time())),
            mines=count_mines(history, devnet.mines),
            elapsed_s=now - begun,
        )
        show(moment)
        if history.phase.final:
            _assert_delivered(history, campaign)
            return history
        events = len(history.gradients) + len(history.batches) + history.phase
        if events != seen:
            seen, moved = events, now
        elif now - moved > _PATIENCE_S:
            raise CampaignStalled(
                f"nothing happened for {_PATIENCE_S:.0f} s while waiting for {waited_for(moment)}; "
                f"the logs are in {devnet.supervisor.logs}"
            )
        time.sleep(_LOOK_S)


def _assert_delivered(history: History, campaign: Campaign) -> None:
    if history.phase != Phase.DELIVERED:
        reason = getattr(history.ending, "reason", "")
        raise CampaignStalled(
            f"campaign {campaign.id} ended as {history.phase.name.lower()}: {reason or 'no reason'}"
        )
