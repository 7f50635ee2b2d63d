"""The verb load-test: the flow load_test, run from the command line."""

from __future__ import annotations

import argparse

from flows.local_runs import prepare, run
from wedsync_db.cli.answer import Answer
from wedsync_db.errors import UsageError
from wedsync_db.installation import Installation


def load_test(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Run a scenario; what is wrong with the command is told before Prefect starts.

    Raises:
        UsageError: the scenario or an option is no good.
        WedsyncError: how it ended, if not well.
    """
    from wedsync_db.load.engines import fitted
    from wedsync_db.load.options import Options
    from wedsync_db.load.permitted import require_marked
    from wedsync_db.load.safety import MOST_CONNECTIONS, require_confirmed
    from wedsync_db.load.scenario import MOST_RUNS, find_scenario, read_scenario, with_options
    from wedsync_db.load.shard_plan import require_shards

    environment = installation.environment(arguments.environment)
    path = find_scenario(arguments.scenario)
    scenario = read_scenario(path)
    _within("--pool", arguments.pool, MOST_CONNECTIONS)
    _within("--repeats", arguments.repeats, MOST_RUNS)
    options = Options(
        engine=arguments.engine, calibrate=arguments.calibrate, shards=arguments.shards, copy=arguments.copy
    )
    require_shards(fitted(with_options(scenario, pool=arguments.pool), options.engine), options)
    require_marked(environment)
    require_confirmed(environment, arguments.confirm)
    prepare(installation)
    from flows.load_test import load_test as flow
    from tasks.shards import require_api

    if arguments.shards > 1:
        require_api()

    # a file of somebody's own is none of the names that the form offers
    started = flow.with_options(validate_parameters=False)
    return run(
        lambda: started(
            environment.name,
            str(path),
            pool=arguments.pool,
            repeats=arguments.repeats,
            seed=arguments.seed,
            before=arguments.before,
            engine=arguments.engine,
            calibrate=arguments.calibrate,
            confirm=arguments.confirm,
            shards=arguments.shards,
            backup=arguments.copy,
            return_state=True,
        )
    )


def _within(name: str, value: int | None, most: int) -> None:
    if value is not None and not 1 <= value <= most:
        raise UsageError(f"{name} is 1 to {most}")
