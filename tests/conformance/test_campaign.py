"""A scripted campaign: what either mine submits, earns and writes down is the same."""

from __future__ import annotations

import json
import signal
from typing import Any

import numpy as np
import psutil
from eth_utils import to_checksum_address
from tests.conformance.mines import (
    DEADLINE_S,
    Kind,
    Running,
    kind_of,
    make_mine,
    passphrase_file,
    run,
    wait_for,
    wait_submitted,
)
from tests.unit.mine.mine_world import MineWorld, rows
from tests.unit.sonar.token import Token

from openmined.mine import MineFolder, change_permission
from openmined.mine._ledger import DecisionRecord
from openmined.sonar import ETH, Score, _erc20
from openmined.syft import (
    accumulate_statistics,
    apply_update,
    encode_targets,
    initial_weights,
    mlp_gradient,
    spec_from_manifest,
)


def outcomes(folder: MineFolder, count: int) -> Any:
    def look() -> Any:
        ledger = folder.ledger()
        found = ledger.submissions()
        ledger.close()
        return found if len(found) == count and all(s.final for s in found) else None

    return wait_for(look)


def decided(folder: MineFolder, campaign: int, verdict: str) -> list[DecisionRecord]:
    ledger = folder.ledger()
    found = ledger.decisions(latest=True)
    ledger.close()
    return [d for d in found if (d.campaign, d.dataset, d.verdict) == (campaign, "*", verdict)]


