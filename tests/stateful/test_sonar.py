"""The stateful proof; `OPENMINED_SOAK_EXAMPLES=10000` for more (`make soak`)."""

from hypothesis.stateful import run_state_machine_as_test
from sonar_machine import SETTINGS, SonarMachine


def test_every_call_by_every_role_keeps_the_books() -> None:
    SonarMachine.set_stage()

    run_state_machine_as_test(SonarMachine, settings=SETTINGS)

    # The machine must have got somewhere, or it has proved nothing.
    assert SonarMachine.steps >= 25 * SETTINGS.max_examples
    rarest = min(SonarMachine.agreed.items(), key=lambda item: item[1])
    assert len(SonarMachine.agreed) == 12, SonarMachine.agreed
    assert rarest[1] >= SETTINGS.max_examples / 20, rarest
