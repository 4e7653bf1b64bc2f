"""The Sonar contract: its source, and the compiled artifact that is committed beside it.

`Sonar.json` is all that a client needs; the compiler is needed only to rebuild it
(`python -m openmined.sonar.contract`).
"""

from openmined.sonar.contract._artifact import (
    EMPTY_TOKEN,
    MAX_BATCH,
    MAX_GRACE_S,
    Artifact,
    ArtifactError,
    load_artifact,
)

__all__ = [
    "EMPTY_TOKEN",
    "MAX_BATCH",
    "MAX_GRACE_S",
    "Artifact",
    "ArtifactError",
    "load_artifact",
]
