"""What a run published. The server of a test session has those of many runs, and gives no more than 200 at a time."""

from __future__ import annotations

from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId


def artifacts_of(flow_run_id: Any) -> list[Any]:
    """The artifacts of this run alone."""
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        return list(client.read_artifacts(artifact_filter=wanted))
