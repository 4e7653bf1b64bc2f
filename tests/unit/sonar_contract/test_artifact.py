"""The committed artifact: loadable without the compiler, and what the source compiles to."""

import hashlib
import json
import subprocess
import sys

import boa
import pytest
from sonar_world import SOURCE, World

from openmined.sonar.contract import MAX_BATCH, MAX_GRACE_S, ArtifactError, load_artifact
from openmined.sonar.contract import _artifact as artifact_module
from openmined.sonar.contract._build import ARTIFACT, build_artifact, describe_difference, main


def test_the_artifact_is_what_the_source_compiles_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert "up to date" in capsys.readouterr().out


def test_a_stale_artifact_is_noticed() -> None:
    committed = ARTIFACT.read_text()
    source = SOURCE.read_text().replace("2_592_000", "1_592_000")
    built = build_artifact(source)
    assert built != committed
    assert "source_sha256" in describe_difference(committed, built)


def test_the_code_on_chain_is_the_artifact_byte_for_byte() -> None:
    artifact = load_artifact()
    address, code = boa.env.deploy_code(bytecode=artifact.bytecode)
    assert code == artifact.deployed_bytecode
    assert boa.env.get_code(address) == artifact.deployed_bytecode
    assert len(artifact.deployed_bytecode) <= 24_576  # EIP-170


def test_it_names_its_source() -> None:
    assert load_artifact().source_sha256 == hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def test_it_loads_without_vyper() -> None:
    script = (
        "import sys; sys.modules.update(dict.fromkeys(('vyper', 'boa')))\n"
        "from openmined.sonar.contract import load_artifact\n"
        "assert any(e.get('name') == 'launch_campaign' for e in load_artifact().abi)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_constants_are_the_contracts(world: World) -> None:
    assert world.sonar.MAX_BATCH() == MAX_BATCH
    assert world.sonar.MAX_GRACE() == MAX_GRACE_S
    assert world.sonar.PPM() == 1_000_000
    assert world.sonar.VERSION() == "1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": "openmined/contract@9"}', "openmined/contract@9"),
        ('{"format": "openmined/contract@1"}', "compiler"),
    ],
)
def test_a_damaged_artifact_is_named(text: str, says: str) -> None:
    with pytest.raises(ArtifactError, match=says) as caught:
        artifact_module.parse_artifact(text)
    assert "python -m openmined.sonar.contract" in str(caught.value)


def test_hex_that_is_not_hex_is_damage() -> None:
    document = json.loads(ARTIFACT.read_text()) | {"bytecode": "0xzz"}
    with pytest.raises(ArtifactError, match="damaged"):
        artifact_module.parse_artifact(json.dumps(document))