def test_it_trains_submits_and_is_paid(world: MineWorld, kind: Kind) -> None:
    folder, secrets = make_mine(world, f"paid-{kind.name}")
    with Running(kind, folder.path) as mine:
        start = np.full((9, 3), 0.25)
        opened = world.launch_open(weights=start)
        (event,) = wait_submitted(world, opened.campaign)
        assert event.miner == secrets.wallet.address

        spec = spec_from_manifest(opened.manifest)
        batch = rows(120)
        assert spec.features is not None
        data = (spec.features.transform(batch), encode_targets(spec, batch.column("label")))
        wanted = apply_update(start, accumulate_statistics([data]), opened.manifest.update, spec.l2)
        found = world.decrypt(opened, event)
        worst = np.abs(found - wanted).max() / np.abs(wanted).max()
        assert -np.log2(worst) > 9, "bits of precision"
        assert world.open_envelope(event).samples == 120

        world.score(opened, 500_000, [Score(0, 1_000_000)], weights=found)
        first, second = wait_submitted(world, opened.campaign, 2)
        assert (first.version, second.version) == (1, 2)
        world.score(opened, 900_000, [Score(1, 1_000_000)])
        submissions = outcomes(folder, 2)
        output = mine.stop()

    part = 99 * 10**16
    assert [s.payout for s in submissions] == [400_000 * part // 900_000] * 2
    assert mine.process.returncode == 0
    steps = [json.loads(line)["step"] for line in output.splitlines()]
    assert steps[0] == "started"
    assert steps[-1] == "stopped"
    wanted_steps = ["seen", "decided", "intended", "downloaded", "trained", "sealed", "uploaded",
                    "submitting", "submitted", "outcome"]  # fmt: skip
    assert [s for s in steps if s in wanted_steps][:10] == wanted_steps
    for secret in (secrets.identity, "correct horse"):
        assert secret not in output

    owed = sum(s.payout for s in submissions) + 2000
    assert world.capsule.credit(ETH, secrets.wallet.address) == owed
    # The earnings of either command are those of the chain, whoever wrote the ledger.
    told = json.loads(run(kind, "earnings", folder.path, "--json").stdout)
    assert told["tokens"][0]["earned_wei"] == str(owed - 2000)
    before = world.capsule.balance(secrets.wallet.address)
    secret = passphrase_file(folder.path.parent)
    done = run(kind, "withdraw", folder.path, "--passphrase-file", secret, "--json")
    assert json.loads(done.stdout)["amount_wei"] == str(owed), done.stderr
    assert 0 < owed - (world.capsule.balance(secrets.wallet.address) - before) < 10**15
    again = run(kind, "withdraw", folder.path, "--passphrase-file", secret)
    assert (again.returncode, again.stderr.replace("\n", " ").strip()) == (
        1,
        "error: nothing was paid out: there is nothing to withdraw",
    )


def test_a_network_is_trained_by_backpropagation(world: MineWorld, kind: Kind) -> None:
    batch = rows(200)
    folder, _ = make_mine(world, f"network-{kind.name}", batch=batch, permission=world.trusting)
    manifest = world.manifest(
        algorithm={"kind": "mlp-classifier", "hidden": 4, "batch": 200, "seed": "07"},
        update={"kind": "gradient"},
    )
    spec = spec_from_manifest(manifest)
    assert spec.features is not None
    weights = initial_weights(spec)
    with Running(kind, folder.path):
        opened = world.open(world.launch(manifest), manifest, weights)
        (event,) = wait_submitted(world, opened.campaign)
    # All 200 rows are in the batch, so that the draw does not matter.
    X, Y = spec.features.transform(batch), encode_targets(spec, batch.column("label"))
    found, wanted = world.decrypt(opened, event), mlp_gradient(weights, X, Y)
    assert np.abs(found - wanted).max() < 1e-3 * np.abs(wanted).max() + 1e-3


def test_what_it_may_not_do_it_says(world: MineWorld, kind: Kind) -> None:
    folder, _ = make_mine(
        world, f"asked-{kind.name}", permission={"mode": "ask", "fields": ["*"], "max_rounds": 1}
    )
    with Running(kind, folder.path) as mine:
        opened = world.launch_open()
        number = opened.campaign

        def verdict() -> Any:
            told = json.loads(run(kind, "decisions", folder.path, "--json").stdout)
            return {row["campaign"]: row for row in told}.get(number)

        wait_for(lambda: (found := verdict()) and found["verdict"] == "ask")
        assert world.submitted(number) == []
        assert run(kind, "decisions", folder.path, "--approve", f"{number}:data").returncode == 0
        (event,) = wait_submitted(world, number)
        world.score(opened, 500_000, [Score(event.gradient, 1_000_000)], weights=np.zeros((9, 3)))
        wait_for(lambda: "it had its 1 gradients" in verdict()["reason"])
        assert mine.process.poll() is None


def test_a_bond_in_a_token_is_paid_and_comes_back(world: MineWorld, kind: Kind) -> None:
    token = Token(world.data_scientist)
    token.mint(world.data_scientist.wallet, 10**18)
    permission = {"mode": "automatic", "fields": ["*"], "tokens": [token.address.lower()]}
    folder, secrets = make_mine(world, f"token-{kind.name}", permission=permission)
    miner = secrets.wallet.address
    with Running(kind, folder.path) as mine:
        opened = world.launch_open(token=token.address, bond=700)
        # There is no money for the bond: said with amount, token and address, and waited for.
        wait_for(lambda: decided(folder, opened.campaign, "wait"))
        (decision,) = decided(folder, opened.campaign, "wait")
        assert [cause["code"] for cause in decision.causes] == ["funds"]
        assert decision.text == (
            f"{miner} needs 700 units of token {to_checksum_address(token.address)}, 0 are there: "
            "send it at least 700 more and run again"
        )
        assert world.submitted(opened.campaign) == []
        token.mint(secrets.wallet, 900)
        (event,) = wait_submitted(world, opened.campaign)
        capsule = world.capsule
        assert capsule.balance(miner, token.address) == 200
        (left,) = capsule._ask(_erc20.ALLOWANCE, token.address, miner, capsule.address)
        assert left == 0, "no more is approved than is taken"
        world.score(opened, 900_000, [Score(event.gradient, 1_000_000)])
        (submission,) = outcomes(folder, 1)
        mine.stop()
    payout = 800_000 * (99 * 10**16) // 900_000
    assert (submission.payout, submission.bond, submission.bond_returned) == (payout, 700, 700)
    told = json.loads(run(kind, "earnings", folder.path, "--json").stdout)
    assert [row["earned_wei"] for row in told["tokens"]] == [str(payout)]
    secret = passphrase_file(folder.path.parent)
    words = ("--token", token.address, "--passphrase-file", secret, "--json")
    done = run(kind, "withdraw", folder.path, *words)
    assert done.returncode == 0, done.stderr
    assert world.capsule.balance(miner, token.address) == 200 + 700 + payout


def test_stopped_in_training_nothing_is_left_running(world: MineWorld) -> None:
    kind = kind_of("node")
    batch = rows(20_000)
    folder, _ = make_mine(world, "stopped", batch=batch, permission={"mode": "deny"})
    change_permission(folder, "data", {"mode": "automatic", "fields": ["*"], "cpu_share": 0.001})
    with Running(kind, folder.path) as mine:
        opened = world.launch_open()
        log = folder.log_path
        wait_for(lambda: log.exists() and '"step": "training"' in log.read_text())
        below = psutil.Process(mine.process.pid).children(recursive=True)
        assert len(below) == 2, "the door, and the training below it"
        # As Ctrl-C does, which reaches every process of a terminal.
        for process in below:
            process.send_signal(signal.SIGINT)
        mine.stop()
        assert mine.process.returncode == 0
        _, alive = psutil.wait_procs(below, timeout=DEADLINE_S)
        assert alive == []
    assert world.submitted(opened.campaign) == []
    # What was begun is still claimed: the next start goes on with it.
    ledger = folder.ledger()
    (submission,) = (s for s in ledger.submissions() if s.campaign == opened.campaign)
    ledger.close()
    assert submission.step == "downloaded"
