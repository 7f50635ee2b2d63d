"""File handles: each connection takes one, and a process without any more lets its clients wait, with no error."""

from __future__ import annotations

import math
import resource

from wedsync_db.errors import Refused
from wedsync_db.load.scenario import Scenario

SPARE = 200  # files, libraries, pipes, and connections that are closing


def raise_handles() -> None:
    """Let this process have as many as it is ever allowed to; for children, which end with their work."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def require_handles(scenario: Scenario, processes: int) -> None:
    """Make sure that this machine lets us have the scenario's connections, each process of the generator its part.

    Raises:
        Refused: it does not, and no process of ours may change that.
    """
    each = math.ceil(scenario.held / processes) + SPARE
    pooler = scenario.held + scenario.pool + SPARE if scenario.connections == "pgbouncer" else 0
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = max(each, pooler)
    if hard != resource.RLIM_INFINITY and hard < need:
        what = "pgbouncer" if pooler > each else "a process of the generator"
        raise Refused(
            f"{scenario.held:,} connections need {need:,} file handles in {what}, {hard:,} are allowed",
            hint=f"ulimit -Hn {need} as root, LimitNOFILE={need} in a systemd unit, or fewer clients.",
        )
