"""What every process that talks to Sonar pays for: the import, and the names it gets."""

from __future__ import annotations

import subprocess
import sys

import pytest

import openmined.sonar
from openmined.sonar import _errors

HEAVY = ("web3", "eth_account", "sklearn", "scipy", "pandas", "matplotlib", "tenseal", "pyarrow")


def test_names_are_sorted_and_there() -> None:
    names = openmined.sonar.__all__
    assert names == sorted(
        names, key=lambda name: (name.upper() != name, name.lower() == name, name)
    )
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(openmined.sonar, name) is not None
    with pytest.raises(AttributeError):
        openmined.sonar.nothing  # noqa: B018


def test_importing_brings_nothing_heavy() -> None:
    code = "import sys, openmined.sonar; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not [name for name in HEAVY if name in loaded]
    assert "openmined.sonar._cli" not in loaded


def test_the_error_tree_is_drawn_as_it_is() -> None:
    drawn = _errors.__doc__ or ""
    found = [
        value
        for value in vars(_errors).values()
        if isinstance(value, type) and value.__module__ == _errors.__name__
    ]
    for error in found:
        assert error.__name__ in drawn, error
        assert error.__doc__
    lines = [line for line in drawn.splitlines() if "──" in line or "an OpenMinedError" in line]
    above: list[str] = []
    for line in lines:
        depth = line.index("──") // 4 if "──" in line else 0
        name = line.replace("│", " ").replace("├──", "").replace("└──", "").split()[0]
        above[depth:] = [name]
        if depth:
            assert getattr(_errors, name).__mro__[1].__name__ == above[depth - 1], line
    assert {error.__name__ for error in found} == {
        line.replace("│", " ").replace("├──", "").replace("└──", "").split()[0] for line in lines
    }
