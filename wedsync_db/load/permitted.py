"""Whether a load test may begin: what the environment, the clock, the server and this machine say to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from wedsync_db.errors import Refused
from wedsync_db.load.compare import PAIRS
from wedsync_db.load.engine import require_machine
from wedsync_db.load.engines import fitted
from wedsync_db.load.feasible import cost_of_sending, require_rate
from wedsync_db.load.options import Options
from wedsync_db.load.safety import require_confirmed, require_disk, require_no_freeze
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.shard_plan import require_shards
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment

_MOST_OF_CONNECTIONS = 0.8


def require_permitted(
    environment: Environment, scenario: Scenario, options: Options, now: datetime, say: Callable[[str], None]
) -> None:
    """Make sure that this environment is for load tests, now, and that this machine can send so much.

    Raises:
        Refused: something of this is not so.
        UsageError: the scenario cannot be split up among so many shards, or calibrated with pgbench.
    """
    require_marked(environment)
    require_confirmed(environment, options.confirm)
    require_no_freeze(environment, now, scenario.seconds * runs_of(scenario, options), say)
    if options.calibrate:
        fitted(scenario, "pgbench")
    require_shards(scenario, options)
    if options.shards == 1:  # else others send, and each of them looks at its own machine
        require_machine(scenario)
        require_rate(scenario, cost_of_sending(scenario))


def runs_of(scenario: Scenario, options: Options) -> int:
    """How many runs there are at least."""
    return 2 * PAIRS if options.before else options.repeats or scenario.repeats


def require_marked(environment: Environment) -> None:
    """Make sure that this environment is one for load tests.

    Raises:
        Refused: nothing says so.
    """
    if not environment.load_test:
        raise Refused(
            f"{environment.name} is not for load tests",
            hint="They slow down all on its server. Where that harms nobody: load_test = true in environments.toml.",
        )


def require_room(target: Address, scenario: Scenario, options: Options, say: Callable[[str], None]) -> None:
    """Make sure that the server has room for the pool and for the rows.

    Raises:
        Refused: it has not.
    """
    pool = scenario.pool
    with session(target, "load-test") as connection:
        (room,) = connection.execute(query("load", "connections"), {}).fetchall()[0]
        databases = 2 if options.before else 1
        require_disk(connection, databases * scenario.safety.needed_mb(scenario.tenants), say)
    if pool > room * _MOST_OF_CONNECTIONS:
        raise Refused(
            f"a pool of {pool} takes more than {_MOST_OF_CONNECTIONS:.0%} of the {room} connections there are",
            hint=f"Raise max_connections to {round(pool / _MOST_OF_CONNECTIONS) + 10}, or test a smaller pool.",
        )
