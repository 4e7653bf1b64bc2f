"""Write, or with --check compare, the generated files that are committed.

Manifests' JSON Schemas stand in docs/manifests, OpenAPI documents of the mine and of Statistics in
docs/openapi; the threat model in docs/security.md is rendered from the attacks in tests/exploits.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from exploits.table import PAGE, render_page
from openmined.mine.api import openapi_document
from openmined.protocol import MANIFESTS, json_schema
from openmined.stats._api import openapi_text

ROOT = Path(__file__).resolve().parent.parent


def artifacts() -> Iterator[tuple[Path, str]]:
    """Yield every generated file with the content it must have."""
    for manifest in MANIFESTS:
        kind, version = manifest.model_fields["format"].default.split("/")[1].split("@")
        schema = json.dumps(json_schema(manifest), indent=2, ensure_ascii=False)
        yield ROOT / "docs" / "manifests" / f"{kind}-{version}.schema.json", schema + "\n"
    mine = json.dumps(openapi_document(), indent=2, ensure_ascii=False)
    yield ROOT / "docs" / "openapi" / "mine.json", mine + "\n"
    yield ROOT / "docs" / "openapi" / "stats.json", openapi_text()
    yield PAGE, render_page()


def main(check: bool) -> int:
    """Bring the files up to date, or say which are not."""
    stale = [
        (path, text)
        for path, text in artifacts()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        if check:
            print(f"stale: {path.relative_to(ROOT)} (run `make artifact`)", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    raise SystemExit(main("--check" in sys.argv[1:]))
