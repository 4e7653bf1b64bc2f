"""The campaign manifest: built from what a data scientist asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from openmined.protocol import (
    PPM,
    BlobRef,
    CampaignManifest,
    LinearRegressionAlgorithm,
)
from openmined.sonar._errors import LaunchRefused

if TYPE_CHECKING:
    from openmined.sonar._choice import LearningTask
    from openmined.sonar._tables import ValidationTable

_NO_BLOB = BlobRef(cid="b" + "a" * 58, size=0, purpose="validation")
_NO_CERTIFICATE = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def draft_manifest(table: ValidationTable, task: LearningTask) -> CampaignManifest:
    """Build a manifest without blobs and keys: enough to make features and spec of."""
    return build_manifest(
        table,
        task,
        title="draft",
        start_ppm=0,
        target_ppm=PPM,
        validation=_NO_BLOB,
        certificate=_NO_CERTIFICATE,
    )


def build_manifest(table: ValidationTable, task: LearningTask, **fields: Any) -> CampaignManifest:
    """Build and check a manifest.

    Raises:
        LaunchRefused: naming the field that does not fit.
    """
    regression = isinstance(task.algorithm, LinearRegressionAlgorithm)
    try:
        return CampaignManifest(
            input=table.input,
            output=table.output,
            features=task.features,
            algorithm=task.algorithm,
            update=task.update,
            metric="r2" if regression else "accuracy",
            **fields,
        )
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "campaign"
        raise LaunchRefused(f"{place}: {problem['msg']}") from error
