"""The verb maintain: the flow maintenance, run from the command line."""

from __future__ import annotations

import argparse

from flows.local_runs import prepare, run
from wedsync_db.cli.answer import Answer
from wedsync_db.errors import UsageError
from wedsync_db.installation import Installation
from wedsync_db.postgres.session import session

_LONGEST_MINUTES = 24 * 60


def maintain(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Do a night's work now; what is wrong with the command is told before Prefect starts.

    Raises:
        UsageError: there is no such environment, or the budget is no good.
        WedsyncError: how it ended, if not well.
    """
    environment = installation.environment(arguments.environment)
    budget = arguments.budget
    if budget is not None and not 1 <= budget <= _LONGEST_MINUTES:
        raise UsageError(f"--budget is in minutes, 1 to {_LONGEST_MINUTES}")
    with installation.target(environment.name) as address, session(address, "maintenance"):
        prepare(installation)
    from flows.maintenance import maintenance

    return run(lambda: maintenance(environment.name, budget, return_state=True))
