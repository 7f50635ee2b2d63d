"""Run a load test, and tell what came of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from tasks.each import Ended, told
from tasks.names import EnvironmentName
from tasks.publishing import Progress as Shown
from tasks.publishing import publish
from tasks.running import say, step
from wedsync_db.errors import Inconclusive, LoadTestFailed, WedsyncError
from wedsync_db.history.load_tests import load_tests
from wedsync_db.installation import Installation, this_installation
from wedsync_db.load.options import Options
from wedsync_db.load.rounds import Earlier
from wedsync_db.load.run import load_test
from wedsync_db.load.scenario import find_scenario, read_scenario, shipped
from wedsync_db.load.verdict import Verdict
from wedsync_db.load.worker import Progress
from wedsync_db.report.load import load_line, load_markdown, load_text, write_load

if TYPE_CHECKING:
    ScenarioName = str
else:
    ScenarioName = Literal[tuple(shipped())]

_SAY_SECONDS = 10.0


@step(name="load-test", run_name="load-test-{environment}")
def run_load_test(environment: EnvironmentName, scenario: str, options: Options) -> Ended:
    """Run a scenario beside the environment's target; the verdict is in the answer."""
    try:
        return _run(environment, scenario, options)
    except WedsyncError as error:
        return told(environment, Ended(f"{environment}: {error.message}", error))


def _run(environment: EnvironmentName, name: str, options: Options) -> Ended:
    installation = this_installation()
    scenario = read_scenario(find_scenario(name))
    shown = Shown(f"load-progress-{environment}", "Load test")
    planned = sum(phase.arrivals for phase in scenario.phases)

    told_at = 0.0

    def tell(progress: Progress) -> None:
        nonlocal told_at
        shown(progress.due / planned)
        if time.monotonic() - told_at >= _SAY_SECONDS:  # a line of the log is a row in Prefect's database
            told_at = time.monotonic()
            say(progress_line(progress))

    test = partial(
        load_test,
        installation,
        installation.environment(environment),
        scenario,
        options=options,
        baseline=lambda fingerprint: _earlier(installation, environment, fingerprint),
        clock=lambda: datetime.now(UTC),
        say=say,
        tell=tell,
    )
    done = test()
    if done.result.doubts:  # never for a FAIL: whoever repeats until it passes has found nothing
        say(load_text(done))
        say("the measurement was no good: once more")
        done = test()
    with load_tests(installation, environment) as kept:
        kept.keep(done)
    for problem in kept.problems:
        say(problem)
    path = write_load(done, installation.home.ensure().reports)
    say(load_text(done))
    say(f"report: {path}")
    publish(f"load-test-{environment}", load_markdown(done), "What the load test came to")
    return told(environment, Ended(f"{load_line(done)}; {path}", _error(done.result.verdict, load_line(done))))


def _earlier(installation: Installation, environment: EnvironmentName, fingerprint: str) -> Earlier | None:
    with load_tests(installation, environment) as kept:
        found = kept.earlier(fingerprint)
    for problem in kept.problems:
        say(problem)
    return found


def progress_line(progress: Progress) -> str:
    """How far a run is, for people who wait."""
    p95 = "nothing yet" if progress.p95_ms is None else f"{progress.p95_ms:.1f} ms"
    return f"{progress.answered} of {progress.due} due are answered, p95 {p95}, {progress.errors} errors"


def _error(verdict: Verdict, line: str) -> WedsyncError | None:
    """What the run ends with, so that its exit code says the same as the verdict."""
    if verdict is Verdict.PASS:
        return None
    if verdict is Verdict.FAIL:
        return LoadTestFailed(line, hint="The report says which condition, and by how much.")
    return Inconclusive(line, hint="The report says what could not be known. Only INVALID is worth trying again.")
