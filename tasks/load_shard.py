"""Be one of several generators of a load test."""

from __future__ import annotations

import os
import socket

from tasks.each import Ended, told
from tasks.names import EnvironmentName
from tasks.running import say, step
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.load.one_shard import shard_line, take_part


@step(name="load-shard", run_name="load-shard-{environment}-{number}")
def run_load_shard(environment: EnvironmentName, ticket: str, number: int) -> Ended:
    """Do a shard's part of the run that the ticket is for; nobody is notified, as the load test itself tells."""
    try:
        found = take_part(this_installation(), environment, ticket, number, worker=_worker(), say=say)
    except WedsyncError as error:
        return told(environment, Ended(f"{environment}: {error.message}", error), quiet=WedsyncError)
    return told(environment, Ended(f"{environment}, shard {number}: {shard_line(found)}"))


def _worker() -> str:
    """Who people look for when something is wrong with this shard: Prefect's worker, or the machine."""
    return os.environ.get("PREFECT__WORKER_NAME") or socket.gethostname()
