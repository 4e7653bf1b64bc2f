"""Line and branch coverage of Sonar.vy, from the EVM's own trace.

    python tests/contracts/evm_coverage.py      runs the contract's tests, prints, fails below 100 %

A *line* is a statement; it is covered when an instruction compiled from it ran. A *branch* is one
outcome of a conditional jump compiled from an `if`, an `assert`, an `and` or an `or`: both must be
seen, so a guard counts only when some test also passes it and some test also trips it. Jumps that
Vyper adds by itself (overflow, calldata, the non-reentrancy lock) are not counted.

Loaded by pytest as a plugin (`-p evm_coverage`), it gathers; as a script it runs pytest so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SUITES = ("tests/unit/sonar_contract", "tests/exploits/contract_sonar")
OUTPUT = "EVM_COVERAGE_OUTPUT"
JUMPI, PUSH1, PUSH32 = 0x57, 0x60, 0x7F
BRANCHING = ("If", "Assert", "BoolOp", "IfExp")


class Trace:
    """Which instructions ran, and where each conditional jump went, for each code seen."""

    def __init__(self) -> None:
        self.ran: dict[bytes, set[int]] = defaultdict(set)
        self.jumped: dict[bytes, set[tuple[int, int]]] = defaultdict(set)

    def add(self, computation: Any) -> None:
        code = computation.code._raw_code_bytes
        steps = computation.code._trace
        self.ran[code].update(steps)
        self.jumped[code].update(
            (before, after) for before, after in pairwise(steps) if code[before] == JUMPI
        )
        for child in computation.children:
            self.add(child)


@dataclass(frozen=True)
class Report:
    lines: int
    missed_lines: list[int]
    branches: int
    missed_branches: list[tuple[int, str]]

    @property
    def complete(self) -> bool:
        return not self.missed_lines and not self.missed_branches

    def text(self) -> str:
        covered = self.lines - len(self.missed_lines)
        taken = self.branches - len(self.missed_branches)
        rows = [
            f"Sonar.vy lines    {covered}/{self.lines} = {100 * covered / self.lines:.1f} %",
            f"Sonar.vy branches {taken}/{self.branches} = {100 * taken / self.branches:.1f} %",
            *(f"  line {line} never ran" for line in self.missed_lines),
            *(f"  line {line}: {what}" for line, what in self.missed_branches),
        ]
        return "\n".join(rows)


def conditional_jumps(code: bytes) -> list[int]:
    jumps, position = [], 0
    while position < len(code):
        opcode = code[position]
        if opcode == JUMPI:
            jumps.append(position)
        position += opcode - PUSH1 + 2 if PUSH1 <= opcode <= PUSH32 else 1
    return jumps


def report(code: bytes, nodes: dict[int, Any], trace: Trace) -> Report:
    """Compare what ran with the source map: `nodes` is instruction -> syntax node."""
    ran, jumped = trace.ran[code], trace.jumped[code]
    lines: set[int] = set()
    covered: set[int] = set()
    for position, node in nodes.items():
        line = statement_line(node)
        if line is not None:
            lines.add(line)
            if position in ran:
                covered.add(line)
    branches, missed = 0, []
    for jump in conditional_jumps(code):
        node = nodes.get(jump)
        if node is None or type(node).__name__ not in BRANCHING:
            continue
        branches += 2
        outcomes = {after == jump + 1 for before, after in jumped if before == jump}
        for fell_through in {True, False} - outcomes:
            where = "fell through" if fell_through else "jumped"
            missed.append((node.lineno, f"{type(node).__name__} never {where}"))
    return Report(len(lines), sorted(lines - covered), branches, missed)


def statement_line(node: Any) -> int | None:
    """The first line of the statement inside a function body that `node` belongs to."""
    while (parent := node._parent) is not None:
        if any(node is statement for statement in statements(parent)):
            return node.lineno  # None: a getter that Vyper wrote
        node = parent
    return None


def statements(block: Any) -> list[Any]:
    """What is executed in a function, an `if` or a loop, one after the other."""
    if type(block).__name__ not in ("FunctionDef", "If", "For"):
        return []
    return [*block.body, *getattr(block, "orelse", [])]


def pytest_configure() -> None:
    from boa.environment import Env

    trace = Trace()
    Env._coverage_enabled = True
    Env._trace_computation = lambda _self, computation, _contract=None: trace.add(computation)
    pytest_configure.trace = trace  # type: ignore[attr-defined]


def pytest_unconfigure() -> None:
    import boa
    from sonar_world import deploy, sonar_deployer

    sonar = deploy(sonar_deployer())
    code = boa.env.get_code(sonar.address)
    nodes = sonar.source_map["pc_raw_ast_map"]
    found = report(code, nodes, pytest_configure.trace)  # type: ignore[attr-defined]
    document = {"complete": found.complete, "text": found.text(), "branches": found.branches}
    Path(os.environ[OUTPUT]).write_text(json.dumps(document))


def measure(*pytest_arguments: str) -> dict[str, Any]:
    """Run the contract's tests in a process of their own and return what they covered."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "coverage.json"
        paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), OUTPUT: str(output)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "evm_coverage", *pytest_arguments]
        finished = subprocess.run(
            command, cwd=HERE.parents[1], env=environment, capture_output=True, text=True
        )
        if finished.returncode != 0:
            raise RuntimeError(f"the contract's tests fail:\n{finished.stdout[-4000:]}")
        document: dict[str, Any] = json.loads(output.read_text())
        return document


if __name__ == "__main__":
    measured = measure(*(sys.argv[1:] or SUITES))
    sys.stdout.write(measured["text"] + "\n")
    sys.exit(0 if measured["complete"] else 1)
