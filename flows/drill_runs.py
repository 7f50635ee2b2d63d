"""The verb drill: the flow restore_drill, run from the command line."""

from __future__ import annotations

import argparse

from flows.local_runs import prepare, run
from wedsync_db.cli.answer import Answer
from wedsync_db.cli.backups import choose
from wedsync_db.installation import Installation


def drill(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Try a restore; what is wrong with the command is told before Prefect starts.

    Raises:
        UsageError: there is no such environment or backup.
        WedsyncError: how the drill ended, if not well.
    """
    environment = installation.environment(arguments.environment)
    chosen = choose(arguments.backup, installation, environment.name)
    prepare(installation)
    from flows.restore_drill import restore_drill

    return run(lambda: restore_drill(environment.name, chosen.id, return_state=True))
