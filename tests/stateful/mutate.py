"""Mutation run: change Sonar.vy in one place, see whether the tests notice; for every place.

    python tests/stateful/mutate.py [--workers N] [--sample N] [--lines A-B] [--at-least PERCENT]

Changed in turn: every comparison (to its boundary and to its opposite), sign, shift and mask,
`and`/`or`, constant (definition and each use), guard (`assert` dropped, `if` always and never
taken, the non-reentrancy lock dropped), and every statement that can be left out. A mutant is
*killed* when a test of the contract fails on it, *stillborn* when it does not compile (not
counted), and *survives* otherwise. Prints the share killed and every survivor; fails below
`--at-least`.

The tests run are the contract's own by example; neither the gas snapshot nor the comparison with
the artifact, which would notice any change whatever, nor the stateful machine. They must pass on
the contract as it is.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src/openmined/sonar/contract/Sonar.vy"
UNIT, EXPLOITS = "tests/unit/sonar_contract", "tests/exploits/contract_sonar"
NO_KILLERS = ("test_artifact", "test_gas", "test_reference")
KILLERS = (UNIT, EXPLOITS, *(f"--ignore={UNIT}/{name}.py" for name in NO_KILLERS))
QUICKER = ("# pragma optimize gas", "# pragma optimize none")
LIMIT_S = 600
KILLED, SURVIVED, STILLBORN, TIMED_OUT = 0, 1, 2, 3

COMPARISONS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
}
OPERATORS = {
    "+": ("-",),
    "-": ("+",),
    "*": ("//",),
    "//": ("*",),
    "<<": (">>",),
    ">>": ("<<",),
    "&": ("|",),
    "|": ("&",),
    "**": ("*",),
    "and": ("or",),
    "or": ("and",),
    "+=": ("-=",),
    "-=": ("+=",),
}


@dataclass(frozen=True)
class Mutant:
    kind: str
    line: int
    start: int
    end: int
    new: str

    def apply(self, source: str) -> str:
        return source[: self.start] + self.new + source[self.end :]

    def describe(self, source: str) -> str:
        old = " ".join(source[self.start : self.end].split())
        new = " ".join(self.new.split())
        return f"line {self.line}: {self.kind}: {old[:60]!r} -> {new[:60]!r}"


class Mutator:
    """Finds the places to change in one source, by its syntax tree."""

    def __init__(self, source: str):
        from vyper.ast.parse import parse_to_ast

        self.source = source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.tree = parse_to_ast(source)
        self.integers = {
            declaration.target.id
            for declaration in self.tree.body
            if type(declaration).__name__ == "VariableDecl"
            and declaration.is_constant
            and "uint256" in declaration.annotation.node_source_code
        }

    def mutants(self) -> list[Mutant]:
        found = self._drop_the_lock()
        for top in self.tree.body:
            kind = type(top).__name__
            if kind == "VariableDecl" and top.target.id in self.integers:
                found += self._walk(top.value)
            elif kind == "FunctionDef":
                for statement in top.body:
                    found += self._walk(statement)
        return sorted(set(found), key=lambda mutant: (mutant.start, mutant.end, mutant.new))

    def _drop_the_lock(self) -> list[Mutant]:
        pragma = "# pragma nonreentrancy on"
        start = self.source.index(pragma)
        line = self.source.count("\n", 0, start) + 1
        return [Mutant("guard", line, start, start + len(pragma), "#")]

    def _walk(self, node: Any) -> list[Mutant]:
        found = []
        for each in [node, *node.get_descendants()]:
            visit = getattr(self, f"_{type(each).__name__.lower()}", None)
            if visit is not None and each.lineno is not None:
                found += visit(each)
        return found

    def _span(self, node: Any) -> tuple[int, int]:
        return (
            self.starts[node.lineno - 1] + node.col_offset,
            self.starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def _replace(self, kind: str, node: Any, *texts: str) -> list[Mutant]:
        start, end = self._span(node)
        return [Mutant(kind, node.lineno, start, end, text) for text in texts]

    def _between(self, kind: str, left: Any, right: Any, table: dict[str, Any]) -> list[Mutant]:
        """Replace the operator that stands between two operands."""
        start, end = self._span(left)[1], self._span(right)[0]
        found = re.search(r"//|\*\*|<<|>>|[<>=!]=|[-+*<>&|]|\band\b|\bor\b", self.source[start:end])
        assert found, self.source[start:end]
        line = self.source.count("\n", 0, start + found.start()) + 1
        return [
            Mutant(kind, line, start + found.start(), start + found.end(), new)
            for new in table[found.group()]
        ]

    def _compare(self, node: Any) -> list[Mutant]:
        return self._between("comparison", node.left, node.right, COMPARISONS)

    def _binop(self, node: Any) -> list[Mutant]:
        return self._between("sign", node.left, node.right, OPERATORS)

    def _boolop(self, node: Any) -> list[Mutant]:
        pairs = zip(node.values, node.values[1:], strict=False)
        return [m for left, right in pairs for m in self._between("and/or", left, right, OPERATORS)]

    def _augassign(self, node: Any) -> list[Mutant]:
        start, end = self._span(node.target)[1], self._span(node.value)[0]
        sign = re.search(r"[-+]=", self.source[start:end])
        assert sign, self.source[start:end]
        at = start + sign.start()
        swapped = Mutant("sign", node.lineno, at, at + 2, OPERATORS[sign.group()][0])
        return [swapped, *self._leave_out(node)]

    def _int(self, node: Any) -> list[Mutant]:
        fewer = [str(node.value - 1)] if node.value else []
        return self._replace("constant", node, str(node.value + 1), *fewer)

    def _nameconstant(self, node: Any) -> list[Mutant]:
        return self._replace("constant", node, str(not node.value))

    def _name(self, node: Any) -> list[Mutant]:
        if node.id in self.integers:
            return self._replace("constant", node, f"({node.id} + 1)")
        if node.id == "min":
            return self._replace("constant", node, "max")
        return []

    def _assert(self, node: Any) -> list[Mutant]:
        return self._replace("guard", node, "pass")

    def _raise(self, node: Any) -> list[Mutant]:
        return self._replace("guard", node, "pass")

    def _if(self, node: Any) -> list[Mutant]:
        return self._replace("guard", node.test, "True", "False")

    def _leave_out(self, node: Any) -> list[Mutant]:
        return self._replace("statement", node, "pass")

    _assign = _expr = _log = _leave_out


def run_mutant(mutant: Mutant, source: str, folder: Path, killers: Sequence[str]) -> int:
    """Run the tests on one mutant, in a process of its own; the verdict is its exit status."""
    path = folder / f"{os.getpid()}.vy"
    # The same contract without the optimizer, which takes half of the time of a mutant.
    path.write_text(mutant.apply(source).replace(*QUICKER))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.environ["SONAR_SOURCE"] = str(path)
    os.chdir(REPOSITORY)
    import boa
    import pytest
    from sonar_world import sonar_deployer

    boa.interpret.set_cache_dir(str(folder / "cache"))
    try:
        _ = sonar_deployer().compiler_data.bytecode
    except Exception:  # noqa: BLE001 - the compiler has many ways to say no, crashes among them
        return STILLBORN
    arguments = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", *killers]
    return SURVIVED if pytest.main(arguments) == 0 else KILLED


def run_all(
    mutants: list[Mutant], source: str, workers: int, killers: Sequence[str]
) -> dict[Mutant, int]:
    """Run every mutant, `workers` at a time, and return each one's verdict."""
    sys.path[:0] = [str(REPOSITORY / "tests/contracts")]
    import hypothesis  # noqa: F401 - imported once here, inherited by every child
    import pytest  # noqa: F401
    import sonar_world

    import openmined.protocol  # noqa: F401

    for token in ("Token", "Visitor"):
        _ = sonar_world.deployer(token).compiler_data.bytecode

    verdicts: dict[Mutant, int] = {}
    running: dict[int, Mutant] = {}
    waiting = list(reversed(mutants))
    with tempfile.TemporaryDirectory() as name:
        unchanged = Mutant("none", 1, 0, 0, "")
        collect({start_child(unchanged, source, Path(name), killers): unchanged}, verdicts)
        if verdicts.pop(unchanged) != SURVIVED:
            raise SystemExit("the tests fail on the contract as it is: repair that first")
        while waiting or running:
            while waiting and len(running) < workers:
                mutant = waiting.pop()
                running[start_child(mutant, source, Path(name), killers)] = mutant
            report_progress(collect(running, verdicts), verdicts, len(mutants), source)
    return verdicts


