"""Writes the OpenAPI document of the API: `python -m openmined.stats FILE`."""

import sys
from pathlib import Path

from openmined.stats._api import openapi_text

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(openapi_text(), encoding="utf-8")
