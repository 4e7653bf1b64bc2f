from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.sonar.chain import in_background, wait_for
from tests.unit.sonar.conftest import Scene
from tests.unit.sonar.played import generate_pgp

from openmined.protocol import Phase, Reason, SonarRef
from openmined.sonar import (
    BatchScored,
    Campaign,
    CampaignError,
    DeliveryRefused,
    NotDelivered,
    PgpKey,
    Score,
    Sonar,
    SonarError,
    UnknownCampaign,
    Waiting,
    download_model,
)
from openmined.storage import CID
from openmined.syft import load_model

ALL = 1_000_000
WEIGHTS = np.array([[-1.0, 1.0], [2.0, -2.0], [-0.5, 0.5], [-0.1, 0.1]])


def finish(scene: Scene, **delivery: Any) -> Campaign:
    campaign = scene.launch()
    scene.capsule.open(campaign.id)
    scene.submit(campaign)
    scene.capsule.score(campaign.id, 900_000, [Score(0, ALL)])
    scene.capsule.deliver(campaign.id, WEIGHTS, **delivery)
    return campaign


def test_the_delivered_model_predicts(scene: Scene, tmp_path: Path) -> None:
    campaign = finish(scene)
    model = campaign.result()
    rows = np.random.default_rng(9).normal(size=(200, 3))
    labels = np.where(rows @ [1.0, -2.0, 0.5] > 0, "yes", "no")
    assert model.score(rows, labels) > 0.9
    assert list(model.classes_) == ["no", "yes"]
    card = campaign.save_result(tmp_path / "model.safetensors")
    assert card["campaign"] == str(campaign.id)
    weights, _ = load_model((tmp_path / "model.safetensors").read_bytes())
    assert (weights == WEIGHTS).all()
    with pytest.raises(CampaignError, match="cannot write"):
        campaign.save_result(tmp_path / "model.safetensors")
    spend = campaign.spend()
    assert spend.bounty + spend.topped_up + spend.forfeited == (
        spend.paid + spend.fee + spend.refund + spend.unspent
    )
    assert spend.fee == campaign.state().terms.fee
    assert campaign.withdraw() is not None
    assert campaign.withdraw() is None


def test_the_next_campaign_starts_from_the_last(scene: Scene) -> None:
    campaign = finish(scene)
    again = scene.launch(initial=campaign.id, target_accuracy=1.0, min_improvement_ppm=1)
    assert again.state().terms.start_ppm > 950_000


FORGED: list[tuple[dict[str, Any], str]] = [
    ({"signer": generate_pgp("A stranger")}, "not signed by the campaign's Capsule"),
    (
        {"recipient": str(generate_pgp("Another").extract_certificate())},
        "does not open with this PGP key",
    ),
    ({"message": b"nonsense"}, "does not open"),
    ({"message": b""}, "does not open"),
    ({"campaign": 999_999}, "of campaign 999999"),
    ({"card": {"campaign": "999999"}}, "another campaign's"),
    ({"card": {"chain_id": "1"}}, "another campaign's"),
]


def forge(scene: Scene, lie: dict[str, Any]) -> Campaign:
    lie = dict(lie)
    campaign = scene.launch()
    scene.capsule.open(campaign.id)
    scene.submit(campaign)
    scene.capsule.score(campaign.id, 900_000, [Score(0, ALL)])
    manifest = {"manifest": {"campaign": lie.pop("campaign")}} if "campaign" in lie else {}
    scene.capsule.deliver(campaign.id, WEIGHTS, **lie, **manifest)
    return campaign


@pytest.mark.parametrize(("lie", "text"), FORGED)
def test_what_is_not_the_campaigns_model_is_refused(
    scene: Scene, lie: dict[str, Any], text: str
) -> None:
    with pytest.raises(DeliveryRefused, match=text):
        forge(scene, lie).result()


def test_weights_of_another_shape_are_refused(scene: Scene) -> None:
    campaign = scene.launch()
    scene.capsule.open(campaign.id)
    scene.submit(campaign)
    scene.capsule.score(campaign.id, 900_000, [Score(0, ALL)])
    scene.capsule.deliver(campaign.id, np.zeros((2, 2)))
    with pytest.raises(DeliveryRefused, match="cannot be used"):
        campaign.result()


def test_a_delivery_the_store_has_lost(scene: Scene) -> None:
    campaign = finish(scene)
    delivered = campaign.history().delivered
    assert delivered is not None
    blocks: dict[Any, bytes] = scene.store.blocks._blocks  # type: ignore[attr-defined]
    place = next(key for key in blocks if CID.parse(str(key)).digest == delivered.delivery)
    del blocks[place]
    with pytest.raises(DeliveryRefused, match="Ask Capsule to publish it again"):
        campaign.result()


