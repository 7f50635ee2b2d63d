"""Load tests in the history store: what was found, with exactly which migrations."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg.types.json import Jsonb

from wedsync_db.guard.promotion import LoadTrial
from wedsync_db.history.best_effort import BestEffort, reached
from wedsync_db.installation import Installation
from wedsync_db.postgres.queries import query

if TYPE_CHECKING:
    from wedsync_db.load.rounds import Earlier
    from wedsync_db.load.run import LoadTest

_FILE = "history_load_tests"
_KEPT = timedelta(days=90)


@dataclass
class LoadTests(BestEffort):
    """The load tests of one environment. `problems`: what could not be read or written, each once."""

    purpose = "load-tests"

    def keep(self, test: LoadTest) -> None:
        """Write a test down."""
        from wedsync_db.report.load.data import load_data  # brings numpy along, which who only reads does not need

        values = {
            "environment": self.environment,
            "scenario": test.scenario.name,
            "started_at": test.started_at,
            "verdict": test.result.verdict.value,
            "server": test.server,
            "pool": test.scenario.pool,
            "seed": test.seed,
            "migrations": [name for name, _ in test.migrations],
            "sha256": [sha256 for _, sha256 in test.migrations],
            "results": Jsonb(load_data(test)),
            "fingerprint": test.fingerprint,
        }

        def write(connection: psycopg.Connection) -> None:
            with connection.transaction():
                connection.execute(query(_FILE, "forget_runs"), {**values, "before": test.started_at - _KEPT})
                connection.execute(query(_FILE, "keep"), values)
                for number, run in enumerate(test.runs, 1):
                    asked = {**values, "run": number, "summary": run.to_bytes()}
                    connection.execute(query(_FILE, "keep_run"), asked)

        self.attempt(write)

    def earlier(self, fingerprint: str) -> Earlier | None:
        """The newest runs of tests with this fingerprint that passed; None where the store does not answer."""
        from wedsync_db.load.compare import MOST_OLD_RUNS
        from wedsync_db.load.rounds import Earlier
        from wedsync_db.load.summary import Summary

        def read(connection: psycopg.Connection) -> Earlier:
            asked = {"environment": self.environment, "fingerprint": fingerprint, "most": MOST_OLD_RUNS}
            rows = connection.execute(query(_FILE, "earlier"), asked).fetchall()
            if not rows:
                return Earlier()
            runs = [Summary.from_bytes(summary) for summary, _, _ in rows]
            return Earlier(runs, rows[-1][1], frozenset(rows[0][2]))

        return self.attempt(read)

    def newest(self, scenario: str) -> LoadTrial | None:
        """The newest test of a scenario, whatever came of it; None where the store does not answer."""

        def read(connection: psycopg.Connection) -> LoadTrial:
            asked = {"environment": self.environment, "scenario": scenario}
            row = connection.execute(query(_FILE, "newest"), asked).fetchone()
            if row is None:
                return LoadTrial(scenario)
            verdict, migrations, sha256 = row
            return LoadTrial(scenario, verdict, frozenset(zip(migrations, sha256, strict=True)))

        return self.attempt(read)


def load_tests(installation: Installation, environment: str) -> AbstractContextManager[LoadTests]:
    """The load tests, the store's server running for as long as the block lasts; none where there is no store."""
    return reached(LoadTests(environment), installation)
