"""What `make soak` adds: the stateful machine for longer and unseeded, and the mutation run.

`OPENMINED_SOAK_EXAMPLES` is the number of runs of the machine (2000 unless given).
"""

import os

import pytest
from mutate import main
from sonar_machine import SonarMachine


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_the_books_are_right_in_any_number_of_runs(capsys: pytest.CaptureFixture[str]) -> None:
    examples = int(os.environ.get("OPENMINED_SOAK_EXAMPLES", "2000"))
    SonarMachine.play(examples, seeded=False)
    with capsys.disabled():
        print(f"\nSonar: {examples} runs, {SonarMachine.steps} calls: {SonarMachine.agreed}")


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_mutants_of_the_contract_are_killed(capfd: pytest.CaptureFixture[str]) -> None:
    with capfd.disabled():
        assert main([]) == 0
