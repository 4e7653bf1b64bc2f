"""The page about Syft: its example runs, its numbers are the code's."""

import re
from pathlib import Path

from openmined.syft import MLPClassifier, choose_parameters

PAGE = (Path(__file__).parents[3] / "docs" / "syft.md").read_text(encoding="utf-8")


def test_the_example_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/syft.md", "exec"), {})


def test_the_chain_of_a_network_is_as_written():
    parameters = choose_parameters(MLPClassifier(inputs=5, hidden=4, classes=("a", "b")))
    *first, last = parameters.coeff_modulus_bits
    assert f"primes of {', '.join(map(str, first))} and {last} bits" in PAGE
    assert f"{sum(parameters.coeff_modulus_bits)} that 128 bits" in PAGE


def test_names_on_the_page_exist():
    import openmined.syft as syft

    code = set(re.findall(r"`(\w+)\(", PAGE)) | set(
        re.findall(r"import \((.*?)\)", PAGE, re.DOTALL)
    )
    names = {name.strip() for group in code for name in group.split(",") if name.strip()}
    known = set(syft.__all__) | {"to_blobs", "from_blobs", "slice_secret_key", "flood_deviation"}
    assert names <= known, names - known
