"""Write what Mine.js takes from the Python side: ABI, JSON schemas, OpenAPI, table of reverts.

    python mine-js/scripts/generate.py [--check]

Nothing of it is typed by hand; a test runs this with --check.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from openmined.mine import _ledger as ledger
from openmined.mine._datasets import Dataset
from openmined.mine._settings import MineSettings, NetworkSettings
from openmined.mine.api import openapi_document
from openmined.protocol import CampaignManifest, GradientManifest, KeysManifest, ModelManifest
from openmined.sonar import _errors as sonar_errors
from openmined.sonar.contract import load_artifact

OUT = Path(__file__).resolve().parents[1] / "src" / "generated"
ARTIFACT = Path(sonar_errors.__file__).parent / "contract" / "Sonar.json"
MODELS = {
    "campaign": CampaignManifest,
    "keys": KeysManifest,
    "model": ModelManifest,
    "gradient": GradientManifest,
    "settings": MineSettings,
    "network": NetworkSettings,
    "dataset": Dataset,
}


def files() -> dict[str, str]:
    """Return what is generated, by file name."""
    abi = json.loads(ARTIFACT.read_text())["abi"]
    code = load_artifact().deployed_bytecode
    schemas = {name: _schema(model) for name, model in MODELS.items()}
    document = openapi_document()
    return {
        "sonar.ts": _HEAD
        + f"export const SONAR_ABI = {json.dumps(abi, indent=1)} as const;\n\n"
        + "/** sha2-256 of the code that is deployed. */\n"
        + f'export const SONAR_CODE_SHA256 = "{hashlib.sha256(code).hexdigest()}";\n\n'
        + f"export const ADVICE: Record<string, string> = {_json(sonar_errors.ADVICE)};\n",
        "schemas.ts": _HEAD
        + 'import type { Schema } from "../schema.ts";\n\n'
        + f"export const SCHEMAS: Record<{_names(schemas)}, Schema> = {_json(schemas)};\n",
        "ledger.ts": _HEAD
        + f"export const LEDGER_VERSION = {ledger.LEDGER_VERSION};\n\n"
        + f"export const TABLES = {_text(ledger._TABLES)};\n",  # noqa: SLF001
        "openapi.ts": _HEAD
        + "/** As `/api/v1/openapi.json` answers it, byte for byte. */\n"
        + f"export const OPENAPI_COMPACT = {_text(_compact(document))};\n\n"
        + "/** As docs/openapi/mine.json has it, byte for byte. */\n"
        + f"export const OPENAPI_INDENTED = {_text(_json(document))};\n",
    }


_HEAD = "// Made by scripts/generate.py from the Python side. Do not edit.\n\n"


def _schema(model: Any) -> Any:
    return TypeAdapter(model).json_schema(mode="validation", by_alias=True)


def _names(schemas: dict[str, Any]) -> str:
    return " | ".join(f'"{name}"' for name in schemas)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def main() -> int:
    """Write the files, or with --check say which are stale."""
    stale = []
    for name, text in files().items():
        path = OUT / name
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            OUT.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"mine-js/src/generated/{name} is stale: run mine-js/scripts/generate.py")  # noqa: T201
    return len(stale)


if __name__ == "__main__":
    raise SystemExit(main())
