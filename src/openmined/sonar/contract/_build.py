"""Compiles `Sonar.vy` into the committed `Sonar.json`, and checks that the two agree.

Development only: needs the pinned Vyper.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from openmined.sonar.contract._artifact import FORMAT, ArtifactError

if TYPE_CHECKING:
    from collections.abc import Sequence

VYPER_VERSION: Final = "0.4.3"
EVM_VERSION: Final = "cancun"
OPTIMIZE: Final = "gas"
FOLDER: Final = Path(__file__).parent
SOURCE: Final = FOLDER / "Sonar.vy"
ARTIFACT: Final = FOLDER / "Sonar.json"


def build_artifact(source: str) -> str:
    """Compile Sonar's source into the text of its artifact: the same text for the same source.

    Raises:
        ArtifactError: if the pinned compiler is not there or the source has immutables.
    """
    # Immutables would make the code on chain differ from `deployed_bytecode`.
    output = _compile(source)
    immutables = {
        name: detail
        for name, detail in output["layout"].get("code_layout", {}).items()
        if detail.get("length", 0) > 0
    }
    if immutables:
        raise ArtifactError(
            f"Sonar has immutables {sorted(immutables)}: code on chain could not be compared"
        )
    document = {
        "format": FORMAT,
        "contract": "Sonar",
        "compiler": {
            "name": "vyper",
            "version": VYPER_VERSION,
            "evm_version": EVM_VERSION,
            "optimize": OPTIMIZE,
        },
        "source_sha256": hashlib.sha256(source.encode()).hexdigest(),
        "immutables": [],
        "abi": output["abi"],
        "userdoc": output["userdoc"],
        "devdoc": output["devdoc"],
        "storage_layout": output["layout"].get("storage_layout", {}),
        "bytecode": output["bytecode"],
        "deployed_bytecode": output["bytecode_runtime"],
    }
    return json.dumps(document, indent=1, sort_keys=False) + "\n"


def _compile(source: str) -> dict[str, Any]:
    try:
        import vyper
        from vyper.compiler import compile_from_file_input
        from vyper.compiler.input_bundle import FileInput, FilesystemInputBundle
        from vyper.compiler.settings import OptimizationLevel, Settings
    except ImportError as error:
        raise ArtifactError(
            f"building Sonar.json needs vyper {VYPER_VERSION}; install requirements/dev.txt"
        ) from error
    if not vyper.__version__.startswith(VYPER_VERSION):
        raise ArtifactError(f"vyper is {vyper.__version__}, but Sonar is pinned to {VYPER_VERSION}")
    # A path without folders, so that the artifact does not depend on where the repository lies.
    path = Path(SOURCE.name)
    file = FileInput(source_id=0, path=path, resolved_path=path, contents=source)
    output: dict[str, Any] = compile_from_file_input(
        file,
        input_bundle=FilesystemInputBundle([FOLDER]),
        settings=Settings(
            evm_version=EVM_VERSION,
            optimize=OptimizationLevel.from_string(OPTIMIZE),
            experimental_codegen=False,
        ),
        output_formats=["abi", "bytecode", "bytecode_runtime", "layout", "userdoc", "devdoc"],
    )
    return output


def main(arguments: Sequence[str] | None = None) -> int:
    """Rebuild `Sonar.json`; with `--check`, say whether it is what `Sonar.vy` compiles to."""
    parser = argparse.ArgumentParser(
        prog="python -m openmined.sonar.contract", description="Rebuild Sonar.json from Sonar.vy."
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if Sonar.json is out of date"
    )
    options = parser.parse_args(arguments)
    try:
        built = build_artifact(SOURCE.read_text(encoding="utf-8"))
    except ArtifactError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not options.check:
        ARTIFACT.write_text(built, encoding="utf-8")
        sys.stdout.write(f"{ARTIFACT.name} written ({len(built)} characters)\n")
        return 0
    committed = ARTIFACT.read_text(encoding="utf-8") if ARTIFACT.exists() else ""
    if committed == built:
        sys.stdout.write(f"{ARTIFACT.name} is up to date\n")
        return 0
    sys.stderr.write(describe_difference(committed, built))
    return 1


def describe_difference(committed: str, built: str) -> str:
    """Say in which lines two artifacts differ, and what to do."""
    lines = difflib.unified_diff(
        committed.splitlines(), built.splitlines(), "committed", "built", n=0, lineterm=""
    )
    shown = "\n".join(line[:200] for line in list(lines)[:20])
    return (
        "Sonar.json is not what Sonar.vy compiles to; "
        f"run `python -m openmined.sonar.contract` and commit the result\n{shown}\n"
    )
