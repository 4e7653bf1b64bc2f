"""The same functions on a local Ray cluster.

Ray ends the process that is connected to a cluster when the cluster no longer answers it, with
everything else that is tested there. So the cases run in a process of their own.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from openmined.syft import LimitError, open_executor

CASES = Path(__file__).with_name("cases_on_ray.py")
ATTEMPTS = 2
"""Of a process that Ray ended before it had a verdict."""


def test_a_cluster_that_does_not_answer_is_named():
    with pytest.raises(LimitError, match=r"no Ray cluster at 127\.0\.0\.1:1: .*refused"):
        open_executor("ray:127.0.0.1:1")


def test_the_cases_hold():
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'openmined[ray]'")
    for _ in range(ATTEMPTS):
        said = run_cases()
        if verdict := re.search(r"^[^\n]*\b(passed|failed|errors?)\b[^\n]* in [^\n]*$", said, re.M):
            assert re.match(r"\d+ passed in ", verdict[0]), said
            return
    pytest.fail(f"Ray ended the process {ATTEMPTS} times:\n{said}")


def run_cases():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    return f"{done.stdout}{done.stderr}(exit code {done.returncode})"
