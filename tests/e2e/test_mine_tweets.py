"""Tweets as ten owners' X archives: imported by the adapter, trained on encrypted weights.

Both models see the same rows through the same features: the campaign's, which no one trained in
the clear, and the ridge solution over all rows in one place. The rows that measure them have been
seen by neither mines nor Capsule.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.mine.mine_world import mine_loop, mine_world, wait_for
from tests.unit.sonar.chain import REPOSITORY

from openmined.adapters import open_export
from openmined.devnet._anvil import fund
from openmined.devnet._demo import _connect_data_scientist
from openmined.devnet._network import Devnet, Settings
from openmined.devnet._supervisor import Command, openmined_command
from openmined.mine import ImportRequest, MineFolder, change_permission, import_source
from openmined.protocol import (
    PPM,
    HashedTextStep,
    LinearClassifierAlgorithm,
    LocalSteps,
    Phase,
    ScoringSettings,
    TableSchema,
    ether_to_wei,
)
from openmined.sonar import Campaign, Sonar
from openmined.syft import (
    accumulate_statistics,
    apply_update,
    build_features,
    encode_targets,
    spec_from_manifest,
)

TWEETS = REPOSITORY.parent / "shared/data/tweets"
MOODS = ("anger", "joy", "optimism", "sadness")
OWNERS = 10
L2 = 1e-3
TEXT = HashedTextStep(column="body", features=1023, analyzer="char_wb", ngram_min=2, ngram_max=4)
INPUT = TableSchema.model_validate({"fields": [{"name": "body", "type": "string"}]})
OUTPUT = TableSchema.model_validate(
    {"fields": [{"name": "label", "type": "string", "constraints": {"enum": list(MOODS)}}]}
)
DEADLINE_S = 400.0
Rows = list[tuple[str, str]]


def read_tweets(part: str) -> Rows:
    texts = (TWEETS / f"emotion.{part}.txt").read_text(encoding="utf-8").splitlines()
    labels = (TWEETS / f"emotion.{part}.labels").read_text(encoding="utf-8").split()
    return [(text, MOODS[int(label)]) for text, label in zip(texts, labels, strict=True)]


def write_archive(path: Path, rows: Rows, owner: int) -> Path:
    """Write an X archive: of the new or the old form, in one part or two, with unlabelled tweets.

    The owner labels a tweet by the hashtag that ends it. Every fifth tweet more carries no label,
    or one that the campaign does not ask for.
    """
    labelled = [f"{text} #{mood}" for text, mood in rows]
    others = [f"{text} {('tonight', '#monday')[n % 2]}" for n, (text, _) in enumerate(rows[::5])]
    tweets = [tweet(text, 1000 + n, owner) for n, text in enumerate(labelled + others)]
    if owner % 2:
        wrapped: list[Any] = [{"tweet": item} for item in tweets]
        files = {"data/tweets.js": ("tweets", 0, wrapped[:200])}
        files["data/tweets-part1.js"] = ("tweets", 1, wrapped[200:])
    else:
        files = {"tweet.js": ("tweet", 0, tweets)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (kind, part, items) in files.items():
            text = json.dumps(items, ensure_ascii=False)
            archive.writestr(name, f"window.YTD.{kind}.part{part} = {text}")
    return path


def tweet(text: str, number: int, owner: int) -> dict[str, Any]:
    return {
        "id_str": f"{owner}{number:06}",
        "full_text": escape(text, quote=False),
        "created_at": "Thu Nov 17 10:12:44 +0000 2022",
        "lang": "en",
        "entities": {"hashtags": []},
    }


def read_archive(path: Path) -> pa.Table:
    problems: list[Any] = []
    with open_export(path) as export:
        assert export.adapter.name == "x"
        table = pa.Table.from_batches(list(export.batches(problems.append)))
    assert not problems
    return table


def to_table(rows: Rows, folder: Path) -> pa.Table:
    """Return tweets as the adapter reads them: their bodies without hashtags and links."""
    found = read_archive(write_archive(folder / "hers.zip", rows, 1))
    return found.filter(pa.compute.is_in(found["label"], pa.array(MOODS))).select(["body", "label"])


class Encoded:
    """Rows as features (n, p) and classes."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.Z = build_features([TEXT], INPUT).transform(table)
        self.classes = np.array([MOODS.index(label) for label in table["label"].to_pylist()])

    def solve(self) -> np.ndarray[Any, Any]:
        """Ridge on one-hot labels, in the clear: (Z'Z / n + l2 I) W = Z'Y / n."""
        n, p = self.Z.shape
        return np.linalg.solve(
            self.Z.T @ self.Z / n + L2 * np.eye(p), self.Z.T @ np.eye(len(MOODS))[self.classes] / n
        )

    def accuracy(self, weights: np.ndarray[Any, Any]) -> float:
        return float(((self.Z @ weights).argmax(axis=1) == self.classes).mean())