def test_without_a_key_nothing_opens(scene: Scene) -> None:
    campaign = finish(scene)
    reader = Sonar(scene.world.stranger, scene.store)
    with pytest.raises(NotDelivered, match="PgpKey"):
        reader.campaign(campaign.id).result()
    other = Sonar(scene.world.stranger, scene.store, pgp=PgpKey(generate_pgp("Stranger")))
    with pytest.raises(DeliveryRefused, match="does not open with this PGP key"):
        other.campaign(campaign.id).result()


def test_what_is_not_delivered_says_who_is_waited_for(own_scene: Scene) -> None:
    scene = own_scene
    campaign = scene.launch()
    with pytest.raises(NotDelivered, match="waiting for Capsule to open"):
        campaign.result()
    scene.capsule.open(campaign.id)
    with pytest.raises(NotDelivered, match="waiting for mines"):
        campaign.result()
    scene.submit(campaign)
    with pytest.raises(NotDelivered, match=r"waiting for Capsule to score 1 gradient"):
        campaign.result()
    scene.world.anvil.travel(3601)
    assert campaign.status().waiting == Waiting.CAPSULE_TO_SCORE
    scene.world.anvil.travel(601)
    with pytest.raises(NotDelivered, match=r"expire\(\)"):
        campaign.result()
    campaign.expire()
    with pytest.raises(NotDelivered, match="ended as expired"):
        campaign.result()
    assert campaign.withdraw() is not None

    rejected = scene.launch()
    scene.world.capsule.reject_campaign(rejected.id, "too few rows")
    with pytest.raises(NotDelivered, match=r"rejected \(too few rows\)"):
        rejected.result()
    cancelled = scene.launch()
    cancelled.cancel()
    with pytest.raises(NotDelivered, match="cancelled"):
        cancelled.result()


def test_watching_shows_every_step_and_ends(scene: Scene) -> None:
    campaign = scene.launch(bond=10)
    watching = in_background(lambda: list(campaign.watch(timeout_s=30)))
    scene.capsule.open(campaign.id)
    for _ in range(2):
        scene.submit(campaign)
    scene.capsule.score(campaign.id, 700_000, [Score(0, ALL), Score(1, 0, Reason.HARMFUL)])
    campaign.top_up(5)
    scene.submit(campaign)
    scene.capsule.score(campaign.id, 950_000, [Score(2, ALL)])
    scene.capsule.deliver(campaign.id, WEIGHTS)
    steps = watching.result(30)
    names = [step.event.name for step in steps if step.event]
    assert names == [event.name for event in campaign.events()]
    by_name = {step.event.name: step for step in steps if step.event}
    assert by_name["CampaignLaunched"].waiting == Waiting.CAPSULE_TO_OPEN
    assert by_name["CampaignOpened"].waiting == Waiting.MINES
    assert by_name["GradientSubmitted"].waiting == Waiting.CAPSULE_TO_SCORE
    last = steps[-1]
    assert (last.phase, last.waiting) == (Phase.DELIVERED, Waiting.NOBODY)
    assert last.best_ppm == 900_000
    assert last.paid == campaign.state().paid > 0
    scored = [step for step in steps if isinstance(step.event, BatchScored)]
    assert [step.best_ppm for step in scored] == [700_000, 900_000]
    assert "accuracy 70.0 % of 90.0 %" in str(scored[0])
    assert "waiting for mines" in str(scored[0])
    points = campaign.progress()
    assert [point.batch for point in points] == [0, 1, 2]
    assert points[-1].paid == last.paid
    spend = campaign.spend()
    assert (spend.topped_up, spend.forfeited) == (5, 10)
    assert sum(spend.by_miner.values()) == spend.paid
    assert spend.bounty + 5 + 10 == spend.paid + spend.fee + spend.refund


def test_watching_says_when_time_changes_who_is_waited_for(own_scene: Scene) -> None:
    scene = own_scene
    campaign = scene.launch()
    seen: list[Any] = []
    watching = in_background(lambda: [seen.append(step) for step in campaign.watch(timeout_s=30)])
    wait_for(lambda: seen)
    scene.world.anvil.travel(3600 + 601)
    wait_for(lambda: seen[-1].waiting == Waiting.ANYBODY_TO_EXPIRE)
    assert seen[-1].event is None
    campaign.expire()
    watching.result(20)
    assert seen[-1].phase == Phase.EXPIRED


