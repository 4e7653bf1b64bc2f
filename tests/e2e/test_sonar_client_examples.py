"""The examples and the first block of README and docs, run as a reader would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.sonar.chain import REPOSITORY

from openmined.devnet._network import Devnet, Owner, Settings
from openmined.devnet._scenarios import load_scenario
from openmined.protocol import TableSchema
from openmined.sonar import save_network

TWEETS = REPOSITORY.parent / "shared/data/tweets"
DEADLINE_S = 240


@contextmanager
def network(folder: Path, owners: list[Owner]) -> Iterator[None]:
    devnet = Devnet(Settings(folder / "network"))
    with devnet:
        devnet.start_chain()
        devnet.wait_for_store()
        devnet.start_capsule()
        for owner in owners:
            devnet.start_mine(owner)
        devnet.wait_for_capsule()
        save_network(devnet.network, folder / "home" / "networks.json")
        yield


def scenario_owners(name: str, mines: int) -> list[Owner]:
    scenario = load_scenario(name, mines)
    schema = TableSchema(fields=scenario.input.fields + scenario.output.fields)
    return [Owner(f"mine {n}", rows, schema) for n, rows in enumerate(scenario.shares, 1)]


def run(folder: Path, *words: str) -> str:
    """Run Python without a terminal: getpass then reads the passphrase from standard input."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *words],
        input="a passphrase\n",
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=DEADLINE_S,
        start_new_session=True,
        env=os.environ | {"OPENMINED_HOME": str(folder / "home")},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def notebook_code() -> str:
    text = (REPOSITORY / "examples/01_diabetes.ipynb").read_text(encoding="utf-8")
    cells = json.loads(text)["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def first_block(document: str) -> str:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return block[1]


def test_diabetes_as_a_script_and_in_the_documentation(tmp_path: Path) -> None:
    block = first_block("README.md")
    assert block == first_block("docs/pysonar.md")
    assert len([line for line in block.splitlines() if line.strip()]) < 15
    (tmp_path / "block.py").write_text(block)
    (tmp_path / "notebook.py").write_text(
        notebook_code() + '\nprint(len(sonar.campaigns()), "campaign")\n'
    )
    with network(tmp_path, scenario_owners("diabetes", 3)):
        output = run(tmp_path, str(REPOSITORY / "examples/01_diabetes.py"))
        found = re.search(r"R2 on her own patients: (0\.\d+)", output)
        assert found is not None, output
        assert float(found[1]) > 0.4
        assert "payouts of" in output
        assert "follow from chain and receipts" in output
        # The notebook asks for the same: it finds the campaign there is, and pays nothing.
        again = run(tmp_path, "notebook.py")
        assert f"R2 on her own patients: {found[1]}" in again
        assert again.rstrip().endswith("1 campaign")
        output = run(tmp_path, "block.py")
        assert "delivered" in output
        assert output.rstrip().endswith("]"), "the coefficients"


def test_hospitals(tmp_path: Path) -> None:
    with network(tmp_path, scenario_owners("breast-cancer", 5)):
        output = run(tmp_path, str(REPOSITORY / "examples/02_hospitals.py"))
    found = re.search(r"accuracy on her own samples: (\d+\.\d)%", output)
    assert found is not None, output
    assert float(found[1]) >= 94
    assert output.count("earned") >= 2
    assert "follow from chain and receipts" in output
    assert "encrypted version 1:" in output


def test_tweets(tmp_path: Path) -> None:
    if not TWEETS.is_dir():
        pytest.skip("the tweets of ../shared/data are not here")
    import pyarrow as pa

    texts = (TWEETS / "emotion.train.txt").read_text(encoding="utf-8").splitlines()
    moods = ("anger", "joy", "optimism", "sadness")
    labels = [
        moods[int(label)]
        for label in (TWEETS / "emotion.train.labels").read_text(encoding="utf-8").split()
    ]
    schema = TableSchema.model_validate(
        {
            "fields": [
                {"name": "body", "type": "string"},
                {"name": "label", "type": "string", "constraints": {"enum": list(moods)}},
            ]
        }
    )
    owners = [
        Owner(f"mine {n}", pa.table({"body": texts[n::3], "label": labels[n::3]}), schema)
        for n in range(3)
    ]
    with network(tmp_path, owners):
        output = run(
            tmp_path,
            str(REPOSITORY / "examples/03_tweets.py"),
            str(TWEETS / "emotion.test.txt"),
            str(TWEETS / "emotion.test.labels"),
        )
    found = re.search(r"accuracy on her own tweets: (\d+\.\d)%", output)
    assert found is not None, output
    assert float(found[1]) > 54
