"""Where this user's files are: ~/.openmined, or what OPENMINED_HOME names."""

from __future__ import annotations

import os
from pathlib import Path


def openmined_home() -> Path:
    """Return the folder of networks, drafts and locks. It may not exist yet."""
    return Path(os.environ.get("OPENMINED_HOME") or Path.home() / ".openmined")