def test_watching_takes_back_what_the_chain_takes_back(own_scene: Scene) -> None:
    scene = own_scene
    campaign = scene.launch()
    scene.capsule.open(campaign.id)
    seen: list[Any] = []
    watching = in_background(lambda: [seen.append(step) for step in campaign.watch(timeout_s=30)])
    scene.submit(campaign)
    wait_for(lambda: seen and seen[-1].gradients == 1)
    scene.world.anvil.reorganise(1)
    wait_for(lambda: seen[-1].gradients == 0)
    assert seen[-1].rolled_back
    scene.world.anvil.travel(3600 + 601)
    campaign.expire()
    watching.result(20)


def test_a_watch_that_ends_without_an_end_names_who_is_waited_for(scene: Scene) -> None:
    campaign = scene.launch()
    with pytest.raises(CampaignError, match=r"within 0 s: waiting for Capsule to open"):
        list(campaign.watch(timeout_s=0.05))


def test_campaigns_are_found_by_filter(own_scene: Scene) -> None:
    scene = own_scene
    first, second = scene.launch(), scene.launch()
    scene.capsule.open(second.id)
    assert scene.sonar.campaigns() == [first, second]
    assert scene.sonar.campaigns(phase=Phase.OPEN) == [second]
    assert scene.sonar.campaigns(mine=True) == [first, second]
    assert scene.sonar.campaigns(data_scientist=scene.capsule.address) == []
    assert scene.sonar.campaigns(capsule=scene.capsule.address.lower()) == [first, second]
    with pytest.raises(UnknownCampaign):
        scene.sonar.campaign(3)


def test_the_repository_lists_and_downloads_every_model(scene: Scene, tmp_path: Path) -> None:
    campaign = finish(scene)
    models = campaign.models()
    assert [(model.version, model.epoch, model.problem) for model in models] == [
        (1, 1, ""),
        (2, 1, ""),
    ]
    first, second = models
    assert second.manifest is not None
    assert second.manifest.parent == first.digest.hex()
    assert scene.sonar.models(campaign.id) == models
    written = download_model(scene.store, second, tmp_path / "model")
    assert {path.name.split("-")[0] for path in written} == {
        "model.json",
        "keys.json",
        "0000",
        "index.json",
    }
    assert second.to_json()["size"] == len(b"model 2")


def test_a_model_that_is_not_the_campaigns_is_listed_with_its_problem(
    scene: Scene, tmp_path: Path
) -> None:
    campaign = scene.launch()
    scene.capsule.open(campaign.id)
    scene.submit(campaign)
    publish = scene.capsule.publish_model
    other = SonarRef(chain_id=1, sonar=scene.world.address)
    scene.capsule.publish_model = lambda c, v: publish(c, v, chain=other)  # type: ignore[method-assign, assignment]
    scene.capsule.score(campaign.id, 700_000, [Score(0, ALL)])
    _, forged = campaign.models()
    assert "names another chain" in forged.problem
    with pytest.raises(SonarError, match="cannot be downloaded"):
        download_model(scene.store, forged, tmp_path)


def test_a_notebook_shows_a_table_and_a_picture_without_scripts(scene: Scene) -> None:
    campaign = scene.launch(title="<script>alert(1)</script>")
    assert "<svg" not in campaign._repr_html_()
    scene.capsule.open(campaign.id)
    scene.submit(campaign)
    scene.capsule.score(campaign.id, 700_000, [Score(0, ALL)])
    html = campaign._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "70.0 % of 90.0 %" in html
    assert "<svg" in html
    assert "mines to submit" in html


def test_a_plot_without_matplotlib_says_how_to_get_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    campaign = scene.launch()
    with pytest.raises(CampaignError, match="nothing to draw"):
        campaign.plot()
    scene.capsule.open(campaign.id)
    with pytest.raises(CampaignError, match="pip install matplotlib"):
        campaign.plot()


def test_a_plot_shows_accuracy_target_and_spend(scene: Scene) -> None:
    from matplotlib.figure import Figure

    campaign = scene.launch(bounty=10**18)
    scene.capsule.open(campaign.id)
    scene.submit(campaign)
    scene.capsule.score(campaign.id, 700_000, [Score(0, ALL)])
    figure = Figure()
    axes = figure.subplots()
    assert campaign.plot(axes) is axes
    accuracy, target = ([float(y) for y in line.get_ydata()] for line in axes.lines)
    assert accuracy == [campaign.state().start_ppm / 1e6, 0.7]
    assert set(target) == {0.9}
    (money,) = (other for other in figure.axes if other is not axes)
    assert money.get_ylabel() == "spent, ETH"
    assert list(money.lines[0].get_ydata()) == pytest.approx([0.0, campaign.state().paid / 1e18])
