"""The verb load-test."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wedsync_db.cli.answer import Answer
from wedsync_db.cli.terminal import say
from wedsync_db.errors import UsageError
from wedsync_db.installation import Installation

if TYPE_CHECKING:
    from wedsync_db.load.scenario import Scenario
    from wedsync_db.load.worker import Progress

_MOST_CONNECTIONS = 1000


def load_test(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Run a scenario beside an environment's target, and judge it.

    Raises:
        UsageError: the scenario or an option is no good.
        WedsyncError: it could not be run.
    """
    from wedsync_db.load import run
    from wedsync_db.load.scenario import find_scenario, read_scenario
    from wedsync_db.load.verdict import Verdict
    from wedsync_db.report.load import load_data, load_text

    environment = installation.environment(arguments.environment)
    scenario = read_scenario(find_scenario(arguments.scenario))
    scenario = replace(
        scenario,
        pool=_within("--pool", arguments.pool, scenario.pool, _MOST_CONNECTIONS),
        repeats=_within("--repeats", arguments.repeats, scenario.repeats, run.MOST_RUNS),
    )
    done = run.load_test(
        installation, environment, scenario, seed=arguments.seed, clock=lambda: datetime.now(UTC), say=say, tell=_tell
    )
    code = {Verdict.PASS: 0, Verdict.FAIL: 1}.get(done.result.verdict, 5)
    return Answer(load_text(done), load_data(done), code)


def _tell(scenario: Scenario, progress: Progress) -> None:
    p95 = "–" if progress.p95_ms is None else f"{progress.p95_ms:.1f} ms"
    say(f"{scenario.title}: {progress.answered} of {progress.due} due answered, p95 {p95}, {progress.errors} errors")


def _within(name: str, given: int | None, otherwise: int, most: int) -> int:
    if given is not None and not 1 <= given <= most:
        raise UsageError(f"{name} is 1 to {most}")
    return otherwise if given is None else given
