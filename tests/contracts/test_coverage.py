"""The contract's own tests reach every line and both sides of every branch of Sonar.vy."""

from evm_coverage import SUITES, measure


def test_the_tests_cover_every_line_and_branch() -> None:
    measured = measure(*SUITES)
    assert measured["complete"], measured["text"]
    assert measured["branches"] > 150


def test_a_suite_that_misses_something_is_noticed() -> None:
    measured = measure("tests/unit/sonar_contract/test_life.py")
    assert not measured["complete"]
    assert "never" in measured["text"]