def start_child(mutant: Mutant, source: str, folder: Path, killers: Sequence[str]) -> int:
    child = os.fork()
    if child:
        return child
    verdict = KILLED
    try:
        signal.alarm(LIMIT_S)  # a mutant that never ends is noticed, too
        verdict = run_mutant(mutant, source, folder, killers)
    finally:
        os._exit(verdict)


def collect(running: dict[int, Mutant], verdicts: dict[Mutant, int]) -> Mutant:
    """Wait for one child to end and keep its verdict."""
    child, status = os.waitpid(-1, 0)
    mutant = running.pop(child)
    verdicts[mutant] = TIMED_OUT if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return mutant


def report_progress(mutant: Mutant, verdicts: dict[Mutant, int], total: int, source: str) -> None:
    if verdicts[mutant] == SURVIVED:
        sys.stderr.write(f"survived: {mutant.describe(source)}\n")
    if len(verdicts) % 25 == 0 or len(verdicts) == total:
        survived = sum(verdict == SURVIVED for verdict in verdicts.values())
        sys.stderr.write(f"{len(verdicts)}/{total} mutants, {survived} survived\n")


def summarize(verdicts: dict[Mutant, int], source: str) -> tuple[str, float]:
    """The report and the share of mutants killed, in percent."""
    born = {m: v for m, v in verdicts.items() if v != STILLBORN}
    survivors = [mutant for mutant, verdict in born.items() if verdict == SURVIVED]
    killed = len(born) - len(survivors)
    share = 100 * killed / max(1, len(born))
    kinds = Counter(mutant.kind for mutant in born)
    alive = Counter(mutant.kind for mutant in survivors)
    lines = [
        f"{kind:<11} {count - alive[kind]:>4} of {count:>4} killed"
        for kind, count in sorted(kinds.items())
    ]
    lines += [mutant.describe(source) for mutant in sorted(survivors, key=lambda m: m.start)]
    stillborn = len(verdicts) - len(born)
    lines.append(f"mutants killed: {killed}/{len(born)} = {share:.1f} % ({stillborn} stillborn)")
    return "\n".join(lines), share


def chosen(mutants: list[Mutant], options: argparse.Namespace) -> list[Mutant]:
    if options.lines:
        first, _, last = options.lines.partition("-")
        mutants = [m for m in mutants if int(first) <= m.line <= int(last or first)]
    if options.sample:
        size = min(options.sample, len(mutants))
        mutants = random.Random(options.seed).sample(mutants, size)
    return mutants


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Mutation run of Sonar.vy.")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--sample", type=int, default=0, help="this many, chosen at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lines", default="", help="only mutants of these lines: A-B")
    parser.add_argument("--at-least", type=float, default=95.0, help="percent to be killed")
    parser.add_argument("--killers", nargs="+", default=KILLERS, help="the tests to run")
    parser.add_argument("--list", action="store_true", help="name the mutants, run none")
    options = parser.parse_args(arguments)
    source = SOURCE.read_text()
    mutants = chosen(Mutator(source).mutants(), options)
    if options.list:
        sys.stdout.write("\n".join(mutant.describe(source) for mutant in mutants) + "\n")
        return 0
    verdicts = run_all(mutants, source, options.workers, options.killers)
    text, share = summarize(verdicts, source)
    sys.stdout.write(text + "\n")
    return 0 if share >= options.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
