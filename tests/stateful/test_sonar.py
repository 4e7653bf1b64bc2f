"""The stateful proof: every call by every role, and the books are right after every step."""

import pytest
from sonar_machine import SonarMachine

EXAMPLES = 200


@pytest.mark.timeout(900)  # about 50 s of one processor; the suite shares two with much else
def test_every_call_by_every_role_keeps_the_books() -> None:
    SonarMachine.play(EXAMPLES, seeded=True)

    # The machine must have got somewhere, or it has proved nothing.
    assert SonarMachine.steps >= 25 * EXAMPLES
    assert len(SonarMachine.agreed) == 12, SonarMachine.agreed
    rarest = min(SonarMachine.agreed.items(), key=lambda item: item[1])
    assert rarest[1] >= EXAMPLES / 20, rarest
