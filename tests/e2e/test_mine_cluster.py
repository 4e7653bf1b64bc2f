"""By one setting a mine's statistics are summed on a Ray cluster, to the same gradient."""

from __future__ import annotations

import importlib.util
import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.unit.mine.folder_world import rows
from tests.unit.mine.mine_world import MineWorld, mine_loop, mine_world

from openmined.mine import SettingsError
from openmined.mine import _training as training
from openmined.mine._settings import parse_settings
from openmined.syft import accumulate_statistics, apply_update, encode_targets, spec_from_manifest

ROWS = 300


@pytest.fixture(scope="module")
def world() -> Iterator[MineWorld]:
    with mine_world() as made:
        yield made


def test_rows_are_summed_on_a_cluster(
    world: MineWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'openmined[ray]'")
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))

    def never(*_: object) -> None:
        raise AssertionError("the training process read the rows itself")

    monkeypatch.setattr(training, "_mapped", never)  # its child is forked from here
    batch, start = rows(ROWS), np.full((9, 3), 0.25)
    folder, keys = world.make_mine("ray", training={"executor": "ray"}, batch=batch)
    opened = world.launch_open(weights=start)
    with mine_loop(folder, keys) as loop:
        loop.run_once()
        (event,) = world.submitted(opened.campaign)

    spec = spec_from_manifest(opened.manifest)
    assert spec.features is not None
    data = (spec.features.transform(batch), encode_targets(spec, batch.column("label")))
    sums = accumulate_statistics([data])
    wanted = apply_update(start, sums, opened.manifest.update, spec.l2)
    worst = np.abs(world.decrypt(opened, event) - wanted).max() / np.abs(wanted).max()
    assert -np.log2(worst) > 9, "bits of precision"
    (submission,) = folder.ledger().submissions()
    assert submission.samples == ROWS


def test_a_cluster_that_is_away_is_waited_for(world: MineWorld) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'openmined[ray]'")
    executor = "ray:127.0.0.1:1"
    folder, keys = world.make_mine("away", training={"executor": executor})
    opened = world.launch_open()
    with mine_loop(folder, keys) as loop:
        loop.run_once()
        decision = loop.ledger.decisions()[0]
        assert (decision.campaign, decision.verdict) == (opened.campaign, "wait")
        assert f"summed on {executor}: no Ray cluster at 127.0.0.1:1" in decision.text
        # The owner changes his mind: the claim is gone on with.
        text = (folder.path / "mine.toml").read_text()
        (folder.path / "mine.toml").write_text(text.replace(executor, "here"))
        loop.run_once()
    assert len(world.submitted(opened.campaign)) == 1


@pytest.mark.parametrize("name", ["threads", "processes:4", "ray: there", "ray:", ""])
def test_other_names_are_refused(name: str) -> None:
    place = {"rpc_url": "http://a", "store_url": "http://a", "sonar": "0x" + "5" * 40}
    value = {"network": {"chain_id": 1, **place}}
    with pytest.raises(SettingsError, match=r"training\.executor"):
        parse_settings(value | {"training": {"executor": name}}, Path("mine.toml"))
