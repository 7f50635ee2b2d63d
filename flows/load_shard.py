"""One of several generators of a load test. The flow load_test starts it; nobody else has to."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.each import all_ended
from tasks.load_shard import run_load_shard
from tasks.names import EnvironmentName
from wedsync_db.load.options import MOST_SHARDS

Number = Annotated[int, Field(ge=1, le=MOST_SHARDS)]


@flow(name="load_shard", flow_run_name="load_shard-{environment}-{number}", retries=0, persist_result=False)
def load_shard(environment: EnvironmentName, ticket: str, number: Number) -> State[object]:
    """Send the arrivals of one shard, and hand in what was measured.

    Args:
        environment: Beside whose target the load test is under way.
        ticket: Which run of it this is for. Without one that somebody waits for, nothing is done.
        number: Which of the shards this is, from 1.
    """
    return all_ended([run_load_shard(environment, ticket, number)])