def openmined(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "openmined", *map(str, words)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def start_owner(devnet: Devnet, name: str, archive: Path) -> MineFolder:
    """Make a mine by its commands, as its owner would; start it."""
    folder, secret = devnet.settings.folder / name, ("--passphrase-file", devnet.passphrase_file)
    net = devnet.network
    openmined(
        "mine", "init", folder, "--name", name, "--rpc-url", net.rpc_url, "--sonar", net.sonar,
        "--chain-id", net.chain_id, "--store-url", net.store_url, "--poll-interval-s", 0.2,
        "--light-kdf", *secret,
    )  # fmt: skip
    openmined("mine", "import", folder, archive, "--name", "tweets", *secret)
    openmined(
        "mine", "permissions", folder, "tweets", "--mode", "automatic",
        "--fields", "body", "--fields", "label",
    )  # fmt: skip
    mine = MineFolder(folder)
    fund(net.rpc_url, mine.address)
    devnet.supervisor.start(
        Command(name, openmined_command("mine", "start", str(folder), *map(str, secret)))
    )
    return mine


@contextmanager
def network(folder: Path, archives: list[Path]) -> Iterator[tuple[Devnet, list[MineFolder]]]:
    with Devnet(Settings(folder / "network")) as devnet:
        devnet.start_chain()
        devnet.wait_for_store()
        devnet.start_capsule()
        mines = [start_owner(devnet, f"owner-{n}", path) for n, path in enumerate(archives, 1)]
        devnet.wait_for_capsule()
        yield devnet, mines


def first_samples(mine: MineFolder) -> int:
    ledger = mine.ledger()
    (first, *_) = ledger.submissions()
    ledger.close()
    return first.samples or 0


def run_campaign(
    devnet: Devnet, sonar: Sonar, validation: pa.Table, target: float, rounds: int
) -> Campaign:
    campaign = sonar.launch_campaign(
        validation,
        target="label",
        title="The mood of a tweet",
        bounty=ether_to_wei("1"),
        input_schema=INPUT,
        output_schema=OUTPUT,
        estimator=LinearClassifierAlgorithm(l2=L2),
        features=[TEXT],
        update=LocalSteps(steps=100),
        target_accuracy=target,
        min_improvement_ppm=1000,
        duration_s=3600,
        max_gradients=rounds * OWNERS,
        scoring=ScoringSettings(window_s=60, batch=OWNERS),
    )
    deadline = time.monotonic() + DEADLINE_S
    while not campaign.history().phase.final:
        devnet.supervisor.check()
        assert time.monotonic() < deadline, campaign.history()
        time.sleep(0.2)
    return campaign


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_ten_archives_teach_moods_as_well_as_all_rows_in_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not TWEETS.is_dir():
        pytest.skip("the tweets of ../shared/data are not here")
    monkeypatch.setenv("OPENMINED_HOME", str(tmp_path / "home"))
    rows, others = read_tweets("train"), read_tweets("test")
    archives = [
        write_archive(tmp_path / f"twitter-{n}.zip", rows[n - 1 :: OWNERS], n)
        for n in range(1, OWNERS + 1)
    ]
    everything = pa.concat_tables(map(read_archive, archives))
    labelled = everything.filter(pa.compute.is_in(everything["label"], pa.array(MOODS)))
    assert labelled.num_rows == len(rows)
    assert everything.num_rows > 1.15 * len(rows)
    # Her rows steer the campaign; the other half measures both models once, at the end.
    hers, unseen = (
        Encoded(to_table(others[::2], tmp_path)),
        Encoded(to_table(others[1::2], tmp_path)),
    )
    central = Encoded(labelled).solve()
    target = hers.accuracy(central) - 0.01
    with (
        network(tmp_path, archives) as (devnet, mines),
        _connect_data_scientist(devnet) as sonar,
    ):
        made = time.monotonic()
        campaign = run_campaign(devnet, sonar, hers.table, target, 12)
        took = time.monotonic() - made
        history, model = campaign.history(), campaign.result()
        samples = [first_samples(mine) for mine in mines]
    assert history.phase == Phase.DELIVERED
    assert sum(samples) == len(rows), "rows without a mood took no part"
    found = float(
        model.score({"body": unseen.table["body"].to_pylist()}, unseen.table["label"].to_pylist())
    )
    clear = unseen.accuracy(central)
    print(f"unseen tweets: {found:.1%} by the campaign, {clear:.1%} in the clear")
    print(f"hers: {history.best_ppm / PPM:.1%} and {hers.accuracy(central):.1%}; {took:.0f} s")
    assert found > clear - 0.02


def test_an_archive_becomes_a_gradient_of_its_labelled_tweets(tmp_path: Path) -> None:
    moods = ("joy", "anger")
    rows = [(f"tweet number {n} {'good' if n % 2 else 'bad'}", moods[n % 2]) for n in range(60)]
    archive = write_archive(tmp_path / "twitter.zip", rows, 1)
    text = TEXT.model_copy(update={"features": 63})
    output = TableSchema.model_validate(
        {"fields": [{"name": "label", "type": "string", "constraints": {"enum": list(moods)}}]}
    )
    with mine_world() as world:
        folder, keys = world.make_mine()
        import_source(folder, keys.identity, ImportRequest(source=archive, dataset="tweets"))
        change_permission(folder, "tweets", {"mode": "automatic", "fields": ["body", "label"]})
        opened = world.launch_open(world.manifest(input=INPUT, output=output, features=[text]))
        with mine_loop(folder, keys) as loop:

            def submitted() -> Any:
                loop.run_once()
                return world.submitted(opened.campaign)

            (event,) = wait_for(submitted, 60)
            (submission,) = loop.ledger.submissions(opened.campaign)
            assert submission.samples == len(rows), "the twelve others carry no mood"
        found = world.decrypt(opened, event)
    spec = spec_from_manifest(opened.manifest)
    assert spec.features is not None
    table = read_archive(archive).slice(0, len(rows))
    data = (spec.features.transform(table), encode_targets(spec, table["label"]))
    start = np.zeros((64, 2))
    wanted = apply_update(start, accumulate_statistics([data]), opened.manifest.update, spec.l2)
    worst = np.abs(found - wanted).max() / np.abs(wanted).max()
    assert -np.log2(worst) > 9, "bits of precision"
