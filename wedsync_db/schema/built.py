"""What a folder of migrations makes, on a scratch server that is gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from wedsync_db.migrate.execute import run_scripts
from wedsync_db.migrate.plan import plan_of, require_sound
from wedsync_db.postgres.cluster import scratch, sweep_scratch
from wedsync_db.postgres.session import session


@contextmanager
def built(folder: Path, major: int, scratch_parent: Path) -> Iterator[psycopg.Connection]:
    """A session with a database in which every migration of the folder was deployed, from empty.

    Raises:
        PlanError: the files may not be deployed.
        MigrationFailed: a statement fails.
        Refused: there is no PostgreSQL of that major here.
    """
    plan = plan_of(folder, ())
    require_sound(plan)
    sweep_scratch(scratch_parent)
    with scratch(major, scratch_parent) as cluster, session(cluster.address(), "schema") as connection:
        run_scripts(connection, plan.pending)
        yield connection
